//! What a request is checked against before anything is computed.

use std::sync::Arc;

use pyrograph_diffusion::{DiffusionCard, NoiseSchedule, SamplerConfig, SamplerPlan};
use pyrograph_models::context_unet::ContextUnetConfig;

use super::{Clipping, SpriteRequest};
use crate::PipelineError;

/// What a model allows, without its weights: a server checks requests by it on any thread.
#[derive(Clone, Debug)]
pub struct SpriteRules {
    config: ContextUnetConfig,
    card: DiffusionCard,
    schedule: NoiseSchedule,
}

impl SpriteRules {
    pub(super) fn new(
        config: ContextUnetConfig,
        card: DiffusionCard,
    ) -> Result<Self, PipelineError> {
        let schedule = NoiseSchedule::new(&card.schedule)?;
        Ok(Self {
            config,
            card,
            schedule,
        })
    }

    /// The model's numbers.
    pub fn config(&self) -> &ContextUnetConfig {
        &self.config
    }

    /// Names of the context's entries; numbers where the model does not know them.
    pub fn context_names(&self) -> Vec<String> {
        let width = self.config.n_cfeat;
        if self.card.context_names.len() == width {
            return self.card.context_names.clone();
        }
        (0..width).map(|i| i.to_string()).collect()
    }

    /// The number of timesteps that the model was trained with: the most steps a sampler may take.
    pub fn timesteps(&self) -> usize {
        self.schedule.timesteps()
    }

    /// The steps that `sampler` walks on the model's schedule, which may be more than it asks for: the course's grid takes
    /// every `T // n`-th timestep.
    ///
    /// # Errors
    /// When the sampler's numbers do not go with the schedule.
    pub fn steps_walked(&self, sampler: &SamplerConfig) -> Result<usize, PipelineError> {
        Ok(self.plan(sampler, Clipping::AsConfigured)?.len())
    }

    /// The noise schedule that the model was trained with.
    pub fn schedule(&self) -> &NoiseSchedule {
        &self.schedule
    }

    /// The range to which predicted images are clipped by [`Clipping::AsNeeded`]; none where `sampler`
    /// bounds them by itself, or the schedule needs no clipping.
    pub fn clip_by_default(&self, sampler: &SamplerConfig) -> Option<f64> {
        let is_bounded = sampler.clip_sample.is_some() || sampler.thresholding.is_some();
        let needed = || self.of_model(sampler).clip_needed(&self.schedule);
        if is_bounded { None } else { needed() }
    }

    /// Checks everything of `request`, and gives the steps that it takes.
    ///
    /// # Errors
    /// Names the first value that is not allowed.
    pub fn check(&self, request: &SpriteRequest) -> Result<usize, PipelineError> {
        Ok(self.checked_plan(request)?.len())
    }

    pub(super) fn checked_plan(
        &self,
        request: &SpriteRequest,
    ) -> Result<Arc<SamplerPlan>, PipelineError> {
        let values = self.shape(1).iter().product();
        request.check(values, self.config.n_cfeat, self.timesteps())?;
        Ok(Arc::new(self.plan(&request.sampler, request.clipping)?))
    }

    fn plan(
        &self,
        sampler: &SamplerConfig,
        clipping: Clipping,
    ) -> Result<SamplerPlan, PipelineError> {
        let sampler = match clipping {
            Clipping::AsNeeded => self.of_model(sampler).with_needed_clip(&self.schedule),
            Clipping::AsConfigured => self.of_model(sampler),
        };
        Ok(SamplerPlan::new(&self.schedule, &sampler)?)
    }

    /// `sampler` for what the model predicts.
    fn of_model(&self, sampler: &SamplerConfig) -> SamplerConfig {
        SamplerConfig {
            prediction_type: self.card.prediction_type,
            ..*sampler
        }
    }

    /// [images, channels, side, side].
    pub(super) fn shape(&self, count: usize) -> [usize; 4] {
        let ContextUnetConfig {
            in_channels,
            height,
            ..
        } = self.config;
        [count, in_channels, height, height]
    }
}
