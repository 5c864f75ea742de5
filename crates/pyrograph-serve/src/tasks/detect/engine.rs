//! A loaded detector that looks at images of several requests together.

use pyrograph_backend::vision::VisionBackend;
use pyrograph_pipelines::detection::{DetectionPipeline, FoundImage};
use pyrograph_vision::{Rgb, RgbImage};

use super::{DetectInput, Rules, body::default_options};
use crate::{
    Batching, Engine, Progress, TaskError, TaskOutput, Watch,
    tasks::faults::{exact, of_model},
};

/// Side of the image of warm-up; the network's input has a size of its own.
const PROBE_SIDE: u32 = 300;

/// A loaded detector.
pub(super) struct DetectEngine<B: VisionBackend> {
    pipeline: DetectionPipeline<B>,
    rules: Rules,
}

/// An image on its way.
pub(super) struct DetectState {
    input: DetectInput,
    found: Option<FoundImage>,
}

impl<B: VisionBackend> DetectEngine<B> {
    pub(super) fn new(pipeline: DetectionPipeline<B>, rules: Rules) -> Self {
        Self { pipeline, rules }
    }
}

impl<B: VisionBackend> Engine for DetectEngine<B> {
    type Input = DetectInput;
    type State = DetectState;

    fn begin(&mut self, input: DetectInput) -> Result<DetectState, TaskError> {
        Ok(DetectState { input, found: None })
    }

    fn step(&mut self, states: &mut [&mut DetectState], _: &Watch<'_>) -> Result<(), TaskError> {
        let pictures: Vec<_> = states
            .iter()
            .map(|state| (&state.input.input, &state.input.options))
            .collect();
        let found = self.pipeline.detect_each(&pictures).map_err(of_model)?;
        for (state, found) in states.iter_mut().zip(found) {
            state.found = Some(found);
        }
        Ok(())
    }

    fn progress(&self, state: &DetectState) -> Progress {
        Progress {
            taken: usize::from(state.found.is_some()),
            steps: 1,
        }
    }

    fn finish(&mut self, state: DetectState) -> Result<TaskOutput, TaskError> {
        let found = state.found;
        let found = found.ok_or_else(|| TaskError::failed("the image has not been looked at"))?;
        Ok(TaskOutput::Json(exact(&found)?))
    }

    fn batching(&self) -> Batching {
        Batching::Gathered
    }

    fn probe(&self, index: usize, seed: u64) -> Option<DetectInput> {
        let grey = Rgb([(seed % 256) as u8; 3]);
        let image = RgbImage::from_pixel(PROBE_SIDE, PROBE_SIDE, grey);
        // An image with pixels is never refused.
        (index == 0)
            .then(|| self.rules.input(&image, default_options()).ok())
            .flatten()
    }
}
