//! The linear layer.

use burn::{
    module::{Module, Param},
    tensor::{Tensor, backend::Backend},
};

use super::ParamInit;

/// `torch.nn.Linear` with bias.
#[derive(Module, Debug)]
pub struct Linear<B: Backend> {
    /// [out, in], as PyTorch keeps it.
    pub weight: Param<Tensor<B, 2>>,
    /// `[out]`.
    pub bias: Param<Tensor<B, 1>>,
}

impl<B: Backend> Linear<B> {
    /// A layer from `d_in` to `d_out` features.
    pub fn new(init: &mut ParamInit<'_, B>, d_in: usize, d_out: usize) -> Self {
        Self {
            weight: init.weight([d_out, d_in], [d_in, d_out]),
            bias: init.bias(d_out, d_in),
        }
    }

    /// `x·Wᵀ + b`.
    ///
    /// # Shapes
    /// [batch, in] → [batch, out].
    pub fn forward(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        x.matmul(self.weight.val().transpose()) + self.bias.val().unsqueeze()
    }
}
