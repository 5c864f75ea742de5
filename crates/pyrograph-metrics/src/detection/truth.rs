//! The ground truth of detection.

use pyrograph_vision::BoundingBox;

/// The way in which an object counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TruthKind {
    /// The object counts and should be found once.
    #[default]
    Counted,
    /// Pascal VOC's "difficult": the object neither counts as missed nor as found. VOC ignores
    /// every detection whose best truth it is. COCO has no such objects; here its protocol treats
    /// it as an object outside the range of areas, for which one detection is ignored.
    Difficult,
    /// COCO's "iscrowd": a box around many objects, which does not count either. In COCO's protocol
    /// any number of detections may be ignored because of it, and the overlap is the fraction of
    /// the detection inside the crowd. VOC has no crowds; here its protocol treats it as
    /// [`Difficult`](Self::Difficult).
    Crowd,
}

/// An object of an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truth {
    /// The box, in pixels: COCO's sizes are areas in square pixels.
    pub bbox: BoundingBox,
    /// The class, from 0, background not counted.
    pub class: usize,
    /// The way in which the object counts.
    pub kind: TruthKind,
    /// The area by which COCO classifies the object as small, medium or large, in square pixels:
    /// that of the object's outline (the annotation's `area`), or `None` for the area of the box.
    pub area: Option<f32>,
}

impl Truth {
    /// An object that counts, with the area of its box.
    pub const fn new(bbox: BoundingBox, class: usize) -> Self {
        Self {
            bbox,
            class,
            kind: TruthKind::Counted,
            area: None,
        }
    }
}
