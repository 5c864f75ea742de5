//! What a user can choose when detection data are read.

use pyrograph_vision::Exif;
use serde::{Deserialize, Serialize};

use crate::Faults;

/// How annotations are read. By default classes are those that the data have, and boxes are cleaned as by [`BoxPolicy`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DetectionOptions {
    /// The classes in their order, as when those of a model are known. Without, they are the classes of the data: VOC's by name
    /// over all annotation files of the folder, so that every part has the same; COCO's by the ids of its categories.
    pub classes: Option<Vec<String>>,
    /// What happens to an object whose class is none of `classes`.
    pub unknown: UnknownClass,
    /// What happens to boxes that cannot be learnt from.
    pub boxes: BoxPolicy,
    /// What the corners in VOC's files mean; nothing else looks at it.
    pub voc_corners: VocCorners,
    /// Whether photographs are turned as their EXIF data say: boxes are of the picture that is read.
    #[serde(skip_serializing_if = "is_default")]
    pub exif: Exif,
    /// What happens to images whose annotations or files have faults.
    #[serde(skip_serializing_if = "is_default")]
    pub faults: Faults,
}

/// Configs of runs say what differs from the default.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What happens to an object whose class is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownClass {
    /// The data are refused, and the error names the class, the file and the classes known.
    #[default]
    Refuse,
    /// The object is left out, and counted in [`skipped_classes`](super::DetectionSet::skipped_classes).
    Skip,
}

/// What happens to boxes that cannot be learnt from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BoxPolicy {
    /// Boxes with a corner that is no finite number, without an area, or of which clipping leaves nothing.
    pub degenerate: Degenerate,
    /// Boxes that go beyond their image.
    pub beyond: BeyondImage,
}

/// What happens to a box that has no area.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Degenerate {
    /// It is left out, with a remark.
    #[default]
    Skip,
    /// The data are refused.
    Refuse,
}

/// What happens to a box that goes beyond its image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BeyondImage {
    /// Its part within the image takes its place, with a remark.
    #[default]
    Clip,
    /// It is left out, with a remark.
    Skip,
    /// The data are refused.
    Refuse,
    /// It stays as it is, without a remark.
    Keep,
}

/// What the corners in files of Pascal VOC mean: VOC's own count pixels from 1, those of most tools that write its format count
/// from 0, and no field of a file says which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VocCorners {
    /// They are taken as they stand, as torchvision does; what labelling tools such as labelImg write.
    #[default]
    ZeroBased,
    /// 1 is taken from all four, as ssd.pytorch does: for the data of the VOC challenges. A box then ends a pixel before the right
    /// and lower edge of its last pixels, which VOC counts in; trained weights and published figures are of such boxes.
    OneBased,
}
