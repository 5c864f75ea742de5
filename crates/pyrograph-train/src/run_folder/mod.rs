//! The files of a run.
//!
//! ```text
//! RUN/config.json             what was asked for
//! RUN/metrics.jsonl           one line a step
//! RUN/checkpoints/step-N/     model, optimizer, EMA, step and seed
//! RUN/samples/                pictures
//! RUN/run.lock                held by the process that trains here
//! ```
//!
//! A checkpoint is written under a temporary name and renamed when it is complete, so a killed run
//! never leaves a partial checkpoint.

mod kind;
mod lock;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use pyrograph_base::atomic_write;
use serde::{Serialize, de::DeserializeOwned};

pub use self::kind::{RunKind, RunPlan};
use self::lock::{LOCK, RunLock};
use crate::TrainError;

const CONFIG: &str = "config.json";
const METRICS: &str = "metrics.jsonl";
const CHECKPOINTS: &str = "checkpoints";
const SAMPLES: &str = "samples";
const STEP: &str = "step-";
const PARTIAL: &str = ".partial-";
const DAMAGED: &str = "damaged-";
/// Files that a run has before its first step.
const BEFORE_THE_FIRST_STEP: [&str; 4] = [CONFIG, LOCK, "pseudo-labels.json", "teacher-cache.bin"];
/// How the temporary files of `atomic_write` begin.
const TEMPORARY: &str = ".pyrograph-";

/// The folder of one run.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Held until the last copy of this value is gone; none in a folder that is only read.
    lock: Option<Arc<RunLock>>,
    /// Whether nothing is kept on disk.
    in_memory: bool,
}

impl RunFolder {
    /// Begins a run and locks its folder, which must be new or empty, so that nothing is
    /// overwritten. The files of a run that was killed before its first step are ignored.
    ///
    /// # Errors
    /// When the folder is not empty, when another process trains in it, or when it cannot be
    /// created or written.
    pub fn create(path: impl Into<PathBuf>, config: &impl Serialize) -> Result<Self, TrainError> {
        let path = path.into();
        fs::create_dir_all(&path).map_err(|error| TrainError::io(&path, error))?;
        // Before the lock, so that none is left in a folder that is someone else's; and again under it.
        check_empty(&path)?;
        let lock = Some(Arc::new(RunLock::take(&path)?));
        check_empty(&path)?;
        let run = Self {
            path,
            lock,
            in_memory: false,
        };
        // The config first: with it, whatever a kill leaves can be resumed.
        run.save_config(config)?;
        for folder in [CHECKPOINTS, SAMPLES] {
            let folder = run.path.join(folder);
            fs::create_dir_all(&folder).map_err(|error| TrainError::io(&folder, error))?;
        }
        Ok(run)
    }

    /// A run that keeps nothing on disk: no config, no log and no checkpoints, so that it cannot be
    /// resumed. Hooks receive its figures, and the training function returns its networks.
    pub fn in_memory() -> Self {
        Self {
            path: PathBuf::new(),
            lock: None,
            in_memory: true,
        }
    }

    /// Whether the run keeps nothing on disk.
    pub fn is_in_memory(&self) -> bool {
        self.in_memory
    }

