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
    /// On `cpu`, compute convolutions by their definition alone: slower, with a tenth of the rounding.
    #[arg(long, global = true)]
    exact_convolutions: bool,
    /// On `cpu`, widen bf16 weights to f32 before they are multiplied: slower, with the rounding of f32.
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
    /// Measure how good a model is.
    #[command(subcommand)]
    Eval(Eval),
    /// Find the images that do not belong, by a DCGAN of normal ones.
    #[command(subcommand)]
    Anomaly(commands::anomaly::Anomaly),
    /// Draw pictures from a prompt with Stable Diffusion; a seed gives the picture that it gives in diffusers.
    ///
    /// --json prints {images: [{path, seed}], seconds: {load, text, unet, vae, total}, steps, peak_memory_bytes}.
    Txt2img(Box<commands::pictures::Txt2Img>),
    /// Change a picture by a prompt with Stable Diffusion.
    ///
    /// --json prints the keys of txt2img.
    Img2img(Box<commands::pictures::Img2Img>),
    /// Paint the masked part of a picture anew with Stable Diffusion.
    ///
    /// --json prints the keys of txt2img.
    Inpaint(Box<commands::pictures::Inpaint>),
    /// Find objects in images by an SSD: where, what, and how sure.
    Detect(Box<commands::detect::Detect>),
    /// Look at data as a training sees them.
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
    /// A setting is taken from the flag, else from the environment (the variable beside the flag, then OPTION_* and
    /// SERVING_* of DJL Serving), else from serving.properties beside the model, else it is the default.
    ///
    /// Without --model, and with /opt/ml/model there, serve keeps the contract of SageMaker's containers: 0.0.0.0:8080 or
    /// SAGEMAKER_BIND_TO_PORT, no tokens, 60 s an answer, 6 MiB a body, a log of JSON lines. PYROGRAPH_MODEL_ROOT names
    /// another folder.
    ///
    /// SIGTERM and Ctrl-C finish what runs and exit with 0, the second time at once with 130. Exits with 2 when a model
    /// does not load.
    Serve(Box<commands::serve::Serve>),
    /// Pack a model into the archive that a SageMaker endpoint is created from, with a manifest of sizes and checksums.
    ///
    /// --json prints {archive, bytes, manifest: {format, pyrograph, task, model, files: [{path, size, sha256}]}}.
    Pack(commands::pack::Pack),
    /// Say what a file or folder of weights holds, and what pyrograph takes it for.
    Inspect(commands::inspect::Inspect),
    /// One forward pass on named tensors, to set a model beside its origin.
    Forward(commands::forward::Forward),
    /// Hold every operation, layer, loss, model and sampler on a device to f64, forward and backward.
    ///
    /// Exits with 1 when a number is wrong: whether a driver or a backend can be trusted.
    #[command(name = "gradcheck")]
    GradCheck(commands::gradcheck::GradCheck),
    /// Time the operations and steps that fill the jobs, on this machine: about a minute; or a
    /// whole job.
    Bench(commands::bench::Bench),
    /// Measure the latency of an HTTP endpoint under load: percentiles and their spread, images a second, errors by status.
    ///
    /// Closed loop: -c clients, each of which waits for its answer. Open loop: --rate requests a second, whether or not
    /// earlier ones are answered; the latency of a request begins at its intended start, so that a server that stalls
    /// shows it in every request that it delays.
    ///
    /// --json and --out give {settings: {url, method, loop, clients | rate, arrivals, in_flight, requests, duration_s,
    /// warm_up, timeout_s, bodies, body_bytes, body_order, content_type, accept, headers (names), token (whether), seed},
    /// ending: complete|interrupted|no_connection, warm_up: {requests, failed}, seconds, requests, succeeded, failed,
    /// requests_per_second, late_starts, images, images_per_second, bytes, latency, service, first_byte,
    /// failed_latency, errors: {kind: count}, error_messages: {kind: text}, stages_ms: {stage: mean}, article: {p95_ms,
    /// p90_ms, average_ms, published_…}, remarks}.
    ///
    /// latency (successes, from the intended start), service (open loop: from the sending), first_byte and
    /// failed_latency are null or {n, p50_ms, p90_ms, p95_ms, p99_ms, max_ms, min_ms, mean_ms, standard_deviation_ms,
    /// percentiles: linear (numpy's) | histogram, spread: {resamples, level, seed, p50_ms, p95_ms, p99_ms: [low, high]},
    /// histogram: {unit: us, significant_digits, counts: [[value, count]]}}.
    ///
    /// Kinds of errors: `status N`, connect, timeout, request (connection lost before the answer), body (answer broke
    /// off), event (a stream told of an error). Exits with 1 when every request failed, 130 after Ctrl-C.
    #[command(name = "loadtest")]
    LoadTest(Box<commands::loadtest::LoadTest>),
    /// The devices that are compiled in and present, and which would be used.
    ///
    /// The line of the CPU has the threads in force (RAYON_NUM_THREADS) and the vector instructions
    /// (PYROGRAPH_SIMD: avx512, avx2 or baseline holds it to less).
    ///
    /// --json prints {devices: [{device, backend, compiled, present, used, description, threads,
    /// vectors}], used}.
    Devices(commands::devices::Devices),
}

