//! The model file that a flag names.

use std::path::{Path, PathBuf};

use anyhow::Context;
use pyrograph::train::{
    run_folder::{RunFolder, RunKind},
    ssd::best_weights,
};

use crate::training::absolute;

/// The absolute path of the model file that `flag` names: the file at `given`, or the best network
/// of the run folder there.
pub(super) fn model_file(flag: &'static str, given: &Path) -> anyhow::Result<PathBuf> {
    let file = match given.is_dir() {
        false => given.to_owned(),
        true => {
            let run = RunFolder::open(given).context(flag)?;
            run.expect_kind(RunKind::Detector).context(flag)?;
            best_weights(&run).context(flag)?
        }
    };
    absolute(&file, flag)
}
