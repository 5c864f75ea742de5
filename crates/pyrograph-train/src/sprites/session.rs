//! A run's models and optimizer, fresh or from the last whole checkpoint.

use std::{collections::HashMap, path::Path};

use burn::{
    module::AutodiffModule,
    optim::{AdamConfig, Optimizer},
};
use pyrograph_backend::vision::VisionAutodiff;
use pyrograph_data::SpriteSet;
use pyrograph_diffusion::DiffusionCard;
use pyrograph_models::{
    context_unet::ContextUnet,
    weights::{save_model, state_dict_of},
};

use super::{SpriteTraining, StepRecord, training::ADVICE};
use crate::{
    Ema, TrainError,
    checkpoint::{self, EMA, MODEL, OPTIMIZER},
    clock::RunClock,
    ids::with_stable_ids,
    resume::{Resumed, check_finite, drop_metrics_after},
    run_folder::RunFolder,
};

/// Checkpoints that stay on disk.
const KEEP: usize = 2;
/// PyTorch's; burn's own default is 1e-5.
const ADAM_EPSILON: f32 = 1e-8;

/// What changes from step to step.
pub(super) struct Session<B: VisionAutodiff, O> {
    pub(super) model: ContextUnet<B>,
    pub(super) ema: Option<Ema<ContextUnet<B::InnerBackend>>>,
    pub(super) optimizer: O,
    pub(super) clock: RunClock,
}

pub(super) fn new_optimizer<B: VisionAutodiff>() -> impl Optimizer<ContextUnet<B>, B> {
    AdamConfig::new().with_epsilon(ADAM_EPSILON).init()
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

    /// Writes a checkpoint; one whose weights are no numbers would push out those that can be resumed.
    pub(super) fn save(&self, config: &SpriteTraining, run: &RunFolder) -> Result<(), TrainError> {
        let weights = state_dict_of(&self.model.valid())?;
        check_finite(&weights, self.clock.step(), run, ADVICE)?;
        run.write_checkpoint(self.clock.step(), KEEP, |folder| {
            let notes = card_notes(&config.card(), folder)?;
            save_model(
                &self.model.valid(),
                &config.model,
                notes.clone(),
                folder.join(MODEL),
            )?;
            if let Some(ema) = &self.ema {
                save_model(ema.model(), &config.model, notes, folder.join(EMA))?;
            }
            checkpoint::save_optimizer(&self.optimizer, folder, OPTIMIZER)?;
            checkpoint::save_state(&self.clock.state, folder)
        })?;
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

fn card_notes(card: &DiffusionCard, folder: &Path) -> Result<HashMap<String, String>, TrainError> {
    let text = serde_json::to_string(card).map_err(|error| TrainError::io(folder, error))?;
    Ok(HashMap::from([(DiffusionCard::KEY.to_owned(), text)]))
}
