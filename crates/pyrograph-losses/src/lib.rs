//! Losses, without model types.
//!
//! - [`DenoisingLoss`]: the mean squared error of diffusion training, with a weight for each item.
//!
//! ```
//! use burn::tensor::Tensor;
//! use burn_flex::Flex;
//! use pyrograph_losses::DenoisingLoss;
//!
//! let device = Default::default();
//! let predicted = Tensor::<Flex, 2>::from_floats([[1.0, 1.0], [3.0, 1.0]], &device);
//! let target = Tensor::zeros([2, 2], &device);
//! let loss = DenoisingLoss::uniform().forward(predicted, target)?;
//! assert_eq!(loss.into_scalar(), 3.0); // the mean of 1, 1, 9, 1
//! # Ok::<(), pyrograph_losses::LossError>(())
//! ```

mod denoising;
mod error;

pub use denoising::DenoisingLoss;
pub use error::LossError;
