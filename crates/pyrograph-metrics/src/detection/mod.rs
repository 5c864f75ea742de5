//! Evaluation of detectors: average precision by the rules of Pascal VOC and COCO.
//!
//! [`scorer`] collects truths and detections, [`overlap`] measures two boxes, [`precision`] turns a
//! ranking of hits and misses into an average precision. The two protocols, [`voc`] and [`coco`],
//! define a hit differently.

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
