//! The server: routes, limits on connections, shutdown.

use std::{future::Future, net::SocketAddr, path::PathBuf, time::Duration};

use crate::{Metrics, Model, ServeError};

/// How a server listens.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// The address; port 0 takes a free one.
    pub address: SocketAddr,
    /// Bearer tokens, one of which every request but health checks must carry. Without any, no token is asked for.
    pub tokens: Vec<String>,
    /// Connections at once; further ones wait in the system's backlog.
    pub connections: usize,
    /// Time for the headers of a request.
    pub header_timeout: Duration,
    /// Time for a body.
    pub body_timeout: Duration,
    /// Time that running requests get at shutdown.
    pub grace: Duration,
    /// Finished jobs that are kept.
    pub jobs: usize,
    /// How long a finished job is kept.
    pub job_time: Duration,
    /// The folder below which a body may be read by reference; without it, none may.
    pub input_folder: Option<PathBuf>,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 8080)),
            tokens: Vec::new(),
            connections: 1024,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            grace: Duration::from_secs(30),
            jobs: 100,
            job_time: Duration::from_secs(600),
            input_folder: None,
        }
    }
}

/// A server that listens.
pub struct Server {}

impl Server {
    /// Binds the address. The models may still load: the first is that of requests which name none.
    ///
    /// # Errors
    /// When the address cannot be bound, or two models have one name.
    pub async fn bind(
        _settings: ServerSettings,
        _models: Vec<Model>,
        _metrics: Metrics,
    ) -> Result<Self, ServeError> {
        unimplemented!()
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        unimplemented!()
    }

    /// Serves until `shutdown` is there; then refuses new requests, lets running ones end within the grace time, answers the
    /// rest as unavailable, and stops the models.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn run(
        self,
        _shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        unimplemented!()
    }
}
