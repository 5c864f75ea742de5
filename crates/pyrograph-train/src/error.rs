//! What can go wrong while training.

use std::path::PathBuf;

use pyrograph_data::DataError;
use pyrograph_diffusion::DiffusionError;
use pyrograph_losses::LossError;
use pyrograph_metrics::MetricsError;
use pyrograph_models::ModelError;
use pyrograph_vision::VisionError;

use crate::DataFingerprint;

/// Why a training run cannot start, go on or be judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A number of the config is not allowed.
    #[error("{field} is {seen}, but must be {allowed}")]
    Config {
        /// The field.
        field: &'static str,
        /// The value given.
        seen: String,
        /// What is allowed.
        allowed: String,
    },
    /// A file or folder of the run cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// A run folder is not what the command needs.
    #[error("{}: {reason}", path.display())]
    Run {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// Another process trains in the run folder.
    #[error(
        "{}: another process is training in this folder: wait until it ends, or give another folder",
        path.display()
    )]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// A file of a checkpoint is not as it was written.
    #[error("{}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// The data are not those that the run was begun with.
    #[error(
        "the data have changed since this run was begun: {seen} now, {expected} then; bring the old data back, or begin a new run"
    )]
    DataChanged {
        /// The data now.
        seen: DataFingerprint,
        /// The data then.
        expected: DataFingerprint,
    },
    /// The loss is no longer a number.
    #[error("the loss is {loss} at step {step}{}", after_divergence(advice, *saved))]
    Diverged {
        /// The step.
        step: u64,
        /// The loss.
        loss: f32,
        /// What to do; a resumed run would take the same steps again.
        advice: &'static str,
        /// The step of the last checkpoint; none where nothing was saved.
        saved: Option<u64>,
    },
    /// A loss of a batch of named images, or its gradients, are no numbers.
    #[error(
        "the {term} is {value} at step {step}, whose images are {}{}",
        images.join(", "),
        after_divergence(advice, *saved)
    )]
    DivergedBatch {
        /// The step.
        step: u64,
        /// The part of the loss, or the gradients.
        term: String,
        /// Its value.
        value: f32,
        /// The images of the batch.
        images: Vec<String>,
        /// What to do; a resumed run would take the same steps again.
        advice: &'static str,
        /// The step of the last checkpoint; none where nothing was saved.
        saved: Option<u64>,
    },
    /// A term of a distillation teaches nothing.
    #[error(
        "the distillation term `{term}` {fault} in each of the first {steps} steps that asked the teacher: leave its method out, or see whether the layers that it reaches are frozen"
    )]
    SilentTerm {
        /// The term.
        term: String,
        /// What is wrong with it.
        fault: &'static str,
        /// The steps.
        steps: u64,
    },
    /// A weight is no longer a number, though the loss before it was.
    #[error("`{key}` holds {value} after step {step}{}", after_divergence(advice, *saved))]
    DivergedWeights {
        /// The step.
        step: u64,
        /// The weight's published name.
        key: String,
        /// Its first value that is no number.
        value: f32,
        /// What to do; a resumed run would take the same steps again.
        advice: &'static str,
        /// The step of the last checkpoint; none where nothing was saved.
        saved: Option<u64>,
    },
    /// One of several devices failed in the middle of a step.
    #[error(
        "device {place} of this run failed: {reason}; the run can be resumed, from its last checkpoint where it has one"
    )]
    Device {
        /// Its place among the run's devices, from 0.
        place: usize,
        /// Its words.
        reason: String,
    },
    /// A hook of the caller failed.
    #[error(transparent)]
    Hook(Box<dyn std::error::Error + Send + Sync>),
    /// The model refuses.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The noise schedule refuses.
    #[error(transparent)]
    Diffusion(#[from] DiffusionError),
    /// The loss refuses.
    #[error(transparent)]
    Loss(#[from] LossError),
    /// The data refuse.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file cannot be written.
    #[error(transparent)]
    Vision(#[from] VisionError),
    /// A metric refuses.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
}

/// What to do after a divergence, and what is left.
fn after_divergence(advice: &str, saved: Option<u64>) -> String {
    let left = match saved {
        Some(step) => format!("the last checkpoint is whole, of step {step}"),
        None => "nothing was saved before it".into(),
    };
    format!(": {advice}; {left}")
}

impl TrainError {
    pub(crate) fn io(path: impl Into<PathBuf>, source: impl Into<std::io::Error>) -> Self {
        Self::Io {
            path: path.into(),
            source: source.into(),
        }
    }
}
