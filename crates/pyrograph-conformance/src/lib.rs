//! Whether a backend can be trusted: what pyrograph's models, losses, samplers and training compute, on that backend and in f64.
//!
//! The [registry](entries) has a line for every operation, layer, loss, model, sampler and training step. [`check`] runs each
//! on a device and on the oracle (burn's NdArray in f64, in plain burn operations) from the same numbers, forward and
//! backward, and holds one to the other; and it holds the oracle's gradients to central differences of its values. So a wrong
//! kernel or driver shows as a deviation, and a wrong derivation, which both sides share, as a wrong slope.
//!
//! ```
//! use pyrograph_backend::DeviceSpec;
//! use pyrograph_conformance::check;
//!
//! # #[cfg(feature = "flex")] {
//! let report = check(DeviceSpec::Cpu, Some("modulate"))?;
//! assert!(report.passed(), "{report}");
//! # }
//! # Ok::<(), pyrograph_conformance::ConformanceError>(())
//! ```

mod case;
mod check;
mod entries;
mod error;
mod recorder;
mod registry;
mod report;
mod table;
mod tolerance;

pub use check::check;
pub use error::ConformanceError;
pub use registry::{Entry, Kind, entries};
pub use report::{ConformanceReport, EntryReport, Worst};
