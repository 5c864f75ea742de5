//! CLIP's text encoder ([Radford et al., 2021](https://arxiv.org/abs/2103.00020)): token ids to the
//! features that the U-Net attends to.
//!
//! transformers' `CLIPTextModel`: token and position embeddings, pre-norm layers of causal
//! self-attention and a two-layer perceptron, and a final layer norm, which is always applied.
//! Stable Diffusion 1 has OpenAI's CLIP-L (quick GELU), Stable Diffusion 2 has OpenCLIP-H without
//! its last layer (exact GELU). There is no mask besides the causal one: diffusers' pipelines pass
//! no attention mask, so padding is attended to.

mod config;
mod layer;
mod weights;

use burn::{
    module::Module,
    tensor::{Int, Tensor, backend::Backend},
};
use pyrograph_backend::vision::VisionBackend;

use crate::{
    ModelError,
    blocks::{LayerNorm, ParamInit},
};
use layer::{Embeddings, Encoder, causal_mask};

pub use config::ClipTextConfig;

const MODEL: &str = "sd-text-encoder";

impl ClipTextConfig {
    /// A model with random initial parameters; the same `seed` gives the same parameters on every
    /// backend.
    ///
    /// # Errors
    /// When a field of the config is not allowed.
    pub fn init<B: Backend>(
        &self,
        device: &B::Device,
        seed: u64,
    ) -> Result<ClipTextModel<B>, ModelError> {
        self.init_with(&mut ParamInit::new(device, seed))
    }

    /// A model whose parameters `init` creates.
    ///
    /// # Errors
    /// When a field of the config is not allowed.
    pub fn init_with<B: Backend>(
        &self,
        init: &mut ParamInit<'_, B>,
    ) -> Result<ClipTextModel<B>, ModelError> {
        self.check()?;
        let text_model = TextTransformer {
            embeddings: Embeddings::new(init, self),
            encoder: Encoder::new(init, self),
            final_layer_norm: LayerNorm::new(init, self.hidden_size, self.layer_norm_eps),
        };
        Ok(ClipTextModel { text_model })
    }
}

/// The text encoder; see the [module](self) for the architecture. Field names are those of published checkpoints.
#[derive(Module, Debug)]
pub struct ClipTextModel<B: Backend> {
    text_model: TextTransformer<B>,
}

#[derive(Module, Debug)]
struct TextTransformer<B: Backend> {
    embeddings: Embeddings<B>,
    encoder: Encoder<B>,
    final_layer_norm: LayerNorm<B>,
}

impl<B: VisionBackend> ClipTextModel<B> {
    /// The last hidden state of `ids`. Check `ids` with [`ClipTextConfig::check_ids`] first.
    ///
    /// # Shapes
    /// [batch, length] → [batch, length, hidden_size].
    pub fn forward(&self, ids: Tensor<B, 2, Int>) -> Tensor<B, 3> {
        let [_, length] = ids.dims();
        let model = &self.text_model;
        let mut x = model.embeddings.forward(ids); // [batch, length, hidden]
        let mask = causal_mask(length, &x);
        for layer in &model.encoder.layers {
            x = layer.forward(x, mask.clone());
        }
        model.final_layer_norm.forward(x)
    }
}
