//! Gradient checks for any function of tensors and any module on burn, on any backend.
//!
//! Autodiff's gradient is held to differences of the function's values. [`gradcheck`] does it for a function,
//! [`gradcheck_module`] for a module with its parameters; [`GradCheck`] says how:
//!
//! - **full**: every element of every tensor by itself;
//! - **projected**: along seeded random directions, a few calls a tensor, for networks of millions of parameters.
//!
//! The precision follows the backend's float type. `Oracle` is burn's NdArray in f64
//! (feature `oracle`, on by default here, to be chosen in the crate `pyrograph`), where rounding
//! hides nothing; f32 backends are checked with a larger step and tolerance. Errors are measured by
//! the steepest slope of their tensor, so that small gradients are checked like large ones. Kinks
//! (ReLU at 0, ties of a maximum) are told from wrong gradients and reported apart.
//!
//! The [`GradReport`] has a verdict and a worst element for each tensor, names what else was found
//! ([`Finding`]), prints as a table and serialises. Its verdict is *inconclusive* where nothing was
//! wrong but something could not be told: slopes that drown in rounding, a gradient that is
//! somewhere between the slopes of a kink, a parameter that the output never reaches.
//!
//! [`evaluate`] takes output and gradients at a point to the host, and [`Evaluation::deviations`] holds those of one backend to
//! those of another. [`closed_forms`] are gradients derived by hand, to hold backends to.
//!
//! On other backends than `Oracle` and Flex, burn 0.21 computes sigmoid and SiLU in f32 whatever the
//! tensors' type: a check in f64 then is inconclusive and names the operation
//! ([`Finding::LostPrecision`]). Its gradient of GELU is that of the tanh approximation there: a
//! check in f64 fails. On all of them its hard sigmoid, where gradients are asked for, and
//! `RmsNorm` cast to f32.
//!
//! ```
//! # mod pyrograph { pub use pyrograph_gradcheck as gradcheck; }
//! # #[cfg(feature = "oracle")] {
//! use pyrograph::gradcheck::{GradCheck, HostTensor, Inputs, Oracle, gradcheck};
//!
//! let inputs = [HostTensor::normal("x", &[3, 4], 7), HostTensor::normal("w", &[4, 2], 8)];
//! let product = |inputs: &Inputs<Oracle>| {
//!     let (x, w) = (inputs.tensor::<2>("x")?, inputs.tensor::<2>("w")?);
//!     Ok(x.matmul(w).tanh())
//! };
//! let report = gradcheck(&GradCheck::full(), &inputs, &Default::default(), product)?;
//! assert!(report.passed(), "{report}");
//!
//! // A gradient that is not the value's: autodiff does not see the factor x that is detached.
//! let square = |inputs: &Inputs<Oracle>| {
//!     let x = inputs.tensor::<2>("x")?;
//!     Ok(x.clone() * x.detach())
//! };
//! let report = gradcheck(&GradCheck::full(), &inputs[..1], &Default::default(), square)?;
//! assert!(!report.passed(), "{report}");
//! # }
//! # Ok::<(), pyrograph::gradcheck::GradCheckError>(())
//! ```

mod check;
mod checked;
mod choices;
pub mod closed_forms;
mod compare;
mod digits;
mod error;
mod evaluate;
mod inputs;
mod judge;
mod module;
mod noise;
mod numbers;
mod random;
mod report;
mod settings;
mod slopes;
mod subject;
mod table;
mod tally;
mod variables;

pub use check::{gradcheck, gradcheck_module};
pub use error::GradCheckError;
pub use evaluate::{Deviation, Evaluation, Gradient, evaluate};
pub use inputs::{HostTensor, Inputs};
pub use module::host_parameters;
#[cfg(feature = "oracle")]
pub use pyrograph_backend::Oracle;
pub use report::{
    Comparison, Finding, GradReport, Kind, LISTED_KINKS, Place, TensorReport, Verdict,
};
pub use settings::{GradCheck, Mode, Precision, Unreached};
