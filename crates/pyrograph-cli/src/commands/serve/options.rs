//! The flags of `serve`.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use clap::{Args, builder::PathBufValueParser};
use pyrograph::{
    backend::DeviceSpec,
    models::weights::Precision,
    pipelines::stable_diffusion::LoraFile,
    serve::{
        settings::{
            LogFormat, ModelChoice, ModelOverrides, ServerOverrides, parse_bytes, parse_count,
            parse_device, parse_dtype, parse_grace, parse_host, parse_lora, parse_milliseconds,
            parse_model, parse_pixels, parse_port, parse_seconds, parse_size, parse_task,
        },
        tasks::TaskKind,
    },
};

use super::listed::{Listed, Several, all};

/// The models and how they are opened.
#[derive(Args)]
#[command(next_help_heading = "Models")]
pub(super) struct ModelFlags {
    /// A model: a diffusers folder, a single-file checkpoint, a model file, a run folder, or a
    /// folder that `pack` filled. Several models need names, and a request chooses one by `model`
    /// in its body; the variable takes several separated by commas [default: /opt/ml/model, if it
    /// exists].
    #[arg(long = "model", value_name = "DIR|NAME=DIR", value_parser = Listed(parse_model), env = "PYROGRAPH_SERVE_MODEL")]
    pub(super) models: Vec<Several<ModelChoice>>,
    /// txt2img, sprites, anomaly or detect [default: that of the model's files].
    #[arg(long, value_name = "TASK", value_parser = parse_task, env = "PYROGRAPH_SERVE_TASK")]
    task: Option<TaskKind>,
    /// Devices, one worker each: auto, cpu, wgpu:N, cuda:N [default: auto].
    #[arg(long, value_name = "DEVICE,…", value_delimiter = ',', value_parser = parse_device, env = "PYROGRAPH_SERVE_DEVICES")]
    devices: Vec<DeviceSpec>,
    /// Type of the weights in memory: auto, fp32, bf16, fp16, int8 or int8-activations [default: auto, that of the
    /// files].
    #[arg(long, value_name = "TYPE", value_parser = parse_dtype, env = "PYROGRAPH_SERVE_DTYPE")]
    dtype: Option<Precision>,
    /// A tiny VAE (TAESD), which replaces the model's VAE for decoding and previews [default:
    /// none].
    #[arg(long, value_name = "DIR|FILE", env = "PYROGRAPH_SERVE_TAESD")]
    taesd: Option<PathBuf>,
    /// A LoRA file, and its scale after a colon [default scale: 1]; several, separated by commas in
    /// the variable, are added together [default: none].
    #[arg(long, value_name = "FILE[:SCALE]", value_parser = Listed(parse_lora), env = "PYROGRAPH_SERVE_LORA")]
    lora: Vec<Several<LoraFile>>,
    /// A textual-inversion embedding; may be given several times, in the variable separated by
    /// commas [default: none].
    #[arg(long, value_name = "FILE", value_parser = Listed(PathBufValueParser::new()), env = "PYROGRAPH_SERVE_EMBEDDING")]
    embedding: Vec<Several<PathBuf>>,
    /// A picture size that warm-up runs and measures; may be given several times [default: the
    /// model's own].
    #[arg(long = "size", value_name = "WxH", value_delimiter = ',', value_parser = parse_size, env = "PYROGRAPH_SERVE_SIZE")]
    sizes: Vec<[usize; 2]>,
    /// Steps of a request that does not set them [default: 20, or --max-steps if that is less].
    #[arg(long, value_name = "N", value_parser = parse_count, env = "PYROGRAPH_SERVE_STEPS")]
    steps: Option<usize>,
    /// Before loading a model that `pack` packed, compare its checksums and not only its sizes.
    #[arg(long, env = "PYROGRAPH_SERVE_VERIFY")]
    verify: bool,
}

/// The queue, and the bounds on a request.
#[derive(Args)]
#[command(next_help_heading = "Queue and limits")]
pub(super) struct LimitFlags {
    /// Requests that may wait, for each model; a full queue answers 429 [default: 100].
    #[arg(long, value_name = "N", value_parser = parse_count, env = "PYROGRAPH_SERVE_QUEUE")]
    queue: Option<usize>,
    /// The most rows of a batch; a guided image has two rows. Warm-up measures the number of rows
    /// up to which a batch is faster [default: 16].
    #[arg(long, value_name = "ROWS", value_parser = parse_count, env = "PYROGRAPH_SERVE_MAX_BATCH")]
    max_batch: Option<usize>,
    /// Time for which detection and anomaly scores wait for more requests, in milliseconds
    /// [default: 2].
    #[arg(long, value_name = "MS", value_parser = parse_milliseconds, env = "PYROGRAPH_SERVE_MAX_BATCH_DELAY")]
    max_batch_delay: Option<Duration>,
    /// Time from the arrival of a request to its answer, else 504 [default: 600; as SageMaker's container 60].
    #[arg(long, alias = "deadline", value_name = "SECONDS", value_parser = parse_seconds, env = "PYROGRAPH_SERVE_TIMEOUT")]
    timeout: Option<Duration>,
    /// Time from the arrival of a job to its result [default: 3600].
    #[arg(long, alias = "job-deadline", value_name = "SECONDS", value_parser = parse_seconds, env = "PYROGRAPH_SERVE_JOB_TIMEOUT")]
    job_timeout: Option<Duration>,
    /// The most bytes of a body, with a unit or without [default: 16MiB; as SageMaker's container 6MiB].
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, env = "PYROGRAPH_SERVE_MAX_BODY")]
    max_body: Option<usize>,
    /// The most bytes of a prompt [default: 8KiB].
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, env = "PYROGRAPH_SERVE_MAX_PROMPT")]
    max_prompt: Option<usize>,
    /// The most pixels of a drawn image, as a number or WxH [default: 1048576].
    #[arg(long, value_name = "PIXELS", value_parser = parse_pixels, env = "PYROGRAPH_SERVE_MAX_PIXELS")]
    max_pixels: Option<u64>,
    /// The most pixels of an image in a body, checked before it is decoded [default: 33554432].
    #[arg(long, value_name = "PIXELS", value_parser = parse_pixels, env = "PYROGRAPH_SERVE_MAX_INPUT_PIXELS")]
    max_input_pixels: Option<u64>,
    /// The most steps of a request [default: 200].
    #[arg(long, value_name = "N", value_parser = parse_count, env = "PYROGRAPH_SERVE_MAX_STEPS")]
    max_steps: Option<usize>,
    /// The most images of a request [default: 8].
    #[arg(long, value_name = "N", value_parser = parse_count, env = "PYROGRAPH_SERVE_MAX_IMAGES")]
    max_images: Option<usize>,
}

