//! The tiny autoencoder [TAESD](https://github.com/madebyollin/taesd), diffusers'
//! `AutoencoderTiny`: a fortieth of the size of the autoencoder of Stable Diffusion, for the same
//! latents times its scaling factor.
//!
//! Plain 3×3 convolutions with residual blocks, no norms. Images are in [−1, 1], as in diffusers;
//! the inner networks work on [0, 1]. The decoder bounds the latents first: `3·tanh(x/3)`.

mod config;
mod layer;
mod weights;

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::vision::{self, Activation, VisionBackend};

use crate::{ModelError, blocks::ParamInit};
use layer::{Decoder, Encoder};

pub use config::AutoencoderTinyConfig;

/// Fixed by the architecture: the bound of a latent within the decoder.
const LATENT_BOUND: f64 = 3.0;
const MODEL: &str = "sd-tiny-vae";

impl AutoencoderTinyConfig {
    /// A model with random initial parameters; the same `seed` gives the same parameters on every
    /// backend.
    ///
    /// # Errors
    /// When a field of the config is not allowed.
    pub fn init<B: Backend>(
        &self,
        device: &B::Device,
        seed: u64,
    ) -> Result<AutoencoderTiny<B>, ModelError> {
        self.init_with(&mut ParamInit::new(device, seed))
    }

    /// A model whose parameters `init` creates.
    ///
    /// # Errors
    /// When a field of the config is not allowed.
    pub fn init_with<B: Backend>(
        &self,
        init: &mut ParamInit<'_, B>,
    ) -> Result<AutoencoderTiny<B>, ModelError> {
        self.check()?;
        Ok(AutoencoderTiny {
            encoder: Encoder::new(init, self),
            decoder: Decoder::new(init, self),
        })
    }
}

/// The tiny autoencoder; see the [module](self) for the architecture.
#[derive(Module, Debug)]
pub struct AutoencoderTiny<B: Backend> {
    encoder: Encoder<B>,
    decoder: Decoder<B>,
}

impl<B: VisionBackend> AutoencoderTiny<B> {
    /// Encodes images in [−1, 1]. Check their shape with [`AutoencoderTinyConfig::check_image`]
    /// first.
    ///
    /// # Shapes
    /// [batch, in_channels, height, width] → [batch, latent_channels, height/8, width/8] with four
    /// stages; sizes are rounded up.
    pub fn encode(&self, image: Tensor<B, 4>) -> Tensor<B, 4> {
        self.encoder.forward((image + 1.0) * 0.5)
    }

    /// Decodes latents into images, nominally in [−1, 1] but not clamped. Check the shape of the
    /// latents with [`AutoencoderTinyConfig::check_latents`] first.
    ///
    /// # Shapes
    /// [batch, latent_channels, height, width] → [batch, out_channels, 8·height, 8·width] with four
    /// stages and doubling.
    pub fn decode(&self, latents: Tensor<B, 4>) -> Tensor<B, 4> {
        let bounded = vision::activate(latents / LATENT_BOUND, Activation::Tanh) * LATENT_BOUND;
        self.decoder.forward(bounded) * 2.0 - 1.0
    }
}
