//! The seam for fused kernels: [`VisionBackend`], its plain bodies, and the operations that models call.
//!
//! Models never call a backend's convolution or norm directly; they call the functions of this module, which reach
//! [`VisionBackend`]. Its default bodies are plain burn operations, so any burn backend joins with an empty `impl`.

mod activation;
mod attention;
mod autodiff;
mod backend;
#[cfg(any(feature = "wgpu", test))]
mod bands;
#[cfg(any(feature = "oracle", feature = "wgpu", feature = "cuda"))]
mod burn_backends;
mod cache;
mod conv_stack;
mod differentiable;
mod exact;
#[cfg(feature = "flex")]
mod flex;
mod linear;
mod normed_conv;
mod ops;
mod outputs;
pub mod plain;
mod prepared;
mod primitives;
mod quantised;
mod upsampled_conv;
mod window;

pub use activation::Activation;
pub use attention::{AttentionGradients, AttentionOptions, AttentionPass, Products};
pub use backend::VisionBackend;
pub use cache::{buffer_cache, prepared_bytes, set_buffer_cache, set_prepared_bytes};
pub use conv_stack::{ConvStack, Stack, StackForm, StackLayer, StackMap, with_zeros_after};
pub use differentiable::VisionAutodiff;
pub use exact::{exact_convolutions, exact_products, set_exact_convolutions, set_exact_products};
#[cfg(feature = "flex")]
pub(crate) use flex::vector_words;
pub use linear::{Linear, LinearForm};
pub use normed_conv::{GroupNorm, NormedConv, conv2d_of_group_norm};
pub use ops::{
    BatchNormTraining, activate, add, attention, avg_pool2d, batch_norm, batch_norm_training,
    channel_divergence, concat_channels, conv_transpose2d, conv2d, conv2d_scaled, geglu,
    group_norm, l2_norm, layer_norm, linear, linear_geglu, linear_of_pixels, linear_plus,
    linear_to_pixels, max_pool2d, modulate, normal_squares, row_divergence, row_smooth_l1, softmax,
    upsample_nearest, weighted_squares,
};
pub use outputs::{BatchNormOutput, Distance, ModulateGradients, NormGradients, NormStatistics};
pub use prepared::{PreparedWeight, PreparedWeights};
pub use quantised::{Int8Products, QUANTISED_MAX, matrix_of, quantised_scheme, quantised_weight};
pub use upsampled_conv::{UpsampledConv, conv2d_of_upsampled};
pub use window::Window;

#[cfg(test)]
mod tests;
