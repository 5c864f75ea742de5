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

use super::{
    app::SharedApp,
    auth::Peer,
    heads::{Heads, Watched},
    routes,
};

/// Time that a connection waits for its next request: above the minute of balancers, so that none sends into a closed one.
const IDLE: Duration = Duration::from_secs(75);

/// Pause after an accept that failed for want of files or memory.
const PAUSE: Duration = Duration::from_millis(100);

/// Time for a client to read what was sent.
#[cfg(target_os = "linux")]
const UNREAD: Duration = Duration::from_secs(60);

/// Files that the process needs besides its connections.
const OTHER_FILES: u64 = 256;

/// At shutdown, connections that the system has accepted are served, until none comes within this time.
const QUIET: Duration = Duration::from_millis(50);

/// Connections above the limit that are served at once, each one shortly.
const RESERVE: usize = 128;

/// Time for the headers of a request of the reserve.
const RESERVE_HEADERS: Duration = Duration::from_secs(1);

/// Time for a connection of the reserve from its begin to its end.
const RESERVE_TIME: Duration = Duration::from_secs(5);

/// When another try has a chance, where there are too many connections or bodies.
pub(super) const AGAIN: Duration = Duration::from_secs(1);

/// Accepts connections and serves them.
pub(super) struct Connections {
    listener: TcpListener,
    /// Serves all routes.
    all: Lane,
    /// Answers health checks, and refuses everything else, where the lane of all routes is full.
    reserve: Lane,
    graceful: GracefulShutdown,
    kill: CancellationToken,
}

/// A bounded number of connections, and what serves them.
struct Lane {
    permits: Arc<Semaphore>,
    builder: http1::Builder,
    router: Router,
    /// Time for the head of a request.
    header_timeout: Duration,
    /// Time of a connection; nothing where it may stay.
    time: Option<Duration>,
}

impl Lane {
    fn new(connections: usize, header_timeout: Duration, router: Router) -> Self {
        let mut builder = http1::Builder::new();
        // A client that closes its side while it waits has gone away: half-closed sockets are not kept.
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(header_timeout.max(IDLE))
            .half_close(false);
        Self {
            permits: Arc::new(Semaphore::new(connections.clamp(1, Semaphore::MAX_PERMITS))),
            builder,
            router,
            header_timeout,
            time: None,
        }
    }

    /// A lane whose connections serve one request.
    fn brief(mut self, time: Duration) -> Self {
        self.builder.keep_alive(false);
        self.time = Some(time);
        self
    }

    fn permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).try_acquire_owned().ok()
    }
}

impl Connections {
    pub(super) fn new(listener: TcpListener, app: &SharedApp) -> Self {
        let settings = &app.settings;
        raise_file_limit(settings.connections as u64 + RESERVE as u64 + OTHER_FILES);
        let headers = settings.header_timeout;
        let reserve = Lane::new(RESERVE, headers.min(RESERVE_HEADERS), routes::reserve(app));
        Self {
            listener,
            all: Lane::new(settings.connections, headers, routes::router(app)),
            reserve: reserve.brief(RESERVE_TIME),
            graceful: GracefulShutdown::new(),
            kill: CancellationToken::new(),
        }
    }

    /// Accepts until it is dropped.
    pub(super) async fn accept(&self) -> Infallible {
        loop {
            self.accept_one().await;
        }
    }

    /// Accepts what waits in the system's backlog: it was told that it is connected.
    pub(super) async fn accept_rest(&self) {
        while tokio::time::timeout(QUIET, self.accept_one()).await.is_ok() {}
    }

    async fn accept_one(&self) {
        match self.listener.accept().await {
            Ok((stream, address)) => self.place(stream, Peer(address)),
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted for now");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Serves a connection in the first lane with a place; without any it is closed.
    fn place(&self, stream: TcpStream, peer: Peer) {
        for lane in [&self.all, &self.reserve] {
            if let Some(permit) = lane.permit() {
                return self.serve(stream, peer, lane, permit);
            }
        }
        tracing::debug!(peer = %peer.0, "a connection above all limits is closed");
    }

    fn serve(&self, stream: TcpStream, peer: Peer, lane: &Lane, permit: OwnedSemaphorePermit) {
        // Answers are whole: nothing is gained by waiting for more of them. A socket that refuses works without.
        let _ = stream.set_nodelay(true);
        #[cfg(target_os = "linux")]
        let _ = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(UNREAD));
        let (router, heads) = (lane.router.clone(), Heads::new());
        let served = Arc::clone(&heads);
        let service = service_fn(move |request: Request<Incoming>| {
            served.serving();
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            let (answer, served) = (router.clone().oneshot(request), Arc::clone(&served));
            async move {
                let answer = answer.await;
                served.answered();
                answer
            }
        });
        let socket = Watched {
            stream,
            heads: Arc::clone(&heads),
        };
        let connection = lane.builder.serve_connection(TokioIo::new(socket), service);
        let connection = self.graceful.watch(connection);
        let (kill, time, header_timeout) = (self.kill.clone(), lane.time, lane.header_timeout);
        let over = async move {
            match time {
                Some(time) => tokio::time::sleep(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::spawn(async move {
            tokio::select! {
                result = connection => {
                    if let Err(error) = result {
                        tracing::debug!(%error, peer = %peer.0, "a connection ended early");
                    }
                }
                () = kill.cancelled() => {}
                () = over => {}
                () = heads.overdue(header_timeout) => {
                    tracing::debug!(peer = %peer.0, "the head of a request came too slowly");
                }
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
