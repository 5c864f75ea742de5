//! Losses, without model types.
//!
//! - [`DenoisingLoss`]: the mean squared error of diffusion training, with a weight for each item.
//! - [`AdversarialLoss`]: the losses of generator and discriminator; [`GradientPenalty`]: the
//!   penalty of WGAN-GP and R₁, without a second derivative.
//! - [`AnomalyScore`]: AnoGAN's score of an image and its twin; [`EncoderLoss`]: the loss of
//!   f-AnoGAN's encoder.
//! - [`MultiBoxLoss`]: SSD's loss, with matching ([`PriorMatcher`]) and hard negatives.
//! - [`MultiBoxLossKd`]: SSD's loss with a teacher. [`DistillMethod`] selects it and the other
//!   distillation objectives by name; each is an [`Objective`].
//!
//! ```
//! # mod pyrograph {
//! #     pub use burn;
//! #     pub mod backend { pub use burn_flex::Flex; }
//! #     pub use pyrograph_losses as losses;
//! # }
//! use pyrograph::burn::tensor::Tensor;
//! use pyrograph::backend::Flex;
//! use pyrograph::losses::DenoisingLoss;
//!
//! let device = Default::default();
//! let predicted = Tensor::<Flex, 2>::from_floats([[1.0, 1.0], [3.0, 1.0]], &device);
//! let target = Tensor::zeros([2, 2], &device);
//! let loss = DenoisingLoss::uniform().forward(predicted, target)?;
//! assert_eq!(loss.into_scalar(), 3.0); // the mean of 1, 1, 9, 1
//! # Ok::<(), pyrograph::losses::LossError>(())
//! ```

mod adversarial;
mod anomaly;
mod denoising;
mod distill;
mod error;
mod gradient_penalty;
mod multibox;

pub use adversarial::AdversarialLoss;
pub use anomaly::{AnomalyScore, EncoderLoss, ScoreParts};
pub use denoising::DenoisingLoss;
pub use distill::{
    ChannelWiseKl, DistillMethod, DistillStep, LabelAssignment, MultiBoxKdTerms, MultiBoxLossKd,
    Needs, Objective, PearsonLoss, PriorOutputs, ResponseLoss, ScoreWeightedL2, TakesOver, Term,
};
pub use error::LossError;
pub use gradient_penalty::GradientPenalty;
pub use multibox::{HardPriors, MatchedBoxes, MultiBoxLoss, MultiBoxTerms, PriorMatcher, TruthBox};
