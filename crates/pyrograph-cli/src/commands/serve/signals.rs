//! SIGTERM and Ctrl-C: the first asks the server to end, the second ends it.

use std::{io, process};

use tokio::sync::oneshot;

/// The exit code of a server that a second signal ends.
const INTERRUPTED: i32 = 130;

/// Waits for the first signal. The handlers are in place when this returns: as the first process of a container, a server
/// without them would hear nothing.
pub(super) fn first() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut signals = Signals::new()?;
    let (sender, first) = oneshot::channel();
    tokio::spawn(async move {
        signals.next().await;
        let _ = sender.send(());
        signals.next().await;
        process::exit(INTERRUPTED);
    });
    Ok(async move {
        // An error: the runtime ends, and with it the server.
        let _ = first.await;
    })
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        // An error: there are no signals here.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
