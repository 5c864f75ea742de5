//! The network of the best evaluation, in the folder of its run.

use std::{collections::HashMap, path::PathBuf};

use pyrograph_models::weights::StateDict;
use serde::{Deserialize, Serialize};

use crate::{TrainError, resume::weights_path, run_folder::RunFolder};

const BEST: &str = "best.safetensors";
/// The key in the header of that file under which its evaluation stands, as JSON.
const KEY: &str = "pyrograph.best";

/// The evaluation that a network was kept for. It stands in the file of the network, so that both
/// are written at once, whenever the run is killed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct BestNote {
    /// Steps taken.
    pub(super) step: u64,
    /// The mean average precision.
    pub(super) map: f64,
}

impl BestNote {
    /// Adds it to the notes in the header of the file.
    pub(super) fn add_to(
        self,
        notes: &mut HashMap<String, String>,
        run: &RunFolder,
    ) -> Result<(), TrainError> {
        let text =
            serde_json::to_string(&self).map_err(|error| TrainError::io(best_path(run), error))?;
        notes.insert(KEY.into(), text);
        Ok(())
    }
}

/// The file of the best network.
pub(super) fn best_path(run: &RunFolder) -> PathBuf {
    run.path().join(BEST)
}

/// How good the network is that is kept; none where none is kept. `known` is the figure of the
/// checkpoint, which counts for a file of an earlier version.
pub(super) fn best_of(run: &RunFolder, known: Option<f64>) -> Option<f64> {
    if run.is_in_memory() {
        return known;
    }
    // A file that does not read is replaced by the next evaluation.
    let dict = StateDict::open(best_path(run)).ok()?;
    match dict.metadata().get(KEY) {
        None => known,
        Some(text) => Some(serde_json::from_str::<BestNote>(text).ok()?.map),
    }
}

/// The weights to use for detection: those of the best evaluation, or of the last complete
/// checkpoint in a run without evaluations.
///
/// # Errors
/// When there is neither yet, or every checkpoint is damaged.
pub fn best_weights(run: &RunFolder) -> Result<PathBuf, TrainError> {
    let best = best_path(run);
    match !run.is_in_memory() && best.is_file() {
        true => Ok(best),
        false => weights_path(run, false),
    }
}
