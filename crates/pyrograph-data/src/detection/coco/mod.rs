//! Sets in the layout of COCO.

mod fields;
mod file;
mod images;
mod items;
mod layout;

use std::path::{Path, PathBuf};

use self::file::Instances;
use self::images::{ImageFiles, file_of};
use self::items::InFile;
pub(super) use self::layout::{CocoFiles, coco_files, has_parts, no_set, part_beside};
use super::gather::{Gatherer, RawObject};
use super::{DetectionOptions, DetectionSample, DetectionSet, Pixels};
use crate::DataError;

/// As many of the first images decide which folder holds them all.
const TRIED_IMAGES: usize = 8;

impl DetectionSet {
    /// Reads annotations in the form of COCO's `instances_*.json`, of images in `images`.
    ///
    /// The file has three lists; all other contents are ignored:
    ///
    /// - `images`: `id`, `file_name`, `width`, `height` (if missing, null or 0: the size of the
    ///   image file);
    /// - `annotations`: `image_id`, `category_id`, `bbox` as `[x, y, width, height]` in pixels,
    ///   `iscrowd` (0 if missing; `false` and `true` are 0 and 1), `area` (if missing or not a
    ///   number: the area of the box), `id` (may be missing);
    /// - `categories`: `id`, `name`. Ids are whole numbers, also written as 1.0 or "1", or other
    ///   strings. The classes are the categories in the order of their ids, including categories
    ///   without objects, unless another category of the same name has objects.
    ///
    /// An image is searched by its `file_name` within the folder, never outside of it, then without
    /// the leading folders of the name, finally ignoring case. Images keep the order of the file,
    /// including images without objects. Pixels are read later, by [`image`](Self::image).
    ///
    /// # Errors
    /// - [`DataError::Read`], [`AnnotationError::Encoding`], [`AnnotationError::Json`] for a file
    ///   that is not JSON, [`AnnotationError::NoInstances`] for another content;
    /// - [`AnnotationError::Lacks`] and [`AnnotationError::Field`] for a field that is missing or
    ///   of a wrong type, [`DataError::AnnotationValue`] for a duplicate id or an id without an
    ///   item, an `iscrowd` other than 0 and 1, an `area` below 0, or a file that two images share;
    /// - [`DataError::Empty`] without images, [`DataError::NoImageFile`] for an image that is
    ///   missing, [`DataError::Image`] for an image whose size is needed and that cannot be read;
    /// - [`DataError::UnknownObjectClass`] and [`DataError::BoxRefused`] if the options refuse such
    ///   objects, [`DataError::BadClasses`] if two classes have one name, or there is no class;
    /// - [`DataError::BrokenItems`] for more than one of these faults, unless the options say
    ///   otherwise.
    ///
    /// [`AnnotationError::Encoding`]: super::AnnotationError::Encoding
    /// [`AnnotationError::Json`]: super::AnnotationError::Json
    /// [`AnnotationError::NoInstances`]: super::AnnotationError::NoInstances
    /// [`AnnotationError::Lacks`]: super::AnnotationError::Lacks
    /// [`AnnotationError::Field`]: super::AnnotationError::Field
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
        let of_data = || Ok(InFile::classes(&categories, &annotations));
        let mut gatherer = Gatherer::new(options, of_data)?;
        let mut by_image = file.images(&images, &mut gatherer)?;
        file.annotations(&annotations, &mut by_image, &mut gatherer)?;
        let mut files = ImageFiles::new(folder);
        for (number, (image, read)) in images.iter().zip(&by_image.images).enumerate() {
            let Some(read) = read else { continue };
            let sample = file.located(number, image, read, &mut files, options);
            let Some((found, size)) = gatherer.faults.keep(sample)? else {
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
        gatherer.finish(path, images.len())
    }
}
