//! The sampling loop.

use std::{ops::ControlFlow, path::Path, sync::Arc};

use burn::tensor::{Tensor, backend::Backend};
use pyrograph_backend::{
    rng::{NoiseSource, Purpose, host_tensor},
    vision::{PreparedWeights, VisionBackend},
};
use pyrograph_diffusion::{DiffusionCard, SamplerConfig, SamplerPlan, slerp};
use pyrograph_models::{
    ModelError,
    context_unet::{ContextUnet, ContextUnetConfig},
    weights::{LoadOptions, StateDict, build_model, build_model_by, read_config},
};

use super::{
    Frame, SpriteRequest, SpriteRules, SpriteSamples, StartNoise,
    moments::{course_timestep, frame_steps, signal_after},
};
use crate::PipelineError;

/// A trained ContextUnet and what is known of its training.
#[derive(Debug)]
pub struct SpritePipeline<B: Backend> {
    model: ContextUnet<B>,
    _prepared: PreparedWeights,
    rules: SpriteRules,
    device: B::Device,
}

impl<B: VisionBackend> SpritePipeline<B> {
    /// A pipeline over a model in memory.
    ///
    /// # Errors
    /// When the card's schedule is not legal.
    pub fn new(
        model: ContextUnet<B>,
        config: ContextUnetConfig,
        card: DiffusionCard,
        device: &B::Device,
    ) -> Result<Self, PipelineError> {
        Ok(Self {
            _prepared: PreparedWeights::of(&model),
            model,
            rules: SpriteRules::new(config, card)?,
            device: device.clone(),
        })
    }

    /// A model file that pyrograph wrote: it carries its config and its card.
    ///
    /// # Errors
    /// When the file does not read, or carries no config.
    pub fn open(path: impl AsRef<Path>, device: &B::Device) -> Result<Self, PipelineError> {
        Self::open_by(path, &LoadOptions::default(), device)
    }

    /// The same with the types of the parameters given, as by [`LoadOptions::of_weights`].
    ///
    /// # Errors
    /// As [`open`](Self::open); when the backend lacks the type.
    pub fn open_by(
        path: impl AsRef<Path>,
        options: &LoadOptions,
        device: &B::Device,
    ) -> Result<Self, PipelineError> {
        let dict = StateDict::open(path)?;
        let config = read_config::<B, ContextUnet<B>>(&dict)?;
        let no_card = |reason: String| ModelError::NoConfig {
            path: dict.path().into(),
            reason,
        };
        let text = dict
            .metadata()
            .get(DiffusionCard::KEY)
            .ok_or_else(|| no_card("the file does not say how its model was trained".into()))?;
        let card = serde_json::from_str(text).map_err(|error| {
            no_card(format!(
                "what it says of its training does not read: {error}"
            ))
        })?;
        let model = build_model_by(&config, &dict, options, device)?;
        Self::new(model, config, card, device)
    }

    /// Weights alone (a PyTorch checkpoint, say), with the model's numbers and training given.
    ///
    /// # Errors
    /// When the file does not read, or its tensors do not fit the config.
    pub fn from_weights(
        path: impl AsRef<Path>,
        config: ContextUnetConfig,
        card: DiffusionCard,
        device: &B::Device,
    ) -> Result<Self, PipelineError> {
        let model = build_model(&config, &StateDict::open(path)?, device)?;
        Self::new(model, config, card, device)
    }

    /// What requests are checked against before anything is computed.
    pub fn rules(&self) -> &SpriteRules {
        &self.rules
    }

    /// The model's numbers.
    pub fn config(&self) -> &ContextUnetConfig {
        self.rules.config()
    }

    /// Names of the context's entries; numbers where the model does not know them.
    pub fn context_names(&self) -> Vec<String> {
        self.rules.context_names()
    }

    /// The number of timesteps that the model was trained with: the most steps a sampler may take.
    pub fn timesteps(&self) -> usize {
        self.rules.timesteps()
    }

    /// The steps that `sampler` walks on this model's schedule; see [`SpriteRules::steps_walked`].
    ///
    /// # Errors
    /// When the sampler's numbers do not go with the schedule.
    pub fn steps_walked(&self, sampler: &SamplerConfig) -> Result<usize, PipelineError> {
        self.rules.steps_walked(sampler)
    }

