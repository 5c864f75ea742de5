//! The kind of a run, so that errors can name a run of another kind.

use std::{fmt, fs};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{CONFIG, RunFolder};
use crate::TrainError;

/// The kind of network that a run trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunKind {
    /// A diffusion model of sprites.
    Sprites,
    /// A generator and a discriminator.
    Dcgan,
    /// A detector, with or without a teacher.
    Detector,
}

/// The whole config of a run of one kind.
pub trait RunPlan: Serialize + DeserializeOwned {
    /// The kind.
    const KIND: RunKind;
}

impl RunKind {
    /// The kind of the run with this config; `None` for an unknown kind.
    pub fn of(config: &Value) -> Option<Self> {
        let training = config.get("training")?;
        let has = |key: &str| training.get(key).is_some();
        if has("context_names") {
            Some(Self::Sprites)
        } else if has("generator_rate") {
            Some(Self::Dcgan)
        } else if has("evaluate_every") {
            Some(Self::Detector)
        } else {
            None
        }
    }

    /// The commands that use a run of this kind.
    fn uses(self) -> &'static str {
        match self {
            Self::Sprites => "`sample sprites`, `eval sprites` and `train sprites --resume`",
            Self::Dcgan => "`sample dcgan`, `anomaly fit` and `train dcgan --resume`",
            Self::Detector => {
                "`detect`, `eval ssd` and `train ssd --resume` or `train distill --resume`"
            }
        }
    }
}

impl fmt::Display for RunKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sprites => "a sprites run",
            Self::Dcgan => "a DCGAN run",
            Self::Detector => "a detector run",
        })
    }
}

impl RunFolder {
    /// The kind of the run; `None` for an unknown kind.
    ///
    /// # Errors
    /// When the config cannot be read.
    pub fn kind(&self) -> Result<Option<RunKind>, TrainError> {
        Ok(RunKind::of(&self.config::<Value>()?))
    }

    /// Refuses a run of another kind.
    ///
    /// # Errors
    /// When the run is of another kind, which the error names, or its config cannot be read.
    pub fn expect_kind(&self, wanted: RunKind) -> Result<(), TrainError> {
        match self.kind()? {
            Some(seen) if seen != wanted => Err(TrainError::Run {
                path: self.path.clone(),
                reason: format!(
                    "{seen}, but {wanted} is needed here: {seen} is for {}",
                    seen.uses()
                ),
            }),
            _ => Ok(()),
        }
    }

    /// The whole config of a run of one kind.
    ///
    /// # Errors
    /// When the run is of another kind, which the error names, or when the config cannot be read.
    pub fn plan<P: RunPlan>(&self) -> Result<P, TrainError> {
        self.expect_kind(P::KIND)?;
        self.config()
    }
}

/// Why a path is no run folder.
pub(super) fn no_run(path: &std::path::Path) -> String {
    /// How deep the files of a run lie.
    const DEPTH: usize = 3;
    let is_run = |folder: &&std::path::Path| folder.join(CONFIG).is_file();
    let around = path.ancestors().skip(1).take(DEPTH).find(is_run);
    let runs_below = fs::read_dir(path).into_iter().flatten().flatten();
    let below = runs_below.map(|entry| entry.path()).find(|path| {
        let is_seed = |entry: fs::DirEntry| entry.path().join(CONFIG).is_file();
        path.join(CONFIG).is_file()
            || fs::read_dir(path).is_ok_and(|mut seeds| seeds.any(|seed| seed.is_ok_and(is_seed)))
    });
    let what = match (path.is_file(), path.exists()) {
        (true, _) => "this is a file, no run folder".to_owned(),
        (_, false) => "there is no run folder: this path does not exist".to_owned(),
        _ => format!("this is no run folder: it has no {CONFIG}"),
    };
    match (around, below) {
        (Some(run), _) => format!("{what}; it is within the run folder {}", run.display()),
        (None, Some(run)) => format!("{what}; there are runs in it, such as {}", run.display()),
        (None, None) => what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_of_each_kind_is_known_by_its_keys() {
        for (key, kind) in [
            ("context_names", Some(RunKind::Sprites)),
            ("generator_rate", Some(RunKind::Dcgan)),
            ("evaluate_every", Some(RunKind::Detector)),
            ("speed", None),
        ] {
            let config = serde_json::json!({ "training": { key: 1 } });
            assert_eq!(RunKind::of(&config), kind, "{key}");
        }
        assert_eq!(RunKind::of(&Value::Null), None);
    }

    #[test]
    fn a_run_of_another_kind_is_named_with_its_uses() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = serde_json::json!({ "training": { "context_names": [] } });
        let run = RunFolder::create(folder.path().join("run"), &config).expect("new");
        run.expect_kind(RunKind::Sprites).expect("that is its kind");
        let error = run.expect_kind(RunKind::Dcgan).expect_err("another");
        let text = error.to_string();
        for words in ["a sprites run", "a DCGAN run is needed", "`sample sprites`"] {
            assert!(text.contains(words), "{text}");
        }
    }

    #[test]
    fn what_is_no_run_folder_is_called_what_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sweep/cwd/seed-0");
        RunFolder::create(&path, &1).expect("new");
        let open = |path: &std::path::Path| {
            let error = RunFolder::open(path).expect_err("no run");
            error.to_string()
        };
        for (path, words) in [
            (path.join("checkpoints"), "within the run folder"),
            (path.join(CONFIG), "this is a file"),
            (folder.path().join("sweep"), "such as"),
            (folder.path().join("nowhere"), "does not exist"),
        ] {
            let text = open(&path);
            assert!(
                text.contains(words) && text.contains("run folder"),
                "{text}"
            );
        }
    }
}
