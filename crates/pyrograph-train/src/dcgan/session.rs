//! A run's networks and optimizers, fresh or from the last whole checkpoint.

use std::collections::HashMap;

use burn::{
    module::AutodiffModule,
    optim::{AdamConfig, Optimizer},
    tensor::backend::AutodiffBackend,
};
use pyrograph_backend::vision::VisionAutodiff;
use pyrograph_data::LabelledImages;
use pyrograph_models::{
    dcgan::{Dcgan, Discriminator, Generator},
    weights::{save_model, state_dict_of},
};

use super::{AdversarialRecord, DcganTraining, log::ADVICE};
use crate::{
    Ema, TrainError,
    checkpoint::{self, EMA, MODEL},
    clock::RunClock,
    ids::with_stable_ids,
    resume::{Resumed, check_finite, drop_metrics_after},
    run_folder::RunFolder,
};

/// The key of the normalisation in a model file's header, as JSON.
pub const NORMALISATION_KEY: &str = "pyrograph.normalisation";

/// Checkpoints that stay on disk.
const KEEP: usize = 2;
/// PyTorch's; burn's own default is 1e-5.
const ADAM_EPSILON: f32 = 1e-8;
const GENERATOR_OPTIMIZER: &str = "optimizer-generator.bin";
const DISCRIMINATOR_OPTIMIZER: &str = "optimizer-discriminator.bin";

/// Adam with these betas.
pub(super) fn adam<B: AutodiffBackend, M: AutodiffModule<B>>(
    betas: [f64; 2],
) -> impl Optimizer<M, B> {
    AdamConfig::new()
        .with_beta_1(betas[0] as f32)
        .with_beta_2(betas[1] as f32)
        .with_epsilon(ADAM_EPSILON)
        .init()
}

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

    /// Writes a checkpoint; one whose weights are no numbers would push out those that can be resumed.
    pub(super) fn save(&self, config: &DcganTraining, run: &RunFolder) -> Result<(), TrainError> {
        let networks = Dcgan {
            generator: self.generator.valid(),
            discriminator: self.discriminator.valid(),
        };
        let weights = state_dict_of(&networks)?;
        check_finite(&weights, self.clock.step(), run, ADVICE)?;
        run.write_checkpoint(self.clock.step(), KEEP, |folder| {
            let text = serde_json::to_string(&config.normalisation)
                .map_err(|error| TrainError::io(folder, error))?;
            let notes = || HashMap::from([(NORMALISATION_KEY.to_owned(), text.clone())]);
            save_model(&networks, &config.model, notes(), folder.join(MODEL))?;
            if let Some(ema) = &self.ema {
                save_model(ema.model(), &config.model, notes(), folder.join(EMA))?;
            }
            checkpoint::save_optimizer(&self.generator_optimizer, folder, GENERATOR_OPTIMIZER)?;
            checkpoint::save_optimizer(
                &self.discriminator_optimizer,
                folder,
                DISCRIMINATOR_OPTIMIZER,
            )?;
            checkpoint::save_state(&self.clock.state, folder)
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
