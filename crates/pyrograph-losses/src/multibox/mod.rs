//! The loss of single-shot detectors.

mod loss;
mod matching;
mod mining;

pub use loss::{MultiBoxLoss, MultiBoxTerms};
pub use matching::{MatchedBoxes, PriorMatcher, TruthBox};
