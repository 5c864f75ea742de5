//! Layers in PyTorch's layout and names, so that a state dict loads without transposing.
//!
//! They hold parameters and call the fused operations of [`pyrograph_backend::vision`].

mod conv;
mod embedding;
mod init;
mod layer_norm;
mod linear;
mod norm;
mod watch;
mod zeros;

pub use conv::{Conv2d, ConvTranspose2d, Kernel};
pub use embedding::Embedding;
pub use init::{InitScheme, ParamInit};
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use norm::{BatchNorm2d, BatchStatistics, GroupNorm, NormMode};
pub(crate) use watch::{LayerCall, LayerInput, watching};
pub use zeros::with_zeros_after;
