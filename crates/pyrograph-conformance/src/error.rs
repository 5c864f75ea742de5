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
    /// The oracle could not compute an entry.
    #[error("`{entry}` could not be computed in f64")]
    Oracle {
        /// The entry.
        entry: &'static str,
        /// What went wrong.
        source: GradCheckError,
    },
}
