//! Layer norm.

use super::{Array, expect};
use crate::GradCheckError;

/// `y = x̂·w + b` with `x̂ = (x − μ)/√(σ² + ε)`, the mean and the biased variance of each row
/// ([Ba et al., 2016](https://arxiv.org/abs/1607.06450)).
///
/// # Shapes
/// `x` [rows, features], `weight` and `bias` `[features]`; result [rows, features].
///
/// # Errors
/// When the sizes do not fit each other.
pub fn layer_norm(
    x: &Array<2>,
    weight: &[f64],
    bias: &[f64],
    epsilon: f64,
) -> Result<Array<2>, GradCheckError> {
    let [rows, features] = x.shape();
    expect("the length of the weight", weight.len(), features)?;
    expect("the length of the bias", bias.len(), features)?;
    let normal = Normal::of(x, epsilon);
    Ok(Array::from_fn([rows, features], |[n, i]| {
        normal.x.at([n, i]) * weight[i] + bias[i]
    }))
}

/// What a layer norm passes back.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerNormGradients {
    /// [rows, features].
    pub x: Array<2>,
    /// `∂w = Σₙ δ·x̂`, `[features]`.
    pub weight: Vec<f64>,
    /// `∂b = Σₙ δₙ`, `[features]`.
    pub bias: Vec<f64>,
}

/// With `h = δ·w` and means over a row, `∂x = (h − mean(h) − x̂·mean(h·x̂))/√(σ² + ε)`.
///
/// # Shapes
/// `x` and `delta` [rows, features], `weight` `[features]`.
///
/// # Errors
/// When the sizes do not fit each other.
pub fn layer_norm_gradients(
    x: &Array<2>,
    weight: &[f64],
    epsilon: f64,
    delta: &Array<2>,
) -> Result<LayerNormGradients, GradCheckError> {
    let [rows, features] = x.shape();
    expect("the length of the weight", weight.len(), features)?;
    expect("the rows of the delta", delta.shape()[0], rows)?;
    expect("the columns of the delta", delta.shape()[1], features)?;
    let normal = Normal::of(x, epsilon);
    let h = |n: usize, i: usize| delta.at([n, i]) * weight[i];
    let mean = |of: &dyn Fn(usize) -> f64| (0..features).map(of).sum::<f64>() / features as f64;
    let by_x = Array::from_fn([rows, features], |[n, i]| {
        let total = mean(&|j| h(n, j));
        let slope = mean(&|j| h(n, j) * normal.x.at([n, j]));
        (h(n, i) - total - normal.x.at([n, i]) * slope) / normal.deviation[n]
    });
    let by_weight = (0..features).map(|i| {
        (0..rows)
            .map(|n| delta.at([n, i]) * normal.x.at([n, i]))
            .sum()
    });
    let by_bias = (0..features).map(|i| (0..rows).map(|n| delta.at([n, i])).sum());
    Ok(LayerNormGradients {
        x: by_x,
        weight: by_weight.collect(),
        bias: by_bias.collect(),
    })
}

/// The normalised rows, and √(σ² + ε) of each.
struct Normal {
    x: Array<2>,
    deviation: Vec<f64>,
}

impl Normal {
    fn of(x: &Array<2>, epsilon: f64) -> Self {
        let [rows, features] = x.shape();
        let mean = |of: &dyn Fn(usize) -> f64| (0..features).map(of).sum::<f64>() / features as f64;
        let means: Vec<f64> = (0..rows).map(|n| mean(&|i| x.at([n, i]))).collect();
        let deviation: Vec<f64> = (0..rows)
            .map(|n| (mean(&|i| (x.at([n, i]) - means[n]).powi(2)) + epsilon).sqrt())
            .collect();
        let x = Array::from_fn([rows, features], |[n, i]| {
            (x.at([n, i]) - means[n]) / deviation[n]
        });
        Self { x, deviation }
    }
}
