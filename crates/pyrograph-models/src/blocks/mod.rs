//! Layers in PyTorch's layout and names, so that a state dict loads without transposing.
//!
//! They hold parameters and call the fused operations of [`pyrograph_backend::vision`].

mod conv;
mod embedding;
mod init;
mod layer_norm;
mod linear;
mod norm;
mod stacked;
mod watch;

pub use conv::{Conv2d, ConvTranspose2d, Kernel};
pub use embedding::Embedding;
pub use init::{InitScheme, ParamInit};
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use norm::{BatchNorm2d, BatchStatistics, GroupNorm, NormMode};
pub use pyrograph_backend::vision::with_zeros_after;
pub(crate) use stacked::Stacked;
pub(crate) use watch::{LayerCall, LayerInput, watching};
