//! Errors of a server that does not start.

use std::{io, net::SocketAddr, path::PathBuf};

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// An address that cannot be bound.
    #[error(
        "the address {address} cannot be bound: {source}; choose another with --port or --host"
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The reason.
        source: io::Error,
    },
    /// A file that cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A setting that is not known or not allowed.
    #[error("`{name}` is {seen}, but must be {allowed}")]
    Setting {
        /// The setting, as its source spells it.
        name: String,
        /// The value.
        seen: String,
        /// The values allowed.
        allowed: String,
    },
    /// A model that cannot be opened.
    #[error(transparent)]
    Pipeline(#[from] pyrograph_pipelines::PipelineError),
    /// A model whose task cannot be told.
    #[error("{path}: {reason}; say it with --task txt2img|sprites|anomaly|detect")]
    UnknownTask {
        /// The model.
        path: PathBuf,
        /// Why its task cannot be told.
        reason: String,
    },
}
