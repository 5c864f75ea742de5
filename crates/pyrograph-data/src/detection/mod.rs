//! Images with boxes around their objects: the data of detectors.
//!
//! [`DetectionSet::open`] reads folders in the layouts of Pascal VOC and of COCO. A [`BoxPolicy`]
//! decides the handling of boxes that are unusable for training; [`remarks`](DetectionSet::remarks)
//! names every box that is changed or skipped.
//!
//! [`DetectionSet::from_images`] takes images in memory, [`DetectionSet::from_drawn`] images that
//! code draws. [`DetectionSet::unlabelled`] reads a
//! folder of images without annotations. [`DetectionSet::with_objects`] adds objects to such
//! images, for example the detections of a model, and [`DetectionSet::to_coco`] exports the objects
//! of any set.
//!
//! ```no_run
//! # mod pyrograph { pub use pyrograph_data as data; }
//! use pyrograph::data::detection::{DetectionFormat, DetectionOptions, DetectionSet};
//!
//! # fn main() -> Result<(), pyrograph::data::DataError> {
//! let options = DetectionOptions::default();
//! let set = DetectionSet::open("VOCdevkit/VOC2007", DetectionFormat::Voc, "trainval", &options)?;
//! for remark in set.remarks() {
//!     eprintln!("{remark}"); // such as: …/000338.xml, object 13 of 000338: the box … has no area and was left out
//! }
//! let (training, held_out) = set.split_off(0.1, 0)?;
//! let image = training.image(0)?;
//! for object in &training.samples()[0].objects {
//!     println!("{} at {:?}", training.class_names()[object.class], object.bbox);
//! }
//! # Ok(())
//! # }
//! ```

mod annotation_error;
mod augment;
mod clean;
mod coco;
mod drawn;
mod export;
mod gather;
mod headers;
mod memory;
mod objects;
mod open;
mod options;
mod remark;
mod sample;
mod set_error;
mod shared;
mod split;
mod text;
mod trained;
mod unlabelled;
mod voc;

use std::path::PathBuf;

use pyrograph_vision::{BoundingBox, MAX_INPUT_PIXELS, RgbImage, image_header, read_image_turned};

pub use annotation_error::AnnotationError;
pub use augment::{Expand, IouCrop, Mirror, PhotometricDistort, SsdAugment};
pub use drawn::DrawnImages;
pub use export::CocoInstances;
pub use headers::{ImageChecks, TurnedImage};
pub use open::DetectionFormat;
pub use options::{BeyondImage, BoxPolicy, Degenerate, DetectionOptions, UnknownClass, VocCorners};
pub(crate) use remark::Corners;
pub use remark::{BoxAction, BoxFault, BoxRemark};
pub use sample::DetectionSample;
pub(crate) use sample::Pixels;
use sample::stated_or_seen;
pub use set_error::SetError;
pub use trained::Untrained;
pub use voc::ALL_ANNOTATIONS;

use crate::DataError;

/// One object of an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoxObject {
    /// The box, in pixels of the image.
    pub bbox: BoundingBox,
    /// The class, from 0, background not counted.
    pub class: usize,
    /// Pascal VOC: not counted in an evaluation.
    pub difficult: bool,
    /// Pascal VOC: the object extends beyond the image.
    pub truncated: bool,
    /// COCO: a box around many objects; not trained on, and not counted in an evaluation.
    pub crowd: bool,
    /// COCO: the area of the object's outline in square pixels, which decides whether an evaluation
    /// counts the object as small, medium or large. `None` means the area of the box.
    pub area: Option<f32>,
}

impl BoxObject {
    /// An ordinary object.
    pub fn new(bbox: BoundingBox, class: usize) -> Self {
        Self {
            bbox,
            class,
            difficult: false,
            truncated: false,
            crowd: false,
            area: None,
        }
    }
}

impl BoxObject {
    /// Whether the object is used in training: a crowd never is, and a difficult object is if
    /// `difficult` is true.
    pub fn is_trained_on(&self, difficult: bool) -> bool {
        !self.crowd && (difficult || !self.difficult)
    }
}

/// Images with boxes, for training and evaluating a detector. Pixels are read on demand.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectionSet {
    class_names: Vec<String>,
    samples: Vec<DetectionSample>,
    remarks: Vec<BoxRemark>,
    skipped_classes: Vec<(String, usize)>,
    broken: Vec<String>,
    unannotated: Vec<String>,
}

