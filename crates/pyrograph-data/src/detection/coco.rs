//! Sets in the layout of COCO.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use pyrograph_vision::BoundingBox;
use serde::Deserialize;

use super::gather::{Gatherer, RawObject};
use super::remark::Place;
use super::{BoxObject, DetectionOptions, DetectionSample, DetectionSet, Pixels};
use crate::DataError;
use crate::listing::within;

/// An `instances_*.json`; what else stands in it is passed over without being kept.
#[derive(Deserialize)]
struct Instances {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: i64,
    file_name: String,
    width: u32,
    height: u32,
}

#[derive(Deserialize)]
struct Annotation {
    id: Option<i64>,
    image_id: i64,
    category_id: i64,
    bbox: Vec<f64>,
    #[serde(default)]
    iscrowd: i64,
    #[serde(default)]
    area: Option<f64>,
}

#[derive(Deserialize)]
struct Category {
    id: i64,
    name: String,
}

impl DetectionSet {
    /// Reads annotations in the form of COCO's `instances_*.json`, of images in `images`.
    ///
    /// The file has three lists, and what else stands in it is not looked at:
    ///
    /// - `images`: `id`, `file_name`, `width`, `height`;
    /// - `annotations`: `image_id`, `category_id`, `bbox` as `[x, y, width, height]` in pixels, `iscrowd` (0 where it is missing),
    ///   `area` (that of the box where it is missing), `id` (which may be missing);
    /// - `categories`: `id`, `name`. Ids are any whole numbers: the classes are the categories in the order of their ids, also
    ///   those without an object.
    ///
    /// An image is looked for by its `file_name` within the folder, and never out of it, then by the last part of that. Images
    /// keep the order of the file, those without objects included. Pixels are read later, by [`image`](Self::image).
    ///
    /// # Errors
    /// - [`DataError::Read`], and [`DataError::Json`] for what is no JSON or lacks a field;
    /// - [`DataError::AnnotationValue`] for an id that stands twice or belongs to nothing, a box that is not four numbers, a
    ///   side of 0, an `iscrowd` other than 0 and 1, an `area` below 0, a file that two images have;
    /// - [`DataError::Empty`] without images, [`DataError::NoImageFile`] for an image that is missing;
    /// - [`DataError::UnknownObjectClass`] and [`DataError::BoxRefused`] as the options have it, [`DataError::BadClasses`] where
    ///   two classes have one name or there is none.
    pub fn from_coco(
        annotations: impl AsRef<Path>,
        images: impl AsRef<Path>,
        options: &DetectionOptions,
    ) -> Result<DetectionSet, DataError> {
        let path = annotations.as_ref();
        let unreadable = |source| DataError::Read {
            path: path.into(),
            source,
        };
        let reader = BufReader::new(File::open(path).map_err(unreadable)?);
        let instances: Instances = serde_json::from_reader(reader).map_err(|source| {
            if source.is_io() {
                unreadable(source.into())
            } else {
                let path = path.into();
                DataError::Json { path, source }
            }
        })?;
        if instances.images.is_empty() {
            return Err(DataError::Empty { path: path.into() });
        }
        let file = InFile { path };
        let categories = file.categories(instances.categories)?;
        let mut by_image = file.by_image(&instances.images, instances.annotations)?;
        let of_data = || Ok(categories.values().cloned().collect());
        let mut gatherer = Gatherer::new(options, of_data)?;
        let mut files = HashSet::with_capacity(by_image.len());
        let images_with_boxes = instances.images.into_iter().zip(&mut by_image);
        for (number_of_image, (image, annotations)) in images_with_boxes.enumerate() {
            let size = (image.width, image.height);
            let mut objects = Vec::with_capacity(annotations.len());
            for (number, (index, annotation)) in (1..).zip(annotations.drain(..)) {
                let (class, object) = file.object(index, &annotation, &categories)?;
                let place = Place {
                    file: path,
                    image: &image.file_name,
                    object: number,
                };
                objects.extend(gatherer.object(place, size, &RawObject { class, object })?);
            }
            let found = file.image(images.as_ref(), &image.file_name)?;
            if !files.insert(found.clone()) {
                let place = format!("images[{number_of_image}].file_name");
                let allowed = "the name of a file that no image before has";
                return Err(file.refused(place, &image.file_name, allowed));
            }
            let pixels = Pixels::File(found);
            let sample = DetectionSample::new(image.file_name, size, objects, pixels);
            gatherer.sample(sample);
        }
        Ok(gatherer.finish())
    }
}

