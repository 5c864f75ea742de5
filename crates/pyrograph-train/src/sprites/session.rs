//! A run's models and optimizer, fresh or from the last whole checkpoint.

use std::collections::HashMap;

use burn::{module::AutodiffModule, optim::Optimizer};
use pyrograph_backend::vision::VisionAutodiff;
use pyrograph_data::SpriteSet;
use pyrograph_diffusion::DiffusionCard;
use pyrograph_models::context_unet::ContextUnet;

use super::{SpriteTraining, StepRecord, training::ADVICE};
use crate::{
    Ema, TrainError,
    checkpoint::{self, OPTIMIZER},
    checkpoint_writer::CheckpointWriter,
    clock::RunClock,
    ids::with_stable_ids,
    resume::{Resumed, drop_metrics_after},
    run_folder::RunFolder,
};

/// What changes from step to step.
pub(super) struct Session<B: VisionAutodiff, O> {
    pub(super) model: ContextUnet<B>,
    pub(super) ema: Option<Ema<ContextUnet<B::InnerBackend>>>,
    pub(super) optimizer: O,
    pub(super) clock: RunClock,
}

impl<B: VisionAutodiff, O: Optimizer<ContextUnet<B>, B>> Session<B, O> {
    /// Continues from the last whole checkpoint of `run`, or begins; what the user should know goes to `remark`.
    pub(super) fn start(
        config: &SpriteTraining,
        data: &SpriteSet,
        run: &RunFolder,
        optimizer: O,
        remark: &mut dyn FnMut(&str),
        device: &B::Device,
    ) -> Result<Self, TrainError> {
        let resumed = Resumed::find(run, config.seed, data, remark)?;
        let model = match resumed.model(&config.model, device)? {
            Some(model) => model,
            None => with_stable_ids(config.model.init::<B>(device, config.seed)?),
        };
        let ema = resumed.average(config.ema, &model, &config.model, device)?;
        let optimizer = resumed.optimizer(optimizer, OPTIMIZER, device)?;
        drop_metrics_after(run, resumed.state.step, |line: &StepRecord| line.step)?;
        Ok(Self {
            model,
            ema,
            optimizer,
            clock: RunClock::new(config.limits(data.len()), resumed.state),
        })
    }

    /// Writes a checkpoint; its weights must be finite.
    pub(super) fn save(&self, config: &SpriteTraining, run: &RunFolder) -> Result<(), TrainError> {
        let card = serde_json::to_string(&config.card())
            .map_err(|error| TrainError::io(run.path(), error))?;
        let notes = HashMap::from([(DiffusionCard::KEY.to_owned(), card)]);
        let writer = CheckpointWriter {
            run,
            state: &self.clock.state,
            advice: ADVICE,
        };
        let average = self.ema.as_ref().map(Ema::model);
        writer.write(
            &self.model.valid(),
            average,
            &config.model,
            notes,
            |folder| checkpoint::save_optimizer(&self.optimizer, folder, OPTIMIZER),
        )?;
        Ok(())
    }

    /// The model to sample from: the moving average, unless it is turned off.
    pub(super) fn sampling_model(&self) -> ContextUnet<B::InnerBackend> {
        match &self.ema {
            Some(ema) => ema.model().clone(),
            None => self.model.valid(),
        }
    }
}
