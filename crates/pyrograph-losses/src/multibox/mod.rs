//! The loss of single-shot detectors.

mod by_teacher;
mod loss;
mod matching;
mod mining;
mod rows;

pub(crate) use loss::check_outputs;
pub use loss::{MultiBoxLoss, MultiBoxTerms};
pub use matching::{MatchedBoxes, PriorMatcher, TruthBox};
pub use mining::HardPriors;
pub(crate) use rows::{rows, zero_of};
