//! A run's models and optimizer, fresh or from the last whole checkpoint.

use std::{collections::HashMap, path::Path};

use burn::{
    module::AutodiffModule,
    optim::{AdamConfig, Optimizer},
};
use pyrograph_backend::vision::VisionAutodiff;
use pyrograph_diffusion::DiffusionCard;
use pyrograph_models::{
    context_unet::ContextUnet,
    weights::{save_model, state_dict_of},
};

use super::{SpriteTraining, StepRecord, training::ADVICE};
use crate::{
    DataFingerprint, Ema, TrainError, TrainState,
    checkpoint::{self, EMA, MODEL, OPTIMIZER},
    ids::with_stable_ids,
    resume::{
        check_finite, check_same_run, drop_metrics_after, last_whole_checkpoint, load_checked,
    },
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
    pub(super) state: TrainState,
}

pub(super) fn new_optimizer<B: VisionAutodiff>() -> impl Optimizer<ContextUnet<B>, B> {
    AdamConfig::new().with_epsilon(ADAM_EPSILON).init()
}

impl<B: VisionAutodiff, O: Optimizer<ContextUnet<B>, B>> Session<B, O> {
    /// Continues from the last whole checkpoint of `run`, or begins; what the user should know goes to `remark`.
    pub(super) fn start(
        config: &SpriteTraining,
        data: DataFingerprint,
        run: &RunFolder,
        optimizer: O,
        remark: &mut dyn FnMut(&str),
        device: &B::Device,
    ) -> Result<Self, TrainError> {
        let Some((state, folder)) = last_whole_checkpoint(run, remark)? else {
            drop_metrics_after(run, 0, |line: &StepRecord| line.step)?;
            let model = with_stable_ids(config.model.init::<B>(device, config.seed)?);
            let ema = config.ema.map(|decay| Ema::new(model.valid(), decay, 0));
            let state = TrainState {
                step: 0,
                seconds: 0.0,
                seed: config.seed,
                data,
                best: None,
            };
            return Ok(Self {
                model,
                ema,
                optimizer,
                state,
            });
        };
        check_same_run(&state, &folder, config.seed, data)?;
        // On the backend that trains: a module that comes from the inner one has no parameter that asks for a gradient.
        let load = |name: &str| -> Result<ContextUnet<B>, TrainError> {
            load_checked(&folder.join(name), &config.model, device)
        };
        let model = load(MODEL)?;
        let ema = match config.ema {
            Some(decay) => Some(Ema::new(load(EMA)?.valid(), decay, state.step)),
            None => None,
        };
        let optimizer = checkpoint::load_optimizer(optimizer, &folder, OPTIMIZER, device)?;
        drop_metrics_after(run, state.step, |line: &StepRecord| line.step)?;
        Ok(Self {
            model,
            ema,
            optimizer,
            state,
        })
    }

    /// Writes a checkpoint; one whose weights are no numbers would push out those that can be resumed.
    pub(super) fn save(&self, config: &SpriteTraining, run: &RunFolder) -> Result<(), TrainError> {
        let weights = state_dict_of(&self.model.valid())?;
        check_finite(&weights, self.state.step, run, ADVICE)?;
        run.write_checkpoint(self.state.step, KEEP, |folder| {
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
            checkpoint::save_state(&self.state, folder)
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
