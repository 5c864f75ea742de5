//! The training itself, and what it shows on the way.

use std::{error::Error, ops::ControlFlow, path::PathBuf};

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
        sprites::{Moment, SpriteHooks, SpriteTraining, StepRecord, train_sprites},
    },
    vision::write_png,
};

use crate::training::{Summary, Watch};

pub(super) struct Job {
    pub(super) run: RunFolder,
    pub(super) training: SpriteTraining,
    pub(super) data: SpriteSet,
    pub(super) watch: Watch,
}

impl BackendTask for Job {
    type Output = anyhow::Result<Summary<f32>>;

    fn run<B: VisionAutodiff>(self, device: Device<B>) -> Self::Output {
        let config = &self.training;
        let mut hooks = Hooks {
            watch: &self.watch,
            run: &self.run,
            config,
            device: device.clone(),
            picture: None,
        };
        let trained = train_sprites::<B>(config, &self.data, &self.run, &mut hooks, &device);
        let trained = trained?;
        Ok(Summary {
            steps: trained.steps,
            seconds: trained.seconds,
            last: trained.last_loss,
            best: None,
            interrupted: trained.interrupted,
            picture: hooks.picture,
        })
    }
}

struct Hooks<'a, B: VisionBackend> {
    watch: &'a Watch,
    run: &'a RunFolder,
    config: &'a SpriteTraining,
    device: Device<B>,
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
        let (loss, rate) = (last.loss, last.learning_rate);
        let figures = format!("loss {loss:.4} lr {rate:.1e}");
        self.watch.at(last.step, records.len(), progress, &figures);
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
        let watch = self.watch;
        let samples = pipeline.sample_while(&request, &mut |_, _| {
            if watch.stop_requested() {
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
        if let Some(beyond) = samples.beyond_range() {
            let step = moment.step;
            self.watch
                .remark(&format!("warning: the picture of step {step}: {beyond}"));
        }
        let path = self.picture_path(moment);
        write_png(&path, &class_sheet(&samples, &labels)?)?;
        self.picture = Some(path);
        Ok(())
    }

    fn has_sample(&self, moment: Moment) -> bool {
        self.picture_path(moment).is_file()
    }

    fn remark(&mut self, text: &str) {
        self.watch.remark(text);
    }

    fn stop_requested(&self) -> bool {
        self.watch.stop_requested()
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
