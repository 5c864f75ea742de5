//! What keeps a check from being made.

use pyrograph_backend::BackendError;
use pyrograph_gradcheck::GradCheckError;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConformanceError {
    /// The device is not there, or its backend is not in this build.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// No entry of the registry has this text in its name.
    #[error("no entry has `{seen}` in its name; the entries: {}", allowed.join(", "))]
    Unknown {
        /// The text given.
        seen: String,
        /// The names of all entries.
        allowed: Vec<&'static str>,
    },
    /// An entry could not be computed.
    #[error("`{entry}` could not be computed on `{device}`")]
    Entry {
        /// The entry.
        entry: &'static str,
        /// The device.
        device: String,
        /// What went wrong.
        source: GradCheckError,
    },
}
