//! The dense layer.

use super::{Array, expect};
use crate::GradCheckError;

/// `z = x·W + b`.
///
/// # Shapes
/// `x` [batch, in], `weight` [in, out], `bias` `[out]`; result [batch, out].
///
/// # Errors
/// When the sizes do not fit each other.
pub fn dense(x: &Array<2>, weight: &Array<2>, bias: &[f64]) -> Result<Array<2>, GradCheckError> {
    let ([batch, inward], [rows, out]) = (x.shape(), weight.shape());
    expect("the rows of the weight", rows, inward)?;
    expect("the length of the bias", bias.len(), out)?;
    Ok(Array::from_fn([batch, out], |[n, o]| {
        let products = (0..inward).map(|i| x.at([n, i]) * weight.at([i, o]));
        bias[o] + products.sum::<f64>()
    }))
}

/// What a dense layer passes back.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseGradients {
    /// `∂x = δ·Wᵀ`, [batch, in].
    pub x: Array<2>,
    /// `∂W = xᵀ·δ`, [in, out].
    pub weight: Array<2>,
    /// `∂b = Σₙ δₙ`, `[out]`.
    pub bias: Vec<f64>,
}

/// `∂x = δ·Wᵀ`, `∂W = xᵀ·δ`, `∂b = Σₙ δₙ` ([Goodfellow et al.](https://www.deeplearningbook.org), section 6.5.6).
///
/// # Shapes
/// `x` [batch, in], `weight` [in, out], `delta` [batch, out].
///
/// # Errors
/// When the sizes do not fit each other.
pub fn dense_gradients(
    x: &Array<2>,
    weight: &Array<2>,
    delta: &Array<2>,
) -> Result<DenseGradients, GradCheckError> {
    let ([batch, inward], [rows, out]) = (x.shape(), weight.shape());
    expect("the rows of the weight", rows, inward)?;
    expect("the batch of the delta", delta.shape()[0], batch)?;
    expect("the columns of the delta", delta.shape()[1], out)?;
    let by_x = Array::from_fn([batch, inward], |[n, i]| {
        (0..out).map(|o| delta.at([n, o]) * weight.at([i, o])).sum()
    });
    let by_weight = Array::from_fn([inward, out], |[i, o]| {
        (0..batch).map(|n| x.at([n, i]) * delta.at([n, o])).sum()
    });
    let by_bias = (0..out).map(|o| (0..batch).map(|n| delta.at([n, o])).sum());
    Ok(DenseGradients {
        x: by_x,
        weight: by_weight,
        bias: by_bias.collect(),
    })
}
