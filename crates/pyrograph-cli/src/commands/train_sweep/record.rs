//! How far a sweep is: `sweep.json` in its folder.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use pyrograph::base::atomic_write;
use serde::{Deserialize, Serialize};
use toml::Table;

/// What is written in the folder of a sweep.
pub(super) const FILE: &str = "sweep.json";
/// The config of a run, in its folder.
const CONFIG: &str = "config.json";

/// The trainings that were begun and finished, and the measurements.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// By the folder within the sweep's.
    trainings: BTreeMap<String, Training>,
    /// The measurements for runs of equal time.
    calibrations: Vec<Calibration>,
    #[serde(skip)]
    path: PathBuf,
}

/// A training that was begun.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Training {
    /// The options that the recipe asked for.
    asked: Table,
    /// None where it is not finished.
    finished: Option<Figures>,
}

/// The figures of a finished training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Figures {
    pub(super) steps: u64,
    pub(super) seconds: f64,
    /// The best mAP@.5 on the validation images.
    pub(super) best: Option<f64>,
}

/// How long steps take, and how many of a run take as long as another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Calibration {
    /// The names of the run and of the one that it is to take as long as.
    pub(super) runs: [String; 2],
    /// The options that the recipe asked for: of the run, without steps, and of the one that it is
    /// to take as long as.
    pub(super) asked: [Table; 2],
    /// Their seconds a step, on average of their runs.
    pub(super) seconds_a_step: [f64; 2],
    /// The steps of the run.
    pub(super) steps: u64,
}

impl Record {
    /// That of the sweep in `out`, an empty one where there is none. A training whose folder is
    /// gone was not begun.
    pub(super) fn load(out: &Path) -> anyhow::Result<Self> {
        let path = out.join(FILE);
        let mut record = match fs::read(&path) {
            Ok(text) => {
                serde_json::from_slice(&text).with_context(|| path.display().to_string())?
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::default(),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let is_there = |folder: &String| out.join(folder).join(CONFIG).is_file();
        record.trainings.retain(|folder, _| is_there(folder));
        record.path = path;
        Ok(record)
    }

    fn save(&self) -> anyhow::Result<()> {
        Ok(atomic_write(&self.path, &serde_json::to_vec_pretty(self)?)?)
    }

    /// Refuses a folder that holds a run which the recipe does not ask for; `asked` is none where
    /// that is not known.
    pub(super) fn check(
        &self,
        out: &Path,
        folder: &str,
        asked: Option<&Table>,
    ) -> anyhow::Result<()> {
        let path = out.join(folder);
        let Some(training) = self.trainings.get(folder) else {
            if path.join(CONFIG).is_file() {
                bail!(
                    "{}: this run was not begun by the sweep: give another --out, or move the run away",
                    path.display()
                );
            }
            return Ok(());
        };
        let differs = match asked {
            Some(asked) => difference(&training.asked, asked),
            None => Some("the time of a step is measured anew".into()),
        };
        match differs {
            None => Ok(()),
            Some(differs) => bail!(
                "{}: this run is not what the recipe asks for: {differs}; give another --out, move the run away, or bring the recipe back",
                path.display()
            ),
        }
    }

    /// The figures of the training in `folder`, where it is finished.
    pub(super) fn finished(&self, folder: &str) -> Option<Figures> {
        self.trainings.get(folder)?.finished
    }

    pub(super) fn begin(&mut self, folder: &str, asked: Table) -> anyhow::Result<()> {
        let training = Training {
            asked,
            finished: None,
        };
        self.trainings.insert(folder.into(), training);
        self.save()
    }

    pub(super) fn finish(&mut self, folder: &str, figures: Figures) -> anyhow::Result<()> {
        if let Some(training) = self.trainings.get_mut(folder) {
            training.finished = Some(figures);
        }
        self.save()
    }

    /// The steps of a run of equal time, where they were measured for these options.
    pub(super) fn steps(&self, asked: &[Table; 2]) -> Option<u64> {
        let known = self
            .calibrations
            .iter()
            .find(|known| known.asked == *asked)?;
        Some(known.steps)
    }

    pub(super) fn calibrate(&mut self, calibration: Calibration) -> anyhow::Result<()> {
        self.calibrations.push(calibration);
        self.save()
    }
}

/// The first option that differs, in words.
fn difference(then: &Table, now: &Table) -> Option<String> {
    let key = then
        .keys()
        .chain(now.keys())
        .find(|key| then.get(*key) != now.get(*key))?;
    let value = |table: &Table| {
        table
            .get(key)
            .map_or("not given".into(), ToString::to_string)
    };
    Some(format!(
        "`{key}` was {}, and is {} now",
        value(then),
        value(now)
    ))
}
