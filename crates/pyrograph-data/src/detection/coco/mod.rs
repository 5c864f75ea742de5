//! Sets in the layout of COCO.

mod fields;
mod file;
mod layout;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use pyrograph_vision::BoundingBox;

use self::fields::{Corners, Scalar};
use self::file::{Annotation, Category, Image, Instances};
pub(super) use self::layout::{CocoFiles, coco_files, has_parts, no_set, part_beside};
use super::gather::{Gatherer, RawObject};
use super::{BoxObject, DetectionOptions, DetectionSample, DetectionSet, Pixels, stated_or_seen};
use crate::DataError;
use crate::listing::within;

/// As many of the first images decide which folder holds them all.
const TRIED_IMAGES: usize = 8;

impl DetectionSet {
    /// Reads annotations in the form of COCO's `instances_*.json`, of images in `images`.
    ///
    /// The file has three lists, and what else stands in it is not looked at:
    ///
    /// - `images`: `id`, `file_name`, `width`, `height` (of which 0 is that of the image file);
    /// - `annotations`: `image_id`, `category_id`, `bbox` as `[x, y, width, height]` in pixels, `iscrowd` (0 where it is missing;
    ///   `false` and `true` are 0 and 1), `area` (that of the box where it is missing or no number), `id` (which may be missing);
    /// - `categories`: `id`, `name`. Ids are any whole numbers, also written as 1.0: the classes are the categories in the order of
    ///   their ids, also those without an object.
    ///
    /// An image is looked for by its `file_name` within the folder, and never out of it, then by the last part of that. Images
    /// keep the order of the file, those without objects included. Pixels are read later, by [`image`](Self::image).
    ///
    /// # Errors
    /// - [`DataError::Read`], [`DataError::Encoding`], [`DataError::Json`] for a file that is no JSON, [`DataError::NoInstances`]
    ///   for another content;
    /// - [`DataError::AnnotationLacks`] and [`DataError::AnnotationField`] for a field that is missing or of a wrong type,
    ///   [`DataError::AnnotationValue`] for an id that stands twice or belongs to nothing, an `iscrowd` other than 0 and 1, an
    ///   `area` below 0, a file that two images have;
    /// - [`DataError::Empty`] without images, [`DataError::NoImageFile`] for an image that is missing, [`DataError::Image`] for
    ///   one whose size is needed and does not read;
    /// - [`DataError::UnknownObjectClass`] and [`DataError::BoxRefused`] as the options have it, [`DataError::BadClasses`] where
    ///   two classes have one name or there is none;
    /// - [`DataError::Several`] for more than one of these faults, unless the options have it otherwise.
    pub fn from_coco(
        annotations: impl AsRef<Path>,
        images: impl AsRef<Path>,
        options: &DetectionOptions,
    ) -> Result<DetectionSet, DataError> {
        let path = annotations.as_ref();
        Self::from_instances(path, Instances::read(path)?, images.as_ref(), options)
    }

    /// [`from_coco`](Self::from_coco) of the first folder that holds the images.
    pub(super) fn from_coco_files(
        files: &CocoFiles,
        options: &DetectionOptions,
    ) -> Result<DetectionSet, DataError> {
        let path = &files.annotations;
        let instances = Instances::read(path)?;
        let holds_some = |folder: &&PathBuf| {
            let mut tried = instances.images.iter().take(TRIED_IMAGES);
            tried.any(|image| {
                let name = image.file_name.text();
                name.is_some_and(|name| file_of(folder, name).is_some())
            })
        };
        let folder = files
            .folders
            .iter()
            .find(holds_some)
            .or(files.folders.first());
        let folder =
            folder.ok_or_else(|| no_set(path, "there is no folder of images beside it".into()))?;
        Self::from_instances(path, instances, folder, options)
    }

    fn from_instances(
        path: &Path,
        instances: Instances,
        folder: &Path,
        options: &DetectionOptions,
    ) -> Result<DetectionSet, DataError> {
        let Instances {
            images,
            annotations,
            categories,
        } = instances;
        if images.is_empty() {
            return Err(DataError::Empty { path: path.into() });
        }
        let file = InFile { path };
        let categories = file.categories(&categories)?;
        let of_data = || Ok(categories.values().cloned().collect());
        let mut gatherer = Gatherer::new(options, of_data)?;
        let mut by_image = file.images(&images, &mut gatherer)?;
        file.annotations(&annotations, &mut by_image, &mut gatherer)?;
        let mut files = HashSet::with_capacity(images.len());
        for (number, (image, read)) in images.iter().zip(&by_image.images).enumerate() {
            let Some(read) = read else { continue };
            let sample = file.located(number, image, read, folder, &mut files, options);
            let Some((found, size)) = gatherer.faults.sound(sample)? else {
                continue;
            };
            let name = &read.name;
            let objects = read.annotations.iter().map(|&index| {
                let (class, object) = file.object(index, &annotations[index], &categories)?;
                Ok(RawObject { class, object })
            });
            if let Some(objects) = gatherer.objects((path, name), size, objects)?
                && read.is_sound
            {
                let pixels = Pixels::File(found);
                let sample = DetectionSample::new(name.clone(), size, objects, pixels)
                    .turned(options.exif)
                    .sized_by_file(read.size.is_none());
                gatherer.sample(sample);
            }
        }
        gatherer.finish(path)
    }
}

