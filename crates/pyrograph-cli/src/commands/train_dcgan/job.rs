//! The training itself, and what it shows on the way.

use std::{
    error::Error,
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
    data::LabelledImages,
    models::dcgan::Generator,
    train::{
        dcgan::{AdversarialRecord, DcganHooks, DcganRun, DcganTraining, train_dcgan},
        run_folder::RunFolder,
    },
    vision::write_png,
};

use crate::{commands::sample_dcgan::sample_sheet, progress};

pub(super) struct Job {
    pub(super) run: RunFolder,
    pub(super) plan: DcganRun,
    pub(super) training: LabelledImages,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) quiet: bool,
}

pub(super) struct Summary {
    pub(super) steps: u64,
    pub(super) seconds: f64,
    pub(super) last: Option<AdversarialRecord>,
    pub(super) interrupted: bool,
    /// The last picture that was made.
    pub(super) picture: Option<PathBuf>,
}

impl BackendTask for Job {
    type Output = anyhow::Result<Summary>;

    fn run<B: VisionAutodiff>(self, device: Device<B>) -> Self::Output {
        let config = &self.plan.training;
        let steps = config.limits(self.training.len()).steps;
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
        let trained = train_dcgan::<B>(config, &self.training, &self.run, &mut hooks, &device);
        hooks.bar.finish_and_clear();
        let trained = trained?;
        Ok(Summary {
            steps: trained.steps,
            seconds: trained.seconds,
            last: trained.last,
            interrupted: trained.interrupted,
            picture: hooks.picture,
        })
    }
}

struct Hooks<'a, B: VisionBackend> {
    bar: ProgressBar,
    /// Whether the bar counts steps; else it counts thousandths of the time.
    counts_steps: bool,
    run: &'a RunFolder,
    config: &'a DcganTraining,
    stop: &'a AtomicBool,
    device: Device<B>,
    quiet: bool,
    picture: Option<PathBuf>,
}

/// Images in a picture on the way.
const IN_PICTURE: usize = 64;

impl<B: VisionBackend> DcganHooks<B> for Hooks<'_, B> {
    fn logged(&mut self, records: &[AdversarialRecord], progress: f64) {
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
        self.bar.set_message(format!(
            "· step {} D {:.3} G {:.3} accuracy {:.0}/{:.0} %",
            last.step,
            last.discriminator_loss,
            last.generator_loss,
            100.0 * last.real_accuracy,
            100.0 * last.fake_accuracy,
        ));
    }

    fn sample(
        &mut self,
        step: u64,
        generator: &Generator<B>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let path = self.run.samples().join(format!("step-{step:07}.png"));
        let sheet = sample_sheet(
            generator,
            &self.config.model,
            self.config.normalisation,
            IN_PICTURE,
            self.config.seed,
            &self.device,
        )?;
        write_png(&path, &sheet)?;
        self.picture = Some(path);
        Ok(())
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
