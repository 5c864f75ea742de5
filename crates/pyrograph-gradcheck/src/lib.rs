//! Gradient checks for any function of tensors and any module on burn, on any backend.
//!
//! Autodiff's gradient is held to differences of the function's values. [`gradcheck`] does it for a function,
//! [`gradcheck_module`] for a module with its parameters; [`GradCheck`] says how:
//!
//! - **full**: every element of every tensor by itself;
//! - **projected**: along seeded random directions, a few calls a tensor, for networks of millions of parameters.
//!
//! The precision follows the backend's float type. `Oracle` is burn's NdArray in f64 (feature
//! `ndarray`, on by default), where rounding hides nothing; f32 backends are checked with a larger step and tolerance. Kinks
//! (ReLU at 0, ties of a maximum) are told from wrong gradients and reported apart. The [`GradReport`] has a verdict and a
//! worst element for each tensor, names what else was found ([`Finding`]), prints as a table and serialises.
//!
//! [`evaluate`] takes output and gradients at a point to the host, and [`Evaluation::deviations`] holds those of one backend to
//! those of another. [`closed_forms`] are gradients derived by hand, to hold backends to.
//!
//! In burn 0.21 a check in f64 fails for GELU, whose gradient is that of its tanh approximation, and for sigmoid and SiLU, which
//! burn computes in f32 whatever the tensors' type: check these two with [`Precision::F32`]'s step and tolerance.
//!
//! ```
//! # #[cfg(feature = "ndarray")] {
//! use pyrograph_gradcheck::{GradCheck, HostTensor, Inputs, Oracle, gradcheck};
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
//! # Ok::<(), pyrograph_gradcheck::GradCheckError>(())
//! ```

mod check;
pub mod closed_forms;
mod compare;
mod error;
mod evaluate;
mod inputs;
mod module;
mod numbers;
mod random;
mod report;
mod settings;
mod slopes;
mod table;

pub use check::{gradcheck, gradcheck_module};
pub use error::GradCheckError;
pub use evaluate::{Deviation, Evaluation, Gradient, evaluate};
pub use inputs::{HostTensor, Inputs};
pub use module::host_parameters;
#[cfg(feature = "ndarray")]
pub use pyrograph_backend::Oracle;
pub use report::{
    Comparison, Finding, GradReport, Kind, LISTED_KINKS, Place, TensorReport, Verdict,
};
pub use settings::{GradCheck, Mode, Precision};
