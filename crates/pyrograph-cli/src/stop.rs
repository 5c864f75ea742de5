//! Ctrl-C: the first asks a run to stop after a checkpoint, the second ends it. A command without checkpoints ends at once.

use std::{
    fs,
    path::PathBuf,
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// The exit code of a command that Ctrl-C ends.
const INTERRUPTED: i32 = 130;

/// A flag that the first Ctrl-C sets.
pub(crate) fn on_interrupt() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        // The second time the user means it.
        if asked.swap(true, Ordering::SeqCst) {
            process::exit(INTERRUPTED);
        }
    })?;
    Ok(stop)
}

/// Ends the command at Ctrl-C, and removes the half-written `folder` first.
pub(crate) fn remove_on_interrupt(folder: PathBuf) -> anyhow::Result<()> {
    ctrlc::set_handler(move || {
        // The command may be writing a file at this moment: its folder is gone the second time.
        if fs::remove_dir_all(&folder).is_err() {
            let _ = fs::remove_dir_all(&folder);
        }
        process::exit(INTERRUPTED);
    })?;
    Ok(())
}
