//! The state that a walk starts from, drawn in diffusers' order, so that a seed gives its pictures.

use std::cell::OnceCell;

use burn::tensor::Tensor;
use pyrograph_backend::{
    rng::{NoiseSource, Purpose, host_tensor},
    vision::VisionBackend,
};
use pyrograph_diffusion::SamplerPlan;
use pyrograph_vision::RgbImage;

use super::{
    coder::{ENCODER, Encoded, ImageCoder},
    host::{Latents, values_of},
    image::{check_finite, mask_values, picture_values, shrink_mask},
    request::ImageStart,
    walk::Inpaint,
};
use crate::PipelineError;

/// What the pictures of a request start from, on the device.
pub(super) enum Start<'a, B: VisionBackend> {
    /// Noise alone.
    Noise,
    /// Given noise, one picture's after the other's.
    Latents(&'a Latents),
    /// A picture.
    Picture(Picture<B>),
    /// A picture and a mask.
    Masked(Masked<B>),
}

/// A picture that is encoded when it is needed, and once.
pub(super) struct Picture<B: VisionBackend> {
    /// [1, 3, height, width].
    values: Tensor<B, 4>,
    encoded: OnceCell<Encoded<B>>,
}

impl<B: VisionBackend> Picture<B> {
    fn new(values: Vec<f32>, [width, height]: [usize; 2], device: &B::Device) -> Self {
        Self {
            values: host_tensor(values, [1, 3, height, width], device),
            encoded: OnceCell::new(),
        }
    }

    fn encoded(&self, coder: &ImageCoder<B>) -> &Encoded<B> {
        self.encoded
            .get_or_init(|| coder.encode(self.values.clone()))
    }
}

/// A picture and its mask as inpainting needs them.
pub(super) struct Masked<B: VisionBackend> {
    picture: Picture<B>,
    /// The picture, grey where it is painted anew.
    outside: Picture<B>,
    /// The mask at the latents' size: [1, 1, height / factor, width / factor].
    mask: Tensor<B, 4>,
}

/// A walk's first sample, what inpainting keeps, and the noise that the walk goes on with.
pub(super) struct Begun<B: VisionBackend> {
    pub(super) sample: Tensor<B, 4>,
    pub(super) inpaint: Inpaint<B>,
    pub(super) noise: NoiseSource,
}

impl<'a, B: VisionBackend> Start<'a, B> {
    /// Brings `start` to the device at [width, height].
    pub(super) fn new(
        start: &'a ImageStart,
        size: [usize; 2],
        coder: &ImageCoder<B>,
        device: &B::Device,
    ) -> Self {
        match start {
            ImageStart::Noise => Self::Noise,
            ImageStart::Latents(latents) => Self::Latents(latents),
            ImageStart::Image { image, .. } => {
                let [width, height] = size;
                let values = picture_values(image, width, height);
                Self::Picture(Picture::new(values, size, device))
            }
            ImageStart::Inpaint { image, mask, .. } => {
                Self::Masked(Masked::new(image, mask, size, coder.factor, device))
            }
        }
    }
}

impl<B: VisionBackend> Masked<B> {
    fn new(
        image: &RgbImage,
        mask: &RgbImage,
        [width, height]: [usize; 2],
        factor: usize,
        device: &B::Device,
    ) -> Self {
        let values = picture_values(image, width, height);
        let mask = mask_values(mask, width, height);
        let kept = mask.iter().cycle().map(|painted| 1.0 - painted);
        let outside = values
            .iter()
            .zip(kept)
            .map(|(value, kept)| value * kept)
            .collect();
        let small = shrink_mask(&mask, width, factor);
        Self {
            outside: Picture::new(outside, [width, height], device),
            picture: Picture::new(values, [width, height], device),
            mask: host_tensor(small, [1, 1, height / factor, width / factor], device),
        }
    }
}

