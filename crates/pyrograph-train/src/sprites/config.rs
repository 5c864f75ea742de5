//! What a run is asked to do.

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

/// How a ContextUnet is trained on sprites.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpriteTraining {
    /// The network.
    pub model: ContextUnetConfig,
    /// The noise schedule.
    pub schedule: NoiseScheduleConfig,
    /// What the network predicts.
    pub prediction_type: PredictionType,
    /// How noise is mixed in.
    pub forward_noise: ForwardNoise,
    /// Names of the context's entries.
    pub context_names: Vec<String>,
    /// Images a step.
    pub batch_size: usize,
    /// Adam's rate at the start; it falls linearly to 0.
    pub learning_rate: f64,
    /// Passes over the data.
    pub epochs: Option<u64>,
    /// Steps in all.
    pub steps: Option<u64>,
    /// Minutes in all. A run that ends by time is not repeatable to the bit: its learning rate follows the clock.
    pub max_minutes: Option<f64>,
    /// The share of items whose context is dropped.
    pub context_drop: f64,
    /// Decay of the weights' moving average; none turns it off.
    pub ema: Option<f64>,
    /// The norm to which gradients are clipped; none turns it off.
    pub clip_norm: Option<f64>,
    /// How timesteps are weighted in the loss.
    pub loss_weighting: LossWeighting,
    /// Mirror half of the images. Off by default: side-facing sprites would lose their meaning.
    pub horizontal_flip: bool,
    /// Epochs between pictures.
    pub sample_every: u64,
    /// Epochs between checkpoints.
    pub checkpoint_every: u64,
    /// Seed of everything random.
    pub seed: u64,
}

impl SpriteTraining {
    /// The course's recipe (batch 100, Adam 1e-3 falling to 0, 32 epochs, context dropped for a tenth) with an EMA of 0.995
    /// and gradients clipped to 1, for images and contexts like those of `set`.
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

    /// What a sampler must know of the model that this training yields.
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

    /// When the run ends.
    pub fn limits(&self, items: usize) -> Limits {
        Limits::new(
            self.epochs,
            self.steps,
            self.max_minutes,
            self.steps_per_epoch(items),
            DEFAULT_EPOCHS,
        )
    }

    /// Checks every number, and that the images fit the network.
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
