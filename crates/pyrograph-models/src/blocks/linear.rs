//! The linear layer.

use burn::{
    module::{Module, Param},
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::vision::{self, AttentionOptions, Products, VisionBackend};

use super::ParamInit;

/// `torch.nn.Linear`.
#[derive(Module, Debug)]
pub struct Linear<B: Backend> {
    /// [out, in], as PyTorch keeps it.
    pub weight: Param<Tensor<B, 2>>,
    /// `[out]`.
    pub bias: Option<Param<Tensor<B, 1>>>,
}

impl<B: Backend> Linear<B> {
    /// A layer from `d_in` to `d_out` features, with bias.
    pub fn new(init: &mut ParamInit<'_, B>, d_in: usize, d_out: usize) -> Self {
        Self {
            weight: init.weight([d_out, d_in], [d_in, d_out]),
            bias: Some(init.bias(d_out, d_in)),
        }
    }

    /// A layer from `d_in` to `d_out` features, without bias.
    pub fn without_bias(init: &mut ParamInit<'_, B>, d_in: usize, d_out: usize) -> Self {
        Self {
            weight: init.weight([d_out, d_in], [d_in, d_out]),
            bias: None,
        }
    }
}

impl<B: VisionBackend> Linear<B> {
    /// `x·Wᵀ + b` over the last axis.
    ///
    /// # Shapes
    /// [.., in] → [.., out].
    pub fn forward<const D: usize>(&self, x: Tensor<B, D>) -> Tensor<B, D> {
        let bias = self.bias.as_ref().map(Param::val);
        vision::linear(x, self.weight.val(), bias)
    }

    /// [`forward`](Self::forward) for every pixel: [batch, in, height, width] → [batch, height·width, out].
    pub(crate) fn forward_pixels(&self, x: Tensor<B, 4>) -> Tensor<B, 3> {
        let bias = self.bias.as_ref().map(Param::val);
        vision::linear_of_pixels(x, self.weight.val(), bias)
    }

    /// [`forward`](Self::forward) with `residual` [.., out] added.
    pub(crate) fn forward_plus<const D: usize>(
        &self,
        x: Tensor<B, D>,
        residual: Tensor<B, D>,
    ) -> Tensor<B, D> {
        let bias = self.bias.as_ref().map(Param::val);
        vision::linear_plus(x, self.weight.val(), bias, residual)
    }

    /// Options of an attention over the outputs of such layers, with the same kind of products.
    pub(crate) fn attention(&self, scale: f64) -> AttentionOptions {
        AttentionOptions {
            scale,
            products: Products::of_weights(self.weight.val().dtype()),
        }
    }
}
