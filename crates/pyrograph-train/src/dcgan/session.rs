//! A run's networks and optimizers, fresh or from the last whole checkpoint.

use std::collections::HashMap;

use burn::{module::AutodiffModule, optim::Optimizer};
use pyrograph_backend::vision::VisionAutodiff;
use pyrograph_data::LabelledImages;
use pyrograph_models::dcgan::{Dcgan, Discriminator, Generator};

use super::{AdversarialRecord, DcganTraining, log::ADVICE};
use crate::{
    Ema, TrainError, checkpoint,
    checkpoint_writer::CheckpointWriter,
    clock::RunClock,
    ids::with_stable_ids,
    resume::{Resumed, drop_metrics_after},
    run_folder::RunFolder,
};

/// The key of the normalisation in a model file's header, as JSON.
pub const NORMALISATION_KEY: &str = "pyrograph.normalisation";

const GENERATOR_OPTIMIZER: &str = "optimizer-generator.bin";
const DISCRIMINATOR_OPTIMIZER: &str = "optimizer-discriminator.bin";

/// What changes from step to step.
pub(super) struct Session<B: VisionAutodiff, G, D> {
    pub(super) generator: Generator<B>,
    pub(super) discriminator: Discriminator<B>,
    pub(super) ema: Option<Ema<Generator<B::InnerBackend>>>,
    pub(super) generator_optimizer: G,
    pub(super) discriminator_optimizer: D,
    pub(super) clock: RunClock,
}

impl<B, G, D> Session<B, G, D>
where
    B: VisionAutodiff,
    G: Optimizer<Generator<B>, B>,
    D: Optimizer<Discriminator<B>, B>,
{
    /// Continues from the last whole checkpoint of `run`, or begins; what the user should know goes to `remark`.
    pub(super) fn start(
        config: &DcganTraining,
        data: &LabelledImages,
        run: &RunFolder,
        (generator_optimizer, discriminator_optimizer): (G, D),
        remark: &mut dyn FnMut(&str),
        device: &B::Device,
    ) -> Result<Self, TrainError> {
        let resumed = Resumed::find(run, config.seed, data, remark)?;
        let Dcgan {
            generator,
            discriminator,
        } = match resumed.model(&config.model, device)? {
            Some(networks) => networks,
            None => config.model.init::<B>(device, config.seed)?,
        };
        let generator = with_stable_ids(generator);
        let ema = resumed.average(config.ema, &generator, &config.model, device)?;
        let session = Self {
            generator,
            discriminator: with_stable_ids(discriminator),
            ema,
            generator_optimizer: resumed.optimizer(
                generator_optimizer,
                GENERATOR_OPTIMIZER,
                device,
            )?,
            discriminator_optimizer: resumed.optimizer(
                discriminator_optimizer,
                DISCRIMINATOR_OPTIMIZER,
                device,
            )?,
            clock: RunClock::new(config.limits(data.len()), resumed.state),
        };
        drop_metrics_after(run, resumed.state.step, |line: &AdversarialRecord| {
            line.step
        })?;
        Ok(session)
    }

    /// Writes a checkpoint; its weights must be finite.
    pub(super) fn save(&self, config: &DcganTraining, run: &RunFolder) -> Result<(), TrainError> {
        let networks = Dcgan {
            generator: self.generator.valid(),
            discriminator: self.discriminator.valid(),
        };
        let text = serde_json::to_string(&config.normalisation)
            .map_err(|error| TrainError::io(run.path(), error))?;
        let notes = HashMap::from([(NORMALISATION_KEY.to_owned(), text)]);
        let writer = CheckpointWriter {
            run,
            state: &self.clock.state,
            advice: ADVICE,
        };
        let average = self.ema.as_ref().map(Ema::model);
        writer.write(&networks, average, &config.model, notes, |folder| {
            checkpoint::save_optimizer(&self.generator_optimizer, folder, GENERATOR_OPTIMIZER)?;
            checkpoint::save_optimizer(
                &self.discriminator_optimizer,
                folder,
                DISCRIMINATOR_OPTIMIZER,
            )
        })?;
        Ok(())
    }

    /// The generator to sample from: the moving average, unless it is turned off.
    pub(super) fn sampling_generator(&self) -> Generator<B::InnerBackend> {
        match &self.ema {
            Some(ema) => ema.model().clone(),
            None => self.generator.valid(),
        }
    }
}
