//! Teacher tensors as constants, and the ranges of the objectives' numbers.

use burn::tensor::{Tensor, backend::Backend};

use crate::LossError;

/// Cuts a teacher's tensor from the graph, so that no gradient reaches the teacher.
pub(super) fn constant<B: Backend, const D: usize>(tensor: &Tensor<B, D>) -> Tensor<B, D> {
    // `detach` alone keeps the wish for a gradient.
    tensor.clone().detach().set_require_grad(false)
}

/// Checks a temperature.
///
/// # Errors
/// When it is not a finite number above 0.
pub(super) fn check_temperature(seen: f64) -> Result<(), LossError> {
    if seen.is_finite() && seen > 0.0 {
        return Ok(());
    }
    Err(LossError::Range {
        what: "the temperature",
        seen,
        allowed: "a finite number above 0",
    })
}

/// Checks weights, each with its name.
///
/// # Errors
/// When one is negative or not finite.
pub(super) fn check_weights(weights: &[(&'static str, f64)]) -> Result<(), LossError> {
    match weights.iter().find(|(_, w)| !(w.is_finite() && *w >= 0.0)) {
        None => Ok(()),
        Some(&(what, seen)) => Err(LossError::Range {
            what,
            seen,
            allowed: "a finite number, 0 or more",
        }),
    }
}
