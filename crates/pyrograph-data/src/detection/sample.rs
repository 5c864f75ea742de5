//! One image of a set and its objects.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pyrograph_vision::{Exif, RgbImage, image_header};

use super::BoxObject;
use super::drawn::Drawn;
use crate::DataError;

/// The source of an image's pixels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Pixels {
    /// A file.
    File(PathBuf),
    /// The pixels themselves.
    Memory(Arc<RgbImage>),
    /// An image that is drawn when it is asked for.
    Drawn(Drawn),
}

/// One image and its objects.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectionSample {
    /// The name of the image in the set: VOC's id, COCO's file name.
    pub name: String,
    /// The width in pixels, from the annotation.
    pub width: u32,
    /// The height in pixels.
    pub height: u32,
    /// The objects of the image.
    pub objects: Vec<BoxObject>,
    pub(super) pixels: Pixels,
    pub(super) exif: Exif,
    /// Whether the annotation states no size, so that it is the file's.
    pub(super) is_size_of_file: bool,
}

impl DetectionSample {
    /// An image whose pixels come from `pixels` when they are asked for.
    pub(crate) fn new(
        name: String,
        (width, height): (u32, u32),
        objects: Vec<BoxObject>,
        pixels: Pixels,
    ) -> Self {
        Self {
            name,
            width,
            height,
            objects,
            pixels,
            exif: Exif::default(),
            is_size_of_file: false,
        }
    }

    /// The same image, turned or not as `exif` says.
    pub(crate) fn turned(self, exif: Exif) -> Self {
        Self { exif, ..self }
    }

    /// The same image, whose size is the file's own where `is_size_of_file`.
    pub(crate) fn sized_by_file(self, is_size_of_file: bool) -> Self {
        Self {
            is_size_of_file,
            ..self
        }
    }
}

/// The size of an annotated image: the one that is stated, or else its file's.
pub(super) fn stated_or_seen(
    stated: Option<(u32, u32)>,
    path: &Path,
    exif: Exif,
) -> Result<(u32, u32), DataError> {
    match stated {
        Some(size) => Ok(size),
        None => Ok(image_header(path)?.size(exif)),
    }
}
