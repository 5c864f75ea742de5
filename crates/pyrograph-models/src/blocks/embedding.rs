//! The embedding layer.

use burn::{
    module::{Module, Param},
    tensor::{Int, Tensor, backend::Backend, module::embedding},
};

use super::ParamInit;

/// `torch.nn.Embedding`.
#[derive(Module, Debug)]
pub struct Embedding<B: Backend> {
    /// [entries, features].
    pub weight: Param<Tensor<B, 2>>,
}

impl<B: Backend> Embedding<B> {
    /// A table of `entries` vectors of `features` values.
    pub fn new(init: &mut ParamInit<'_, B>, entries: usize, features: usize) -> Self {
        Self {
            weight: init.weight([entries, features], [features, entries]),
        }
    }

    /// The vectors of `ids`. The caller checks that every id is below the number of entries.
    ///
    /// # Shapes
    /// [batch, length] → [batch, length, features].
    pub fn forward(&self, ids: Tensor<B, 2, Int>) -> Tensor<B, 3> {
        embedding(self.weight.val(), ids)
    }
}
