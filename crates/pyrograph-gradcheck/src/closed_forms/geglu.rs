//! Gated GELU.

use std::f64::consts::{PI, SQRT_2};

use super::{Array, expect};
use crate::GradCheckError;

/// `value · GELU(gate)` with `GELU(g) = g·Φ(g)` of rows `[value, gate]` ([Shazeer, 2020](https://arxiv.org/abs/2002.05202)).
///
/// # Shapes
/// `x` [rows, 2·features]; result [rows, features].
///
/// # Errors
/// When the columns of `x` are odd in number.
pub fn geglu(x: &Array<2>) -> Result<Array<2>, GradCheckError> {
    let [rows, features] = halved(x)?;
    Ok(Array::from_fn([rows, features], |[n, i]| {
        let gate = x.at([n, features + i]);
        x.at([n, i]) * gate * normal_cdf(gate)
    }))
}

/// `∂value = δ·GELU(gate)`, `∂gate = δ·value·(Φ(gate) + gate·φ(gate))`.
///
/// # Shapes
/// `x` [rows, 2·features], `delta` [rows, features]; result [rows, 2·features].
///
/// # Errors
/// When the sizes do not fit each other.
pub fn geglu_gradient(x: &Array<2>, delta: &Array<2>) -> Result<Array<2>, GradCheckError> {
    let [rows, features] = halved(x)?;
    expect("the rows of the delta", delta.shape()[0], rows)?;
    expect("the columns of the delta", delta.shape()[1], features)?;
    Ok(Array::from_fn([rows, 2 * features], |[n, i]| {
        let at = i % features;
        let (value, gate) = (x.at([n, at]), x.at([n, features + at]));
        let slope = if i < features {
            gate * normal_cdf(gate)
        } else {
            let density = (-0.5 * gate * gate).exp() / (2.0 * PI).sqrt();
            value * (normal_cdf(gate) + gate * density)
        };
        delta.at([n, at]) * slope
    }))
}

fn halved(x: &Array<2>) -> Result<[usize; 2], GradCheckError> {
    let [rows, both] = x.shape();
    expect("the columns of a value and a gate", both % 2, 0)?;
    Ok([rows, both / 2])
}

/// Φ(x) = ½·erfc(−x/√2): its series near zero, the continued fraction of its tail far out.
fn normal_cdf(x: f64) -> f64 {
    let z = x.abs() / SQRT_2;
    let tail = if z > 2.5 {
        let below = (1..=120)
            .rev()
            .fold(z, |below, n| z + 0.5 * f64::from(n) / below);
        0.5 * (-z * z).exp() / (PI.sqrt() * below)
    } else {
        let (mut term, mut sum) = (z, z);
        for k in 1..120 {
            term *= 2.0 * z * z / f64::from(2 * k + 1);
            sum += term;
        }
        0.5 - (-z * z).exp() * sum / PI.sqrt()
    };
    if x < 0.0 { tail } else { 1.0 - tail }
}
