//! The training itself, and what it shows on the way.

use std::{
    error::Error,
    ops::ControlFlow,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use indicatif::ProgressBar;
use pyrograph::{
    backend::{
        BackendTask, Device,
        vision::{VisionAutodiff, VisionBackend},
    },
    data::SpriteSet,
    diffusion::SamplerConfig,
    models::context_unet::ContextUnet,
    pipelines::{
        PipelineError,
        sprites::{SpritePipeline, SpriteRequest, class_rows, class_sheet},
    },
    train::{
        run_folder::RunFolder,
        sprites::{
            Moment, SpriteHooks, SpriteRun, SpriteTraining, StepRecord, Trained, train_sprites,
        },
    },
    vision::write_png,
};

use crate::progress;

pub(super) struct Job {
    pub(super) run: RunFolder,
    pub(super) plan: SpriteRun,
    pub(super) training: SpriteSet,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) quiet: bool,
}

pub(super) struct Summary {
    pub(super) steps: u64,
    pub(super) seconds: f64,
    pub(super) last_loss: Option<f32>,
    pub(super) interrupted: bool,
    /// The last picture that was made.
    pub(super) picture: Option<PathBuf>,
}

impl BackendTask for Job {
    type Output = anyhow::Result<Summary>;

    fn run<B: VisionAutodiff>(self, device: Device<B>) -> Self::Output {
        let config = &self.plan.training;
        let limits = config.limits(self.training.len());
        let steps = limits.steps;
        let mut hooks = Hooks {
            bar: progress::bar(steps.unwrap_or(1000), self.quiet),
            counts_steps: steps.is_some(),
            run: &self.run,
            config,
            stop: &self.stop,
            device: device.clone(),
            quiet: self.quiet,
            picture: None,
        };
        let trained = train_sprites::<B>(config, &self.training, &self.run, &mut hooks, &device);
        hooks.bar.finish_and_clear();
        let Trained {
            steps,
            seconds,
            last_loss,
            interrupted,
            ..
        } = trained?;
        Ok(Summary {
            steps,
            seconds,
            last_loss,
            interrupted,
            picture: hooks.picture,
        })
    }
}

struct Hooks<'a, B: VisionBackend> {
    bar: ProgressBar,
    /// Whether the bar counts steps; else it counts thousandths of the time.
    counts_steps: bool,
    run: &'a RunFolder,
    config: &'a SpriteTraining,
    stop: &'a AtomicBool,
    device: Device<B>,
    quiet: bool,
    /// The last picture that was made.
    picture: Option<PathBuf>,
}

/// Sprites of each class in a picture on the way.
const A_CLASS: usize = 8;
/// Classes in it: of a thousand, a picture would take longer than the training between two.
const MAX_ROWS: usize = 8;
/// Steps of those pictures.
const PICTURE_STEPS: usize = 25;

impl<B: VisionBackend> SpriteHooks<B> for Hooks<'_, B> {
    fn logged(&mut self, records: &[StepRecord], progress: f64) {
        let Some(last) = records.last() else { return };
        let position = if self.counts_steps {
            last.step
        } else {
            (progress * 1000.0) as u64
        };
        if self.bar.position() == 0 && position > records.len() as u64 {
            self.bar.reset_eta(); // A resumed run did not take its first steps just now.
        }
        self.bar.set_position(position);
        let (step, loss, rate) = (last.step, last.loss, last.learning_rate);
        self.bar
            .set_message(format!("· step {step} loss {loss:.4} lr {rate:.1e}"));
    }

    fn sample(
        &mut self,
        moment: Moment,
        model: &ContextUnet<B>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let (unet, card) = (self.config.model.clone(), self.config.card());
        let pipeline = SpritePipeline::new(model.clone(), unet, card, &self.device)?;
        let (mut contexts, mut labels) = class_rows(&pipeline.context_names(), A_CLASS);
        contexts.truncate(MAX_ROWS * A_CLASS);
        labels.truncate(MAX_ROWS * A_CLASS);
        let sampler = SamplerConfig::ddim(PICTURE_STEPS.min(pipeline.timesteps()), 0.0);
        let request = SpriteRequest {
            seed: self.config.seed,
            ..SpriteRequest::new(sampler, contexts)
        };
        let stop = self.stop;
        let samples = pipeline.sample_while(&request, &mut |_, _| {
            if stop.load(Ordering::SeqCst) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        let samples = match samples {
            // The run ends here; a resumed one makes the picture.
            Err(PipelineError::Stopped) => return Ok(()),
            samples => samples?,
        };
        let path = self.picture_path(moment);
        write_png(&path, &class_sheet(&samples, &labels)?)?;
        self.picture = Some(path);
        Ok(())
    }

    fn has_sample(&self, moment: Moment) -> bool {
        self.picture_path(moment).is_file()
    }

    fn remark(&mut self, text: &str) {
        if !self.quiet {
            self.bar.suspend(|| eprintln!("{text}"));
        }
    }

    fn stop_requested(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

impl<B: VisionBackend> Hooks<'_, B> {
    /// By epoch and step: a run may end within an epoch that has its picture already.
    fn picture_path(&self, moment: Moment) -> PathBuf {
        let Moment { step, epochs } = moment;
        let name = format!("epoch-{epochs:05}-step-{step:07}.png");
        self.run.samples().join(name)
    }
}
