//! Resuming a training from a checkpoint.

use std::{
    fmt::Debug,
    path::{Path, PathBuf},
};

use burn::{module::AutodiffModule, optim::Optimizer, tensor::backend::AutodiffBackend};
use pyrograph_backend::vision::{VisionAutodiff, VisionBackend};
use pyrograph_models::weights::{NamedModel, load_model};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    DataFingerprint, Ema, TrainError, TrainState,
    checkpoint::{self, EMA, MODEL},
    ids::with_stable_ids,
    run_folder::RunFolder,
};

/// What to do where every checkpoint is damaged.
const NONE_LEFT: &str =
    "no whole checkpoint is left: bring the file back, or begin a new run in another folder";

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
            reason: format!("{reason}; {NONE_LEFT}"),
        }),
        _ => Ok(None),
    }
}

/// Where a run goes on: at its last whole checkpoint, or at its beginning.
pub(crate) struct Resumed {
    pub(crate) state: TrainState,
    /// The folder of the checkpoint; none where the run begins.
    pub(crate) folder: Option<PathBuf>,
}

impl Resumed {
    /// Finds the last whole checkpoint of `run`; `remark` hears of damaged ones.
    ///
    /// # Errors
    /// When the checkpoint is of another seed or of other data, or when none of them is whole.
    pub(crate) fn find(
        run: &RunFolder,
        seed: u64,
        data: impl Into<DataFingerprint>,
        remark: &mut dyn FnMut(&str),
    ) -> Result<Self, TrainError> {
        let data = data.into();
        let Some((state, folder)) = last_whole_checkpoint(run, remark)? else {
            let state = TrainState {
                step: 0,
                seconds: 0.0,
                seed,
                data,
                best: None,
            };
            let folder = None;
            return Ok(Self { state, folder });
        };
        if state.seed != seed {
            let seen = state.seed;
            let reason = format!("it was made with seed {seen}, the config has {seed}");
            return Err(TrainError::Run {
                path: folder,
                reason,
            });
        }
        if state.data != data {
            return Err(TrainError::DataChanged {
                seen: data,
                expected: state.data,
            });
        }
        let folder = Some(folder);
        Ok(Self { state, folder })
    }

    /// The model of the checkpoint; none where the run begins. It is on the backend that trains: a
    /// module that comes from the inner one has no parameter that asks for a gradient.
    pub(crate) fn model<B: VisionBackend, M>(
        &self,
        config: &M::Config,
        device: &B::Device,
    ) -> Result<Option<M>, TrainError>
    where
        M: NamedModel<B>,
        M::Config: PartialEq + Debug,
    {
        let load = |folder: &PathBuf| load_checked(&folder.join(MODEL), config, device);
        self.folder.as_ref().map(load).transpose()
    }

    /// The moving average with `decay`, from the checkpoint or from `fresh`; none without a decay.
    pub(crate) fn average<B: VisionAutodiff, M>(
        &self,
        decay: Option<f64>,
        fresh: &M,
        config: &M::Config,
        device: &B::Device,
    ) -> Result<Option<Ema<M::InnerModule>>, TrainError>
    where
        M: NamedModel<B> + AutodiffModule<B>,
        M::Config: PartialEq + Debug,
    {
        let Some(decay) = decay else {
            return Ok(None);
        };
        let average = match &self.folder {
            Some(folder) => load_checked::<B, M>(&folder.join(EMA), config, device)?.valid(),
            None => fresh.valid(),
        };
        Ok(Some(Ema::new(average, decay, self.state.step)))
    }

    /// `optimizer` with the state in the file `name` of the checkpoint; as it is where the run
    /// begins.
    pub(crate) fn optimizer<B, M, O>(
        &self,
        optimizer: O,
        name: &str,
        device: &B::Device,
    ) -> Result<O, TrainError>
    where
        B: AutodiffBackend,
        M: AutodiffModule<B>,
        O: Optimizer<M, B>,
    {
        match &self.folder {
            Some(folder) => checkpoint::load_optimizer(optimizer, folder, name, device),
            None => Ok(optimizer),
        }
    }
}

/// A model file whose numbers are those that the run asks for.
fn load_checked<B: VisionBackend, M>(
    path: &Path,
    wanted: &M::Config,
    device: &B::Device,
) -> Result<M, TrainError>
where
    M: NamedModel<B>,
    M::Config: PartialEq + Debug,
{
    let (model, config) = load_model::<B, M>(path, device)?;
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
pub(crate) fn drop_metrics_after<L: Serialize + DeserializeOwned>(
    run: &RunFolder,
    step: u64,
    step_of: impl Fn(&L) -> u64,
) -> Result<(), TrainError> {
    if run.is_in_memory() || !run.metrics_path().exists() {
        return Ok(());
    }
    let mut lines: Vec<L> = run.metrics()?;
    lines.retain(|line| step_of(line) <= step);
    run.rewrite_metrics(&lines)
}

/// The path of the weights to sample from in a run's last complete checkpoint: the moving average,
/// or the raw model if `raw` is set or there is no average.
///
/// # Errors
/// When there is no checkpoint yet, or none with an undamaged file.
pub fn weights_path(run: &RunFolder, raw: bool) -> Result<PathBuf, TrainError> {
    whole_weights(run, [raw], &mut |_| {}).map(|[path]| path)
}

/// [`weights_path`] for several networks, all from one checkpoint. `remark` is called when a
/// damaged checkpoint is skipped for an older one.
///
/// # Errors
/// As [`weights_path`].
pub fn whole_weights<const N: usize>(
    run: &RunFolder,
    raw: [bool; N],
    remark: &mut dyn FnMut(&str),
) -> Result<[PathBuf; N], TrainError> {
    run.last_checkpoint()?;
    let mut damaged: Option<(PathBuf, String)> = None;
    for (step, folder) in run.checkpoints()?.into_iter().rev() {
        match files_of(&folder, raw) {
            Ok(paths) => {
                if let Some((damaged, reason)) = damaged {
                    remark(&format!(
                        "{}: {reason}; the older checkpoint of step {step} is taken",
                        damaged.display()
                    ));
                }
                return Ok(paths);
            }
            Err(TrainError::Damaged { path, reason }) => {
                damaged.get_or_insert((path, reason));
            }
            Err(error) => return Err(error),
        }
    }
    let (path, reason) = damaged.unwrap_or_else(|| (run.path().into(), String::new()));
    Err(TrainError::Damaged {
        path,
        reason: format!("{reason}; {NONE_LEFT}"),
    })
}

/// The files of weights in a checkpoint, which are as they were written.
fn files_of<const N: usize>(folder: &Path, raw: [bool; N]) -> Result<[PathBuf; N], TrainError> {
    let averaged = checkpoint::holds(folder, EMA)?;
    let names = raw.map(|raw| if raw || !averaged { MODEL } else { EMA });
    for name in names {
        checkpoint::check_one_file(folder, name)?;
    }
    Ok(names.map(|name| folder.join(name)))
}