/// The numbers and networks that every picture of a request begins with.
pub(super) struct Beginning<'a, B: VisionBackend> {
    /// The steps that are taken.
    pub(super) plan: &'a SamplerPlan,
    /// Whether these are all steps, so that the picture itself has no part in the start of inpainting.
    pub(super) is_whole: bool,
    pub(super) coder: &'a ImageCoder<B>,
    /// Whether the UNet has inputs for the mask and the masked picture.
    pub(super) is_inpainting_unet: bool,
    /// [1, channels, height, width] of the latents.
    pub(super) shape: [usize; 4],
    pub(super) device: &'a B::Device,
}

impl<B: VisionBackend> Beginning<'_, B> {
    /// Begins the picture at `place` of the request.
    pub(super) fn begin(
        &self,
        start: &Start<'_, B>,
        place: usize,
        mut noise: NoiseSource,
    ) -> Result<Begun<B>, PipelineError> {
        let source = &mut noise;
        let (sample, inpaint) = match start {
            Start::Noise => (self.pure(self.first_noise(source)), Inpaint::No),
            Start::Latents(latents) => {
                (self.pure(latents.of_image(place, self.device)), Inpaint::No)
            }
            Start::Picture(picture) => {
                let latents = self.encoded(picture, 0, source)?;
                let first = self.first_noise(source);
                let sample = self.plan.add_noise(0, latents, first)?;
                (sample, Inpaint::No)
            }
            Start::Masked(masked) => self.masked(masked, source)?,
        };
        Ok(Begun {
            sample,
            inpaint,
            noise,
        })
    }

    fn masked(
        &self,
        masked: &Masked<B>,
        source: &mut NoiseSource,
    ) -> Result<(Tensor<B, 4>, Inpaint<B>), PipelineError> {
        let whole = self.is_whole;
        let needed = !self.is_inpainting_unet || !whole;
        let latents = match needed {
            true => Some(self.encoded(&masked.picture, 0, source)?),
            false => None,
        };
        let first = self.first_noise(source);
        let sample = match &latents {
            Some(latents) if !whole => self.plan.add_noise(0, latents.clone(), first.clone())?,
            _ => self.pure(first.clone()),
        };
        let mask = masked.mask.clone();
        // diffusers encodes the masked picture in any case: the generator goes on from there.
        let inpaint = match latents {
            Some(latents) if !self.is_inpainting_unet => {
                if self.coder.draws() {
                    let _: Tensor<B, 4> = self.encoder_noise(1, self.shape, source);
                }
                Inpaint::Kept {
                    mask,
                    latents,
                    noise: first,
                }
            }
            _ => {
                let outside = self.encoded(&masked.outside, 1, source)?;
                Inpaint::Beside(Tensor::cat(vec![mask, outside], 1))
            }
        };
        Ok((sample, inpaint))
    }

    /// Noise at the level that the scheduler starts from.
    fn pure(&self, noise: Tensor<B, 4>) -> Tensor<B, 4> {
        noise.mul_scalar(self.plan.init_noise_sigma())
    }

    fn first_noise(&self, source: &mut NoiseSource) -> Tensor<B, 4> {
        source.normal(Purpose::InitialNoise, 0, 0, self.shape, self.device)
    }

    /// The noise of the encoder's draw `draw`.
    fn encoder_noise(
        &self,
        draw: u64,
        shape: [usize; 4],
        source: &mut NoiseSource,
    ) -> Tensor<B, 4> {
        source.normal(Purpose::Latent, draw, 0, shape, self.device)
    }

    /// The latents of a picture; refused where the encoder breaks.
    fn encoded(
        &self,
        picture: &Picture<B>,
        draw: u64,
        source: &mut NoiseSource,
    ) -> Result<Tensor<B, 4>, PipelineError> {
        let noise = |shape| self.encoder_noise(draw, shape, source);
        let latents = self.coder.latents(picture.encoded(self.coder), noise);
        check_finite(&values_of(latents.clone())?, ENCODER)?;
        Ok(latents)
    }
}
