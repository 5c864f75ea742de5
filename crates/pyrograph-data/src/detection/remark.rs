//! Remarks on boxes that are changed, skipped, or suspiciously small.

use std::fmt;
use std::path::{Path, PathBuf};

use pyrograph_vision::BoundingBox;

/// A box that was changed or skipped when a set was read, or that was kept but is smaller than a
/// pixel.
#[derive(Clone, Debug, PartialEq)]
pub struct BoxRemark {
    /// The file that contains the box.
    pub file: PathBuf,
    /// The name of its image in the set.
    pub image: String,
    /// The number of the object among those of its image, from 1, in the order of the file.
    pub object: usize,
    /// The name of the object's class.
    pub class: String,
    /// The original box in pixels.
    pub bbox: BoundingBox,
    /// The fault of the box.
    pub fault: BoxFault,
    /// The action that was taken.
    pub action: BoxAction,
}

/// A fault of a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BoxFault {
    /// A corner is infinite or not a number.
    NotFinite,
    /// The box has no area: its right edge is not to the right of the left edge, or its lower edge
    /// is not below the upper edge.
    NoArea,
    /// A part of the box lies outside the image.
    Beyond,
    /// All of the box lies outside the image.
    Outside,
    /// The box is less than a pixel wide or high, as when corners are fractions of the image.
    Speck,
}

impl fmt::Display for BoxFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFinite => "has a corner that is no finite number",
            Self::NoArea => "has no area",
            Self::Beyond => "goes beyond the image",
            Self::Outside => "lies outside the image",
            Self::Speck => "is less than a pixel wide or high",
        })
    }
}

/// The action that was taken for a box.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum BoxAction {
    /// The box was skipped.
    Skipped,
    /// The box was replaced by this clipped one.
    Clipped(BoundingBox),
    /// The box was kept unchanged.
    Kept,
}

/// A sentence: `a.xml, object 13 of a: the box [504, 337, 504, 337] of RBC has no area and was left
/// out`.
impl fmt::Display for BoxRemark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = Place {
            file: &self.file,
            image: &self.image,
            object: self.object,
        };
        let (bbox, class) = (Corners(self.bbox), &self.class);
        write!(f, "{place}: the box {bbox} of {class} {} and ", self.fault)?;
        match self.action {
            BoxAction::Skipped => f.write_str("was left out"),
            BoxAction::Kept => f.write_str("was kept"),
            BoxAction::Clipped(to) => write!(f, "was clipped to {}", Corners(to)),
        }
    }
}

/// Where an object stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) file: &'a Path,
    /// The name of the image.
    pub(crate) image: &'a str,
    /// Its number among the objects of the image, from 1.
    pub(crate) object: usize,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            image,
            object,
        } = self;
        write!(f, "{}, object {object} of {image}", file.display())
    }
}

/// A box as its corners are written in messages.
pub(crate) struct Corners(pub(crate) BoundingBox);

impl fmt::Display for Corners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BoundingBox { x1, y1, x2, y2 } = self.0;
        write!(f, "[{x1}, {y1}, {x2}, {y2}]")
    }
}
