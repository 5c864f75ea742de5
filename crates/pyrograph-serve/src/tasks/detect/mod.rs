//! Objects in images by an SSD.

mod body;
mod engine;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use pyrograph_backend::{BackendTask, Device, vision::VisionAutodiff};
use pyrograph_pipelines::detection::DetectionPipeline;
use pyrograph_vision::{DetectOptions, RgbImage};

use self::engine::DetectEngine;
use super::{TaskKind, locate::model_path};
use crate::{BatchKey, Demand, Limits, Refusal, Task, TaskBody, TaskError, Worker};

/// Objects in images by a trained SSD.
pub struct ObjectDetection {
    path: PathBuf,
}

/// A request that has been read and checked.
#[derive(Clone, Debug)]
pub struct DetectInput {
    image: RgbImage,
    options: DetectOptions,
}

impl ObjectDetection {
    /// The detector at `path`: a model file, a run folder, or a folder that holds one of them.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

impl Task for ObjectDetection {
    type Input = DetectInput;

    fn name(&self) -> &'static str {
        TaskKind::Detect.name()
    }

    fn parse(&self, body: TaskBody, limits: &Limits) -> Result<DetectInput, Refusal> {
        body::parse(body, limits)
    }

    fn demand(&self, input: &DetectInput) -> Demand {
        let DetectOptions {
            score_threshold,
            iou_threshold,
            keep,
            ..
        } = input.options;
        Demand {
            key: BatchKey(format!(
                "score {score_threshold}, overlap {iou_threshold}, at most {keep}"
            )),
            rows: 1,
            steps: 1,
            work: 1.0,
        }
    }

    fn work(&self, worker: Worker<'_, DetectInput>) -> Result<(), TaskError> {
        let spec = worker.device().spec;
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
        self.worker.serve(DetectEngine::new(pipeline))
    }
}
