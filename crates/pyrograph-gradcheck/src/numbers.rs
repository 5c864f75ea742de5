//! Small helpers over host values.

use crate::settings::Precision;

/// The largest absolute value.
pub(crate) fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, v| v.abs().max(largest))
}

/// The index of the element that lies at `at` in row-major order.
pub(crate) fn index_of(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (place, &size) in index.iter_mut().zip(shape).rev() {
        *place = at % size.max(1);
        at /= size.max(1);
    }
    index
}

/// A gradient below this share of the steepest one of the check is zero but for rounding, as a
/// bias's is before a norm.
const ZERO: f64 = 1e-9;
/// The same in roundings, where these are larger: gradients add up roundings of the steepest.
const ZERO_ROUNDINGS: f64 = 8.0;

/// What the slopes of one tensor are measured by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference {
    /// The steepest analytic slope of the tensor.
    pub(crate) steepest: f64,
    /// That of all tensors of the check.
    pub(crate) steepest_of_all: f64,
    /// The relative rounding of the function's values.
    pub(crate) epsilon: f64,
}

impl Reference {
    /// Whether the tensor's gradient is zero beside those of others.
    pub(crate) fn is_zero(&self) -> bool {
        self.steepest <= ZERO.max(ZERO_ROUNDINGS * self.epsilon) * self.steepest_of_all
    }

    /// The least error that counts as a relative error of 1.
    pub(crate) fn least_scale(&self, precision: &Precision) -> f64 {
        match self.is_zero() {
            true => self.steepest_of_all,
            false => precision.floor * self.steepest,
        }
    }
}

/// The Euclidean length.
pub(crate) fn norm(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// How many values are not finite, and where the first of them lies; `None` where all are.
pub(crate) fn not_finite(values: &[f64]) -> Option<(usize, usize)> {
    let first = values.iter().position(|v| !v.is_finite())?;
    Some((values.iter().filter(|v| !v.is_finite()).count(), first))
}
