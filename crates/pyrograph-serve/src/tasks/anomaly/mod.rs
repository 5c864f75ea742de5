//! Anomaly scores of images by an AnoGAN.

mod body;
mod engine;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::OnceLock};

use pyrograph_backend::{BackendTask, Device, vision::VisionAutodiff};
use pyrograph_models::dcgan::DcganConfig;
use pyrograph_pipelines::anomaly::{AnomalyCard, AnomalyScorer, Method, SearchConfig};

use self::engine::AnomalyEngine;
use super::{TaskKind, body::not_loaded, locate::model_path};
use crate::{BatchKey, Demand, Limits, Refusal, Task, TaskBody, TaskError, Worker};

/// Anomaly scores by a fitted AnoGAN.
pub struct AnomalyScores {
    path: PathBuf,
    limits: Limits,
    /// Known from when the first worker has loaded the model.
    rules: OnceLock<Rules>,
}

/// What a scorer takes.
#[derive(Clone, Debug)]
struct Rules {
    config: DcganConfig,
    card: AnomalyCard,
}

/// A request that has been read and checked.
#[derive(Clone, Debug)]
pub struct AnomalyInput {
    /// The image as the networks take it.
    values: Vec<f32>,
    method: Method,
    /// How to search; without effect for the encoder.
    search: SearchConfig,
    /// Whether a picture of what differs is asked for.
    heatmap: bool,
}

impl AnomalyInput {
    /// Passes that the method takes.
    fn steps(&self) -> usize {
        match self.method {
            Method::Encoder => 1,
            Method::Search | Method::Warm => self.search.steps,
        }
    }
}

impl AnomalyScores {
    /// The fitted model at `path`: a model file, a run folder, or a folder that holds one of them. `limits` bound the schema.
    pub fn new(path: impl Into<PathBuf>, limits: Limits) -> Self {
        Self {
            path: path.into(),
            limits,
            rules: OnceLock::new(),
        }
    }
}

impl Task for AnomalyScores {
    type Input = AnomalyInput;

    fn name(&self) -> &'static str {
        TaskKind::Anomaly.name()
    }

    fn parse(&self, body: TaskBody, limits: &Limits) -> Result<AnomalyInput, Refusal> {
        let rules = self.rules.get().ok_or_else(not_loaded)?;
        body::parse(body, rules, limits)
    }

    fn demand(&self, input: &AnomalyInput) -> Demand {
        let restarts = input.search.restarts;
        let (method, steps) = (input.method, input.steps());
        let (key, rows) = match method {
            Method::Encoder => (method.to_string(), 1),
            // Every image has its own seed.
            Method::Search | Method::Warm => (format!("{method}, {steps} steps"), restarts),
        };
        Demand {
            key: BatchKey(key),
            rows,
            steps,
            work: 1.0,
        }
    }

    fn work(&self, worker: Worker<'_, AnomalyInput>) -> Result<(), TaskError> {
        let spec = worker.device();
        let load = Load { task: self, worker };
        spec.run(load).map_err(TaskError::failed)?
    }

    fn stages(&self) -> [&'static str; 3] {
        ["begin", "score", "report"]
    }

    fn schema(&self) -> serde_json::Value {
        body::schema(&self.limits, self.rules.get())
    }
}

/// A worker on its way to a loaded model.
struct Load<'a> {
    task: &'a AnomalyScores,
    worker: Worker<'a, AnomalyInput>,
}

impl BackendTask for Load<'_> {
    type Output = Result<(), TaskError>;

    fn run<B: VisionAutodiff>(self, device: Device<B>) -> Self::Output {
        let path = model_path(TaskKind::Anomaly, &self.task.path).map_err(TaskError::failed)?;
        let scorer = AnomalyScorer::<B>::open(path, &device).map_err(TaskError::failed)?;
        let rules = self.task.rules.get_or_init(|| Rules {
            config: scorer.config().clone(),
            card: scorer.card().clone(),
        });
        let engine = AnomalyEngine::new(scorer, rules.clone()).map_err(TaskError::Refused)?;
        self.worker.serve(engine)
    }
}
