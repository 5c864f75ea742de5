//! Sprites from a ContextUnet.

mod body;
mod engine;
mod sampler;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::OnceLock};

use pyrograph_backend::{BackendTask, Device, vision::VisionAutodiff};
use pyrograph_pipelines::sprites::{SpritePipeline, SpriteRequest, SpriteRules};

use self::engine::SpriteEngine;
use super::{TaskKind, body::not_json, body::not_loaded, locate::model_path};
use crate::{BatchKey, Demand, Limits, Refusal, Task, TaskBody, TaskError, Worker};

/// Sprites from a trained ContextUnet.
pub struct Sprites {
    path: PathBuf,
    /// Steps of a request that names none.
    steps: usize,
    limits: Limits,
    /// Known from when the first worker has loaded the model.
    rules: OnceLock<SpriteRules>,
}

/// A request that has been read and checked.
#[derive(Clone, Debug)]
pub struct SpriteInput {
    /// One for each image, whose seed is its own.
    pub(super) requests: Vec<SpriteRequest>,
    /// Pixels of the result in each direction for one of the sprite.
    pub(super) scale: u32,
    /// Passes of the network.
    pub(super) steps: usize,
}

impl Sprites {
    /// The model at `path`: a model file, a run folder, or a folder that holds one of them. `steps` are those of a request that
    /// names none, `limits` bound the schema.
    pub fn new(path: impl Into<PathBuf>, steps: usize, limits: Limits) -> Self {
        Self {
            path: path.into(),
            steps,
            limits,
            rules: OnceLock::new(),
        }
    }
}

impl Task for Sprites {
    type Input = SpriteInput;

    fn name(&self) -> &'static str {
        TaskKind::Sprites.name()
    }

    fn parse(&self, body: TaskBody, limits: &Limits) -> Result<SpriteInput, Refusal> {
        let rules = self.rules.get().ok_or_else(not_loaded)?;
        match body {
            TaskBody::Json(value) => body::parse(value, rules, self.steps, limits),
            TaskBody::Image(_) => Err(not_json()),
        }
    }

    fn demand(&self, input: &SpriteInput) -> Demand {
        let rows = input
            .requests
            .iter()
            .map(|request| request.contexts.len() * (1 + usize::from(request.guidance != 1.0)));
        Demand {
            // All sprites of a model are of one size.
            key: BatchKey(TaskKind::Sprites.name().into()),
            rows: rows.sum(),
            steps: input.steps,
            work: 1.0,
        }
    }

    fn images(&self, input: &SpriteInput) -> Option<usize> {
        let counts = input.requests.iter().map(|request| request.contexts.len());
        Some(counts.sum())
    }

    fn work(&self, worker: Worker<'_, SpriteInput>) -> Result<(), TaskError> {
        let spec = worker.device();
        let load = Load { task: self, worker };
        spec.run(load).map_err(TaskError::failed)?
    }

    fn stages(&self) -> [&'static str; 3] {
        ["begin", "unet", "decode"]
    }

    fn schema(&self) -> serde_json::Value {
        body::schema(self.steps, &self.limits, self.rules.get())
    }
}

/// A worker on its way to a loaded model.
struct Load<'a> {
    task: &'a Sprites,
    worker: Worker<'a, SpriteInput>,
}

impl BackendTask for Load<'_> {
    type Output = Result<(), TaskError>;

    fn run<B: VisionAutodiff>(self, device: Device<B>) -> Self::Output {
        let path = model_path(TaskKind::Sprites, &self.task.path).map_err(TaskError::failed)?;
        let pipeline =
            SpritePipeline::<B::InnerBackend>::open(path, &device).map_err(TaskError::failed)?;
        self.task.rules.get_or_init(|| pipeline.rules().clone());
        self.worker.serve(SpriteEngine::new(pipeline, device))
    }
}
