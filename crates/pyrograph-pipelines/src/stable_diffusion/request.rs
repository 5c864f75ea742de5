//! A request for pictures, and the response.

use pyrograph_backend::rng::RngKind;
use pyrograph_vision::RgbImage;

use super::{
    acceleration::Acceleration, host::Latents, image::resized, scheduler::SchedulerChoice,
    text::LostWords, tokenizer::PromptSyntax,
};
use crate::PipelineError;

/// The most pictures of a request: all are in memory together.
pub const MAX_IMAGES: usize = 1024;
/// The largest side of a picture in pixels.
const MAX_SIDE: usize = 8192;
/// The largest guidance either way: beyond it latents leave f32's range.
const MAX_GUIDANCE: f64 = 1e6;
/// The longest prompt in bytes: only 75 tokens take part, so a longer text is a mistake.
const MAX_PROMPT: usize = 1 << 20;

/// One picture of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImagePrompt {
    /// The text that the picture shows.
    pub prompt: String,
    /// The text that guidance leads away from. It has no effect where guidance is 1 or less.
    pub negative: String,
    /// The seed of all of this picture's noise.
    pub seed: u64,
}

/// The state that denoising starts from.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ImageStart {
    /// Noise from each picture's seed.
    #[default]
    Noise,
    /// Given noise, before the scheduler's initial sigma.
    Latents(Latents),
    /// Image to image: a picture with noise.
    Image {
        /// The picture.
        image: RgbImage,
        /// The share of the steps that are taken, above 0 and at most 1.
        strength: f64,
    },
    /// Inpainting: a picture of which the white part of a mask is painted anew.
    Inpaint {
        /// The picture.
        image: RgbImage,
        /// The mask, of the picture's size.
        mask: RgbImage,
        /// The share of the steps that are taken, above 0 and at most 1.
        strength: f64,
    },
}

/// A request for one or more pictures of one size.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageRequest {
    /// The pictures.
    pub images: Vec<ImagePrompt>,
    /// Denoising steps.
    pub steps: usize,
    /// The scheduler, where it is not the checkpoint's.
    pub scheduler: SchedulerChoice,
    /// Classifier-free guidance. At 1 and below the UNet runs on one row a picture instead of two.
    pub guidance: f64,
    /// Share of the guided output that is rescaled to the standard deviation of the conditional output, 0 to 1.
    pub guidance_rescale: f64,
    /// Width in pixels, a multiple of the VAE's factor. By default that of the start's picture for image to image, else the
    /// UNet's own size.
    pub width: Option<usize>,
    /// Height in pixels, as `width`.
    pub height: Option<usize>,
    /// The generator of all noise.
    pub rng: RngKind,
    /// The state that denoising starts from.
    pub start: ImageStart,
    /// What brackets mean in prompts.
    pub syntax: PromptSyntax,
    /// Ways to make steps cheaper. None by default.
    pub acceleration: Acceleration,
    /// Whether the VAE decodes a picture that is larger than its own size by overlapping tiles, so that memory does not grow
    /// with the picture.
    pub tiled: bool,
}

impl ImageStart {
    /// The same start with its pictures at [width, height], as the networks would be given them: so they take no more memory than
    /// they must while a request waits.
    pub fn at_size(self, [width, height]: [usize; 2]) -> Self {
        let at_size = |image: RgbImage| resized(&image, width, height).unwrap_or(image);
        match self {
            Self::Image { image, strength } => Self::Image {
                image: at_size(image),
                strength,
            },
            Self::Inpaint {
                image,
                mask,
                strength,
            } => Self::Inpaint {
                image: at_size(image),
                mask: at_size(mask),
                strength,
            },
            other => other,
        }
    }
}

impl ImageRequest {
    /// One picture with diffusers' defaults: 50 steps, guidance 7.5, the checkpoint's scheduler, PyTorch's noise.
    pub fn new(prompt: impl Into<String>, seed: u64) -> Self {
        Self {
            images: vec![ImagePrompt {
                prompt: prompt.into(),
                negative: String::new(),
                seed,
            }],
            steps: 50,
            scheduler: SchedulerChoice::default(),
            guidance: 7.5,
            guidance_rescale: 0.0,
            width: None,
            height: None,
            rng: RngKind::Torch,
            start: ImageStart::Noise,
            syntax: PromptSyntax::Plain,
            acceleration: Acceleration::default(),
            tiled: false,
        }
    }

    /// Whether guidance leads away from the negative prompt: the UNet runs on two rows a picture, unless it reads guidance as an
    /// input.
    pub fn is_guided(&self) -> bool {
        self.guidance > 1.0
    }

    /// The share of the steps that are taken.
    pub(super) fn strength(&self) -> f64 {
        match self.start {
            ImageStart::Image { strength, .. } | ImageStart::Inpaint { strength, .. } => strength,
            ImageStart::Noise | ImageStart::Latents(_) => 1.0,
        }
    }

    /// Width and height in pixels, for a VAE of `factor` and a UNet of `own_side` latents.
    pub(super) fn size(&self, factor: usize, own_side: usize) -> Result<[usize; 2], PipelineError> {
        let default = match &self.start {
            ImageStart::Latents(latents) => [latents.shape[3] * factor, latents.shape[2] * factor],
            ImageStart::Image { image, .. } => {
                let down = |side: u32| side as usize / factor * factor;
                [down(image.width()), down(image.height())]
            }
            ImageStart::Noise | ImageStart::Inpaint { .. } => [own_side * factor; 2],
        };
        let size = [
            self.width.unwrap_or(default[0]),
            self.height.unwrap_or(default[1]),
        ];
        for (field, side) in ["the width", "the height"].into_iter().zip(size) {
            if side == 0 || side % factor != 0 || side > MAX_SIDE {
                let allowed = format!("a multiple of {factor} from {factor} to {MAX_SIDE}");
                return Err(refuse(field, side, &allowed));
            }
        }
        Ok(size)
    }

