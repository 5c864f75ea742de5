//! Resuming a training from a checkpoint.

use std::{
    fmt::Debug,
    path::{Path, PathBuf},
};

use pyrograph_backend::vision::VisionBackend;
use pyrograph_models::{
    ModelError,
    weights::{NamedModel, StateDict, load_model},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    DataFingerprint, TrainError, TrainState,
    checkpoint::{self, EMA, MODEL},
    ids::with_stable_ids,
    run_folder::RunFolder,
};

/// What to do where every checkpoint is damaged.
const NONE_LEFT: &str =
    "no whole checkpoint is left: bring the file back, or begin a new run in another folder";

/// The newest checkpoint whose files are all as they were written, and its folder; damaged ones after it are set aside.
/// None where there is no checkpoint at all.
pub(crate) fn last_whole_checkpoint(
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

/// Refuses a checkpoint of another seed or of other data.
pub(crate) fn check_same_run(
    state: &TrainState,
    folder: &Path,
    seed: u64,
    data: DataFingerprint,
) -> Result<(), TrainError> {
    if state.seed != seed {
        let seen = state.seed;
        let reason = format!("it was made with seed {seen}, the config has {seed}");
        return Err(TrainError::Run {
            path: folder.into(),
            reason,
        });
    }
    if state.data != data {
        return Err(TrainError::DataChanged {
            seen: data,
            expected: state.data,
        });
    }
    Ok(())
}

/// A model file whose numbers are those that the run asks for.
pub(crate) fn load_checked<B: VisionBackend, M>(
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

/// Refuses weights that are no numbers: a checkpoint of them would push out those that can be
/// resumed. `advice` says what to do.
pub(crate) fn check_finite(
    weights: &StateDict,
    step: u64,
    run: &RunFolder,
    advice: &'static str,
) -> Result<(), TrainError> {
    match weights.check_finite() {
        Err(ModelError::NonFinite { key, value, .. }) => Err(TrainError::DivergedWeights {
            step,
            key,
            value,
            advice,
            saved: run.last_step(),
        }),
        checked => Ok(checked?),
    }
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
