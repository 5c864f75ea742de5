//! Objects in images by an SSD.

mod body;
mod engine;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::OnceLock};

use pyrograph_backend::{
    BackendTask, Device,
    vision::{VisionAutodiff, VisionBackend},
};
use pyrograph_models::ssd::{Detector, DetectorCard, DetectorInput, SsdConfig};
use pyrograph_pipelines::detection::DetectionPipeline;
use pyrograph_vision::DetectOptions;

use self::engine::DetectEngine;
use super::{TaskKind, body::not_loaded, locate::model_path};
use crate::{BatchKey, Demand, Limits, Refusal, Task, TaskBody, TaskError, Worker};

/// Objects in images by a trained SSD.
pub struct ObjectDetection {
    path: PathBuf,
    /// Known from when the first worker has loaded the model.
    rules: OnceLock<Rules>,
}

/// What a detector takes.
#[derive(Clone, Debug)]
struct Rules {
    config: SsdConfig,
    card: DetectorCard,
}

impl Rules {
    fn of<B: VisionBackend>(detector: &Detector<B>) -> Self {
        Self {
            config: detector.config().clone(),
            card: detector.card().clone(),
        }
    }
}

/// A request that has been read and checked.
#[derive(Clone, Debug)]
pub struct DetectInput {
    /// The image as the network takes it: a large one does not wait as such.
    input: DetectorInput,
    options: DetectOptions,
}

impl ObjectDetection {
    /// The detector at `path`: a model file, a run folder, or a folder that holds one of them.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            rules: OnceLock::new(),
        }
    }
}

impl Task for ObjectDetection {
    type Input = DetectInput;

    fn name(&self) -> &'static str {
        TaskKind::Detect.name()
    }

    fn parse(&self, body: TaskBody, limits: &Limits) -> Result<DetectInput, Refusal> {
        let rules = self.rules.get().ok_or_else(not_loaded)?;
        body::parse(body, rules, limits)
    }

    fn demand(&self, _: &DetectInput) -> Demand {
        Demand {
            // Images of all sizes are one size to the network, and every image has its own options.
            key: BatchKey(TaskKind::Detect.name().into()),
            rows: 1,
            steps: 1,
            work: 1.0,
        }
    }

    fn work(&self, worker: Worker<'_, DetectInput>) -> Result<(), TaskError> {
        let spec = worker.device();
        let load = Load { task: self, worker };
        spec.run(load).map_err(TaskError::failed)?
    }

    fn stages(&self) -> [&'static str; 3] {
        ["begin", "detect", "report"]
    }

    fn schema(&self) -> serde_json::Value {
        body::schema()
    }
}

/// A worker on its way to a loaded model.
struct Load<'a> {
    task: &'a ObjectDetection,
    worker: Worker<'a, DetectInput>,
}

impl BackendTask for Load<'_> {
    type Output = Result<(), TaskError>;

    fn run<B: VisionAutodiff>(self, device: Device<B>) -> Self::Output {
        let path = model_path(TaskKind::Detect, &self.task.path).map_err(TaskError::failed)?;
        let pipeline =
            DetectionPipeline::<B::InnerBackend>::open(path, &device).map_err(TaskError::failed)?;
        let rules = self
            .task
            .rules
            .get_or_init(|| Rules::of(pipeline.detector()));
        self.worker
            .serve(DetectEngine::new(pipeline, rules.clone()))
    }
}
