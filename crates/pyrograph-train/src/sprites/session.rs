//! A run's models and optimizer, fresh or from the last whole checkpoint.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use burn::{
    module::AutodiffModule,
    optim::{AdamConfig, Optimizer},
    tensor::backend::Backend,
};
use pyrograph_backend::vision::VisionAutodiff;
use pyrograph_diffusion::DiffusionCard;
use pyrograph_models::{
    ModelError,
    context_unet::{ContextUnet, ContextUnetConfig},
    weights::{load_model, save_model, state_dict_of},
};

use super::{SpriteTraining, StepRecord};
use crate::{
    DataFingerprint, Ema, TrainError, TrainState,
    checkpoint::{self, EMA, MODEL},
    ids::with_stable_ids,
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
            drop_metrics_after(run, 0)?;
            let model = with_stable_ids(config.model.init::<B>(device, config.seed)?);
            let ema = config.ema.map(|decay| Ema::new(model.valid(), decay, 0));
            let state = TrainState {
                step: 0,
                seconds: 0.0,
                seed: config.seed,
                data,
            };
            return Ok(Self {
                model,
                ema,
                optimizer,
                state,
            });
        };
        if state.seed != config.seed {
            let (path, seen) = (folder, state.seed);
            let reason = format!(
                "it was made with seed {seen}, the config has {}",
                config.seed
            );
            return Err(TrainError::Run { path, reason });
        }
        if state.data != data {
            return Err(TrainError::DataChanged {
                seen: data,
                expected: state.data,
            });
        }
        // On the backend that trains: a module that comes from the inner one has no parameter that asks for a gradient.
        let load = |name: &str| load_checked::<B>(&folder.join(name), &config.model, device);
        let model = load(MODEL)?;
        let ema = match config.ema {
            Some(decay) => Some(Ema::new(load(EMA)?.valid(), decay, state.step)),
            None => None,
        };
        let optimizer = checkpoint::load_optimizer(optimizer, &folder, device)?;
        drop_metrics_after(run, state.step)?;
        Ok(Self {
            model,
            ema,
            optimizer,
            state,
        })
    }

    /// Writes a checkpoint; one whose weights are no numbers would push out those that can be resumed.
    pub(super) fn save(&self, config: &SpriteTraining, run: &RunFolder) -> Result<(), TrainError> {
        match state_dict_of(&self.model.valid())?.check_finite() {
            Err(ModelError::NonFinite { key, value, .. }) => {
                return Err(TrainError::DivergedWeights {
                    step: self.state.step,
                    key,
                    value,
                });
            }
            checked => checked?,
        }
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
            checkpoint::save_optimizer(&self.optimizer, folder)?;
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

/// The newest checkpoint whose files are all as they were written, and its folder; damaged ones after it are set aside.
/// None where there is no checkpoint at all.
fn last_whole_checkpoint(
    run: &RunFolder,
    remark: &mut dyn FnMut(&str),
) -> Result<Option<(TrainState, PathBuf)>, TrainError> {
    let mut damaged: Vec<(u64, PathBuf, TrainError)> = Vec::new();
    for (step, folder) in run.checkpoints()?.into_iter().rev() {
        match checkpoint::load_state(&folder) {
            Ok(state) => {
                for (damaged_step, folder, error) in damaged {
                    let aside = run.set_aside(damaged_step, &folder)?;
                    remark(&format!(
                        "{error}; moved to {}, going on from the older checkpoint of step {step}",
                        aside.display()
                    ));
                }
                return Ok(Some((state, folder)));
            }
            Err(error @ TrainError::Damaged { .. }) => damaged.push((step, folder, error)),
            Err(error) => return Err(error),
        }
    }
    match damaged.into_iter().next() {
        Some((_, _, TrainError::Damaged { path, reason })) => Err(TrainError::Damaged {
            path,
            reason: format!(
                "{reason}; no whole checkpoint is left: bring the file back, or begin a new run"
            ),
        }),
        _ => Ok(None),
    }
}

fn card_notes(card: &DiffusionCard, folder: &Path) -> Result<HashMap<String, String>, TrainError> {
    let text = serde_json::to_string(card).map_err(|error| TrainError::io(folder, error))?;
    Ok(HashMap::from([(DiffusionCard::KEY.to_owned(), text)]))
}

fn load_checked<B: Backend>(
    path: &Path,
    wanted: &ContextUnetConfig,
    device: &B::Device,
) -> Result<ContextUnet<B>, TrainError> {
    let (model, config) = load_model::<B, ContextUnet<B>>(path, device)?;
    if config == *wanted {
        return Ok(with_stable_ids(model));
    }
    let reason = format!("the checkpoint is of {config:?}, the run's config asks for {wanted:?}");
    Err(TrainError::Run {
        path: path.into(),
        reason,
    })
}

/// Drops the lines of steps that are taken again, and a torn one.
fn drop_metrics_after(run: &RunFolder, step: u64) -> Result<(), TrainError> {
    if !run.metrics_path().exists() {
        return Ok(());
    }
    let mut lines: Vec<StepRecord> = run.metrics()?;
    lines.retain(|line| line.step <= step);
    run.rewrite_metrics(&lines)
}

/// The path of the weights to sample from in a run's last checkpoint: the moving average, or the raw model when `raw` is
/// set or no average was kept.
///
/// # Errors
/// When there is no checkpoint yet, or the file is not as it was written.
pub fn weights_path(run: &RunFolder, raw: bool) -> Result<PathBuf, TrainError> {
    let (_, folder) = run.last_checkpoint()?;
    let name = if raw || !folder.join(EMA).is_file() {
        MODEL
    } else {
        EMA
    };
    match checkpoint::check_one_file(&folder, name) {
        Err(TrainError::Damaged { path, reason }) => Err(TrainError::Damaged {
            path,
            reason: format!("{reason}; resume the run, which goes on from an older checkpoint"),
        }),
        checked => checked.map(|()| folder.join(name)),
    }
}
