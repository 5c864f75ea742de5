//! Objects in pictures, by an SSD.
//!
//! [`DetectionPipeline`] takes pictures from memory or, a few at a time, from files; [`FoundImage`] is what it says of one, as JSON
//! too. [`draw_found`] shows it, [`DetectionReport`] sums up a scored set.

mod classes;
mod figures;
mod found;
mod pipeline;
mod report;

pub use classes::{COCO_CLASSES, VOC_CLASSES, published_card, read_class_names};
pub use figures::{draw_compared, draw_found, precision_recall_charts};
pub use found::{FoundImage, FoundObject};
pub use pipeline::{DetectionPipeline, FileResult, check_batch};
pub use report::{BestPoint, ClassReport, CocoSummary, DetectionReport};
