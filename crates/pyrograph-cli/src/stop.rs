//! Ctrl-C: the first asks a run to stop after a checkpoint, the second ends it. A command without checkpoints ends at once.

use std::{
    fs, future, io,
    path::PathBuf,
    process,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    thread,
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
    on_signal(move || {
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
    on_signal(move || {
        // The command may be writing a file at this moment: its folder is gone the second time.
        if fs::remove_dir_all(&folder).is_err() {
            let _ = fs::remove_dir_all(&folder);
        }
        process::exit(INTERRUPTED.into());
    })
}

/// Calls `handler` at Ctrl-C, at SIGTERM and at the end of the terminal, in another thread.
fn on_signal(handler: impl Fn() + Clone + Send + 'static) -> anyhow::Result<()> {
    #[cfg(unix)]
    on_termination(handler.clone())?;
    Ok(ctrlc::set_handler(handler)?)
}

/// Calls `handler` at SIGTERM, and at the end of the terminal unless the program was begun to live through it, as by
/// `nohup`.
#[cfg(unix)]
fn on_termination(handler: impl Fn() + Send + 'static) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kinds = match ignores_hangup(&status) {
        true => vec![SignalKind::terminate()],
        false => vec![SignalKind::terminate(), SignalKind::hangup()],
    };
    let inside = runtime.enter();
    let mut signals = kinds
        .into_iter()
        .map(signal)
        .collect::<io::Result<Vec<_>>>()?;
    drop(inside);
    let heard = async move {
        loop {
            future::poll_fn(|context| {
                let any = signals
                    .iter_mut()
                    .any(|signal| signal.poll_recv(context).is_ready());
                if any { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            handler();
        }
    };
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || runtime.block_on(heard))?;
    Ok(())
}

/// Whether a process ignores SIGHUP, by Linux's account of it.
#[cfg(unix)]
fn ignores_hangup(status: &str) -> bool {
    const HANGUP: u64 = 1;
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & HANGUP != 0)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn nohup_is_seen_in_what_linux_says_of_a_process() {
        assert!(ignores_hangup("Name:\tx\nSigIgn:\t0000000000001001\n"));
        assert!(!ignores_hangup("Name:\tx\nSigIgn:\t0000000000001000\n"));
        assert!(!ignores_hangup(""));
    }
}
