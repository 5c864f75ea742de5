//! Images with boxes around their objects.

use std::path::PathBuf;

use pyrograph_vision::{BoundingBox, RgbImage, read_image};

use crate::DataError;

/// One object of an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoxObject {
    /// Where it is, in pixels of the image.
    pub bbox: BoundingBox,
    /// The class, from 0, background not counted.
    pub class: usize,
    /// Pascal VOC: not counted in an evaluation.
    pub difficult: bool,
    /// Pascal VOC: goes beyond the image.
    pub truncated: bool,
    /// COCO: a box around many objects; not trained on, and not counted in an evaluation.
    pub crowd: bool,
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
        }
    }
}

/// Where the pixels of an image come from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pixels {
    /// A file.
    File(PathBuf),
}

/// One image and its objects.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectionSample {
    /// Its name in the set: VOC's id, COCO's file name.
    pub name: String,
    /// Its width in pixels, as the annotations have it.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
    /// Its objects.
    pub objects: Vec<BoxObject>,
    pixels: Pixels,
}

/// Images with boxes: what a detector is trained on and held to. Pixels are read when they are asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectionSet {
    class_names: Vec<String>,
    samples: Vec<DetectionSample>,
}

impl DetectionSet {
    /// The classes by name; background is none of them.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// Images.
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

    /// The pixels of the image at `index`.
    ///
    /// # Errors
    /// When the file is missing, is no image, or is not of the size that its annotation states.
    pub fn image(&self, index: usize) -> Result<RgbImage, DataError> {
        match &self.samples[index].pixels {
            Pixels::File(path) => Ok(read_image(path)?),
        }
    }
}
