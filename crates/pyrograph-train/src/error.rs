//! Errors of training.

use std::path::PathBuf;

use pyrograph_base::WriteError;
use pyrograph_data::DataError;
use pyrograph_diffusion::DiffusionError;
use pyrograph_losses::LossError;
use pyrograph_metrics::MetricsError;
use pyrograph_models::ModelError;
use pyrograph_vision::VisionError;

use crate::DataFingerprint;

/// The error of starting, continuing or evaluating a training run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A field of the config is not allowed.
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
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A run folder does not fit the command.
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
    /// A file of a checkpoint was changed or damaged after it was written.
    #[error("{}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// The data differ from those that the run was begun with.
    #[error(
        "the data have changed since this run was begun: {seen} now, {expected} then; bring the old data back, or begin a new run"
    )]
    DataChanged {
        /// The fingerprint of the present data.
        seen: DataFingerprint,
        /// The fingerprint of the data when the run was begun.
        expected: DataFingerprint,
    },
    /// The loss is NaN or infinite.
    #[error("the loss is {loss} at step {step}{}", after_divergence(advice, *saved))]
    Diverged {
        /// The step.
        step: u64,
        /// The loss.
        loss: f32,
        /// Advice; a resumed run would take the same steps again.
        advice: &'static str,
        /// The step of the last checkpoint; `None` if nothing was saved.
        saved: Option<u64>,
    },
    /// A loss, or its gradients, of a batch of named images are NaN or infinite.
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
        /// Advice; a resumed run would take the same steps again.
        advice: &'static str,
        /// The step of the last checkpoint; `None` if nothing was saved.
        saved: Option<u64>,
    },
    /// A term of a distillation has no effect.
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
    /// A weight is NaN or infinite, though the loss before was finite.
    #[error("`{key}` holds {value} after step {step}{}", after_divergence(advice, *saved))]
    DivergedWeights {
        /// The step.
        step: u64,
        /// The weight's published name.
        key: String,
        /// The first such value.
        value: f32,
        /// Advice; a resumed run would take the same steps again.
        advice: &'static str,
        /// The step of the last checkpoint; `None` if nothing was saved.
        saved: Option<u64>,
    },
    /// One of several devices failed in the middle of a step.
    #[error(
        "device {place} of this run failed: {reason}; the run can be resumed, from its last checkpoint where it has one"
    )]
    Device {
        /// The index of the device in the run, from 0.
        place: usize,
        /// The error message of the device.
        reason: String,
    },
    /// A hook of the caller failed.
    #[error(transparent)]
    Hook(Box<dyn std::error::Error + Send + Sync>),
    /// An error of the model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An error of the noise schedule.
    #[error(transparent)]
    Diffusion(#[from] DiffusionError),
    /// An error of the loss.
    #[error(transparent)]
    Loss(#[from] LossError),
    /// An error of the data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// An option of a detector is not allowed.
    #[error(transparent)]
    Vision(#[from] VisionError),
    /// An error of a metric.
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