    /// Refuses every number that no checkpoint can serve.
    pub(super) fn check(&self) -> Result<(), PipelineError> {
        let count = self.images.len();
        if !(1..=MAX_IMAGES).contains(&count) {
            return Err(refuse(
                "the number of images",
                count,
                &format!("1 to {MAX_IMAGES}"),
            ));
        }
        if self.steps == 0 {
            return Err(refuse("the number of steps", 0, "1 or more"));
        }
        if !(-MAX_GUIDANCE..=MAX_GUIDANCE).contains(&self.guidance) {
            let allowed = format!("a number from -{MAX_GUIDANCE} to {MAX_GUIDANCE}");
            return Err(refuse("guidance", self.guidance, &allowed));
        }
        if !(0.0..=1.0).contains(&self.guidance_rescale) {
            return Err(refuse("guidance_rescale", self.guidance_rescale, "0 to 1"));
        }
        let strength = self.strength();
        if !(strength > 0.0 && strength <= 1.0) {
            return Err(refuse("strength", strength, "above 0, and at most 1"));
        }
        if (self.steps as f64 * strength) as usize == 0 {
            let seen = format!("{strength} with {} steps", self.steps);
            return Err(refuse(
                "strength",
                seen,
                "so high that steps · strength is 1 or more",
            ));
        }
        if let ImageStart::Inpaint { image, mask, .. } = &self.start
            && image.dimensions() != mask.dimensions()
        {
            let seen = format!("{} × {}", mask.width(), mask.height());
            let allowed = format!("{} × {}, that of the image", image.width(), image.height());
            return Err(refuse("the size of the mask", seen, &allowed));
        }
        let texts = self
            .images
            .iter()
            .flat_map(|image| [&image.prompt, &image.negative]);
        match texts.map(String::len).find(|length| *length > MAX_PROMPT) {
            Some(length) => {
                let allowed = format!("at most {MAX_PROMPT}");
                Err(refuse("the length of a prompt in bytes", length, &allowed))
            }
            None => Ok(()),
        }
    }
}

/// The error for a number of a request.
pub(super) fn refuse(field: &'static str, seen: impl ToString, allowed: &str) -> PipelineError {
    PipelineError::Number {
        field,
        seen: seen.to_string(),
        allowed: allowed.into(),
    }
}

/// Seconds that each stage of a request took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StageSeconds {
    /// Tokenizer and text encoder.
    pub text: f64,
    /// All denoising steps; for a start from a picture, its encoding too.
    pub unet: f64,
    /// The VAE's decoder.
    pub vae: f64,
}

/// The pictures of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageResponse {
    /// The pictures, in the request's order.
    pub images: Vec<RgbImage>,
    /// The last latents, before the VAE.
    pub latents: Latents,
    /// Prompts that did not fit whole.
    pub lost: Vec<LostWords>,
    /// Seconds by stage.
    pub seconds: StageSeconds,
    /// Passes of the UNet.
    pub steps: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut ImageRequest)) -> String {
        let mut request = ImageRequest::new("a cat", 1);
        change(&mut request);
        let checked = request.check().and_then(|()| request.size(8, 64));
        checked.unwrap_err().to_string()
    }

    #[test]
    fn numbers_outside_their_range_are_refused_by_name() {
        assert!(refused(|r| r.steps = 0).contains("steps"));
        for guidance in [f64::NAN, f64::INFINITY, 1e30, -1e38] {
            assert!(refused(|r| r.guidance = guidance).contains("guidance"));
        }
        assert!(refused(|r| r.guidance_rescale = 1.5).contains("guidance_rescale"));
        assert!(refused(|r| r.width = Some(100)).contains("multiple of 8"));
        assert!(refused(|r| r.height = Some(0)).contains("height"));
        assert!(refused(|r| r.images.clear()).contains("images"));
        assert!(refused(|r| r.images[0].prompt = "a ".repeat(1 << 20)).contains("length"));
    }

    #[test]
    fn a_mask_of_another_size_and_a_strength_without_a_step_are_refused() {
        let start = |mask, strength| ImageStart::Inpaint {
            image: RgbImage::new(64, 64),
            mask: RgbImage::new(mask, 64),
            strength,
        };
        assert!(refused(|r| r.start = start(32, 0.5)).contains("mask"));
        for strength in [0.0, 1.5, f64::NAN, 0.01] {
            assert!(refused(|r| r.start = start(64, strength)).contains("strength"));
        }
    }

    #[test]
    fn the_size_is_the_networks_own_unless_the_start_has_one() {
        let mut request = ImageRequest::new("a cat", 1);
        assert_eq!(request.size(8, 96).unwrap(), [768, 768]);
        let image = RgbImage::new(515, 260);
        request.start = ImageStart::Image {
            image,
            strength: 0.5,
        };
        assert_eq!(request.size(8, 96).unwrap(), [512, 256]);
        request.width = Some(640);
        assert_eq!(request.size(8, 96).unwrap(), [640, 256]);
    }
}
