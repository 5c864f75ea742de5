//! The fingerprint of a run's data.

use std::fmt;

use pyrograph_data::{LabelledImages, SpriteSet, detection::DetectionSet};
use serde::{Deserialize, Serialize};

use crate::TrainError;

/// The properties that distinguish data sets. A run must not continue with other data than it was
/// begun with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataFingerprint {
    /// Number of images.
    pub images: usize,
    /// The side of the images in pixels.
    pub side: usize,
    /// The channels of the images.
    pub channels: usize,
    /// Classes.
    pub classes: usize,
    /// CRC-32 of the training data: pixels, and contexts or labels. For images with boxes, whose
    /// pixels are read on demand, it is of names, sizes and objects.
    pub checksum: u32,
}

impl From<&SpriteSet> for DataFingerprint {
    fn from(set: &SpriteSet) -> Self {
        Self {
            images: set.len(),
            side: set.side(),
            channels: set.channels(),
            classes: set.context_width(),
            checksum: set.checksum(),
        }
    }
}

impl From<&LabelledImages> for DataFingerprint {
    /// The fingerprint of square images, the data of a DCGAN.
    fn from(set: &LabelledImages) -> Self {
        Self {
            images: set.len(),
            side: set.height(),
            channels: set.channels(),
            classes: set.class_names().len(),
            checksum: set.checksum(),
        }
    }
}

impl From<&DetectionSet> for DataFingerprint {
    /// The fingerprint of images that may differ in size: the longest side, and a checksum of
    /// names, sizes and objects.
    fn from(set: &DetectionSet) -> Self {
        let sides = set.samples().iter().map(|s| s.width.max(s.height));
        Self {
            images: set.len(),
            side: sides.max().unwrap_or_default() as usize,
            channels: 3,
            classes: set.class_names().len(),
            checksum: set.checksum(),
        }
    }
}

impl DataFingerprint {
    /// The fingerprint of a set.
    pub fn of(set: impl Into<Self>) -> Self {
        set.into()
    }

    /// Refuses a set with another fingerprint.
    ///
    /// # Errors
    /// [`TrainError::DataChanged`].
    pub fn check(self, set: impl Into<Self>) -> Result<(), TrainError> {
        let seen = set.into();
        if seen == self {
            return Ok(());
        }
        Err(TrainError::DataChanged {
            seen,
            expected: self,
        })
    }
}

impl fmt::Display for DataFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            images,
            side,
            channels,
            classes,
            checksum,
        } = self;
        write!(
            f,
            "{images} images of {side}×{side}×{channels} in {classes} classes, checksum {checksum:08x}"
        )
    }
}
