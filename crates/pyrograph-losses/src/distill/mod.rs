//! Distillation: objectives by which a teacher detector trains a student detector.

mod channel_wise;
mod chen;
mod constants;
mod divergence;
mod label_assignment;
mod method;
mod objective;
mod pearson;
mod resize;
mod response;
mod score_weighted;
mod step;

pub use channel_wise::ChannelWiseKl;
pub use chen::{MultiBoxKdTerms, MultiBoxLossKd};
pub use label_assignment::LabelAssignment;
pub use method::DistillMethod;
pub use objective::{Needs, Objective, TakesOver, Term};
pub use pearson::PearsonLoss;
pub use response::ResponseLoss;
pub use score_weighted::ScoreWeightedL2;
pub use step::{DistillStep, PriorOutputs};
