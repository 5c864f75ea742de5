//! Writing the checkpoints of a run.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use burn::tensor::backend::Backend;
use pyrograph_models::{
    ModelError,
    weights::{NamedModel, StateDict, save_model, save_weights, state_dict_of},
};

use crate::{
    TrainError, TrainState,
    checkpoint::{self, EMA, MODEL},
    run_folder::RunFolder,
};

/// Checkpoints that stay on disk.
const KEEP: usize = 2;

/// Writes the networks of a run at one step.
pub(crate) struct CheckpointWriter<'a> {
    pub(crate) run: &'a RunFolder,
    pub(crate) state: &'a TrainState,
    /// What to do after a divergence.
    pub(crate) advice: &'static str,
}

impl CheckpointWriter<'_> {
    /// Writes a checkpoint and returns its folder: `model` and its moving average with `notes` in
    /// their headers, the files that `others` writes, and the state.
    ///
    /// # Errors
    /// When a weight of `model` is not finite, or when a file cannot be written.
    pub(crate) fn write<B: Backend, M, A>(
        &self,
        model: &M,
        average: Option<&A>,
        config: &M::Config,
        notes: HashMap<String, String>,
        others: impl FnOnce(&Path) -> Result<(), TrainError>,
    ) -> Result<PathBuf, TrainError>
    where
        M: NamedModel<B>,
        A: NamedModel<B, Config = M::Config>,
    {
        let weights = self.finite_weights(model)?;
        self.run.write_checkpoint(self.state.step, KEEP, |folder| {
            save_weights::<B, M>(&weights, config, notes.clone(), folder.join(MODEL))?;
            if let Some(average) = average {
                save_model(average, config, notes, folder.join(EMA))?;
            }
            others(folder)?;
            checkpoint::save_state(self.state, folder)
        })
    }

    /// The weights of `model`, which are all finite: a checkpoint of others would push out those
    /// that can be resumed.
    pub(crate) fn finite_weights<B: Backend, M: NamedModel<B>>(
        &self,
        model: &M,
    ) -> Result<StateDict, TrainError> {
        let weights = state_dict_of(model)?;
        match weights.check_finite() {
            Err(ModelError::NonFinite { key, value, .. }) => Err(TrainError::DivergedWeights {
                step: self.state.step,
                key,
                value,
                advice: self.advice,
                saved: self.run.last_step(),
            }),
            checked => {
                checked?;
                Ok(weights)
            }
        }
    }
}
