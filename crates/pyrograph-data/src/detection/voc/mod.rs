//! Sets in the layout of Pascal VOC.

mod annotation;
mod elements;
mod ids;
mod images;
mod layout;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use self::annotation::Annotation;
use self::images::Images;
pub use self::layout::ALL_ANNOTATIONS;
use self::layout::Layout;
pub(super) use self::layout::same_part;
use super::gather::{Gatherer, RawObject};
use super::{BoxObject, DetectionOptions, DetectionSample, DetectionSet, Pixels, stated_or_seen};
use crate::DataError;

impl DetectionSet {
    /// Reads one part of a set in the layout of the Pascal VOC challenges:
    ///
    /// ```text
    /// Annotations/<id>.xml          size of the image, class and box of every object
    /// JPEGImages/<id>.jpg           an image of any format that is read; else the file that the annotation names
    /// ImageSets/Main/<split>.txt    the ids of a part, one a line; a flag after it, as in files of one class, is not looked at
    /// ```
    ///
    /// `root` is the folder of these three, or a folder at most two levels above it, such as the
    /// folder of `VOCdevkit/VOC2007`. Each list is a part, commonly `train`, `val`, `trainval` and
    /// `test`; [`ALL_ANNOTATIONS`] names all annotation files unless a list has that name. Pixels
    /// are read later, by [`image`](Self::image).
    ///
    /// The layouts of common tools are read too: annotations beside their images in one folder
    /// (labelImg); other folder names, such as `annotations/` and `images/` (Kaggle) or `labels/`
    /// and `data/` (fiftyone); a folder for each part with its annotations and images, `train/`,
    /// `valid/` and `test/` (Roboflow), in which case `val` also matches `valid` and `validation`;
    /// folders of the parts within the folders of annotations and images; and the folder of a
    /// single part.
    ///
    /// The encoding of a file is that of its byte order mark or of its XML declaration, otherwise
    /// UTF-8. If the size of an image is missing or 0, it is read from the image file. If several
    /// images differ only in their extension, the annotation must name one of them.
    ///
    /// Other elements are ignored, including the parts of an object (`part`). If the options give
    /// no classes, the annotation files of all parts are read to find the classes.
    ///
    /// # Errors
    /// - [`DataError::NoDetectionSet`] if the folders are missing or ambiguous,
    ///   [`DataError::NoDetectionSplit`] with the existing parts, [`DataError::Empty`] for a part
    ///   without images;
    /// - [`AnnotationError::Xml`], [`AnnotationError::Encoding`], [`AnnotationError::Lacks`],
    ///   [`DataError::AnnotationValue`] and [`DataError::TooLarge`] for a broken annotation file,
    ///   [`DataError::Read`] for a missing one, [`DataError::NoImageFile`] for a missing image,
    ///   [`AnnotationError::AmbiguousImage`] if several images fit, [`DataError::Image`] for an
    ///   image whose size is needed and that cannot be read;
    /// - [`DataError::UnknownObjectClass`] and [`DataError::BoxRefused`] if the options refuse such
    ///   objects, [`DataError::BadClasses`] if the options give no class or one twice;
    /// - [`DataError::BrokenItems`] for more than one of these faults, unless the options say
    ///   otherwise.
    ///
    /// [`AnnotationError::Xml`]: super::AnnotationError::Xml
    /// [`AnnotationError::Encoding`]: super::AnnotationError::Encoding
    /// [`AnnotationError::Lacks`]: super::AnnotationError::Lacks
    /// [`AnnotationError::AmbiguousImage`]: super::AnnotationError::AmbiguousImage
    pub fn from_voc(
        root: impl AsRef<Path>,
        split: &str,
        options: &DetectionOptions,
    ) -> Result<DetectionSet, DataError> {
        let root = root.as_ref();
        let layout = Layout::find(root, split)?;
        let ids = layout.ids(split)?;
        let mut elsewhere = Vec::new();
        let mut gatherer = Gatherer::new(options, || {
            classes_of(&layout, &ids, options, &mut elsewhere)
        })?;
        for fault in elsewhere {
            gatherer.faults.note(fault)?;
        }
        let mut images = layout.images();
        let count = ids.len();
        let mut files = HashMap::with_capacity(count);
        for id in ids {
            let path = layout.annotation(&id);
            let read = Annotated::read(&path, &id, &mut images, options);
            let Some(read) = gatherer.faults.keep(read)? else {
                continue;
            };
            let objects = read.objects.iter().map(|(class, object)| {
                Ok(RawObject {
                    class,
                    object: *object,
                })
            });
            let Some(objects) = gatherer.objects((&path, &id), read.size, objects)? else {
                continue;
            };
            if let Some(other) = files.insert(read.image.clone(), id.clone()) {
                gatherer.faults.note(DataError::AnnotationValue {
                    path,
                    place: "the image".into(),
                    seen: read.image.display().to_string(),
                    allowed: format!("one that no annotation before has, as that of {other} does"),
                })?;
                continue;
            }
            let pixels = Pixels::File(read.image);
            let sample = DetectionSample::new(id, read.size, objects, pixels)
                .turned(options.exif)
                .sized_by_file(read.is_size_of_file);
            gatherer.sample(sample);
        }
        let mut set = gatherer.finish(root, count)?;
        if layout.takes_all(split) {
            set.unannotated =
                images.others(|path, id| files.contains_key(path) || layout.is_annotated(id));
        }
        Ok(set)
    }
}

impl DetectionSet {
    /// Whether there are folders of VOC's layout at `path`.
    pub(super) fn is_voc(path: &Path, split: &str) -> bool {
        Layout::find(path, split).is_ok()
    }
}

/// The names of all classes by name. Faults in the files of `ids`, which are read again, are left
/// for then; the others go to `elsewhere`.
fn classes_of(
    layout: &Layout,
    ids: &[String],
    options: &DetectionOptions,
    elsewhere: &mut Vec<DataError>,
) -> Result<Vec<String>, DataError> {
    let mut names = BTreeSet::new();
    let of_part: HashSet<_> = ids.iter().map(|id| layout.annotation(id)).collect();
    let mut first = None;
    for path in layout.annotation_files()? {
        match Annotation::read(&path, options.voc_corners) {
            Ok(annotation) => names.extend(annotation.objects.into_iter().map(|(name, _)| name)),
            Err(fault) if of_part.contains(&path) => first = first.or(Some(fault)),
            Err(fault) => elsewhere.push(fault),
        }
    }
    // Without any class nothing is read again.
    match first.filter(|_| names.is_empty()) {
        Some(fault) => Err(fault),
        None => Ok(names.into_iter().collect()),
    }
}

/// An annotation with its image.
struct Annotated {
    objects: Vec<(String, BoxObject)>,
    image: PathBuf,
    size: (u32, u32),
    is_size_of_file: bool,
}

impl Annotated {
    fn read(
        path: &Path,
        id: &str,
        images: &mut Images,
        options: &DetectionOptions,
    ) -> Result<Self, DataError> {
        let annotation = Annotation::read(path, options.voc_corners)?;
        let image = images.find(id, annotation.filename.as_deref(), path)?;
        Ok(Self {
            size: stated_or_seen(annotation.size, &image, options.exif)?,
            is_size_of_file: annotation.size.is_none(),
            objects: annotation.objects,
            image,
        })
    }
}

#[cfg(test)]
mod tests;
