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
    /// A key of `serving.properties` that is not known.
    #[error("{path}, line {line}: `{key}` is not known; known are {known}")]
    UnknownProperty {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The key.
        key: String,
        /// The keys that are known.
        known: &'static str,
    },
    /// A setting that cannot be served.
    #[error("`{name}` is `{seen}`, which cannot be served: {reason}")]
    Unsupported {
        /// The setting, as its source spells it.
        name: String,
        /// The value.
        seen: String,
        /// Why it cannot be served, and what helps.
        reason: &'static str,
    },
    /// A server without a model.
    #[error(
        "no model is given, and there is no folder {root}: give --model DIR, or mount a model there as SageMaker does"
    )]
    NoModel {
        /// Where a container's model lies.
        root: PathBuf,
    },
    /// A file of bearer tokens that is not allowed.
    #[error("--tokens {path}: {reason}")]
    Tokens {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A model that cannot be packed, or is not as it was packed.
    #[error("{path}: {reason}")]
    Package {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Weights that do not read.
    #[error(transparent)]
    Weights(#[from] pyrograph_models::ModelError),
    /// A file that cannot be written.
    #[error(transparent)]
    Write(#[from] pyrograph_base::WriteError),
}