impl DetectionSet {
    /// A set in which nothing was left out. Every object's class has to be one of the names.
    pub(crate) fn from_parts(class_names: Vec<String>, samples: Vec<DetectionSample>) -> Self {
        let mut objects = samples.iter().flat_map(|sample| &sample.objects);
        debug_assert!(objects.all(|object| object.class < class_names.len()));
        Self {
            class_names,
            samples,
            remarks: Vec::new(),
            skipped_classes: Vec::new(),
            broken: Vec::new(),
            unannotated: Vec::new(),
        }
    }

    /// The names of the classes, without the background.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// The number of images, including those without objects.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// The annotations of every image.
    pub fn samples(&self) -> &[DetectionSample] {
        &self.samples
    }

    /// The boxes that were changed or skipped when the set was read, and boxes smaller than a
    /// pixel, in the order of the images.
    pub fn remarks(&self) -> &[BoxRemark] {
        &self.remarks
    }

    /// The classes that [`UnknownClass::Skip`] skipped when the set was read, by name, each with
    /// the number of its objects. A [subset](Self::subset) keeps the list of the whole set.
    pub fn skipped_classes(&self) -> &[(String, usize)] {
        &self.skipped_classes
    }

    /// The faults of the images that [`Faults::Skip`](crate::Faults::Skip) skipped, each with its
    /// file. A [subset](Self::subset) keeps the list of the whole set.
    pub fn broken(&self) -> &[String] {
        &self.broken
    }

    /// The names of image files without an annotation, if all annotations of a folder were read.
    /// (An image without objects has an annotation without objects.) A [subset](Self::subset) keeps
    /// the list of the whole set.
    pub fn unannotated(&self) -> &[String] {
        &self.unannotated
    }

    /// The number of objects in all images.
    pub fn objects(&self) -> usize {
        self.samples.iter().map(|sample| sample.objects.len()).sum()
    }

    /// The number of objects of each class, difficult ones and crowds included.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.class_names.len()];
        for object in self.samples.iter().flat_map(|sample| &sample.objects) {
            counts[object.class] += 1;
        }
        counts
    }

    /// The pixels of the image at `index`.
    ///
    /// # Errors
    /// [`DataError::Image`] when the file is missing or is not an image,
    /// [`DataError::SizeMismatch`] when its size differs from the one that its annotation states,
    /// since the boxes then belong to another image.
    ///
    /// # Panics
    /// If `index` is not below [`len`](Self::len).
    pub fn image(&self, index: usize) -> Result<RgbImage, DataError> {
        let sample = &self.samples[index];
        match &sample.pixels {
            Pixels::File(path) => {
                let image = read_image_turned(path, MAX_INPUT_PIXELS, sample.exif)?;
                if image.dimensions() != (sample.width, sample.height) {
                    sample.check_size(path, &image_header(path)?)?;
                }
                Ok(image)
            }
            Pixels::Memory(image) => Ok(RgbImage::clone(image)),
            Pixels::Drawn(drawn) => Ok(drawn.draw()),
        }
    }

    /// The files of all images, except images that are in memory or drawn by code.
    pub fn files(&self) -> Vec<PathBuf> {
        let files = self
            .samples
            .iter()
            .filter_map(|sample| match &sample.pixels {
                Pixels::File(path) => Some(path.clone()),
                Pixels::Memory(_) | Pixels::Drawn(_) => None,
            });
        files.collect()
    }

    /// A CRC-32 of the classes, and of the names, sizes and objects of all images in their order.
    /// Sets that differ in any of these have different checksums, except with a probability of one
    /// in four thousand million. The pixels do not enter it.
    pub fn checksum(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        let number = |hasher: &mut crc32fast::Hasher, number: usize| {
            hasher.update(&(number as u64).to_le_bytes());
        };
        // Lengths go before what they count, so that no two sets run into the same bytes.
        number(&mut hasher, self.class_names.len());
        for name in &self.class_names {
            number(&mut hasher, name.len());
            hasher.update(name.as_bytes());
        }
        for sample in &self.samples {
            number(&mut hasher, sample.name.len());
            hasher.update(sample.name.as_bytes());
            hasher.update(&sample.width.to_le_bytes());
            hasher.update(&sample.height.to_le_bytes());
            number(&mut hasher, sample.objects.len());
            for object in &sample.objects {
                let BoundingBox { x1, y1, x2, y2 } = object.bbox;
                for corner in [x1, y1, x2, y2] {
                    hasher.update(&corner.to_le_bytes());
                }
                number(&mut hasher, object.class);
                hasher.update(&[object.difficult, object.truncated, object.crowd].map(u8::from));
                if let Some(area) = object.area {
                    hasher.update(&area.to_le_bytes());
                }
            }
        }
        hasher.finalize()
    }
}
