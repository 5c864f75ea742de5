//! Latent consistency models: Luo et al., <https://arxiv.org/abs/2310.04378>, algorithm 3.

use super::build::{Builder, Call, Level};
use super::coefficients::Rule;
use crate::{DiffusionError, NoiseSchedule};

/// `σ_data` of the boundary condition (Song et al. 2023, appendix C).
const SIGMA_DATA: f64 = 0.5;

/// `n` of the `original` timesteps that the model was distilled on, noisiest first.
pub(super) fn timesteps(
    schedule: &NoiseSchedule,
    steps: usize,
    original: usize,
) -> Result<Vec<usize>, DiffusionError> {
    let total = schedule.timesteps();
    if original == 0 || original > total {
        return Err(DiffusionError::Number {
            name: "original_inference_steps",
            seen: original as f64,
            allowed: "1 to the schedule's number of timesteps",
        });
    }
    if steps > original {
        return Err(DiffusionError::Steps {
            seen: steps,
            max: original,
        });
    }
    let stride = total / original;
    let at = |i: usize| (original - i) * stride - 1 + schedule.first_timestep();
    // numpy's `linspace` without its end point, in floating point as there.
    let step = original as f64 / steps as f64;
    Ok((0..steps)
        .map(|i| at((i as f64 * step).floor() as usize))
        .collect())
}

/// `x' = √ᾱ' f + √(1 − ᾱ') z`, `f = c_skip x + c_out x_0`; the last step yields `f` itself. With
/// `s = timestep_scaling · t`: `c_skip = σ_data²/(s² + σ_data²)`, `c_out = s/√(s² + σ_data²)`.
pub(super) fn calls(
    builder: &Builder<'_>,
    timesteps: &[usize],
    timestep_scaling: f64,
) -> Result<Vec<Call>, DiffusionError> {
    let mut calls = Vec::with_capacity(timesteps.len());
    for (i, &t) in timesteps.iter().enumerate() {
        let scaled = t as f64 * timestep_scaling;
        let norm = scaled * scaled + SIGMA_DATA * SIGMA_DATA;
        let (skip, out) = (SIGMA_DATA * SIGMA_DATA / norm, scaled / norm.sqrt());
        let (signal, spread, next) = match timesteps.get(i + 1) {
            Some(&next) => {
                let level = builder.level(Some(next))?;
                let alpha_cumprod = level.alpha_cumprod;
                (alpha_cumprod.sqrt(), (1.0 - alpha_cumprod).sqrt(), level)
            }
            None => (1.0, 0.0, Level::clean(builder.schedule)),
        };
        let rule = Rule {
            sample: signal * skip,
            x0: signal * out,
            noise: spread,
            ..Rule::default()
        };
        calls.push(builder.call(t, builder.schedule.alpha_cumprod(t)?, next, rule)?);
    }
    Ok(calls)
}
