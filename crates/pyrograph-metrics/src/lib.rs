//! Quality figures of generated images, anomaly scores and detections, computed on the host.
//!
//! | question | answer |
//! | --- | --- |
//! | Are the samples distributed as the data? | [`sliced_wasserstein`] |
//! | Are they new, or copies of the training set? | [`nearest_neighbour_distances`], [`NeighbourSummary`], [`held_out_baseline`] |
//! | Do they show the requested class? | [`class_agreement`] |
//! | Do they differ from each other, or has the generator collapsed? | [`mean_pairwise_distance`] |
//! | Do scores separate anomalous images from normal ones? | [`auroc`], [`average_precision`], [`RocCurve`], [`PrecisionRecallCurve`] |
//! | Which threshold, and with which errors? | [`f1_max`], [`quantile_threshold`], [`confusion_at`] |
//! | Does a detector find the objects? | [`DetectionScorer`]: average precision by the rules of Pascal VOC ([`VocReport`]) and COCO ([`CocoReport`]) |
//! | What is the score of a simple baseline? | [`Pca`] |
//!
//! Sets of images are flat: image after image, `dim` values each. Every figure depends only on its
//! arguments, not on the number of threads or the machine.
//!
//! # Example
//!
//! ```
//! # mod pyrograph { pub use pyrograph_metrics as metrics; }
//! use pyrograph::metrics::{NeighbourSummary, SlicedWassersteinConfig};
//! use pyrograph::metrics::{nearest_neighbour_distances, sliced_wasserstein};
//!
//! # fn main() -> Result<(), pyrograph::metrics::MetricsError> {
//! // Three images of two values for training, and two samples.
//! let training = [-1.0, -1.0, 0.0, 0.0, 1.0, 1.0];
//! let samples = [0.0, 0.0, 0.5, 1.0];
//!
//! let distance = sliced_wasserstein(&samples, &training, 2, &SlicedWassersteinConfig::default())?;
//! assert!(distance > 0.0);
//!
//! let neighbours = nearest_neighbour_distances(&samples, &training, 2)?;
//! assert_eq!((neighbours[0].index, neighbours[0].distance), (1, 0.0)); // a copy of the second
//! assert_eq!(NeighbourSummary::new(&neighbours, 0.01)?.near_copies, 0.5);
//! # Ok(())
//! # }
//! ```

mod agreement;
mod check;
mod detection;
mod diversity;
mod error;
mod lanes;
mod moments;
mod neighbours;
mod parallel;
mod pca;
mod quantile;
mod random;
mod ranking;
mod wasserstein;

pub use agreement::{ClassAgreement, class_agreement};
pub use detection::{
    CocoClass, CocoFigures, CocoReport, DetectionScorer, OperatingPoint, Truth, TruthKind,
    VocClass, VocConfig, VocInterpolation, VocReport,
};
pub use diversity::mean_pairwise_distance;
pub use error::MetricsError;
pub use moments::ValueMoments;
pub use neighbours::{Neighbour, NeighbourSummary, held_out_baseline, nearest_neighbour_distances};
pub use pca::Pca;
pub use ranking::{
    BestThreshold, Confusion, PrecisionRecallCurve, PrecisionRecallPoint, RocCurve, RocPoint,
    auroc, average_precision, confusion_at, f1_max, quantile_threshold,
};
pub use wasserstein::{SlicedWassersteinConfig, sliced_wasserstein};
