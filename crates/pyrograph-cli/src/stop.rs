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

use crate::progress;

/// The exit code of a command that Ctrl-C ends.
pub(crate) const INTERRUPTED: u8 = 130;

/// A flag that the first Ctrl-C sets: one for the whole program, however often it is asked for.
pub(crate) fn on_interrupt() -> anyhow::Result<Arc<AtomicBool>> {
    on_interrupt_saying(None)
}

/// The flag of a training: Ctrl-C is answered in words, unless `quiet`.
pub(crate) fn stop_of_training(quiet: bool) -> anyhow::Result<Arc<AtomicBool>> {
    const WORDS: &str = "stopping: the step is finished and a checkpoint written; a second Ctrl-C ends at once, without one";
    on_interrupt_saying((!quiet).then_some(WORDS))
}

fn on_interrupt_saying(words: Option<&'static str>) -> anyhow::Result<Arc<AtomicBool>> {
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
            process::exit(INTERRUPTED.into());
        }
        if let Some(words) = words {
            progress::say(words);
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
        process::exit(INTERRUPTED.into());
    })?;
    Ok(())
}
