//! The autoencoder of Stable Diffusion, diffusers' `AutoencoderKL`: images to latents of an eighth
//! of their size, and back.
//!
//! A convolutional encoder and decoder of residual blocks with group norms, and one attention head
//! over all pixels in the middle. The encoder gives the mean and the log-variance of a normal
//! distribution. Latents are unscaled: a pipeline multiplies them by `scaling_factor` after the
//! encoder and divides them by it before the decoder. Images are in [−1, 1].

mod block;
mod config;
mod decoder;
mod distribution;
mod encoder;
mod tiling;
mod weights;

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::vision::{Activation, VisionBackend};

use crate::{
    ModelError,
    blocks::{Conv2d, ParamInit},
};
use decoder::Decoder;
use encoder::Encoder;

pub use config::AutoencoderKlConfig;
pub use distribution::LatentDistribution;
pub use tiling::{Tiling, one_at_a_time};

const MODEL: &str = "sd-vae";

impl AutoencoderKlConfig {
    /// A model with random initial parameters; the same `seed` gives the same parameters on every
    /// backend.
    ///
    /// # Errors
    /// When a field of the config is not allowed.
    pub fn init<B: Backend>(
        &self,
        device: &B::Device,
        seed: u64,
    ) -> Result<AutoencoderKl<B>, ModelError> {
        self.init_with(&mut ParamInit::new(device, seed))
    }

    /// A model whose parameters `init` creates.
    ///
    /// # Errors
    /// When a field of the config is not allowed.
    pub fn init_with<B: Backend>(
        &self,
        init: &mut ParamInit<'_, B>,
    ) -> Result<AutoencoderKl<B>, ModelError> {
        self.check()?;
        let latent = self.latent_channels;
        let mut pointwise =
            |uses: bool, channels: usize| uses.then(|| Conv2d::same(init, [channels, channels], 1));
        let quant_conv = pointwise(self.use_quant_conv, 2 * latent);
        let post_quant_conv = pointwise(self.use_post_quant_conv, latent);
        Ok(AutoencoderKl {
            encoder: Encoder::new(init, self),
            decoder: Decoder::new(init, self),
            quant_conv,
            post_quant_conv,
            config: self.clone(),
        })
    }
}

/// The autoencoder; see the [module](self) for the architecture. Field names are those of published checkpoints.
#[derive(Module, Debug)]
pub struct AutoencoderKl<B: Backend> {
    encoder: Encoder<B>,
    decoder: Decoder<B>,
    quant_conv: Option<Conv2d<B>>,
    post_quant_conv: Option<Conv2d<B>>,
    config: AutoencoderKlConfig,
}

impl<B: VisionBackend> AutoencoderKl<B> {
    /// The distribution of the latents of images in [−1, 1]. Check their shape with
    /// [`AutoencoderKlConfig::check_image`] first.
    ///
    /// # Shapes
    /// [batch, in_channels, height, width] → both [batch, latent_channels, height/8, width/8] with
    /// the four blocks of Stable Diffusion; sizes are rounded down.
    pub fn encode(&self, image: Tensor<B, 4>) -> LatentDistribution<B> {
        LatentDistribution::from_moments(self.moments(image))
    }

    /// Decodes latents into images, nominally in [−1, 1] but not clamped. Check the shape of the
    /// latents with [`AutoencoderKlConfig::check_latents`] first.
    ///
    /// # Shapes
    /// [batch, latent_channels, height, width] → [batch, out_channels, 8·height, 8·width] with the
    /// four blocks of Stable Diffusion.
    pub fn decode(&self, latents: Tensor<B, 4>) -> Tensor<B, 4> {
        let latents = match &self.post_quant_conv {
            Some(conv) => conv.forward(latents, Activation::Identity),
            None => latents,
        };
        self.decoder.forward(latents)
    }

    /// Mean and log-variance, one after the other along the channels.
    fn moments(&self, image: Tensor<B, 4>) -> Tensor<B, 4> {
        let moments = self.encoder.forward(image);
        match &self.quant_conv {
            Some(conv) => conv.forward(moments, Activation::Identity),
            None => moments,
        }
    }
}
