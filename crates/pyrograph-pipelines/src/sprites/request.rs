//! What is asked for, and what comes back.

use pyrograph_backend::rng::RngKind;
use pyrograph_diffusion::SamplerConfig;

use super::Moments;
use crate::PipelineError;

/// The most images a request: their noise and values are in memory together, 200 MB of each at 16×16×3.
const MAX_IMAGES: usize = 65_536;
/// The most images a forward pass: one activation of the course's network then takes half a gigabyte.
const MAX_BATCH: usize = 4096;
/// The most values kept over all moments: 4 GB.
const MAX_VALUES: usize = 1 << 30;

/// The noise that sampling starts from.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum StartNoise {
    /// Drawn from the request's seed.
    #[default]
    Seeded,
    /// Given, images [channels, side, side] one after another.
    Given(Vec<f32>),
    /// On the arc from the first image's noise under the request's seed to that under another: the images stand at even
    /// distances, the ends included.
    Towards {
        /// The other seed.
        seed: u64,
    },
}

/// Whether predicted images are kept within the range of pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clipping {
    /// As the sampler says; where it says nothing, to ±1 on schedules that need it
    /// (see [`SamplerConfig::clip_needed`]).
    #[default]
    AsNeeded,
    /// As the sampler says: not at all where it says nothing.
    AsConfigured,
}

/// One request for sprites.
#[derive(Clone, Debug, PartialEq)]
pub struct SpriteRequest {
    /// The sampler and its steps. Its prediction type is set from the model.
    pub sampler: SamplerConfig,
    /// Whether a sampler that does not clip does so on schedules that need it.
    pub clipping: Clipping,
    /// One context an image; their number is the number of images.
    pub contexts: Vec<Vec<f32>>,
    /// Seed of all noise.
    pub seed: u64,
    /// Generator of all noise.
    pub rng: RngKind,
    /// Classifier-free guidance; 1 is off.
    pub guidance: f64,
    /// The noise to start from.
    pub start: StartNoise,
    /// How many moments of the way to keep, besides the end: evenly spaced, the starting noise among them.
    pub frames: usize,
    /// Which moments to keep, in place of `frames`.
    pub moments: Option<Moments>,
    /// Images a forward pass. The result does not depend on it. PyTorch's noise is drawn in order, so it takes one batch.
    pub batch_size: usize,
}

impl SpriteRequest {
    /// Images with these contexts: seed 0, counter-based noise, no guidance, no frames, clipped as needed.
    pub fn new(sampler: SamplerConfig, contexts: Vec<Vec<f32>>) -> Self {
        Self {
            sampler,
            clipping: Clipping::default(),
            contexts,
            seed: 0,
            rng: RngKind::Counter,
            guidance: 1.0,
            start: StartNoise::Seeded,
            frames: 0,
            moments: None,
            batch_size: 64,
        }
    }

    /// Refuses a number of images that no request may have, before a context is made for each.
    ///
    /// # Errors
    /// [`PipelineError::Number`].
    pub fn check_count(count: usize) -> Result<(), PipelineError> {
        if (1..=MAX_IMAGES).contains(&count) {
            return Ok(());
        }
        let allowed = format!("1 or more, and at most {MAX_IMAGES}: all are in memory together");
        refuse("the number of images", count, &allowed)
    }

    /// Images that go through the network together.
    pub(super) fn images_a_pass(&self) -> usize {
        match self.rng {
            RngKind::Counter => self.batch_size.min(self.contexts.len()),
            RngKind::Torch => self.contexts.len(),
        }
    }

    /// Checks everything but the sampler, for images of `image_values` values, contexts of `width` and a schedule of
    /// `timesteps`.
    pub(super) fn check(
        &self,
        image_values: usize,
        width: usize,
        timesteps: usize,
    ) -> Result<(), PipelineError> {
        let count = self.contexts.len();
        Self::check_count(count)?;
        if self.batch_size == 0 {
            return refuse("the batch size", 0, "1 or more");
        }
        let batch = self.images_a_pass();
        if batch > MAX_BATCH {
            let allowed = format!(
                "at most {MAX_BATCH}, for want of memory (PyTorch's noise takes one batch for all images)"
            );
            return refuse("the batch size", batch, &allowed);
        }
        let moments = match self.moments {
            Some(moments) => moments.at_most(timesteps),
            None => self.frames.min(timesteps) + 1,
        };
        let values = count
            .checked_mul(image_values)
            .and_then(|values| values.checked_mul(moments));
        if values.is_none_or(|values| values > MAX_VALUES) {
            let allowed = format!("fewer, so that {count} images at each take no more than 4 GB");
            return refuse("the number of moments", moments, &allowed);
        }
        if !self.guidance.is_finite() {
            return refuse("guidance", self.guidance, "a finite number");
        }
        for (index, context) in self.contexts.iter().enumerate() {
            if context.len() != width || context.iter().any(|weight| !weight.is_finite()) {
                return Err(PipelineError::Context {
                    index,
                    seen: context.clone(),
                    width,
                });
            }
        }
        match &self.start {
            StartNoise::Given(values) => check_noise(values, count, image_values),
            StartNoise::Seeded | StartNoise::Towards { .. } => Ok(()),
        }
    }
}

fn check_noise(values: &[f32], count: usize, image_values: usize) -> Result<(), PipelineError> {
    // Both are bounded above.
    if values.len() != count * image_values {
        let allowed = format!("{count} images of {image_values}, one noise an image");
        return refuse("the number of noise values", values.len(), &allowed);
    }
    match values.iter().position(|v| !v.is_finite()) {
        Some(index) => {
            let seen = format!("{} at place {index}", values[index]);
            refuse("the noise", seen, "finite")
        }
        None => Ok(()),
    }
}

fn refuse(field: &'static str, seen: impl ToString, allowed: &str) -> Result<(), PipelineError> {
    Err(PipelineError::Number {
        field,
        seen: seen.to_string(),
        allowed: allowed.into(),
    })
}

/// A moment on the way from noise to image.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Steps taken before it.
    pub step: usize,
    /// The timestep `i` of the last of them as the course counts, from `T` down to 1; none before the
    /// first.
    pub timestep: Option<f64>,
    /// The share `√ᾱ` of the clean image in it: 1 at the end.
    pub signal: f64,
    /// The images then, [channels, side, side] one after another.
    pub values: Vec<f32>,
}

/// Finished images, in [−1, 1] but for overshoot.
#[derive(Clone, Debug, PartialEq)]
pub struct SpriteSamples {
    /// The images, [channels, side, side] one after another.
    pub values: Vec<f32>,
    /// [images, channels, side, side].
    pub shape: [usize; 4],
    /// The moments asked for, in order.
    pub frames: Vec<Frame>,
    /// Steps that the sampler took.
    pub steps: usize,
}
