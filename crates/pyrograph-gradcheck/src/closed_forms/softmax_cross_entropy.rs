//! Softmax and cross-entropy, whose gradients together are one subtraction.

use super::Array;
use crate::GradCheckError;

/// How far a row of targets may be from summing to 1: the rounding of figures written in f32.
const SUM_TOLERANCE: f64 = 1e-6;

/// `a[n,k] = exp(z[n,k] − m) / Σⱼ exp(z[n,j] − m)` with `m` the row's maximum.
pub fn softmax(z: &Array<2>) -> Array<2> {
    let [_, classes] = z.shape();
    Array::from_fn(z.shape(), |[n, k]| {
        let row = || (0..classes).map(|j| z.at([n, j]));
        let largest = row().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row().map(|v| (v - largest).exp()).sum();
        (z.at([n, k]) - largest).exp() / sum
    })
}

/// `l[n] = −Σₖ y[n,k] · log a[n,k]` with `a` the [`softmax`] of `z`: a loss for each item.
///
/// # Errors
/// When the shapes differ, and when a row of targets does not sum to 1.
pub fn softmax_cross_entropy(z: &Array<2>, y: &Array<2>) -> Result<Vec<f64>, GradCheckError> {
    let [items, classes] = z.shape();
    is_a_distribution(y)?;
    let terms = z.zip(y, |_, y| y)?;
    let loss = |n: usize| {
        let row = || (0..classes).map(|k| z.at([n, k]));
        let largest = row().fold(f64::NEG_INFINITY, f64::max);
        // log a = z − m − log Σ exp(z − m): no logarithm of a number that rounded to 0.
        let log_sum = row().map(|v| (v - largest).exp()).sum::<f64>().ln();
        let products = (0..classes).map(|k| terms.at([n, k]) * (z.at([n, k]) - largest - log_sum));
        -products.sum::<f64>()
    };
    Ok((0..items).map(loss).collect())
}

/// `∂z = a − y` ([Bishop](https://www.microsoft.com/en-us/research/publication/pattern-recognition-machine-learning/),
/// equation 4.109): the gradient of each item's loss by its own logits.
///
/// # Errors
/// As [`softmax_cross_entropy`].
pub fn softmax_cross_entropy_gradient(
    z: &Array<2>,
    y: &Array<2>,
) -> Result<Array<2>, GradCheckError> {
    is_a_distribution(y)?;
    softmax(z).zip(y, |a, y| a - y)
}

fn is_a_distribution(y: &Array<2>) -> Result<(), GradCheckError> {
    let [items, classes] = y.shape();
    let sums = (0..items).map(|n| (0..classes).map(|k| y.at([n, k])).sum::<f64>());
    match sums
        .into_iter()
        .find(|sum| (sum - 1.0).abs().partial_cmp(&SUM_TOLERANCE) != Some(std::cmp::Ordering::Less))
    {
        None => Ok(()),
        Some(seen) => Err(GradCheckError::Setting {
            what: "the sum of a row of targets",
            seen,
            allowed: "1",
        }),
    }
}