    /// Opens the folder of an existing run for reading.
    ///
    /// # Errors
    /// When the folder does not exist, or has no config.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, TrainError> {
        let path = path.into();
        if Self::is_begun(&path) {
            return Ok(Self {
                path,
                lock: None,
                in_memory: false,
            });
        }
        let reason = kind::no_run(&path);
        Err(TrainError::Run { path, reason })
    }

    /// Whether a run was begun in the folder `path`.
    pub fn is_begun(path: &Path) -> bool {
        path.join(CONFIG).is_file()
    }

    /// Opens the folder of an existing run and locks it, to continue training.
    ///
    /// # Errors
    /// As [`open`](Self::open), and when another process trains in the folder.
    pub fn open_locked(path: impl Into<PathBuf>) -> Result<Self, TrainError> {
        let run = Self::open(path)?;
        let lock = run.lock()?;
        Ok(Self { lock, ..run })
    }

    /// Removes the files of a run that was refused before its first step. A run that has a
    /// checkpoint or a log is kept, and so are files that a run does not write.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn discard_unbegun(self) -> Result<(), TrainError> {
        if self.in_memory || self.metrics_path().exists() || !self.checkpoints()?.is_empty() {
            return Ok(());
        }
        for name in BEFORE_THE_FIRST_STEP {
            let file = self.path.join(name);
            match fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(TrainError::io(file, error));
                }
                _ => {}
            }
        }
        for folder in [
            self.path.join(CHECKPOINTS),
            self.samples(),
            self.path.clone(),
        ] {
            // A folder with a file of someone else's stays.
            let _ = fs::remove_dir(folder);
        }
        Ok(())
    }

    /// The lock that this value holds, or a new one; none in memory.
    pub(crate) fn lock(&self) -> Result<Option<Arc<RunLock>>, TrainError> {
        match &self.lock {
            _ if self.in_memory => Ok(None),
            Some(lock) => Ok(Some(Arc::clone(lock))),
            None => Ok(Some(Arc::new(RunLock::take(&self.path)?))),
        }
    }

    /// The folder; empty for a run in memory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of pictures.
    pub fn samples(&self) -> PathBuf {
        self.path.join(SAMPLES)
    }

    /// The run's log of steps.
    pub fn metrics_path(&self) -> PathBuf {
        self.path.join(METRICS)
    }

    /// The config of the run.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn config<C: DeserializeOwned>(&self) -> Result<C, TrainError> {
        let path = self.path.join(CONFIG);
        let text = fs::read(&path).map_err(|error| TrainError::io(&path, error))?;
        serde_json::from_slice(&text).map_err(|error| TrainError::Run {
            path,
            reason: format!(
                "the config of this run does not read ({error}): it was changed by hand, or written by another version"
            ),
        })
    }

    /// Replaces the config, for example when a resumed run gets another limit.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save_config(&self, config: &impl Serialize) -> Result<(), TrainError> {
        let text =
            serde_json::to_vec_pretty(config).map_err(|error| TrainError::io(&self.path, error))?;
        self.write(CONFIG, &text)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), TrainError> {
        if self.in_memory {
            return Ok(());
        }
        Ok(atomic_write(self.path.join(name), bytes)?)
    }

    /// The complete checkpoints by step, oldest first.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn checkpoints(&self) -> Result<Vec<(u64, PathBuf)>, TrainError> {
        if self.in_memory {
            return Ok(Vec::new());
        }
        let folder = self.path.join(CHECKPOINTS);
        let mut found = Vec::new();
        let entries = match fs::read_dir(&folder) {
            // A run that was killed before this folder was made.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
            entries => entries.map_err(|error| TrainError::io(&folder, error))?,
        };
        for entry in entries {
            let path = entry
                .map_err(|error| TrainError::io(&folder, error))?
                .path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if let Some(step) = name.strip_prefix(STEP).and_then(|step| step.parse().ok())
                && path.is_dir()
            {
                found.push((step, path));
            }
        }
        found.sort();
        Ok(found)
    }

    /// The last complete checkpoint.
    ///
    /// # Errors
    /// When there is none.
    pub fn last_checkpoint(&self) -> Result<(u64, PathBuf), TrainError> {
        self.checkpoints()?.pop().ok_or_else(|| TrainError::Run {
            path: self.path.join(CHECKPOINTS),
            reason: "there is no whole checkpoint yet".into(),
        })
    }

    /// The step of the last whole checkpoint; none where there is none.
    pub(crate) fn last_step(&self) -> Option<u64> {
        Some(self.checkpoints().ok()?.last()?.0)
    }

    /// Writes a checkpoint by `fill`, and removes all but the last `keep` checkpoints; does nothing
    /// for a run in memory.
    ///
    /// # Errors
    /// The errors of `fill`, or when the folder cannot be written; the older checkpoints are then
    /// kept.
    pub fn write_checkpoint(
        &self,
        step: u64,
        keep: usize,
        fill: impl FnOnce(&Path) -> Result<(), TrainError>,
    ) -> Result<PathBuf, TrainError> {
        if self.in_memory {
            return Ok(PathBuf::new());
        }
        let folder = self.path.join(CHECKPOINTS);
        let partial = folder.join(format!("{PARTIAL}{step}"));
        let whole = folder.join(format!("{STEP}{step}"));
        remove(&partial)?;
        fs::create_dir_all(&partial).map_err(|error| TrainError::io(&partial, error))?;
        if let Err(error) = fill(&partial) {
            // A full disk needs the room; what went wrong first counts.
            let _ = remove(&partial);
            return Err(error);
        }
        if whole.exists() {
            // The same step again, after a resume that ended at once: the older one is as good.
            remove(&partial)?;
        } else {
            fs::rename(&partial, &whole).map_err(|error| TrainError::io(&whole, error))?;
            sync_folder(&folder)?;
        }
        let mut all = self.checkpoints()?;
        all.truncate(all.len().saturating_sub(keep.max(1)));
        all.iter().try_for_each(|(_, path)| remove(path))?;
        Ok(whole)
    }

    /// Moves a damaged checkpoint out of the way of whole ones and gives its new path; nothing is deleted but what was
    /// moved there before.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(crate) fn set_aside(&self, step: u64, checkpoint: &Path) -> Result<PathBuf, TrainError> {
        let aside = self
            .path
            .join(CHECKPOINTS)
            .join(format!("{DAMAGED}{STEP}{step}"));
        remove(&aside)?;
        fs::rename(checkpoint, &aside).map_err(|error| TrainError::io(checkpoint, error))?;
        Ok(aside)
    }

    /// Appends lines to the log of steps; does nothing for a run in memory.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn append_metrics(&self, lines: &[impl Serialize]) -> Result<(), TrainError> {
        if self.in_memory {
            return Ok(());
        }
        let path = self.metrics_path();
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line).map_err(|error| TrainError::io(&path, error))?;
            text.push(b'\n');
        }
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|error| TrainError::io(&path, error))?;
        file.write_all(&text)
            .map_err(|error| TrainError::io(&path, error))
    }

    /// All complete lines of the log.
    ///
    /// # Errors
    /// When the file or a line of it cannot be read. A missing file has no lines; an incomplete
    /// last line of a killed run is ignored.
    pub fn metrics<L: DeserializeOwned>(&self) -> Result<Vec<L>, TrainError> {
        if self.in_memory {
            return Ok(Vec::new());
        }
        let path = self.metrics_path();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(TrainError::io(path, error)),
        };
        let Some(end) = text.iter().rposition(|&byte| byte == b'\n') else {
            return Ok(Vec::new());
        };
        text[..end]
            .split(|&byte| byte == b'\n')
            .enumerate()
            .map(|(place, line)| {
                serde_json::from_slice(line).map_err(|error| TrainError::Run {
                    path: path.clone(),
                    reason: format!(
                        "line {} does not read ({error}): mend or delete it; only the end of the file may be torn",
                        place + 1
                    ),
                })
            })
            .collect()
    }

    /// Replaces the log atomically: a resumed run drops the lines of steps that it takes again.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn rewrite_metrics(&self, lines: &[impl Serialize]) -> Result<(), TrainError> {
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line)
                .map_err(|error| TrainError::io(self.metrics_path(), error))?;
            text.push(b'\n');
        }
        self.write(METRICS, &text)
    }
}

/// Refuses a folder that holds anything but what a run leaves that was killed before its config was written.
fn check_empty(path: &Path) -> Result<(), TrainError> {
    let unreadable = |error| TrainError::io(path, error);
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name != LOCK && !name.starts_with(TEMPORARY) {
            let advice = match RunFolder::is_begun(path) {
                true => "resume the run in it (--resume), or give another folder",
                false => "give a new or an empty folder",
            };
            return Err(TrainError::Run {
                path: path.into(),
                reason: format!("the folder is not empty, it holds `{name}`: {advice}"),
            });
        }
    }
    Ok(())
}

/// Removes a folder that may be missing.
fn remove(path: &Path) -> Result<(), TrainError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(TrainError::io(path, error))
        }
        _ => Ok(()),
    }
}

/// Makes a rename last through a power cut, where the system can.
fn sync_folder(folder: &Path) -> Result<(), TrainError> {
    #[cfg(unix)]
    fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| TrainError::io(folder, error))?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

#[cfg(test)]
mod tests;
