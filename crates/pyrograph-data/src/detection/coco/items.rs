//! The items of a file, each checked by itself.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use pyrograph_vision::BoundingBox;

use super::fields::{Corners, Id, Scalar};
use super::file::{Annotation, Category, Image};
use super::images::ImageFiles;
use crate::DataError;
use crate::detection::AnnotationError;
use crate::detection::gather::Gatherer;
use crate::detection::{BoxObject, DetectionOptions, stated_or_seen};

/// An image without faults of its own.
pub(super) struct ReadImage {
    pub(super) name: String,
    /// `None` if the size is read from the file.
    pub(super) size: Option<(u32, u32)>,
    /// The places of its annotations in their list.
    pub(super) annotations: Vec<usize>,
    /// Whether its annotations have ids that are their own.
    pub(super) is_sound: bool,
}

/// The images of a file, and their places by their ids.
pub(super) struct ByImage {
    /// None for an image with a fault.
    pub(super) images: Vec<Option<ReadImage>>,
    places: HashMap<Id, usize>,
}

/// The file that errors are about.
pub(super) struct InFile<'a> {
    pub(super) path: &'a Path,
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
            seen if seen == Scalar::Missing.to_string() => AnnotationError::Lacks {
                path: self.path.into(),
                place: item.into(),
                missing: field,
                allowed,
            }
            .into(),
            seen => AnnotationError::Field {
                path: self.path.into(),
                place: format!("{item}.{field}").into(),
                seen,
                allowed,
            }
            .into(),
        }
    }

    fn id(&self, item: &str, field: &'static str, value: &Scalar) -> Result<Id, DataError> {
        value
            .id()
            .ok_or_else(|| self.wrong(item, field, value, "a whole number or a text"))
    }

    /// The names of the categories by their ids.
    pub(super) fn categories(
        &self,
        categories: &[Category],
    ) -> Result<BTreeMap<Id, String>, DataError> {
        let mut names = BTreeMap::new();
        for (index, category) in categories.iter().enumerate() {
            let item = format!("categories[{index}]");
            let id = self.id(&item, "id", &category.id)?;
            let name = category.name.text();
            let name = name.ok_or_else(|| self.wrong(&item, "name", &category.name, "a string"))?;
            if names.insert(id.clone(), name.to_owned()).is_some() {
                let allowed = "an id that no category before has";
                return Err(self.refused(format!("{item}.id"), id, allowed));
            }
        }
        Ok(names)
    }

    /// The names of the classes, in the order of their ids. Of categories of one name those without
    /// an annotation are left aside: Roboflow writes the name of the group as a category of its
    /// own, which may be that of its only class.
    pub(super) fn classes(
        categories: &BTreeMap<Id, String>,
        annotations: &[Annotation],
    ) -> Vec<String> {
        let with_objects: HashSet<Id> = annotations
            .iter()
            .filter_map(|annotation| annotation.category_id.id())
            .collect();
        let named = categories
            .iter()
            .filter(|(id, _)| with_objects.contains(id));
        let mut seen: HashSet<&str> = named.map(|(_, name)| name.as_str()).collect();
        let classes = categories
            .iter()
            .filter(|(id, name)| with_objects.contains(id) || seen.insert(name));
        classes.map(|(_, name)| name.clone()).collect()
    }

    /// The images, after a check of their ids, names and sizes.
    pub(super) fn images(
        &self,
        images: &[Image],
        gatherer: &mut Gatherer,
    ) -> Result<ByImage, DataError> {
        let mut places = HashMap::with_capacity(images.len());
        let mut names = HashSet::with_capacity(images.len());
        let mut read = Vec::with_capacity(images.len());
        for (index, image) in images.iter().enumerate() {
            let checked = self.image(index, image, &mut places, &mut names);
            read.push(gatherer.faults.keep(checked)?);
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
        places: &mut HashMap<Id, usize>,
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
            let side = match value.is_there() {
                true => value.whole().and_then(|side| u32::try_from(side).ok()),
                false => Some(0),
            };
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
    pub(super) fn annotations(
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
            let Some(place) = gatherer.faults.keep(place)? else {
                continue;
            };
            // Nothing depends on the id, so that one of another type does not matter.
            let id = match annotation.id.id() {
                Some(id) if !ids.insert(id.clone()) => {
                    let allowed = "an id that no annotation before has";
                    Err(self.refused(format!("{item}.id"), id, allowed))
                }
                _ => Ok(()),
            };
            let is_sound = gatherer.faults.keep(id)?.is_some();
            // None for an image whose fault is noted already.
            if let Some(image) = &mut by_image.images[place] {
                image.annotations.push(index);
                image.is_sound &= is_sound;
            }
        }
        Ok(())
    }

    /// The file and the size of an image.
    pub(super) fn located(
        &self,
        number: usize,
        image: &Image,
        read: &ReadImage,
        files: &mut ImageFiles<'_>,
        options: &DetectionOptions,
    ) -> Result<(PathBuf, (u32, u32)), DataError> {
        let name = &read.name;
        let found = files.find(name).ok_or_else(|| DataError::NoImageFile {
            path: self.path.into(),
            looked_for: files.folder().join(name).display().to_string(),
        })?;
        if !files.take(found.clone()) {
            let place = format!("images[{number}].file_name");
            let allowed = "the name of a file that no image before has";
            let seen = image.file_name.text().unwrap_or_default();
            return Err(self.refused(place, seen, allowed));
        }
        let size = stated_or_seen(read.size, &found, options.exif)?;
        Ok((found, size))
    }

    /// The class and the box of an annotation.
    pub(super) fn object<'c>(
        &self,
        index: usize,
        annotation: &Annotation,
        categories: &'c BTreeMap<Id, String>,
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
