//! The settings that one source sets.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use pyrograph_backend::DeviceSpec;
use pyrograph_models::weights::Precision;
use pyrograph_pipelines::stable_diffusion::LoraFile;

use super::LogFormat;
use crate::tasks::TaskKind;

/// What one source says of a model: the command line, the environment, or `serving.properties`. `None` is left to the next
/// source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelOverrides {
    /// Where the model lies.
    pub model: Option<PathBuf>,
    /// The task.
    pub task: Option<TaskKind>,
    /// Type of the weights in memory.
    pub precision: Option<Precision>,
    /// A tiny VAE.
    pub tiny_vae: Option<PathBuf>,
    /// LoRA files.
    pub loras: Option<Vec<LoraFile>>,
    /// Textual-inversion embeddings.
    pub embeddings: Option<Vec<PathBuf>>,
    /// Sizes to be ready for.
    pub sizes: Option<Vec<[usize; 2]>>,
    /// Steps of a request that names none.
    pub steps: Option<usize>,
    /// Devices, one worker each.
    pub devices: Option<Vec<DeviceSpec>>,
    /// The fewest workers.
    pub min_workers: Option<usize>,
    /// The most workers.
    pub max_workers: Option<usize>,
    /// Requests that may wait.
    pub queue: Option<usize>,
    /// The most rows in a batch.
    pub max_batch: Option<usize>,
    /// The most requests in a batch: DJL Serving's `batch_size`. `max_batch` goes before it.
    pub batch_size: Option<usize>,
    /// Time that a worker waits for others.
    pub max_batch_delay: Option<Duration>,
    /// Bytes of a body.
    pub body_bytes: Option<usize>,
    /// Bytes of a prompt.
    pub prompt_bytes: Option<usize>,
    /// Pixels of a drawn image.
    pub pixels: Option<u64>,
    /// Pixels of an image in a body.
    pub input_pixels: Option<u64>,
    /// Steps of a request.
    pub max_steps: Option<usize>,
    /// Images of a request.
    pub images: Option<usize>,
    /// Time from the arrival of a request to its answer.
    pub deadline: Option<Duration>,
    /// Time from the arrival of a job to its result.
    pub job_deadline: Option<Duration>,
}

impl ModelOverrides {
    /// These settings, and those of `lower` where these have none.
    pub fn or(self, lower: Self) -> Self {
        Self {
            model: self.model.or(lower.model),
            task: self.task.or(lower.task),
            precision: self.precision.or(lower.precision),
            tiny_vae: self.tiny_vae.or(lower.tiny_vae),
            loras: self.loras.or(lower.loras),
            embeddings: self.embeddings.or(lower.embeddings),
            sizes: self.sizes.or(lower.sizes),
            steps: self.steps.or(lower.steps),
            devices: self.devices.or(lower.devices),
            min_workers: self.min_workers.or(lower.min_workers),
            max_workers: self.max_workers.or(lower.max_workers),
            queue: self.queue.or(lower.queue),
            max_batch: self.max_batch.or(lower.max_batch),
            batch_size: self.batch_size.or(lower.batch_size),
            max_batch_delay: self.max_batch_delay.or(lower.max_batch_delay),
            body_bytes: self.body_bytes.or(lower.body_bytes),
            prompt_bytes: self.prompt_bytes.or(lower.prompt_bytes),
            pixels: self.pixels.or(lower.pixels),
            input_pixels: self.input_pixels.or(lower.input_pixels),
            max_steps: self.max_steps.or(lower.max_steps),
            images: self.images.or(lower.images),
            deadline: self.deadline.or(lower.deadline),
            job_deadline: self.job_deadline.or(lower.job_deadline),
        }
    }
}

/// What the command line says of the server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerOverrides {
    /// The address of this machine to listen on.
    pub host: Option<IpAddr>,
    /// The port.
    pub port: Option<u16>,
    /// A file of bearer tokens.
    pub tokens: Option<PathBuf>,
    /// Connections at once.
    pub connections: Option<usize>,
    /// Time for headers.
    pub header_timeout: Option<Duration>,
    /// Time for a body.
    pub body_timeout: Option<Duration>,
    /// Time that running requests get at shutdown.
    pub grace: Option<Duration>,
    /// Finished jobs that are kept.
    pub jobs: Option<usize>,
    /// How long a finished job is kept.
    pub job_time: Option<Duration>,
    /// The folder below which a body may be read by reference.
    pub inputs: Option<PathBuf>,
    /// The form of the log.
    pub log: Option<LogFormat>,
    /// Whether the checksums of a packed model are compared before it is loaded.
    pub verify: bool,
}
