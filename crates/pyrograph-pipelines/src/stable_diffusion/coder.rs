//! The VAE: from pictures to latents and back.

use burn::tensor::Tensor;
use pyrograph_backend::vision::VisionBackend;
use pyrograph_models::stable_diffusion::{tiny_vae::AutoencoderTiny, vae::AutoencoderKl};
use pyrograph_vision::RgbImage;

use super::{
    host::values_of,
    image::picture_of,
    tiling::{Tile, Tiles},
};
use crate::PipelineError;

/// The name of the decoder in an error.
pub(super) const DECODER: &str = "the VAE's decoder";

/// A network between pictures and latents.
#[derive(Debug)]
pub(super) enum Coder<B: VisionBackend> {
    /// AutoencoderKL.
    Full(AutoencoderKl<B>),
    /// AutoencoderTiny (TAESD).
    Tiny(AutoencoderTiny<B>),
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
    /// Whether encoding draws noise.
    pub(super) fn draws(&self) -> bool {
        matches!(self.coder, Coder::Full(_))
    }

    /// The latents of a picture in [−1, 1], times the scaling factor. `noise` is drawn where the encoder gives a distribution.
    ///
    /// # Shapes
    /// [1, 3, height, width] → [1, channels, height / factor, width / factor].
    pub(super) fn encode(
        &self,
        picture: Tensor<B, 4>,
        noise: impl FnOnce([usize; 4]) -> Tensor<B, 4>,
    ) -> Tensor<B, 4> {
        let latents = match &self.coder {
            Coder::Full(vae) => {
                let distribution = vae.encode(picture);
                let spread = distribution.logvar.mul_scalar(0.5).exp();
                let noise = noise(spread.dims());
                distribution.mean + spread * noise
            }
            Coder::Tiny(vae) => vae.encode(picture),
        };
        latents.mul_scalar(self.scaling)
    }

    fn decode(&self, latents: Tensor<B, 4>) -> Tensor<B, 4> {
        let latents = latents.div_scalar(self.scaling);
        match &self.coder {
            Coder::Full(vae) => vae.decode(latents),
            Coder::Tiny(vae) => vae.decode(latents),
        }
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
        let [images, _, height, width] = latents.dims();
        (0..images)
            .map(|image| {
                let latents = latents.clone().narrow(0, image, 1);
                let whole = match tile {
                    Some(tile) if height > tile || width > tile => {
                        let tiles = Tiles::new(tile, self.factor);
                        tiles.decode([height, width], self.factor, |[rows, columns]| {
                            self.tile(latents.clone().slice([0..1, 0..latents.dims()[1], rows, columns]))
                        })?
                    }
                    _ => self.tile(latents)?,
                };
                picture_of(&whole.values, whole.width, whole.height, DECODER)
            })
            .collect()
    }

    /// One picture's values on the host.
    fn tile(&self, latents: Tensor<B, 4>) -> Result<Tile, PipelineError> {
        let picture = self.decode(latents);
        let [_, _, height, width] = picture.dims();
        let values = values_of(picture)?;
        Ok(Tile { width, height, values })
    }
}
