//! The accept loop and its connections.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{ServerSettings, auth::Peer};

/// Pause after an accept that failed for want of files or memory.
const PAUSE: Duration = Duration::from_millis(100);

/// Time for a client to read what was sent.
#[cfg(target_os = "linux")]
const UNREAD: Duration = Duration::from_secs(60);

/// Files that the process needs besides its connections.
const OTHER_FILES: u64 = 256;

/// At shutdown, connections that the system has accepted are served, until none comes within this time.
const QUIET: Duration = Duration::from_millis(50);

/// Accepts connections and serves them.
pub(super) struct Connections {
    listener: TcpListener,
    router: Router,
    permits: Arc<Semaphore>,
    builder: http1::Builder,
    graceful: GracefulShutdown,
    kill: CancellationToken,
}

impl Connections {
    pub(super) fn new(listener: TcpListener, router: Router, settings: &ServerSettings) -> Self {
        let mut builder = http1::Builder::new();
        // A client that closes its side while it waits has gone away: half-closed sockets are not kept.
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(settings.header_timeout)
            .half_close(false)
            .keep_alive(true);
        raise_file_limit(settings.connections as u64 + OTHER_FILES);
        Self {
            listener,
            router,
            permits: Arc::new(Semaphore::new(
                settings.connections.clamp(1, Semaphore::MAX_PERMITS),
            )),
            builder,
            graceful: GracefulShutdown::new(),
            kill: CancellationToken::new(),
        }
    }

    /// Accepts until it is dropped.
    pub(super) async fn accept(&self) -> Infallible {
        loop {
            // Further connections wait in the system's backlog.
            let permit = Arc::clone(&self.permits).acquire_owned().await;
            self.accept_one(permit.ok()).await;
        }
    }

    /// Accepts what waits in the system's backlog: it was told that it is connected.
    pub(super) async fn accept_rest(&self) {
        while let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            let accepting = self.accept_one(Some(permit));
            if tokio::time::timeout(QUIET, accepting).await.is_err() {
                return;
            }
        }
    }

    async fn accept_one(&self, permit: Option<OwnedSemaphorePermit>) {
        match self.listener.accept().await {
            Ok((stream, address)) => self.serve(stream, Peer(address), permit),
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted for now");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    fn serve(&self, stream: TcpStream, peer: Peer, permit: Option<OwnedSemaphorePermit>) {
        // Answers are whole: nothing is gained by waiting for more of them. A socket that refuses works without.
        let _ = stream.set_nodelay(true);
        #[cfg(target_os = "linux")]
        let _ = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(UNREAD));
        let router = self.router.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            router.clone().oneshot(request)
        });
        let connection = self.builder.serve_connection(TokioIo::new(stream), service);
        let connection = self.graceful.watch(connection);
        let kill = self.kill.clone();
        tokio::spawn(async move {
            tokio::select! {
                result = connection => {
                    if let Err(error) = result {
                        tracing::debug!(%error, peer = %peer.0, "a connection ended early");
                    }
                }
                () = kill.cancelled() => {}
            }
            drop(permit);
        });
    }

    /// Closes the listener, and connections as they become idle. Ends when all are closed.
    pub(super) async fn close(self) {
        drop(self.listener);
        self.graceful.shutdown().await;
    }

    /// Closes all connections at once when it is cancelled.
    pub(super) fn kill(&self) -> CancellationToken {
        self.kill.clone()
    }
}

/// Errors of one connection, after which the next is accepted at once.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// Asks the system for as many open files as connections may come.
fn raise_file_limit(files: u64) {
    match rlimit::increase_nofile_limit(files) {
        Ok(allowed) if allowed < files => {
            tracing::warn!(
                allowed,
                wanted = files,
                "the system allows fewer open files"
            );
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the limit on open files stays"),
    }
}
