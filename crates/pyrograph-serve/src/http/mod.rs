//! The server: routes, limits on connections, shutdown.

mod accept;
mod answers;
mod app;
mod auth;
mod body;
mod budget;
mod calls;
mod connections;
mod encode;
mod errors;
mod events;
mod heads;
mod jobs;
mod masks;
mod observe;
mod openapi;
mod receive;
mod routes;
mod server;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

pub use server::Server;

/// How a server listens.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// The address; port 0 takes a free one.
    pub address: SocketAddr,
    /// Bearer tokens, one of which every request but health checks must carry. Without any, no token is asked for.
    pub tokens: Vec<String>,
    /// Connections at once. Further ones are served by a small reserve that answers health checks, and everything
    /// else as unavailable.
    pub connections: usize,
    /// Time for the headers of a request.
    pub header_timeout: Duration,
    /// Time for a body.
    pub body_timeout: Duration,
    /// Time that running requests get at shutdown.
    pub grace: Duration,
    /// Finished jobs that are kept.
    pub jobs: usize,
    /// Bytes of the results of finished jobs that are kept. A single larger one is kept alone.
    pub job_bytes: usize,
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
            job_bytes: 256 << 20,
            job_time: Duration::from_secs(600),
            input_folder: None,
        }
    }
}
