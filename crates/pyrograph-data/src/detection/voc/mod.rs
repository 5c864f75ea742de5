//! Sets in the layout of Pascal VOC.

mod annotation;
mod elements;
mod layout;

use std::collections::BTreeSet;
use std::path::Path;

use self::annotation::Annotation;
pub use self::layout::ALL_ANNOTATIONS;
use self::layout::Layout;
use super::gather::{Gatherer, RawObject};
use super::remark::Place;
use super::{DetectionOptions, DetectionSample, DetectionSet, Pixels};
use crate::DataError;

impl DetectionSet {
    /// Reads one part of a set in the layout of the Pascal VOC challenges:
    ///
    /// ```text
    /// Annotations/<id>.xml          size of the image, class and box of every object
    /// JPEGImages/<id>.jpg           or .jpeg, .png, also in capitals; else the file that the annotation names
    /// ImageSets/Main/<split>.txt    the ids of a part, one a line; a flag after it, as in files of one class, is not looked at
    /// ```
    ///
    /// `root` is the folder of these three, or one that holds it at most two folders down, as `VOCdevkit/VOC2007`. The parts are
    /// those that have a file, commonly `train`, `val`, `trainval` and `test`; [`ALL_ANNOTATIONS`] is every annotation file
    /// where no file has that name. Pixels are read later, by [`image`](Self::image).
    ///
    /// Elements that are not needed are not looked at, the parts of an object (`part`) neither. Where the options give no
    /// classes, all annotation files are read to find them, not those of the part alone.
    ///
    /// # Errors
    /// - [`DataError::NoDetectionSet`] where the folders are missing or there are several, [`DataError::NoDetectionSplit`] with
    ///   the parts that there are, [`DataError::Empty`] for a part without images;
    /// - [`DataError::Xml`], [`DataError::AnnotationLacks`], [`DataError::AnnotationValue`] and [`DataError::TooLarge`] for a
    ///   file of annotations that is broken, [`DataError::Read`] for one that is missing, [`DataError::NoImageFile`] for an image
    ///   that is;
    /// - [`DataError::UnknownObjectClass`] and [`DataError::BoxRefused`] as the options have it, [`DataError::BadClasses`] where
    ///   they give none or one twice.
    pub fn from_voc(
        root: impl AsRef<Path>,
        split: &str,
        options: &DetectionOptions,
    ) -> Result<DetectionSet, DataError> {
        let layout = Layout::find(root.as_ref())?;
        let ids = layout.ids(split)?;
        let of_data = || {
            let mut names = BTreeSet::new();
            for path in layout.annotation_files()? {
                let annotation = Annotation::read(&path, options.voc_corners)?;
                names.extend(annotation.objects.into_iter().map(|(name, _)| name));
            }
            Ok(names.into_iter().collect())
        };
        let mut gatherer = Gatherer::new(options, of_data)?;
        for id in ids {
            let path = layout.annotation(&id);
            let annotation = Annotation::read(&path, options.voc_corners)?;
            let image = layout.image(&id, annotation.filename.as_deref())?;
            let mut objects = Vec::with_capacity(annotation.objects.len());
            for (index, (class, object)) in annotation.objects.iter().enumerate() {
                let place = Place {
                    file: &path,
                    image: &id,
                    object: index + 1,
                };
                let raw = RawObject {
                    class,
                    object: *object,
                };
                objects.extend(gatherer.object(place, annotation.size, &raw)?);
            }
            let pixels = Pixels::File(image);
            let sample = DetectionSample::new(id, annotation.size, objects, pixels);
            gatherer.sample(sample);
        }
        Ok(gatherer.finish())
    }
}

#[cfg(test)]
mod tests;
