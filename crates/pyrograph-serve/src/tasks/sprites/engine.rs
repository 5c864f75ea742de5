//! A loaded model that draws sprites of several requests together.

use burn::tensor::Tensor;
use pyrograph_backend::vision::VisionBackend;
use pyrograph_diffusion::SchedulerName;
use pyrograph_pipelines::{
    PipelineError,
    sprites::{SpritePipeline, SpriteRequest, SpriteWalk, class_rows},
};
use pyrograph_vision::{RgbImage, VisionError, batch_from_chw, enlarge};

use super::SpriteInput;
use crate::{
    Batching, Engine, OutputImage, Progress, TaskError, TaskOutput, Watch,
    tasks::{
        faults::{of_model, of_request},
        passes::in_passes,
    },
};

/// Steps of warm-up: the first fills caches, the second is measured.
const PROBE_STEPS: usize = 2;
/// Guidance of warm-up: on, so that a request has two rows.
const PROBE_GUIDANCE: f64 = 2.0;

/// A loaded model.
pub(super) struct SpriteEngine<B: VisionBackend> {
    pipeline: SpritePipeline<B>,
    device: B::Device,
}

/// Sprites on their way.
pub(super) struct SpriteState<B: VisionBackend> {
    walks: Vec<SpriteWalk<B>>,
    seeds: Vec<u64>,
    scale: u32,
}

impl<B: VisionBackend> SpriteEngine<B> {
    pub(super) fn new(pipeline: SpritePipeline<B>, device: B::Device) -> Self {
        Self { pipeline, device }
    }

    /// The pictures of values [images, channels, side, side], enlarged.
    fn pictures(
        &self,
        values: &[f32],
        [_, channels, height, width]: [usize; 4],
        scale: u32,
    ) -> Result<Vec<RgbImage>, VisionError> {
        batch_from_chw(values, channels, height, width)?
            .iter()
            .map(|image| enlarge(image, scale))
            .collect()
    }

    fn previews(&self, state: &SpriteState<B>) -> Result<Vec<RgbImage>, PipelineError> {
        if state.walks.is_empty() {
            return Ok(Vec::new());
        }
        let expected = state.walks.iter().map(SpriteWalk::expected).collect();
        let expected: Tensor<B, 4> = Tensor::cat(expected, 0);
        let shape = expected.dims();
        let data = expected
            .try_into_data()
            .map_err(|error| PipelineError::Device(format!("{error:?}")))?;
        let values: Vec<f32> = data.iter::<f32>().collect();
        Ok(self.pictures(&values, shape, state.scale)?)
    }
}

impl<B: VisionBackend> Engine for SpriteEngine<B> {
    type Input = SpriteInput;
    type State = SpriteState<B>;

    fn begin(&mut self, input: SpriteInput) -> Result<SpriteState<B>, TaskError> {
        let begin = |request| self.pipeline.begin(request).map_err(of_request);
        Ok(SpriteState {
            walks: input.requests.iter().map(begin).collect::<Result<_, _>>()?,
            seeds: input.requests.iter().map(|request| request.seed).collect(),
            scale: input.scale,
        })
    }

    fn step(
        &mut self,
        states: &mut [&mut SpriteState<B>],
        watch: &Watch<'_>,
    ) -> Result<(), TaskError> {
        let mut walks: Vec<_> = states
            .iter_mut()
            .flat_map(|state| &mut state.walks)
            .collect();
        in_passes(&mut walks, watch.rows(), SpriteWalk::rows, |walks| {
            self.pipeline.advance(walks).map_err(of_model)
        })?;
        // The time of a step is that of its work.
        B::sync(&self.device).map_err(|error| of_model(PipelineError::Device(format!("{error:?}"))))
    }

    fn progress(&self, state: &SpriteState<B>) -> Progress {
        let walk = state.walks.first();
        Progress {
            taken: walk.map_or(0, SpriteWalk::taken),
            steps: walk.map_or(0, SpriteWalk::steps),
        }
    }

    fn preview(&mut self, state: &SpriteState<B>) -> Result<Vec<RgbImage>, TaskError> {
        // Sprites that break are refused at their end; their previews alone are no reason.
        Ok(self.previews(state).unwrap_or_else(|error| {
            tracing::warn!(%error, "no preview");
            Vec::new()
        }))
    }

    fn finish(&mut self, state: SpriteState<B>) -> Result<TaskOutput, TaskError> {
        let mut images = Vec::with_capacity(state.walks.len());
        let mut notes = Vec::new();
        for (walk, seed) in state.walks.into_iter().zip(state.seeds) {
            let samples = self.pipeline.finish(walk).map_err(of_model)?;
            notes.extend(
                samples
                    .beyond_range()
                    .map(|beyond| format!("seed {seed}: {beyond}")),
            );
            let pictures = self
                .pictures(&samples.values, samples.shape, state.scale)
                .map_err(TaskError::failed)?;
            images.extend(
                pictures
                    .into_iter()
                    .map(|image| OutputImage { image, seed }),
            );
        }
        Ok(TaskOutput::Images { images, notes })
    }

    fn batching(&self) -> Batching {
        Batching::BetweenSteps
    }

    fn probe(&self, index: usize, seed: u64) -> Option<SpriteInput> {
        if index > 0 {
            return None;
        }
        let (contexts, _) = class_rows(&self.pipeline.context_names(), 1);
        let context = contexts.into_iter().next()?;
        // A model of one timestep has but one step.
        let rules = self.pipeline.rules();
        let sampler = SchedulerName::Ddim.config(PROBE_STEPS.min(rules.timesteps()));
        let request = SpriteRequest {
            seed,
            guidance: PROBE_GUIDANCE,
            ..SpriteRequest::new(sampler, vec![context])
        };
        let steps = rules.check(&request).ok()?;
        Some(SpriteInput {
            requests: vec![request],
            scale: 1,
            steps,
        })
    }
}
