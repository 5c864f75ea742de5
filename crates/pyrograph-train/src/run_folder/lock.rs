//! One process a run folder.

use std::{
    fs::{File, TryLockError},
    io::ErrorKind,
    path::Path,
};

use crate::TrainError;

pub(super) const LOCK: &str = "run.lock";

/// The right to write into a run folder. The system gives it back when the process ends, however it ends, so the file
/// stays where it is.
#[derive(Debug)]
pub(crate) struct RunLock {
    _file: File,
}

impl RunLock {
    /// Locks a folder, or finds that another process has.
    pub(super) fn take(folder: &Path) -> Result<Self, TrainError> {
        let path = folder.join(LOCK);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| TrainError::io(&path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(TrainError::Locked {
                path: folder.into(),
            }),
            // Some network file systems have no locks: training there goes on as it did before there was one.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                Ok(Self { _file: file })
            }
            Err(TryLockError::Error(error)) => Err(TrainError::io(path, error)),
        }
    }
}
