//! The VAE: from pictures to latents and back.

use burn::tensor::Tensor;
use pyrograph_backend::vision::{PreparedWeights, VisionBackend};
use pyrograph_models::stable_diffusion::{
    tiny_vae::AutoencoderTiny,
    vae::{AutoencoderKl, LatentDistribution, Tiling},
};
use pyrograph_vision::RgbImage;

use super::{host::values_of, image::picture_of, request::ImageRequest};
use crate::PipelineError;

/// The names of both halves in an error.
pub(super) const ENCODER: &str = "the VAE's encoder";
const DECODER: &str = "the VAE's decoder";

/// A network between pictures and latents.
#[derive(Debug)]
pub(super) enum Coder<B: VisionBackend> {
    /// AutoencoderKL.
    Full(Box<AutoencoderKl<B>>),
    /// AutoencoderTiny (TAESD).
    Tiny(AutoencoderTiny<B>),
}

/// An encoded picture.
pub(super) enum Encoded<B: VisionBackend> {
    /// A distribution, from which every picture draws its own latents.
    Drawn(LatentDistribution<B>),
    /// The latents themselves.
    Fixed(Tensor<B, 4>),
}

/// A VAE and the numbers that belong to it.
#[derive(Debug)]
pub(super) struct ImageCoder<B: VisionBackend> {
    pub(super) coder: Coder<B>,
    /// What latents are multiplied by after encoding and divided by before decoding.
    pub(super) scaling: f64,
    /// Pixels a latent in each direction.
    pub(super) factor: usize,
    /// Side of a tile in latents.
    pub(super) tile: usize,
}

impl<B: VisionBackend> ImageCoder<B> {
    /// The network's weights, for kernels to keep their forms.
    pub(super) fn prepare(&self) -> PreparedWeights {
        match &self.coder {
            Coder::Full(vae) => PreparedWeights::of(&**vae),
            Coder::Tiny(vae) => PreparedWeights::of(vae),
        }
    }

    /// Whether encoding draws noise.
    pub(super) fn draws(&self) -> bool {
        matches!(self.coder, Coder::Full(_))
    }

    /// What a picture in [−1, 1] is encoded to: once for all pictures of a request that start from it.
    ///
    /// # Shapes
    /// [1, 3, height, width].
    pub(super) fn encode(&self, picture: Tensor<B, 4>) -> Encoded<B> {
        match &self.coder {
            Coder::Full(vae) => Encoded::Drawn(vae.encode(picture)),
            Coder::Tiny(vae) => Encoded::Fixed(vae.encode(picture)),
        }
    }

    /// Latents of an encoded picture, times the scaling factor. `noise` is drawn where the encoder gives a distribution.
    ///
    /// # Shapes
    /// [1, channels, height / factor, width / factor].
    pub(super) fn latents(
        &self,
        encoded: &Encoded<B>,
        noise: impl FnOnce([usize; 4]) -> Tensor<B, 4>,
    ) -> Tensor<B, 4> {
        let latents = match encoded {
            Encoded::Drawn(distribution) => distribution.sample(noise(distribution.mean.dims())),
            Encoded::Fixed(latents) => latents.clone(),
        };
        latents.mul_scalar(self.scaling)
    }

    /// The side of the tiles of `request` in latents, where this VAE decodes by tiles.
    pub(super) fn tile_of(&self, request: &ImageRequest) -> Option<usize> {
        (request.tiled && self.draws()).then_some(self.tile)
    }

    /// The pictures of `latents`, decoded one after the other; by tiles of `tile` latents a side where that is asked for and a
    /// picture is larger.
    ///
    /// # Errors
    /// When the device cannot be read, or a value is not finite.
    pub(super) fn pictures(
        &self,
        latents: Tensor<B, 4>,
        tile: Option<usize>,
    ) -> Result<Vec<RgbImage>, PipelineError> {
        let [images, ..] = latents.dims();
        let picture = |image| {
            let latents = latents.clone().narrow(0, image, 1);
            let picture = self.decode(latents, tile)?;
            let [_, _, height, width] = picture.dims();
            picture_of(&values_of(picture)?, width, height, DECODER)
        };
        (0..images).map(picture).collect()
    }

    fn decode(
        &self,
        latents: Tensor<B, 4>,
        tile: Option<usize>,
    ) -> Result<Tensor<B, 4>, PipelineError> {
        let latents = latents.div_scalar(self.scaling);
        Ok(match (&self.coder, tile) {
            (Coder::Full(vae), Some(latent_size)) => {
                let tiling = Tiling {
                    latent_size,
                    sample_size: latent_size * self.factor,
                    ..vae.tiling()
                };
                vae.decode_tiled(latents, tiling)?
            }
            (Coder::Full(vae), None) => vae.decode(latents),
            (Coder::Tiny(vae), _) => vae.decode(latents),
        })
    }
}