#[derive(Subcommand)]
enum Train {
    /// A ContextUnet as a diffusion model of sprites.
    Sprites(Box<commands::train_sprites::TrainSprites>),
    /// A DCGAN on normal images, for `anomaly`.
    Dcgan(Box<commands::train_dcgan::TrainDcgan>),
    /// An SSD300 on images with boxes, for `detect`.
    Ssd(Box<commands::train_ssd::TrainSsd>),
    /// An SSD300 that learns from the boxes and from another SSD300, its teacher.
    Distill(Box<commands::train_ssd::TrainDistill>),
    /// Detectors by a recipe, one after another: teachers, students, several seeds.
    ///
    /// A [[run]] has two keys of its own. teacher names an earlier run, whose best weights of the
    /// same seed are taken, else of its first seed; or a path. equal-time-with names an earlier
    /// run: as many steps are taken as fill its time. Both are timed once, by turns, and sweep.json
    /// keeps the steps.
    ///
    /// Ctrl-C stops after a checkpoint, with exit code 130; a second one ends at once, without a
    /// checkpoint. The same command goes on; finished runs are not trained again. A run with other
    /// options than the recipe asks for is refused.
    ///
    /// --json prints {recipe, out, runs: [{name, seed, run, steps, seconds, best_map}],
    /// interrupted}.
    Sweep(Box<commands::train_sweep::TrainSweep>),
}

#[derive(Subcommand)]
enum Sample {
    /// Sprites from a ContextUnet.
    Sprites(Box<commands::sample_sprites::SampleSprites>),
    /// Images from the generator of a DCGAN.
    Dcgan(Box<commands::sample_dcgan::SampleDcgan>),
}

#[derive(Subcommand)]
enum Eval {
    /// Sliced Wasserstein distance, novelty and class agreement of sprites.
    Sprites(Box<commands::eval_sprites::EvalSprites>),
    /// Average precision and recall of an SSD, as Pascal VOC and COCO count them.
    Ssd(Box<commands::eval_ssd::EvalSsd>),
    /// Runs of detectors against each other on one set: accuracy over seeds, gains, size and
    /// latency.
    ///
    /// A gain is the mean over the common seeds of AP@[.5:.95] above the run of the same seed of
    /// the baseline, which is the first group of the same network and data that was trained without
    /// a teacher.
    ///
    /// --json and compare.json give {rows: [{name, group, seeds, params, flops (2 × multiply-adds),
    /// latency_ms, ap50, ap50_std, ap, ap_std, baseline, gain, gain_std}], runs: [{run, group,
    /// seed, ap50, ap}], images, objects, repeat}. A group has one row; name is its name, of a
    /// single run its folder. Spreads are sample standard deviations.
    Compare(Box<commands::eval_compare::EvalCompare>),
}

#[derive(Subcommand)]
enum Data {
    /// A sheet of images with boxes, augmented and resized as for a detector.
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