/// The file of an image in a folder: by its name, or by the last part of it, as some tools write the folders of the machine they
/// ran on, which may have been a Windows machine.
fn file_of(folder: &Path, name: &str) -> Option<PathBuf> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let paths = [name, last].map(|name| within(folder, name));
    paths.into_iter().flatten().find(|path| path.is_file())
}

/// An image without faults of its own.
struct ReadImage {
    name: String,
    /// None where it is that of the file.
    size: Option<(u32, u32)>,
    /// The places of its annotations in their list.
    annotations: Vec<usize>,
    /// Whether its annotations have ids that are their own.
    is_sound: bool,
}

/// The images of a file, and their places by their ids.
struct ByImage {
    /// None for an image with a fault.
    images: Vec<Option<ReadImage>>,
    places: HashMap<i64, usize>,
}

/// The file that errors are about.
struct InFile<'a> {
    path: &'a Path,
}

impl InFile<'_> {
    fn refused(&self, place: String, seen: impl ToString, allowed: &str) -> DataError {
        DataError::AnnotationValue {
            path: self.path.into(),
            place: place.into(),
            seen: seen.to_string(),
            allowed: allowed.into(),
        }
    }

    /// The error of a field of a wrong type, or of one that is missing.
    fn wrong(
        &self,
        item: &str,
        field: &'static str,
        seen: impl ToString,
        allowed: &'static str,
    ) -> DataError {
        match seen.to_string() {
            seen if seen == Scalar::Missing.to_string() => DataError::AnnotationLacks {
                path: self.path.into(),
                place: item.into(),
                missing: field,
                allowed,
            },
            seen => DataError::AnnotationField {
                path: self.path.into(),
                place: format!("{item}.{field}").into(),
                seen,
                allowed,
            },
        }
    }

    fn id(&self, item: &str, field: &'static str, value: &Scalar) -> Result<i64, DataError> {
        let id = value.whole();
        id.ok_or_else(|| self.wrong(item, field, value, "a whole number"))
    }

    /// The names of the classes by their ids.
    fn categories(&self, categories: &[Category]) -> Result<BTreeMap<i64, String>, DataError> {
        let mut names = BTreeMap::new();
        for (index, category) in categories.iter().enumerate() {
            let item = format!("categories[{index}]");
            let id = self.id(&item, "id", &category.id)?;
            let name = category.name.text();
            let name = name.ok_or_else(|| self.wrong(&item, "name", &category.name, "a string"))?;
            if names.insert(id, name.to_owned()).is_some() {
                let allowed = "an id that no category before has";
                return Err(self.refused(format!("{item}.id"), id, allowed));
            }
        }
        Ok(names)
    }

    /// The images, after a check of their ids, names and sizes.
    fn images(&self, images: &[Image], gatherer: &mut Gatherer) -> Result<ByImage, DataError> {
        let mut places = HashMap::with_capacity(images.len());
        let mut names = HashSet::with_capacity(images.len());
        let mut read = Vec::with_capacity(images.len());
        for (index, image) in images.iter().enumerate() {
            let checked = self.image(index, image, &mut places, &mut names);
            read.push(gatherer.faults.sound(checked)?);
        }
        Ok(ByImage {
            images: read,
            places,
        })
    }

    fn image<'i>(
        &self,
        index: usize,
        image: &'i Image,
        places: &mut HashMap<i64, usize>,
        names: &mut HashSet<&'i str>,
    ) -> Result<ReadImage, DataError> {
        let item = format!("images[{index}]");
        let id = self.id(&item, "id", &image.id)?;
        if places.contains_key(&id) {
            let allowed = "an id that no image before has";
            return Err(self.refused(format!("{item}.id"), id, allowed));
        }
        // Also of an image with a fault behind its id, so that its annotations are not faults too.
        places.insert(id, index);
        let name = image.file_name.text().filter(|name| !name.is_empty());
        let name =
            name.ok_or_else(|| self.wrong(&item, "file_name", &image.file_name, "a name"))?;
        if !names.insert(name) {
            let allowed = "a name that no image before has";
            return Err(self.refused(format!("{item}.file_name"), name, allowed));
        }
        let side = |field, value: &Scalar| {
            let side = value.whole().and_then(|side| u32::try_from(side).ok());
            let allowed = "a whole number of pixels, or 0 for that of the image file";
            side.ok_or_else(|| self.wrong(&item, field, value, allowed))
        };
        let size = match (side("width", &image.width)?, side("height", &image.height)?) {
            (0, _) | (_, 0) => None,
            size => Some(size),
        };
        Ok(ReadImage {
            name: name.to_owned(),
            size,
            annotations: Vec::new(),
            is_sound: true,
        })
    }

    /// Gives every image its annotations, after a check of their ids.
    fn annotations(
        &self,
        annotations: &[Annotation],
        by_image: &mut ByImage,
        gatherer: &mut Gatherer,
    ) -> Result<(), DataError> {
        let mut ids = HashSet::with_capacity(annotations.len());
        for (index, annotation) in annotations.iter().enumerate() {
            let item = format!("annotations[{index}]");
            let place = self
                .id(&item, "image_id", &annotation.image_id)
                .and_then(|id| {
                    let place = by_image.places.get(&id).copied();
                    place.ok_or_else(|| {
                        self.refused(format!("{item}.image_id"), id, "the id of an image")
                    })
                });
            let Some(place) = gatherer.faults.sound(place)? else {
                continue;
            };
            let id = match annotation.id.is_there() {
                true => self.id(&item, "id", &annotation.id).and_then(|id| {
                    let allowed = "an id that no annotation before has";
                    let refused = || self.refused(format!("{item}.id"), id, allowed);
                    if ids.insert(id) {
                        Ok(())
                    } else {
                        Err(refused())
                    }
                }),
                false => Ok(()),
            };
            let is_sound = gatherer.faults.sound(id)?.is_some();
            // None for an image whose fault is noted already.
            if let Some(image) = &mut by_image.images[place] {
                image.annotations.push(index);
                image.is_sound &= is_sound;
            }
        }
        Ok(())
    }

    /// The file and the size of an image.
    fn located(
        &self,
        number: usize,
        image: &Image,
        read: &ReadImage,
        folder: &Path,
        files: &mut HashSet<PathBuf>,
        options: &DetectionOptions,
    ) -> Result<(PathBuf, (u32, u32)), DataError> {
        let name = &read.name;
        let found = file_of(folder, name).ok_or_else(|| DataError::NoImageFile {
            path: self.path.into(),
            looked_for: folder.join(name).display().to_string(),
        })?;
        if !files.insert(found.clone()) {
            let place = format!("images[{number}].file_name");
            let allowed = "the name of a file that no image before has";
            let seen = image.file_name.text().unwrap_or_default();
            return Err(self.refused(place, seen, allowed));
        }
        let size = stated_or_seen(read.size, &found, options.exif)?;
        Ok((found, size))
    }

    /// The class and the box of an annotation.
    fn object<'c>(
        &self,
        index: usize,
        annotation: &Annotation,
        categories: &'c BTreeMap<i64, String>,
    ) -> Result<(&'c str, BoxObject), DataError> {
        let item = format!("annotations[{index}]");
        let category = self.id(&item, "category_id", &annotation.category_id)?;
        let Some(class) = categories.get(&category) else {
            let (place, allowed) = (format!("{item}.category_id"), "the id of a category");
            return Err(self.refused(place, category, allowed));
        };
        let four = "four finite numbers: x, y, width and height";
        let [x, y, width, height] = match &annotation.bbox {
            Corners::Numbers(numbers) => *numbers,
            Corners::Missing => return Err(self.wrong(&item, "bbox", Scalar::Missing, four)),
            Corners::Other(seen) => return Err(self.wrong(&item, "bbox", seen, four)),
        };
        let crowd = annotation.iscrowd.flag();
        let crowd =
            crowd.ok_or_else(|| self.wrong(&item, "iscrowd", &annotation.iscrowd, "0 or 1"))?;
        let area = match annotation.area.is_there() {
            false => None,
            true => {
                let allowed = "a number of 0 or more";
                let area = annotation.area.number().filter(|area| *area >= 0.0);
                Some(area.ok_or_else(|| self.wrong(&item, "area", &annotation.area, allowed))?)
            }
        };
        // Sums in double precision, so that every corner is rounded once.
        let bbox = BoundingBox {
            x1: x as f32,
            y1: y as f32,
            x2: (x + width) as f32,
            y2: (y + height) as f32,
        };
        let object = BoxObject {
            crowd,
            area: area.map(|area| area as f32),
            ..BoxObject::new(bbox, 0)
        };
        Ok((class, object))
    }
}
