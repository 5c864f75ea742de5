//! DDIM: Song, Meng & Ermon, *Denoising Diffusion Implicit Models*,
//! <https://arxiv.org/abs/2010.02502>, equations 12 and 16.

use super::build::{Builder, Call};
use super::coefficients::Rule;
use crate::DiffusionError;

/// Each step leads `T//n` timesteps down, as published; on the `Linspace` and `Trailing` grids
/// that need not be the grid's next timestep.
pub(super) fn calls(
    builder: &Builder<'_>,
    timesteps: &[usize],
    eta: f64,
) -> Result<Vec<Call>, DiffusionError> {
    let mut calls = Vec::with_capacity(timesteps.len());
    for &t in timesteps {
        let alpha_cumprod = builder.schedule.alpha_cumprod(t)?;
        let next = builder.below(t, builder.stride())?;
        let rule = rule(alpha_cumprod, next.alpha_cumprod, eta);
        calls.push(builder.call(t, alpha_cumprod, next, rule)?);
    }
    Ok(calls)
}

/// `x' = √ᾱ' x_0 + √(1 − ᾱ' − s²) ε + s z`, with `s = η √var`.
///
/// | argument | symbol | meaning |
/// | --- | --- | --- |
/// | `alpha_cumprod` | `ᾱ` | signal before the step |
/// | `alpha_cumprod_next` | `ᾱ'` | signal after it |
/// | `eta` | `η` | share of DDPM's noise |
///
/// Where `x_0` is clipped, `ε` stays the network's own, unless `clipped_epsilon` is set.
fn rule(alpha_cumprod: f64, alpha_cumprod_next: f64, eta: f64) -> Rule {
    let deviation = eta * variance(alpha_cumprod, alpha_cumprod_next).sqrt();
    // Rounding alone may take the difference below zero.
    let direction = (1.0 - alpha_cumprod_next - deviation * deviation)
        .max(0.0)
        .sqrt();
    Rule {
        x0: alpha_cumprod_next.sqrt(),
        epsilon: direction,
        noise: deviation,
        ..Rule::default()
    }
}

/// `var = (1 − ᾱ')/(1 − ᾱ)·(1 − ᾱ/ᾱ')`, DDPM's `β̃` between the two levels.
fn variance(alpha_cumprod: f64, alpha_cumprod_next: f64) -> f64 {
    let growth = 1.0 - alpha_cumprod / alpha_cumprod_next;
    ((1.0 - alpha_cumprod_next) / (1.0 - alpha_cumprod) * growth).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NoiseSchedule, NoiseScheduleConfig};

    #[test]
    fn the_variance_matches_the_published_points() {
        let ddpm = NoiseSchedule::new(&NoiseScheduleConfig::ddpm()).unwrap();
        let alpha_cumprod = |t: usize| ddpm.alpha_cumprod(t).unwrap();
        // Printed to five digits.
        let points = [
            (420, 400, 0.14771),
            (980, 960, 0.32460),
            (487, 486, 0.00979),
            (999, 998, 0.02),
        ];
        for (t, next, expected) in points {
            let seen = variance(alpha_cumprod(t), alpha_cumprod(next));
            assert!((seen - expected).abs() < 1e-5, "{seen} at {t} to {next}");
        }
    }

    #[test]
    fn the_last_step_returns_the_predicted_image_whatever_eta() {
        for eta in [0.0, 0.5, 1.0] {
            let rule = rule(0.2, 1.0, eta);
            assert_eq!(
                rule,
                Rule {
                    x0: 1.0,
                    ..Rule::default()
                }
            );
        }
    }
}
