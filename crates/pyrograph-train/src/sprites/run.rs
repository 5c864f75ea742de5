//! A whole run: data, split and training.

use std::path::PathBuf;

use pyrograph_data::{SpriteOptions, SpriteReader, SpriteReading, SpriteSet};
use serde::{Deserialize, Serialize};

use super::SpriteTraining;
use crate::{
    DataFingerprint, TrainError,
    checks::{number, refuse},
    run_folder::{RunKind, RunPlan},
};

/// The source of the sprites.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum DataSource {
    /// The built-in set, drawn by code.
    Procedural {
        /// The number of sprites.
        count: usize,
        /// The seed that draws them.
        seed: u64,
    },
    /// A folder: the course's `.npy` pair, or images.
    Folder {
        /// The folder. Its path is absolute in the config of a run, so that the run can be resumed
        /// from any folder.
        path: PathBuf,
        /// The side to which every image is resized; `None` does not resize.
        side: Option<usize>,
        /// Options of reading the folder.
        #[serde(default, skip_serializing_if = "SpriteOptions::is_default")]
        options: SpriteOptions,
    },
}

impl DataSource {
    /// Reads or draws the whole set.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn load(&self) -> Result<SpriteSet, TrainError> {
        Ok(self.read(&mut |_, _| ())?.sprites)
    }

    /// Reads or draws the whole set, with remarks on guesses and skipped files. `progress` is
    /// called with the number of files read and the total number.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn read(
        &self,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<SpriteReading, TrainError> {
        match self {
            Self::Procedural { count, seed } => Ok(SpriteReading {
                sprites: pyrograph_art::sprites(*count, *seed)?,
                remarks: Vec::new(),
            }),
            Self::Folder {
                path,
                side,
                options,
            } => {
                let reader = SpriteReader {
                    side: *side,
                    options: *options,
                };
                Ok(reader.read(path, progress)?)
            }
        }
    }
}

/// The config of a whole run: the data, the held-out fraction, and the training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpriteRun {
    /// The data.
    pub data: DataSource,
    /// The fingerprint of the data when the run was begun.
    pub fingerprint: DataFingerprint,
    /// The fraction that is held out for evaluation, 0 to below 1.
    pub held_out: f64,
    /// The training.
    pub training: SpriteTraining,
}

impl RunPlan for SpriteRun {
    const KIND: RunKind = RunKind::Sprites;
}

impl SpriteRun {
    /// The training set and the held-out set.
    ///
    /// # Errors
    /// When the data cannot be read or differ from those that the run was begun with, or when the
    /// fraction is not allowed.
    pub fn load_data(&self) -> Result<(SpriteSet, SpriteSet), TrainError> {
        self.split(&self.data.load()?)
    }

    /// The training part and the held-out part of `set`, the run's whole data.
    ///
    /// # Errors
    /// When the set differs from the one that the run was begun with, or when the fraction leaves
    /// nothing to train on.
    pub fn split(&self, set: &SpriteSet) -> Result<(SpriteSet, SpriteSet), TrainError> {
        self.fingerprint.check(set)?;
        let seen = || number(self.held_out);
        if !(0.0..1.0).contains(&self.held_out) {
            return Err(refuse("held_out", seen(), "at least 0 and below 1"));
        }
        let (training, held_out) = set.split(self.held_out, self.training.seed)?;
        if training.is_empty() {
            let allowed = format!("less: of {} images none is left to train on", set.len());
            return Err(refuse("held_out", seen(), &allowed));
        }
        Ok((training, held_out))
    }
}
