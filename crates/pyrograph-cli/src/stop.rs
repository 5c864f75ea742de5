//! Ctrl-C: the first asks a run to stop after a checkpoint, the second ends it. A command without checkpoints ends at once.

use std::{
    fs,
    path::PathBuf,
    process,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// The exit code of a command that Ctrl-C ends.
const INTERRUPTED: i32 = 130;

/// A flag that the first Ctrl-C sets: one for the whole program, however often it is asked for.
pub(crate) fn on_interrupt() -> anyhow::Result<Arc<AtomicBool>> {
    static FLAG: Mutex<Option<Arc<AtomicBool>>> = Mutex::new(None);
    // Nothing panics while it is held.
    let mut flag = FLAG.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(stop) = &*flag {
        return Ok(Arc::clone(stop));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        // The second time the user means it.
        if asked.swap(true, Ordering::SeqCst) {
            process::exit(INTERRUPTED);
        }
    })?;
    *flag = Some(Arc::clone(&stop));
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
