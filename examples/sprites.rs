//! Sprites from end to end, with no download: draw a set of 16×16 sprites by code, train a ContextUnet on it as a diffusion
//! model, sample it by DDPM and DDIM, and measure what came out.
//!
//! ```text
//! cargo run --release --example sprites [-- OUT_FOLDER [MINUTES]]
//! ```
//!
//! About four minutes on two cores, three and a half of them training. It writes `samples.png` (a row for each class: heroes with
//! swords, blobs and ghosts, fruit, potions and scrolls, figures and animals from the side), `denoising.gif` (noise on its way to
//! sprites) and `with_and_without_noise.png` (without the extra noise of each step, all samples of a class collapse into one blurred
//! mean), and prints times and quality figures. More MINUTES make cleaner sprites.

use std::{path::PathBuf, time::Instant};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use pyrograph::{
    art,
    backend::{
        BackendTask, Device, DeviceSpec,
        vision::{VisionAutodiff, VisionBackend},
    },
    diffusion::{ExtraNoise, SamplerConfig, SamplerKind},
    figures::{GifOptions, write_gif},
    pipelines::sprites::{
        SpritePipeline, SpriteRequest, SpriteSamples, class_rows, class_sheet, denoising_frames,
        with_and_without_noise,
    },
    train::{
        run_folder::RunFolder,
        sprites::{SpriteHooks, SpriteJudge, SpriteTraining, StepRecord, train_sprites},
    },
    vision::write_png,
};

/// Memory stays with the program from one step to the next.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SPRITES: usize = 3000;
const HELD_OUT: f64 = 0.1;
const SEED: u64 = 7;
const MINUTES: f64 = 3.4;
/// Half the course's width and a third of its batch: many quick steps get further in minutes than few slow ones.
const N_FEAT: usize = 32;
const BATCH: usize = 32;
const LEARNING_RATE: f64 = 2e-3;
const A_CLASS: usize = 10;
/// Samples of the quality figures.
const JUDGED: usize = 100;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let out = PathBuf::from(arguments.next().unwrap_or_else(|| "sprites-out".into()));
    let minutes = arguments
        .next()
        .map_or(Ok(MINUTES), |text| text.parse())
        .context("MINUTES is a number")?;
    DeviceSpec::Auto.run(Story { out, minutes })?
}

struct Story {
    out: PathBuf,
    minutes: f64,
}

/// A bar that follows the clock.
struct Bar(ProgressBar);

impl<B: VisionBackend> SpriteHooks<B> for Bar {
    fn logged(&mut self, records: &[StepRecord], progress: f64) {
        self.0.set_position((progress * 100.0) as u64);
        if let Some(last) = records.last() {
            let message = format!("step {} loss {:.4}", last.step, last.loss);
            self.0.set_message(message);
        }
    }
}

impl BackendTask for Story {
    type Output = anyhow::Result<()>;

    fn run<B: VisionAutodiff>(self, device: Device<B>) -> Self::Output {
        // 1. Data, drawn by code, and a tenth held out.
        let (training, held_out) = art::sprites(SPRITES, SEED)?.split(HELD_OUT, SEED)?;

        // 2. Training, in a run folder that lives as long as this program.
        let mut config = SpriteTraining {
            batch_size: BATCH,
            learning_rate: LEARNING_RATE,
            max_minutes: Some(self.minutes),
            checkpoint_every: 0,
            sample_every: 0,
            seed: SEED,
            ..SpriteTraining::for_set(&training)
        };
        config.model.n_feat = N_FEAT;
        let folder = tempfile::tempdir()?;
        let run = RunFolder::create(folder.path().join("run"), &config)?;
        let style = ProgressStyle::with_template("training {bar:30} {percent} % {msg}")?;
        let mut bar = Bar(ProgressBar::new(100).with_style(style));
        let trained = train_sprites::<B>(&config, &training, &run, &mut bar, &device)?;
        bar.0.finish_and_clear();
        println!(
            "trained {} steps in {:.0} s",
            trained.steps, trained.seconds
        );

        // 3. Sampling: one noise, with and without the extra noise of each step, and in 20 steps of DDIM.
        let card = config.card();
        let pipeline = SpritePipeline::new(trained.model, config.model, card, &device)?;
        let steps = pipeline.timesteps();
        let (ddpm, ddim) = (SamplerConfig::ddpm(steps), SamplerConfig::ddim(20, 0.0));
        let silent = SamplerConfig {
            kind: SamplerKind::Ddpm {
                variance: Default::default(),
                extra_noise: ExtraNoise::Off,
            },
            ..ddpm
        };
        let (contexts, labels) = class_rows(&pipeline.context_names(), A_CLASS);
        let draw = |sampler| draw(&pipeline, sampler, &contexts);
        let (with, seconds) = draw(ddpm)?;
        let (without, _) = draw(silent)?;
        let (_, fast_seconds) = draw(ddim)?;
        let count = labels.len();
        println!(
            "{count} sprites: DDPM {steps} steps {seconds:.1} s, DDIM 20 steps {fast_seconds:.1} s"
        );

        // 4. Pictures.
        let path = |name| self.out.join(name);
        write_png(path("samples.png"), &class_sheet(&with, &labels)?)?;
        let both = with_and_without_noise(&with, &without, &labels)?;
        write_png(path("with_and_without_noise.png"), &both)?;
        let frames = denoising_frames(&with, &labels)?;
        write_gif(path("denoising.gif"), &frames, &GifOptions::default())?;
        println!("pictures: {}", self.out.canonicalize()?.display());

        // 5. Quality: samples of the classes of held-out sprites, set beside them.
        let judge = SpriteJudge::new::<B>(&training, &held_out, SEED, &device)?;
        let contexts: Vec<_> = (0..JUDGED.min(held_out.len()))
            .map(|item| held_out.context(item).to_vec())
            .collect();
        let asked: Vec<_> = (0..JUDGED.min(held_out.len()))
            .map(|item| held_out.class_of(item))
            .collect();
        println!(
            "\n{:<8} {:>9} {:>8} {:>6}",
            "", "sliced W", "nearest", "class"
        );
        let line = |name, distance, nearest, class| {
            println!("{name:<8} {distance:>9.4} {nearest:>8.4} {class:>4.0} %");
        };
        for (name, sampler) in [("DDPM", ddpm), ("DDIM 20", ddim)] {
            let request = SpriteRequest::new(sampler, contexts.clone());
            let samples = pipeline.sample(&request, &mut |_, _| {})?;
            let report = judge.judge(&samples.values, Some(&asked))?;
            let class = report.class_agreement.unwrap_or_default() * 100.0;
            line(
                name,
                report.sliced_wasserstein,
                report.nearest_training,
                class,
            );
        }
        let real = judge.judge(&held_out.to_nchw(), None)?;
        let class = real.class_agreement_held_out * 100.0;
        line(
            "real",
            real.sliced_wasserstein_training,
            real.nearest_training_held_out,
            class,
        );
        Ok(())
    }
}

fn draw<B: VisionBackend>(
    pipeline: &SpritePipeline<B>,
    sampler: SamplerConfig,
    contexts: &[Vec<f32>],
) -> anyhow::Result<(SpriteSamples, f64)> {
    let begun = Instant::now();
    let request = SpriteRequest {
        seed: SEED,
        frames: 30,
        ..SpriteRequest::new(sampler, contexts.to_vec())
    };
    let samples = pipeline.sample(&request, &mut |_, _| {})?;
    Ok((samples, begun.elapsed().as_secs_f64()))
}
