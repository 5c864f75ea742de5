//! How well a detector finds objects: average precision as Pascal VOC and as COCO count it.
//!
//! [`scorer`] collects truths and detections, [`overlap`] measures two boxes, [`precision`] turns a
//! ranking of hits and misses into an average precision. What is a hit differs between the two
//! protocols: [`voc`] and [`coco`].

mod coco;
mod overlap;
mod precision;
mod scorer;
mod truth;
mod voc;

pub use coco::{CocoClass, CocoFigures, CocoReport};
pub use precision::OperatingPoint;
pub use scorer::DetectionScorer;
pub use truth::{Truth, TruthKind};
pub use voc::{VocClass, VocConfig, VocInterpolation, VocReport};
