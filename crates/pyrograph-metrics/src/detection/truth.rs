//! What is to be found.

use pyrograph_vision::BoundingBox;

/// How an object counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TruthKind {
    /// It is to be found, once.
    #[default]
    Counted,
    /// Pascal VOC's "difficult": to miss it costs nothing, and to find it gains nothing. VOC leaves
    /// out every detection whose best truth it is; COCO, which has no such objects, treats it here
    /// as one outside the range of areas, which leaves out one detection only.
    Difficult,
    /// COCO's "iscrowd": a box around many objects, not counted either. In COCO's protocol it leaves
    /// out any number of detections, and is measured by the share of the detection that lies in
    /// it; VOC, which has no crowds, treats it here as [`Difficult`](Self::Difficult).
    Crowd,
}

/// An object of an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truth {
    /// Where it is, in pixels: COCO's small and large are areas in pixels.
    pub bbox: BoundingBox,
    /// The class, from 0, background not counted.
    pub class: usize,
    /// How it counts.
    pub kind: TruthKind,
    /// The area by which COCO calls it small, medium or large, in square pixels: that of the
    /// object's outline (the annotation's `area`), or `None` for that of its box.
    pub area: Option<f32>,
}

impl Truth {
    /// An object that counts, as large as its box.
    pub const fn new(bbox: BoundingBox, class: usize) -> Self {
        Self {
            bbox,
            class,
            kind: TruthKind::Counted,
            area: None,
        }
    }
}