/// How the server listens.
#[derive(Args)]
#[command(next_help_heading = "Server")]
pub(super) struct ServerFlags {
    /// The address of this machine to listen on; 0.0.0.0 for all [default: 127.0.0.1; as
    /// SageMaker's container 0.0.0.0].
    #[arg(long, value_name = "ADDRESS", value_parser = parse_host, env = "PYROGRAPH_SERVE_HOST")]
    host: Option<IpAddr>,
    /// The port; 0 takes a free one [default: 8080].
    #[arg(long, value_parser = parse_port, env = "PYROGRAPH_SERVE_PORT")]
    port: Option<u16>,
    /// Bearer tokens, one a line, `#` before comments, at least 16 characters each; every request
    /// except health checks must carry one [default: no tokens].
    #[arg(long, value_name = "FILE", env = "PYROGRAPH_SERVE_TOKENS")]
    tokens: Option<PathBuf>,
    /// The folder below which a body may be read by reference [default: none].
    #[arg(long, value_name = "DIR", env = "PYROGRAPH_SERVE_INPUTS")]
    inputs: Option<PathBuf>,
    /// Connections at once; further connections get answers to health checks, and 503 for
    /// everything else [default: 1024].
    #[arg(long, value_name = "N", value_parser = parse_count, env = "PYROGRAPH_SERVE_CONNECTIONS")]
    connections: Option<usize>,
    /// Time for the headers of a request [default: 10].
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds, env = "PYROGRAPH_SERVE_HEADER_TIMEOUT")]
    header_timeout: Option<Duration>,
    /// Time for a body [default: 30].
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds, env = "PYROGRAPH_SERVE_BODY_TIMEOUT")]
    body_timeout: Option<Duration>,
    /// Time that running requests get at shutdown [default: 30; as SageMaker's container 25].
    #[arg(long, value_name = "SECONDS", value_parser = parse_grace, env = "PYROGRAPH_SERVE_GRACE")]
    grace: Option<Duration>,
    /// Finished jobs that are kept [default: 100].
    #[arg(long, value_name = "N", value_parser = parse_count, env = "PYROGRAPH_SERVE_JOBS")]
    jobs: Option<usize>,
    /// Time for which a finished job is kept [default: 600].
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds, env = "PYROGRAPH_SERVE_JOB_TIME")]
    job_time: Option<Duration>,
    /// The form of the log on standard error: text or json [default: text; as SageMaker's container json].
    #[arg(long, value_name = "FORM", env = "PYROGRAPH_SERVE_LOG")]
    log: Option<LogFormat>,
    /// error, warn, info, debug, trace, or a list of TARGET=LEVEL.
    #[arg(
        long,
        value_name = "LEVEL",
        default_value = "info",
        env = "PYROGRAPH_SERVE_LOG_LEVEL"
    )]
    pub(super) log_level: String,
}

/// Nothing for an empty list: the next source is asked.
fn given<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// What the flags say of models.
pub(super) fn model_overrides(models: ModelFlags, limits: LimitFlags) -> ModelOverrides {
    ModelOverrides {
        model: None,
        task: models.task,
        precision: models.dtype,
        tiny_vae: models.taesd,
        loras: given(all(models.lora)),
        embeddings: given(all(models.embedding)),
        sizes: given(models.sizes),
        steps: models.steps,
        devices: given(models.devices),
        min_workers: None,
        max_workers: None,
        queue: limits.queue,
        max_batch: limits.max_batch,
        batch_size: None,
        max_batch_delay: limits.max_batch_delay,
        body_bytes: limits.max_body,
        prompt_bytes: limits.max_prompt,
        pixels: limits.max_pixels,
        input_pixels: limits.max_input_pixels,
        max_steps: limits.max_steps,
        images: limits.max_images,
        deadline: limits.timeout,
        job_deadline: limits.job_timeout,
    }
}

/// What the flags say of the server.
pub(super) fn server_overrides(server: ServerFlags, models: &ModelFlags) -> ServerOverrides {
    ServerOverrides {
        host: server.host,
        port: server.port,
        tokens: server.tokens,
        connections: server.connections,
        header_timeout: server.header_timeout,
        body_timeout: server.body_timeout,
        grace: server.grace,
        jobs: server.jobs,
        job_time: server.job_time,
        inputs: server.inputs,
        log: server.log,
        verify: models.verify,
    }
}
