//! Images on their way from noise, of one or of several requests in a pass.

use std::{ops::Range, sync::Arc};

use burn::tensor::Tensor;
use pyrograph_backend::{
    rng::{NoiseSource, Purpose, host_tensor},
    vision::VisionBackend,
};
use pyrograph_diffusion::{SamplerPlan, Walk, classifier_free_guidance};

use super::{SpritePipeline, SpriteRequest, SpriteSamples, pipeline::values_of};
use crate::PipelineError;

/// Images of one request on their way from noise: the sampler's state, contexts, guidance, noise.
///
/// [`SpritePipeline::advance`] takes any number of walks a step further in one pass of the network; they may belong to different
/// requests, stand at different steps and have different samplers.
#[derive(Debug)]
pub struct SpriteWalk<B: VisionBackend> {
    walk: Walk<B, 4>,
    /// [images, width].
    contexts: Tensor<B, 2>,
    guidance: f64,
    /// The noise of steps that add some.
    noise: NoiseSource,
    /// The place of the first image in its request.
    first: u64,
    /// The finished images as the last step predicts them.
    expected: Option<Tensor<B, 4>>,
}

impl<B: VisionBackend> SpriteWalk<B> {
    /// The steps that this walk takes: passes of the network.
    pub fn steps(&self) -> usize {
        self.walk.plan().len()
    }

    /// The steps taken.
    pub fn taken(&self) -> usize {
        self.walk.position()
    }

    /// Whether the images are finished.
    pub fn is_done(&self) -> bool {
        self.walk.is_done()
    }

    /// The rows that the next pass of the network has for this walk: one an image, two with guidance.
    pub fn rows(&self) -> usize {
        self.images() * (1 + usize::from(self.is_guided()))
    }

    /// The images as they are now: [images, channels, side, side].
    pub fn sample(&self) -> Tensor<B, 4> {
        self.walk.sample()
    }

    /// The finished images as the last step predicts them, for a preview: [images, channels, side, side].
    pub fn expected(&self) -> Tensor<B, 4> {
        self.expected.clone().unwrap_or_else(|| self.sample())
    }

    fn images(&self) -> usize {
        self.contexts.dims()[0]
    }

    fn is_guided(&self) -> bool {
        self.guidance != 1.0
    }

    /// The next input of the network; nothing at the end.
    pub(super) fn input(&self) -> Option<Tensor<B, 4>> {
        Some(self.walk.input()?.0)
    }

    /// The time of the next step as the network takes it.
    fn time(&self) -> f32 {
        self.walk.plan().time_fraction(self.walk.position()) as f32
    }

    /// Takes a step by the network's output for this walk's rows.
    fn absorb(
        &mut self,
        unconditional: Option<Tensor<B, 4>>,
        conditional: Tensor<B, 4>,
    ) -> Result<(), PipelineError> {
        let output = match unconditional {
            Some(unconditional) => {
                classifier_free_guidance(unconditional, conditional, self.guidance)?
            }
            None => conditional,
        };
        let shape = output.dims();
        let noise = self.walk.needs_noise().then(|| {
            let step = self.walk.position() as u64;
            self.noise.normal(
                Purpose::StepNoise,
                step,
                self.first,
                shape,
                &output.device(),
            )
        });
        self.expected = Some(self.walk.predict_x0(output.clone())?);
        Ok(self.walk.absorb(output, noise)?)
    }
}

impl<B: VisionBackend> SpritePipeline<B> {
    /// The images of `request` at their beginning, all in one walk; its frames and its batch size have no effect.
    ///
    /// # Errors
    /// When a number or a context of the request is not allowed.
    pub fn begin(&self, request: &SpriteRequest) -> Result<SpriteWalk<B>, PipelineError> {
        let plan = self.checked_plan(request)?;
        let mut noise = NoiseSource::new(request.rng, request.seed);
        let start = self.start(request, &mut noise)?;
        Ok(self.walk(&plan, request, start, 0..request.contexts.len(), noise))
    }

    /// The images at `items` of a request, from `start`.
    pub(super) fn walk(
        &self,
        plan: &Arc<SamplerPlan>,
        request: &SpriteRequest,
        start: Tensor<B, 4>,
        items: Range<usize>,
        noise: NoiseSource,
    ) -> SpriteWalk<B> {
        let shape = [items.len(), self.config().n_cfeat];
        let contexts = request.contexts[items.clone()].concat();
        SpriteWalk {
            walk: Walk::from_noise(Arc::clone(plan), start),
            contexts: host_tensor(contexts, shape, self.device()),
            guidance: request.guidance,
            noise,
            first: items.start as u64,
            expected: None,
        }
    }

    /// Takes every walk one step further, in one pass of the network. Nothing is read from the device.
    ///
    /// # Errors
    /// When a walk is done.
    pub fn advance(&self, walks: &mut [&mut SpriteWalk<B>]) -> Result<(), PipelineError> {
        if walks.is_empty() {
            return Ok(());
        }
        // The rows: those without context of all guided walks, then those with context of all walks.
        let guided = walks.iter().filter(|walk| walk.is_guided());
        let rows: Vec<_> = guided
            .map(|walk| (walk, walk.contexts.zeros_like()))
            .chain(walks.iter().map(|walk| (walk, walk.contexts.clone())))
            .collect();
        let inputs: Option<Vec<_>> = rows.iter().map(|(walk, _)| walk.input()).collect();
        let inputs = inputs.ok_or_else(|| PipelineError::Number {
            field: "a walk",
            seen: "done".into(),
            allowed: "a walk with steps left".into(),
        })?;
        let times = rows
            .iter()
            .flat_map(|(walk, _)| std::iter::repeat_n(walk.time(), walk.images()));
        let times = self.times(times.collect());
        let contexts = rows.into_iter().map(|(_, contexts)| contexts).collect();
        let output = self.model().forward(
            Tensor::cat(inputs, 0),
            times,
            Some(Tensor::cat(contexts, 0)),
        );

        let mut place = 0;
        let mut next = |walk: &SpriteWalk<B>| {
            let rows = output.clone().narrow(0, place, walk.images());
            place += walk.images();
            rows
        };
        let unconditional: Vec<_> = walks
            .iter()
            .map(|walk| walk.is_guided().then(|| next(walk)))
            .collect();
        for (walk, unconditional) in walks.iter_mut().zip(unconditional) {
            let conditional = next(walk);
            walk.absorb(unconditional, conditional)?;
        }
        Ok(())
    }

    /// The times of a pass; one for all rows where they are equal.
    fn times(&self, mut times: Vec<f32>) -> Tensor<B, 1> {
        if times.windows(2).all(|pair| pair[0] == pair[1]) {
            times.truncate(1);
        }
        let shape = [times.len()];
        host_tensor(times, shape, self.device())
    }

    /// The finished images of a walk.
    ///
    /// # Errors
    /// When a value is not finite, or the device cannot be read.
    pub fn finish(&self, walk: SpriteWalk<B>) -> Result<SpriteSamples, PipelineError> {
        Ok(SpriteSamples {
            shape: self.shape(walk.images()),
            frames: Vec::new(),
            steps: walk.steps(),
            values: values_of(walk.walk.into_sample(), 0)?,
        })
    }
}
