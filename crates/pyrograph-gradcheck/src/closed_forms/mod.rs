//! Gradients derived by hand, as plain functions on host arrays in f64: a file for each, beside its forward form.
//!
//! They follow the textbook route on purpose, however slow: a reader can hold each line against its equation, and a test can
//! hold any backend against the result.
//!
//! | step | forward | backward |
//! | --- | --- | --- |
//! | convolution | [`conv2d`] | [`conv2d_input_gradient`], [`conv2d_weight_gradient`], [`conv2d_bias_gradient`] |
//! | ReLU | [`relu`] | [`relu_gradient`] |
//! | max pooling | [`max_pool2d`] | [`max_pool2d_gradient`] |
//! | dense layer | [`dense`] | [`dense_gradients`] |
//! | layer norm | [`layer_norm`] | [`layer_norm_gradients`] |
//! | gated GELU | [`geglu`] | [`geglu_gradient`] |
//! | embedding | [`embedding`] | [`embedding_gradient`] |
//! | nearest upsampling | [`upsample_nearest`] | [`upsample_nearest_gradient`] |
//! | softmax and cross-entropy | [`softmax_cross_entropy`] | [`softmax_cross_entropy_gradient`] |
//!
//! δ is the loss's gradient by a step's output throughout.
//!
//! ```
//! # mod pyrograph { pub use pyrograph_gradcheck as gradcheck; }
//! use pyrograph::gradcheck::closed_forms::{Array, softmax_cross_entropy_gradient};
//!
//! let logits = Array::new([1, 2], vec![0.0, 0.0])?;
//! let target = Array::new([1, 2], vec![1.0, 0.0])?;
//! assert_eq!(softmax_cross_entropy_gradient(&logits, &target)?.values(), [-0.5, 0.5]);
//! # Ok::<(), pyrograph::gradcheck::GradCheckError>(())
//! ```

mod array;
mod conv;
mod dense;
mod embedding;
mod geglu;
mod layer_norm;
mod max_pool;
mod relu;
mod softmax_cross_entropy;
mod upsample;

pub use array::Array;
pub use conv::{
    ConvGeometry, conv2d, conv2d_bias_gradient, conv2d_input_gradient, conv2d_weight_gradient,
};
pub use dense::{DenseGradients, dense, dense_gradients};
pub use embedding::{embedding, embedding_gradient};
pub use geglu::{geglu, geglu_gradient};
pub use layer_norm::{LayerNormGradients, layer_norm, layer_norm_gradients};
pub use max_pool::{PoolGeometry, max_pool2d, max_pool2d_gradient};
pub use relu::{relu, relu_gradient};
pub use softmax_cross_entropy::{softmax, softmax_cross_entropy, softmax_cross_entropy_gradient};
pub use upsample::{upsample_nearest, upsample_nearest_gradient};

use crate::GradCheckError;

/// Refuses a size that is not the one expected.
fn expect(what: &'static str, seen: usize, allowed: usize) -> Result<(), GradCheckError> {
    if seen == allowed {
        return Ok(());
    }
    Err(GradCheckError::Size {
        what,
        seen,
        allowed: allowed.to_string(),
    })
}

/// How often a window of `window` fits along `size` at steps of `stride`.
fn places(
    what: &'static str,
    size: usize,
    window: usize,
    stride: usize,
) -> Result<usize, GradCheckError> {
    let refuse = |what, seen, allowed: String| {
        Err(GradCheckError::Size {
            what,
            seen,
            allowed,
        })
    };
    if stride == 0 {
        return refuse("a stride", 0, "1 or more".to_owned());
    }
    if window == 0 || window > size {
        return refuse(what, window, format!("1 to {size}"));
    }
    Ok((size - window) / stride + 1)
}
