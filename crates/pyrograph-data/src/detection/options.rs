//! Options of reading detection data.

use pyrograph_vision::Exif;
use serde::{Deserialize, Serialize};

use crate::Faults;

/// Options of reading annotations. By default the classes are those of the data, and boxes are
/// cleaned by the default [`BoxPolicy`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DetectionOptions {
    /// The classes in their order, for example the classes of a model. `None` means the classes of
    /// the data: for VOC all classes in the annotation files of the folder, sorted by name, so that
    /// every part has the same classes; for COCO the categories, sorted by id.
    pub classes: Option<Vec<String>>,
    /// The handling of an object whose class is not in `classes`.
    pub unknown: UnknownClass,
    /// The handling of boxes that are unusable for training.
    pub boxes: BoxPolicy,
    /// The meaning of the corners in VOC's files; only VOC's reader uses it.
    pub voc_corners: VocCorners,
    /// Whether photographs are rotated as their EXIF data say. Boxes refer to the picture that is
    /// read.
    #[serde(skip_serializing_if = "is_default")]
    pub exif: Exif,
    /// The handling of images whose annotations or files have faults.
    #[serde(skip_serializing_if = "is_default")]
    pub faults: Faults,
}

/// Configs of runs say what differs from the default.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The handling of an object of an unknown class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownClass {
    /// The data are refused, and the error names the class, the file and the classes known.
    #[default]
    Refuse,
    /// The object is skipped, and counted in
    /// [`skipped_classes`](super::DetectionSet::skipped_classes).
    Skip,
}

/// The handling of boxes that are unusable for training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BoxPolicy {
    /// Boxes with a corner that is not finite, boxes without an area, and boxes of which clipping
    /// leaves nothing.
    pub degenerate: Degenerate,
    /// Boxes that extend beyond their image.
    pub beyond: BeyondImage,
}

/// The handling of a box without an area.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Degenerate {
    /// The box is skipped, with a remark.
    #[default]
    Skip,
    /// The data are refused.
    Refuse,
}

/// The handling of a box that extends beyond its image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BeyondImage {
    /// The box is clipped to the image, with a remark.
    #[default]
    Clip,
    /// The box is skipped, with a remark.
    Skip,
    /// The data are refused.
    Refuse,
    /// The box stays unchanged, without a remark.
    Keep,
}

/// The meaning of corners in Pascal VOC files. VOC's own files count pixels from 1, files of most
/// other tools from 0, and no field of a file tells which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VocCorners {
    /// Corners are used unchanged, as in torchvision: for files of labelling tools such as
    /// labelImg.
    #[default]
    ZeroBased,
    /// 1 is subtracted from all four numbers, as in ssd.pytorch: for the data of the VOC
    /// challenges. VOC counts the last row and column of pixels in, so the converted box ends one
    /// pixel too early on the right and at the bottom; published weights and figures use such
    /// boxes.
    OneBased,
}