    /// Draws the images of `request`. `progress` is called after each step with the steps done and in all, over all batches.
    ///
    /// # Errors
    /// When a number or a context of the request is not allowed, or the result is not finite.
    pub fn sample(
        &self,
        request: &SpriteRequest,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<SpriteSamples, PipelineError> {
        self.sample_while(request, &mut |done, total| {
            progress(done, total);
            ControlFlow::Continue(())
        })
    }

    /// As [`sample`](Self::sample), but `progress` may break off after any step.
    ///
    /// # Errors
    /// As [`sample`](Self::sample), and [`PipelineError::Stopped`].
    pub fn sample_while(
        &self,
        request: &SpriteRequest,
        progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<SpriteSamples, PipelineError> {
        let plan = self.checked_plan(request)?;
        let count = request.contexts.len();
        let batch_size = request.images_a_pass();
        let mut noise = NoiseSource::new(request.rng, request.seed);
        let start = self.start(request, &mut noise)?;
        let total = plan.len() * count.div_ceil(batch_size);
        let kept = match request.moments {
            Some(moments) => moments.steps(&plan),
            None => frame_steps(plan.len(), request.frames),
        };
        let mut done = 0;
        let mut samples = SpriteSamples {
            values: Vec::new(),
            shape: self.shape(count),
            frames: Vec::new(),
            steps: plan.len(),
        };
        for first in (0..count).step_by(batch_size) {
            let items = first..(first + batch_size).min(count);
            let start = start.clone().slice([items.clone()]);
            // Counter-based noise has no state; PyTorch's is that of the one batch.
            let mut walk = self.walk(&plan, request, start, items, noise.clone());
            let mut moments = Vec::new();
            while let Some(input) = walk.input() {
                if kept.contains(&walk.taken()) {
                    moments.push((walk.taken(), input));
                }
                self.advance(&mut [&mut walk])?;
                done += 1;
                if progress(done, total).is_break() {
                    return Err(PipelineError::Stopped);
                }
            }
            moments.push((plan.len(), walk.sample()));
            for (place, (step, tensor)) in moments.into_iter().enumerate() {
                let values = values_of(tensor, first * self.shape(1).iter().product::<usize>())?;
                match samples.frames.get_mut(place) {
                    Some(frame) => frame.values.extend(values),
                    None => samples.frames.push(Frame {
                        step,
                        timestep: step.checked_sub(1).map(|call| course_timestep(&plan, call)),
                        signal: signal_after(&plan, step),
                        values,
                    }),
                }
            }
        }
        // The last moment is the result.
        if let Some(last) = samples.frames.last() {
            samples.values = last.values.clone();
        }
        if request.frames == 0 && request.moments.is_none() {
            samples.frames.clear();
        }
        Ok(samples)
    }

    /// Checks `request`, and plans its steps.
    ///
    /// # Errors
    /// When a number or a context of the request is not allowed.
    pub(super) fn checked_plan(
        &self,
        request: &SpriteRequest,
    ) -> Result<Arc<SamplerPlan>, PipelineError> {
        self.rules().checked_plan(request)
    }

    pub(super) fn model(&self) -> &ContextUnet<B> {
        &self.model
    }

    pub(super) fn device(&self) -> &B::Device {
        &self.device
    }

    pub(super) fn start(
        &self,
        request: &SpriteRequest,
        noise: &mut NoiseSource,
    ) -> Result<Tensor<B, 4>, PipelineError> {
        let count = request.contexts.len();
        let draw = |noise: &mut NoiseSource, count| {
            noise.normal(Purpose::InitialNoise, 0, 0, self.shape(count), &self.device)
        };
        match &request.start {
            StartNoise::Seeded => Ok(draw(noise, count)),
            StartNoise::Given(values) => {
                Ok(host_tensor(values.clone(), self.shape(count), &self.device))
            }
            StartNoise::Towards { seed } => {
                let from = draw(noise, 1);
                let to = draw(&mut NoiseSource::new(request.rng, *seed), 1);
                let last = count.saturating_sub(1).max(1) as f64;
                let points: Result<Vec<_>, _> = (0..count)
                    .map(|i| slerp(from.clone(), to.clone(), i as f64 / last))
                    .collect();
                Ok(Tensor::cat(points?, 0))
            }
        }
    }

    pub(super) fn shape(&self, count: usize) -> [usize; 4] {
        self.rules.shape(count)
    }
}

/// The values on the host; `place` is that of the first in the whole result.
pub(super) fn values_of<B: Backend>(
    tensor: Tensor<B, 4>,
    place: usize,
) -> Result<Vec<f32>, PipelineError> {
    let data = tensor
        .try_into_data()
        .map_err(|error| PipelineError::Device(format!("{error:?}")))?;
    let values: Vec<f32> = data.iter::<f32>().collect();
    match values.iter().position(|v| !v.is_finite()) {
        Some(index) => Err(PipelineError::NonFinite {
            index: place + index,
            value: values[index],
        }),
        None => Ok(values),
    }
}
