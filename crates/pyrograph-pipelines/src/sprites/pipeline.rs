//! The sampling loop.

use std::{ops::ControlFlow, path::Path, sync::Arc};

use burn::tensor::{Tensor, backend::Backend};
use pyrograph_backend::{
    rng::{NoiseSource, Purpose, host_tensor},
    vision::VisionBackend,
};
use pyrograph_diffusion::{
    DiffusionCard, NoiseSchedule, SamplerConfig, SamplerPlan, Walk, guide_doubled_batch, slerp,
};
use pyrograph_models::{
    ModelError,
    context_unet::{ContextUnet, ContextUnetConfig},
    weights::{StateDict, build_model, read_config},
};

use super::{Frame, SpriteRequest, SpriteSamples, StartNoise};
use crate::PipelineError;

/// A trained ContextUnet and what is known of its training.
#[derive(Debug)]
pub struct SpritePipeline<B: Backend> {
    model: ContextUnet<B>,
    config: ContextUnetConfig,
    card: DiffusionCard,
    schedule: NoiseSchedule,
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
        let schedule = NoiseSchedule::new(&card.schedule)?;
        Ok(Self {
            model,
            config,
            card,
            schedule,
            device: device.clone(),
        })
    }

    /// A model file that pyrograph wrote: it carries its config and its card.
    ///
    /// # Errors
    /// When the file does not read, or carries no config.
    pub fn open(path: impl AsRef<Path>, device: &B::Device) -> Result<Self, PipelineError> {
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
        let model = build_model(&config, &dict, device)?;
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

    /// The steps that `sampler` walks on this model's schedule, which may be more than it asks for: the course's grid takes
    /// every `T // n`-th timestep.
    ///
    /// # Errors
    /// When the sampler's numbers do not go with the schedule.
    pub fn steps_walked(&self, sampler: &SamplerConfig) -> Result<usize, PipelineError> {
        Ok(self.plan(sampler)?.len())
    }

    fn plan(&self, sampler: &SamplerConfig) -> Result<SamplerPlan, PipelineError> {
        let sampler = SamplerConfig {
            prediction_type: self.card.prediction_type,
            ..*sampler
        };
        Ok(SamplerPlan::new(&self.schedule, &sampler)?)
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
        let [_, channels, side, _] = self.shape(0);
        request.check(
            channels * side * side,
            self.config.n_cfeat,
            self.timesteps(),
        )?;
        let plan = Arc::new(self.plan(&request.sampler)?);
        let count = request.contexts.len();
        let batch_size = request.images_a_pass();
        let mut noise = NoiseSource::new(request.rng, request.seed);
        let start = self.start(request, &mut noise)?;
        let total = plan.len() * count.div_ceil(batch_size);
        let mut done = 0;
        let mut samples = SpriteSamples {
            values: Vec::new(),
            shape: self.shape(count),
            frames: Vec::new(),
            steps: plan.len(),
        };
        for first in (0..count).step_by(batch_size) {
            let items = first..(first + batch_size).min(count);
            let trajectory = self.walk(
                &plan,
                request,
                start.clone().slice([items.clone()]),
                items,
                &mut noise,
                &mut || {
                    done += 1;
                    progress(done, total)
                },
            )?;
            for (place, (step, tensor)) in trajectory.into_iter().enumerate() {
                let values = values_of(tensor, first * self.shape(1).iter().product::<usize>())?;
                match samples.frames.get_mut(place) {
                    Some(frame) => frame.values.extend(values),
                    None => samples.frames.push(Frame { step, values }),
                }
            }
        }
        // The last moment is the result.
        if let Some(last) = samples.frames.last() {
            samples.values = last.values.clone();
        }
        if request.frames == 0 {
            samples.frames.clear();
        }
        Ok(samples)
    }

    /// One batch from its noise to its images: the moments to keep, the end last. Nothing is read from the device.
    fn walk(
        &self,
        plan: &Arc<SamplerPlan>,
        request: &SpriteRequest,
        start: Tensor<B, 4>,
        items: std::ops::Range<usize>,
        noise: &mut NoiseSource,
        stepped: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Vec<(usize, Tensor<B, 4>)>, PipelineError> {
        let width = self.config.n_cfeat;
        let contexts: Vec<f32> = request.contexts[items.clone()].concat();
        let contexts: Tensor<B, 2> = host_tensor(contexts, [items.len(), width], &self.device);
        let kept = kept_steps(plan.len(), request.frames);
        let mut moments = Vec::new();
        let mut walk = Walk::from_noise(plan.clone(), start);
        while let Some((x, _)) = walk.input() {
            let i = walk.position();
            if kept.contains(&i) {
                moments.push((i, x.clone()));
            }
            let time = host_tensor(vec![plan.time_fraction(i) as f32], [1], &self.device);
            let predicted = self.predict(x, time, contexts.clone(), request.guidance)?;
            let extra = walk.needs_noise().then(|| {
                let shape = self.shape(items.len());
                noise.normal(
                    Purpose::StepNoise,
                    i as u64,
                    items.start as u64,
                    shape,
                    &self.device,
                )
            });
            walk.absorb(predicted, extra)?;
            if stepped().is_break() {
                return Err(PipelineError::Stopped);
            }
        }
        moments.push((plan.len(), walk.into_sample()));
        Ok(moments)
    }

    /// What the model says of `x`, with guidance as one pass over a doubled batch.
    fn predict(
        &self,
        x: Tensor<B, 4>,
        time: Tensor<B, 1>,
        contexts: Tensor<B, 2>,
        guidance: f64,
    ) -> Result<Tensor<B, 4>, PipelineError> {
        if guidance == 1.0 {
            return Ok(self.model.forward(x, time, Some(contexts)));
        }
        let none = contexts.zeros_like();
        let doubled = Tensor::cat(vec![x.clone(), x], 0);
        let contexts = Tensor::cat(vec![none, contexts], 0);
        let output = self.model.forward(doubled, time, Some(contexts));
        Ok(guide_doubled_batch(output, guidance)?)
    }

    fn start(
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

    fn shape(&self, count: usize) -> [usize; 4] {
        let ContextUnetConfig {
            in_channels,
            height,
            ..
        } = self.config;
        [count, in_channels, height, height]
    }
}

/// The steps before which a moment is kept: `frames` of them, evenly spaced from the start.
fn kept_steps(steps: usize, frames: usize) -> Vec<usize> {
    let frames = frames.min(steps);
    (0..frames).map(|frame| frame * steps / frames).collect()
}

/// The values on the host; `place` is that of the first in the whole result.
fn values_of<B: Backend>(tensor: Tensor<B, 4>, place: usize) -> Result<Vec<f32>, PipelineError> {
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
