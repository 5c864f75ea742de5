//! What can be wrong with a device.

use crate::BackendKind;

/// Why a device specification cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The text names no device.
    #[error(
        "unknown device `{seen}`: expected auto, cpu, ndarray, wgpu, wgpu:N, cuda or cuda:N (N a whole number)"
    )]
    UnknownDevice {
        /// What was written.
        seen: String,
    },
    /// The backend exists but this binary was built without it.
    #[error(
        "device `{seen}` needs the {kind} backend, which this build leaves out (it has: {compiled}); rebuild with `--features {kind}`"
    )]
    NotCompiled {
        /// What was asked for.
        seen: String,
        /// Its backend.
        kind: BackendKind,
        /// The backends compiled in, with commas.
        compiled: String,
    },
    /// There is no such adapter, or no driver.
    #[error("device `{seen}` is not there: {reason}")]
    NotPresent {
        /// What was asked for.
        seen: String,
        /// What was found instead.
        reason: String,
    },
    /// Devices that are to work together are of several backends.
    #[error("device `{seen}` cannot work with `{main}`: they must be of one backend")]
    Mixed {
        /// The device of another backend.
        seen: String,
        /// The main device.
        main: String,
    },
    /// An environment variable has a value that it may not have.
    #[error("{name} is `{seen}`, but must be {allowed}")]
    Setting {
        /// The variable.
        name: &'static str,
        /// Its value.
        seen: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// The device is listed but does not compute.
    #[error("device `{seen}` does not start: {reason}")]
    DoesNotStart {
        /// What was asked for.
        seen: String,
        /// The driver's words.
        reason: String,
    },
}