/// An annotation with its place in the list.
type Numbered = (usize, Annotation);

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

    /// The names of the classes by their ids.
    fn categories(&self, categories: Vec<Category>) -> Result<BTreeMap<i64, String>, DataError> {
        let mut names = BTreeMap::new();
        for (index, category) in categories.into_iter().enumerate() {
            if names.insert(category.id, category.name).is_some() {
                let place = format!("categories[{index}].id");
                let allowed = "an id that no category before has";
                return Err(self.refused(place, category.id, allowed));
            }
        }
        Ok(names)
    }

    /// The annotations of each image, after a check of all ids and sizes of the images.
    fn by_image(
        &self,
        images: &[Image],
        annotations: Vec<Annotation>,
    ) -> Result<Vec<Vec<Numbered>>, DataError> {
        let mut places = HashMap::with_capacity(images.len());
        let mut names = HashSet::with_capacity(images.len());
        for (index, image) in images.iter().enumerate() {
            let place = |field| format!("images[{index}].{field}");
            if places.insert(image.id, index).is_some() {
                let allowed = "an id that no image before has";
                return Err(self.refused(place("id"), image.id, allowed));
            }
            if !names.insert(&image.file_name) {
                let allowed = "a name that no image before has";
                return Err(self.refused(place("file_name"), &image.file_name, allowed));
            }
            for (field, side) in [("width", image.width), ("height", image.height)] {
                if side == 0 {
                    return Err(self.refused(place(field), side, "a number of pixels from 1"));
                }
            }
        }
        let mut ids = HashSet::with_capacity(annotations.len());
        let mut by_image: Vec<Vec<Numbered>> = images.iter().map(|_| Vec::new()).collect();
        for (index, annotation) in annotations.into_iter().enumerate() {
            if let Some(id) = annotation.id.filter(|&id| !ids.insert(id)) {
                let place = format!("annotations[{index}].id");
                return Err(self.refused(place, id, "an id that no annotation before has"));
            }
            let Some(&image) = places.get(&annotation.image_id) else {
                let place = format!("annotations[{index}].image_id");
                return Err(self.refused(place, annotation.image_id, "the id of an image"));
            };
            by_image[image].push((index, annotation));
        }
        Ok(by_image)
    }

    /// The class and the box of an annotation.
    fn object<'c>(
        &self,
        index: usize,
        annotation: &Annotation,
        categories: &'c BTreeMap<i64, String>,
    ) -> Result<(&'c str, BoxObject), DataError> {
        let place = |field| format!("annotations[{index}].{field}");
        let Some(class) = categories.get(&annotation.category_id) else {
            let (place, allowed) = (place("category_id"), "the id of a category");
            return Err(self.refused(place, annotation.category_id, allowed));
        };
        let &[x, y, width, height] = annotation.bbox.as_slice() else {
            let (place, allowed) = (place("bbox"), "four numbers: x, y, width and height");
            return Err(self.refused(place, format!("{:?}", annotation.bbox), allowed));
        };
        let crowd = match annotation.iscrowd {
            0 => false,
            1 => true,
            seen => return Err(self.refused(place("iscrowd"), seen, "0 or 1")),
        };
        if let Some(seen) = annotation.area.filter(|area| *area < 0.0) {
            return Err(self.refused(place("area"), seen, "0 or more"));
        }
        // Sums in double precision, so that every corner is rounded once.
        let bbox = BoundingBox {
            x1: x as f32,
            y1: y as f32,
            x2: (x + width) as f32,
            y2: (y + height) as f32,
        };
        let object = BoxObject {
            crowd,
            area: annotation.area.map(|area| area as f32),
            ..BoxObject::new(bbox, 0)
        };
        Ok((class, object))
    }

    /// The file of an image.
    fn image(&self, folder: &Path, name: &str) -> Result<PathBuf, DataError> {
        // Some tools write the folders of the machine they ran on, which may have been a Windows machine.
        let last = name.rsplit(['/', '\\']).next().unwrap_or(name);
        let paths = [name, last].map(|name| within(folder, name));
        let found = paths.into_iter().flatten().find(|path| path.is_file());
        found.ok_or_else(|| DataError::NoImageFile {
            path: self.path.into(),
            looked_for: folder.join(name).display().to_string(),
        })
    }
}
