//! Layer norm.

use burn::{
    module::{Module, Param},
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::vision::{self, VisionBackend};

use super::ParamInit;

/// `torch.nn.LayerNorm` over the last axis.
#[derive(Module, Debug)]
pub struct LayerNorm<B: Backend> {
    /// `[features]`.
    pub weight: Param<Tensor<B, 1>>,
    /// `[features]`.
    pub bias: Param<Tensor<B, 1>>,
    epsilon: f64,
}

impl<B: Backend> LayerNorm<B> {
    /// A norm of `features` values; PyTorch's own `epsilon` is 1e-5.
    pub fn new(init: &mut ParamInit<'_, B>, features: usize, epsilon: f64) -> Self {
        Self {
            weight: init.constant(features, 1.0),
            bias: init.constant(features, 0.0),
            epsilon,
        }
    }
}

impl<B: VisionBackend> LayerNorm<B> {
    /// Normalises the last axis.
    ///
    /// # Shapes
    /// [.., features] → the same.
    pub fn forward<const D: usize>(&self, x: Tensor<B, D>) -> Tensor<B, D> {
        vision::layer_norm(x, self.weight.val(), self.bias.val(), self.epsilon)
    }
}
