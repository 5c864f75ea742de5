//! The rectifier.

use super::Array;
use crate::GradCheckError;

/// `a = max(0, z)`.
pub fn relu<const D: usize>(z: &Array<D>) -> Array<D> {
    Array::from_fn(z.shape(), |index| z.at(index).max(0.0))
}

/// `∂z = δ · [z > 0]`: a mask, 0 at 0 as in burn and PyTorch.
///
/// # Errors
/// When the shapes differ.
pub fn relu_gradient<const D: usize>(
    z: &Array<D>,
    delta: &Array<D>,
) -> Result<Array<D>, GradCheckError> {
    z.zip(delta, |z, delta| if z > 0.0 { delta } else { 0.0 })
}
