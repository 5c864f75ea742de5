//! The linear layer.

use burn::{
    module::{Module, Param},
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::vision::{self, AttentionOptions, Products, VisionBackend};

use super::{
    ParamInit,
    watch::{LayerCall, LayerInput, pixels, tokens, watch},
};

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
        self.show(|| tokens(x.clone()));
        vision::linear(x, self.weight.val(), self.bias())
    }

    /// [`forward`](Self::forward) for every pixel: [batch, in, height, width] → [batch, height·width, out].
    pub(crate) fn forward_pixels(&self, x: Tensor<B, 4>) -> Tensor<B, 3> {
        self.show(|| pixels(x.clone()));
        vision::linear_of_pixels(x, self.weight.val(), self.bias())
    }

    /// [`forward`](Self::forward) with `residual` [.., out] added.
    pub(crate) fn forward_plus<const D: usize>(
        &self,
        x: Tensor<B, D>,
        residual: Tensor<B, D>,
    ) -> Tensor<B, D> {
        self.show(|| tokens(x.clone()));
        vision::linear_plus(x, self.weight.val(), self.bias(), residual)
    }

    /// The first half of [`forward`](Self::forward)'s outputs times the GELU of the second: [.., in] → [.., out / 2].
    pub(crate) fn forward_geglu<const D: usize>(&self, x: Tensor<B, D>) -> Tensor<B, D> {
        self.show(|| tokens(x.clone()));
        vision::linear_geglu(x, self.weight.val(), self.bias())
    }

    /// [`forward`](Self::forward) over tokens, which become the pixels of images, with `skip` added: `x`
    /// [batch, height·width, in], `skip` and result [batch, out, height, width].
    pub(crate) fn forward_to_pixels(&self, x: Tensor<B, 3>, skip: Tensor<B, 4>) -> Tensor<B, 4> {
        self.show(|| tokens(x.clone()));
        vision::linear_to_pixels(x, self.weight.val(), self.bias(), skip)
    }

    /// Options of an attention over the outputs of such layers, with the same kind of products.
    pub(crate) fn attention(&self, scale: f64) -> AttentionOptions {
        AttentionOptions {
            scale,
            products: Products::of_weights(self.weight.val().dtype()),
        }
    }

    fn bias(&self) -> Option<Tensor<B, 1>> {
        self.bias.as_ref().map(Param::val)
    }

    /// Shows a call with the tokens `x` [tokens, in] to a watcher.
    fn show(&self, x: impl FnOnce() -> Tensor<B, 2>) {
        watch(|| LayerCall {
            id: self.weight.id,
            input: LayerInput::Tokens {
                x: x(),
                weight: self.weight.val(),
            },
            bias: self.bias(),
        });
    }
}
