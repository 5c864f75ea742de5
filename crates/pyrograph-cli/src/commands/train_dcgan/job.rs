//! The training itself, and what it shows on the way.

use std::{error::Error, path::PathBuf};

use pyrograph::{
    backend::{
        BackendTask, Device,
        vision::{VisionAutodiff, VisionBackend},
    },
    data::LabelledImages,
    models::dcgan::Generator,
    train::{
        dcgan::{AdversarialRecord, DcganHooks, DcganTraining, train_dcgan},
        run_folder::RunFolder,
    },
    vision::write_png,
};

use crate::{
    commands::sample_dcgan::sample_sheet,
    training::{Summary, Watch},
};

pub(super) struct Job {
    pub(super) run: RunFolder,
    pub(super) training: DcganTraining,
    pub(super) data: LabelledImages,
    pub(super) watch: Watch,
}

impl BackendTask for Job {
    type Output = anyhow::Result<Summary<AdversarialRecord>>;

    fn run<B: VisionAutodiff>(self, device: Device<B>) -> Self::Output {
        let config = &self.training;
        let mut hooks = Hooks {
            watch: &self.watch,
            run: &self.run,
            config,
            device: device.clone(),
            picture: None,
        };
        let trained = train_dcgan::<B>(config, &self.data, &self.run, &mut hooks, &device);
        let trained = trained?;
        Ok(Summary {
            steps: trained.steps,
            seconds: trained.seconds,
            last: trained.last,
            best: None,
            interrupted: trained.interrupted,
            picture: hooks.picture,
        })
    }
}

struct Hooks<'a, B: VisionBackend> {
    watch: &'a Watch,
    run: &'a RunFolder,
    config: &'a DcganTraining,
    device: Device<B>,
    picture: Option<PathBuf>,
}

/// Images in a picture on the way.
const IN_PICTURE: usize = 64;

impl<B: VisionBackend> DcganHooks<B> for Hooks<'_, B> {
    fn logged(&mut self, records: &[AdversarialRecord], progress: f64) {
        let Some(last) = records.last() else { return };
        let figures = format!(
            "D {:.3} G {:.3} accuracy {:.0}/{:.0} %",
            last.discriminator_loss,
            last.generator_loss,
            100.0 * last.real_accuracy,
            100.0 * last.fake_accuracy,
        );
        self.watch.at(last.step, records.len(), progress, &figures);
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
        self.watch.remark(text);
    }

    fn stop_requested(&self) -> bool {
        self.watch.stop_requested()
    }
}
