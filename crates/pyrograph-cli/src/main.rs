//! The `pyrograph` command.

mod arguments;
mod bounds;
mod checkpoint;
mod columns;
mod commands;
mod dtype;
mod memory;
mod messages;
mod outputs;
mod progress;
mod reading;
mod schedulers;
mod stop;
mod training;

use std::{panic, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use messages::message;
use pyrograph::pipelines::PipelineError;

/// Memory stays with the program from one step to the next.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Vision models on burn: train, sample, score and judge them on CUDA, WGPU or the CPU.
#[derive(Parser)]
#[command(name = "pyrograph", version, propagate_version = true)]
struct Cli {
    /// On `cpu`, compute convolutions without Winograd's method: slower, with a tenth of the
    /// rounding error.
    #[arg(long, global = true)]
    exact_convolutions: bool,
    /// On `cpu`, convert bf16 weights to f32 before multiplying: slower, with the rounding error of
    /// f32.
    #[arg(long, global = true)]
    exact_products: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a model.
    #[command(subcommand)]
    Train(Train),
    /// Sample from a trained model.
    #[command(subcommand)]
    Sample(Sample),
    /// Evaluate a model or its samples.
    #[command(subcommand)]
    Eval(Eval),
    /// Detect anomalous images, with a DCGAN trained on normal ones.
    #[command(subcommand)]
    Anomaly(commands::anomaly::Anomaly),
    /// Draw pictures from a prompt with Stable Diffusion; a seed gives the same picture as in
    /// diffusers.
    ///
    /// --json prints {images: [{path, seed}], seconds: {load, text, unet, vae, total}, steps, peak_memory_bytes}.
    Txt2img(Box<commands::pictures::Txt2Img>),
    /// Change a picture by a prompt with Stable Diffusion.
    ///
    /// --json prints the keys of txt2img.
    Img2img(Box<commands::pictures::Img2Img>),
    /// Repaint the masked part of a picture with Stable Diffusion.
    ///
    /// --json prints the keys of txt2img.
    Inpaint(Box<commands::pictures::Inpaint>),
    /// Detect objects in images with an SSD: boxes, classes and scores.
    Detect(Box<commands::detect::Detect>),
    /// Show data as a training sees them.
    #[command(subcommand)]
    Data(Data),
    /// Make a diffusers folder of a Stable Diffusion checkpoint: another type of weights, LoRA files merged, keys
    /// checked.
    ///
    /// --dtype auto measures each layer of the UNet, and prints a table of errors, times and types.
    ///
    /// Exits with 1 when keys are missing or unused: pyrograph.json in the folder names them.
    ///
    /// --json prints {out, revision, dtype, parts: {NAME: {tensors, missing, unused}}}, and with --dtype auto also auto:
    /// {source, error_limit, calibration: {size, seed, prompts, timesteps}, exact_products, threads, vectors, layers:
    /// [{name, shape, errors, seconds, bytes (by type), choice, within_limit}], totals: [{type, layers, bytes}]}, which is
    /// the file of --report.
    Convert(Box<commands::convert::Convert>),
    /// Serve models over HTTP: SageMaker's container contract, OpenAI's image routes, jobs, metrics, a page at /.
    ///
    /// A setting comes from the first of these sources that has it: the flag, the environment (the
    /// variable shown beside the flag, then OPTION_* and SERVING_* of DJL Serving),
    /// serving.properties beside the model, the default.
    ///
    /// If --model is absent and /opt/ml/model exists, serve follows the contract of SageMaker's
    /// containers: 0.0.0.0:8080 or SAGEMAKER_BIND_TO_PORT, no tokens, at most 60 s for an answer
    /// and 6 MiB for a body, a log of JSON lines. PYROGRAPH_MODEL_ROOT names another folder.
    ///
    /// SIGTERM and Ctrl-C finish running requests and exit with 0; a second signal exits at once
    /// with 130. Exits with 2 when a model does not load. docs/serving.md describes routes and
    /// bodies.
    Serve(Box<commands::serve::Serve>),
    /// Pack a model into the archive that a SageMaker endpoint is created from, with a manifest of sizes and checksums.
    ///
    /// --json prints {archive, bytes, manifest: {format, pyrograph, task, model, files: [{path, size, sha256}]}}.
    Pack(commands::pack::Pack),
    /// Show the contents of a file or folder of weights, and the model that pyrograph recognises.
    Inspect(commands::inspect::Inspect),
    /// Run one forward pass on named tensors, to compare a model with its original.
    Forward(commands::forward::Forward),
    /// Compare every operation, layer, loss, model and sampler on a device with f64, forward and
    /// backward.
    ///
    /// Exits with 1 when a result is wrong. Use it to check a driver or a backend.
    #[command(name = "gradcheck")]
    GradCheck(commands::gradcheck::GradCheck),
    /// Time the operations and steps that fill the jobs, on this machine: about a minute; or a
    /// whole job.
    Bench(commands::bench::Bench),
    /// Measure the latency of an HTTP endpoint under load: percentiles and their spread, images a
    /// second, errors by status.
    ///
    /// Closed loop: -c clients, each of which waits for its answer. Open loop: --rate requests a
    /// second, whether or not earlier ones are answered; the latency of a request begins at its
    /// intended start, so that a stall counts in every request that it delays. docs/load-testing.md
    /// explains the figures.
    ///
    /// --json and --out give {settings: {url, method, loop, clients | rate, arrivals, in_flight,
    /// requests, duration_s, warm_up, timeout_s, bodies, body_bytes, body_order, content_type,
    /// accept, headers (names), token (whether), seed}, ending: complete|interrupted|no_connection,
    /// warm_up: {requests, failed}, seconds, requests, succeeded, failed, requests_per_second,
    /// late_starts, images, images_per_second, bytes, latency, service, first_byte, failed_latency,
    /// errors: {kind: count}, error_messages: {kind: text}, stages_ms: {stage: mean}, article:
    /// {p95_ms, p90_ms, average_ms, published_…}, remarks}.
    ///
    /// latency (successes, from the intended start), service (open loop: from the sending),
    /// first_byte and failed_latency are null or {n, p50_ms, p90_ms, p95_ms, p99_ms, max_ms,
    /// min_ms, mean_ms, standard_deviation_ms, percentiles: linear (numpy's) | histogram, spread:
    /// {resamples, level, seed, p50_ms, p95_ms, p99_ms: [low, high]}, histogram: {unit: us,
    /// significant_digits, counts: [[value, count]]}}.
    ///
    /// Kinds of errors: `status N`, connect, timeout, request (connection lost before the answer),
    /// body (answer broke off), event (a stream reported an error). Exits with 1 when every request
    /// failed, 130 after Ctrl-C.
    #[command(name = "loadtest")]
    LoadTest(Box<commands::loadtest::LoadTest>),
    /// List the devices that are compiled in and present, and the one that would be used.
    ///
    /// The line of the CPU shows the number of threads (RAYON_NUM_THREADS sets it) and the vector
    /// instructions (PYROGRAPH_SIMD = avx512, avx2 or baseline restricts them).
    ///
    /// --json prints {devices: [{device, backend, compiled, present, used, description, threads,
    /// vectors}], used}.
    Devices(commands::devices::Devices),
}

#[derive(Subcommand)]
enum Train {
    /// Train a ContextUnet as a diffusion model of sprites.
    Sprites(Box<commands::train_sprites::TrainSprites>),
    /// Train a DCGAN on normal images, for `anomaly`.
    Dcgan(Box<commands::train_dcgan::TrainDcgan>),
    /// Train an SSD300 on images with boxes, for `detect`.
    Ssd(Box<commands::train_ssd::TrainSsd>),
    /// Train an SSD300 on boxes and on the outputs of another SSD300, its teacher.
    Distill(Box<commands::train_ssd::TrainDistill>),
    /// Train several detectors of a recipe one after another: teachers, students, several seeds.
    ///
    /// A [[run]] has two keys of its own. teacher is a path, or the name of an earlier run: its
    /// best weights of the same seed are used, or else those of its first seed. equal-time-with
    /// names an earlier run: the run then takes as many steps as fit into that run's time. The
    /// steps of both are timed once, by turns, and sweep.json keeps the number of steps.
    ///
    /// Ctrl-C stops after a checkpoint, with exit code 130; a second Ctrl-C ends at once, without a
    /// checkpoint. The same command continues; finished runs are not trained again. A run whose
    /// options differ from the recipe is refused.
    ///
    /// --json prints {recipe, out, runs: [{name, seed, run, steps, seconds, best_map}],
    /// interrupted}.
    Sweep(Box<commands::train_sweep::TrainSweep>),
}

#[derive(Subcommand)]
enum Sample {
    /// Sample sprites from a ContextUnet.
    Sprites(Box<commands::sample_sprites::SampleSprites>),
    /// Sample images from the generator of a DCGAN.
    Dcgan(Box<commands::sample_dcgan::SampleDcgan>),
}

#[derive(Subcommand)]
enum Eval {
    /// Compute sliced Wasserstein distance, novelty and class agreement of sprites.
    Sprites(Box<commands::eval_sprites::EvalSprites>),
    /// Compute average precision and recall of an SSD, by the rules of Pascal VOC and COCO.
    Ssd(Box<commands::eval_ssd::EvalSsd>),
    /// Compare runs of detectors on one set: accuracy over seeds, gains, size and latency.
    ///
    /// A gain is the mean over the common seeds of the difference in AP@[.5:.95] to the baseline's
    /// run of the same seed. The baseline is the first group of the same network and data that was
    /// trained without a teacher.
    ///
    /// --json and compare.json give {rows: [{name, group, seeds, params, flops (2 × multiply-adds),
    /// latency_ms, ap50, ap50_std, ap, ap_std, baseline, gain, gain_std}], runs: [{run, group,
    /// seed, ap50, ap}], images, objects, repeat}. A group has one row; name is its name, or the
    /// folder of a single run. Spreads are sample standard deviations.
    Compare(Box<commands::eval_compare::EvalCompare>),
}

#[derive(Subcommand)]
enum Data {
    /// Draw a sheet of the data: images with boxes, sprites or labelled images, or the tables of a
    /// noise schedule.
    Preview(Box<commands::data_preview::DataPreview>),
}

/// Wrong usage or input.
const WRONG_INPUT: u8 = 2;
/// A bug of ours.
const OUR_FAULT: u8 = 1;
/// A device whose numbers are wrong.
const CHECK_FAILED: u8 = 1;

fn main() -> ExitCode {
    std::sync::LazyLock::force(&arguments::STARTED);
    let mut command = Cli::command();
    let matches = command.get_matches_mut();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.format(&mut command).exit(),
    };
    messages::set_flags(flags_of(&command, &matches));
    pyrograph::backend::vision::set_exact_convolutions(cli.exact_convolutions);
    pyrograph::backend::vision::set_exact_products(cli.exact_products);
    let run = || match cli.command {
        Command::Train(Train::Sprites(command)) => command.run(),
        Command::Train(Train::Dcgan(command)) => command.run(),
        Command::Train(Train::Ssd(command)) => command.run(),
        Command::Train(Train::Distill(command)) => command.run(),
        Command::Train(Train::Sweep(command)) => command.run(),
        Command::Sample(Sample::Sprites(command)) => command.run().map(done),
        Command::Sample(Sample::Dcgan(command)) => command.run().map(done),
        Command::Anomaly(command) => command.run().map(done),
        Command::Eval(Eval::Sprites(command)) => command.run().map(done),
        Command::Eval(Eval::Ssd(command)) => command.run().map(done),
        Command::Eval(Eval::Compare(command)) => command.run().map(done),
        Command::Txt2img(command) => command.run().map(done),
        Command::Img2img(command) => command.run().map(done),
        Command::Inpaint(command) => command.run().map(done),
        Command::Detect(command) => command.run().map(done),
        Command::Data(Data::Preview(command)) => command.run().map(done),
        Command::Convert(command) => command.run(),
        Command::Serve(command) => command.run(),
        Command::Pack(command) => command.run().map(done),
        Command::Inspect(command) => command.run().map(done),
        Command::Forward(command) => command.run().map(done),
        Command::GradCheck(command) => command.run(),
        Command::Bench(command) => command.run().map(done),
        Command::LoadTest(command) => command.run(),
        Command::Devices(command) => command.run().map(done),
    };
    match panic::catch_unwind(panic::AssertUnwindSafe(run)) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Ok(Err(error)) if is_stopped(&error) => {
            eprintln!("stopped: nothing was written");
            ExitCode::from(stop::INTERRUPTED)
        }
        Ok(Err(error)) => {
            eprintln!("error: {}", message(&error));
            ExitCode::from(WRONG_INPUT)
        }
        Err(_) => {
            eprintln!("error: this is a bug in pyrograph; please report it with the message above");
            ExitCode::from(OUR_FAULT)
        }
    }
}

fn done(_: ()) -> ExitCode {
    ExitCode::SUCCESS
}

/// The long flags of the command that `matches` names.
fn flags_of(command: &clap::Command, matches: &clap::ArgMatches) -> Vec<String> {
    match matches.subcommand() {
        Some((name, matches)) => command
            .find_subcommand(name)
            .map_or_else(Vec::new, |command| flags_of(command, matches)),
        None => {
            let long = command.get_arguments().filter_map(clap::Arg::get_long);
            long.map(str::to_owned).collect()
        }
    }
}

/// Whether Ctrl-C ended a command that keeps nothing of what it has done.
fn is_stopped(error: &anyhow::Error) -> bool {
    let source = error.downcast_ref::<PipelineError>();
    source.is_some_and(|error| matches!(error, PipelineError::Stopped))
}

/// Whether the reader of our output has gone, as in `pyrograph devices | head -1`.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let source = error.downcast_ref::<std::io::Error>();
    source.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
