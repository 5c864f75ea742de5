//! Configuration of a run.

use pyrograph_data::SpriteSet;
use pyrograph_diffusion::{
    DiffusionCard, ForwardNoise, LossWeighting, NoiseSchedule, NoiseScheduleConfig, PredictionType,
};
use pyrograph_models::context_unet::ContextUnetConfig;
use serde::{Deserialize, Serialize};

use crate::{
    Limits, TrainError,
    checks::{check_clip_norm, check_ema, check_limits, number, positive, refuse},
};

/// Epochs when no limit is given: the course's.
const DEFAULT_EPOCHS: u64 = 32;
/// A hundred times what anyone trains with; ancestral sampling takes every one as a step.
const MAX_TIMESTEPS: usize = 100_000;

/// Configuration of the training of a ContextUnet on sprites.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpriteTraining {
    /// The network.
    pub model: ContextUnetConfig,
    /// The noise schedule.
    pub schedule: NoiseScheduleConfig,
    /// The quantity that the network predicts.
    pub prediction_type: PredictionType,
    /// The mixing of noise and image.
    pub forward_noise: ForwardNoise,
    /// Names of the entries of a context.
    pub context_names: Vec<String>,
    /// Images in a step.
    pub batch_size: usize,
    /// Adam's rate at the start; it falls linearly to 0.
    pub learning_rate: f64,
    /// Passes over the data.
    pub epochs: Option<u64>,
    /// Total number of steps.
    pub steps: Option<u64>,
    /// Total number of minutes. A run that ends by time cannot be repeated to the bit, since its
    /// learning rate follows the clock.
    pub max_minutes: Option<f64>,
    /// The probability that the context of an item is dropped.
    pub context_drop: f64,
    /// Decay of the weights' moving average; `None` turns it off.
    pub ema: Option<f64>,
    /// The norm to which gradients are clipped; `None` turns clipping off.
    pub clip_norm: Option<f64>,
    /// The weights of timesteps in the loss.
    pub loss_weighting: LossWeighting,
    /// Whether half of the images are flipped horizontally. Off by default, since side-facing
    /// sprites would lose their meaning.
    pub horizontal_flip: bool,
    /// Epochs between pictures.
    pub sample_every: u64,
    /// Epochs between checkpoints.
    pub checkpoint_every: u64,
    /// Seed of all random numbers.
    pub seed: u64,
}

impl SpriteTraining {
    /// The course's recipe (batch 100, Adam 1e-3 falling to 0, 32 epochs, context dropped for a
    /// tenth) with an EMA of 0.995 and gradients clipped to 1, for images and contexts of the shape
    /// of `set`.
    pub fn for_set(set: &SpriteSet) -> Self {
        Self {
            model: ContextUnetConfig {
                in_channels: set.channels(),
                n_cfeat: set.context_width(),
                height: set.side(),
                ..ContextUnetConfig::default()
            },
            schedule: NoiseScheduleConfig::course(),
            prediction_type: PredictionType::Epsilon,
            forward_noise: ForwardNoise::Standard,
            context_names: set.class_names().to_vec(),
            batch_size: 100,
            learning_rate: 1e-3,
            epochs: None,
            steps: None,
            max_minutes: None,
            context_drop: 0.1,
            ema: Some(0.995),
            clip_norm: Some(1.0),
            loss_weighting: LossWeighting::Uniform,
            horizontal_flip: false,
            sample_every: 4,
            checkpoint_every: 1,
            seed: 0,
        }
    }

    /// The information on the trained model that a sampler needs.
    pub fn card(&self) -> DiffusionCard {
        DiffusionCard {
            schedule: self.schedule.clone(),
            prediction_type: self.prediction_type,
            context_names: self.context_names.clone(),
        }
    }

    /// Steps of one pass over `items` images; the last batch may be smaller.
    pub fn steps_per_epoch(&self, items: usize) -> u64 {
        items.div_ceil(self.batch_size.max(1)) as u64
    }

    /// The limits of the run.
    pub fn limits(&self, items: usize) -> Limits {
        Limits::new(
            self.epochs,
            self.steps,
            self.max_minutes,
            self.steps_per_epoch(items),
            DEFAULT_EPOCHS,
        )
    }

    /// Checks every field, and that the images fit the network.
    ///
    /// # Errors
    /// Names the first field that is not allowed.
    pub fn check(&self, set: &SpriteSet) -> Result<(), TrainError> {
        self.model.check()?;
        let shape = [
            self.model.in_channels,
            self.model.height,
            self.model.n_cfeat,
        ];
        let data = [set.channels(), set.side(), set.context_width()];
        if shape != data {
            let allowed = format!("{data:?} as in the data (channels, side, context width)");
            return Err(refuse("model", format!("{shape:?}"), &allowed));
        }
        if set.is_empty() {
            return Err(refuse("data", "empty", "at least one image"));
        }
        self.check_schedule()?;
        if self.batch_size == 0 {
            return Err(refuse("batch_size", 0, "1 or more"));
        }
        if !positive(self.learning_rate) {
            return Err(refuse(
                "learning_rate",
                number(self.learning_rate),
                "above 0",
            ));
        }
        check_limits(self.epochs, self.steps, self.max_minutes)?;
        if !(0.0..=1.0).contains(&self.context_drop) {
            return Err(refuse("context_drop", number(self.context_drop), "0 to 1"));
        }
        check_ema(self.ema)?;
        check_clip_norm(self.clip_norm)
    }

    fn check_schedule(&self) -> Result<(), TrainError> {
        let timesteps = self.schedule.timesteps;
        if !(1..=MAX_TIMESTEPS).contains(&timesteps) {
            let allowed = format!(
                "1 to {MAX_TIMESTEPS}: ddpm samples in as many steps as there are timesteps"
            );
            return Err(refuse("timesteps", timesteps, &allowed));
        }
        let schedule = NoiseSchedule::new(&self.schedule)?;
        // One weight stands for all: it is refused for its γ.
        schedule.loss_weight(
            self.prediction_type,
            schedule.first_timestep(),
            self.loss_weighting,
        )?;
        Ok(())
    }
}
