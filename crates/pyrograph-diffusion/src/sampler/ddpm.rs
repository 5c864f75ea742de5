//! Ancestral sampling: Ho, Jain & Abbeel, *Denoising Diffusion Probabilistic Models*,
//! <https://arxiv.org/abs/2006.11239>, equations 6 and 7.

use super::build::{Builder, Call};
use super::coefficients::Rule;
use super::{DdpmVariance, ExtraNoise};
use crate::DiffusionError;

/// Least variance of [`DdpmVariance::BetaTilde`], that of diffusers.
const MIN_VARIANCE: f64 = 1e-20;

/// Each step leads to the grid's next timestep. The schedule's first timestep adds no noise.
pub(super) fn calls(
    builder: &Builder<'_>,
    timesteps: &[usize],
    variance: DdpmVariance,
    extra_noise: ExtraNoise,
) -> Result<Vec<Call>, DiffusionError> {
    let schedule = builder.schedule;
    let skips = timesteps.len() < schedule.timesteps();
    let mut calls = Vec::with_capacity(timesteps.len());
    for (i, &t) in timesteps.iter().enumerate() {
        let alpha_cumprod = schedule.alpha_cumprod(t)?;
        let next = builder.level(timesteps.get(i + 1).copied())?;
        let mut transition = Transition::skipping(alpha_cumprod, next.alpha_cumprod);
        if !skips && next.timestep.is_some_and(|next| next + 1.0 == t as f64) {
            // The table's own α_t. It is the ratio ᾱ/ᾱ' as well, but for the course at t = 1,
            // whose ᾱ_0 was set to 1 after the product.
            transition.alpha = 1.0 - schedule.beta(t)?;
        }
        // The course stops at the grid's last timestep, diffusers at timestep 0.
        let is_last = i + 1 == timesteps.len() && schedule.first_timestep() > 0;
        let noise = if is_last || t == schedule.first_timestep() {
            ExtraNoise::Off
        } else {
            extra_noise
        };
        calls.push(builder.call(t, alpha_cumprod, next, transition.rule(variance, noise))?);
    }
    Ok(calls)
}

/// One transition `x_t → x_t'`, `t' < t`.
///
/// | field | symbol | meaning |
/// | --- | --- | --- |
/// | `alpha` | `α` | `α_t`, or `ᾱ_t / ᾱ_t'` where timesteps are skipped |
/// | `alpha_cumprod` | `ᾱ` | signal at `t` |
/// | `alpha_cumprod_next` | `ᾱ'` | signal at `t'` |
#[derive(Clone, Copy, Debug)]
struct Transition {
    alpha: f64,
    alpha_cumprod: f64,
    alpha_cumprod_next: f64,
}

impl Transition {
    /// A transition over any distance: `α = ᾱ/ᾱ'`.
    fn skipping(alpha_cumprod: f64, alpha_cumprod_next: f64) -> Self {
        Self {
            alpha: alpha_cumprod / alpha_cumprod_next,
            alpha_cumprod,
            alpha_cumprod_next,
        }
    }

    /// `x' = μ(x, x_0) + σ z` with, `β = 1 − α`,
    ///
    /// ```text
    /// μ = (x − β/√(1−ᾱ) ε)/√α,   ε = (x − √ᾱ x_0)/√(1−ᾱ)
    ///   = (1 − β/(1−ᾱ))/√α · x + √ᾱ β/((1−ᾱ)√α) · x_0
    /// ```
    ///
    /// which with `α = ᾱ/ᾱ'` is the paper's `√α(1−ᾱ')/(1−ᾱ) x + √ᾱ' β/(1−ᾱ) x_0`.
    fn rule(&self, variance: DdpmVariance, extra_noise: ExtraNoise) -> Rule {
        let beta = 1.0 - self.alpha;
        let share = beta / (1.0 - self.alpha_cumprod);
        let root = self.alpha.sqrt();
        // Without any signal at `t` the paper's form is the one that divides by nothing.
        let (sample, x0) = if root == 0.0 {
            (0.0, self.alpha_cumprod_next.sqrt() * share)
        } else {
            (
                (1.0 - share) / root,
                self.alpha_cumprod.sqrt() * share / root,
            )
        };
        let noise = match extra_noise {
            ExtraNoise::On => self.variance(variance).max(0.0).sqrt(),
            ExtraNoise::Off => 0.0,
        };
        Rule {
            sample,
            x0,
            noise,
            ..Rule::default()
        }
    }

    fn variance(&self, kind: DdpmVariance) -> f64 {
        let beta = 1.0 - self.alpha;
        match kind {
            DdpmVariance::Beta => beta,
            DdpmVariance::BetaTilde => {
                ((1.0 - self.alpha_cumprod_next) / (1.0 - self.alpha_cumprod) * beta)
                    .max(MIN_VARIANCE)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NoiseSchedule, NoiseScheduleConfig};

    #[test]
    fn the_small_variance_matches_the_published_points() {
        let ddpm = NoiseSchedule::new(&NoiseScheduleConfig::ddpm()).unwrap();
        let variance = |t: usize| {
            let next = if t == 0 {
                1.0
            } else {
                ddpm.alpha_cumprod(t - 1).unwrap()
            };
            Transition::skipping(ddpm.alpha_cumprod(t).unwrap(), next)
                .variance(DdpmVariance::BetaTilde)
        };
        // Printed to five digits.
        for (t, expected) in [(0, 0.0), (487, 0.00979), (999, 0.02)] {
            assert!(
                (variance(t) - expected).abs() < 1e-5,
                "{} at {t}",
                variance(t)
            );
        }
        assert_eq!(variance(0), MIN_VARIANCE);
    }

    #[test]
    fn the_mean_equals_the_two_coefficients_of_the_paper() {
        let (alpha_cumprod, next) = (0.3, 0.5);
        let rule =
            Transition::skipping(alpha_cumprod, next).rule(DdpmVariance::Beta, ExtraNoise::Off);
        let alpha: f64 = alpha_cumprod / next;
        let sample = alpha.sqrt() * (1.0 - next) / (1.0 - alpha_cumprod);
        let x0 = next.sqrt() * (1.0 - alpha) / (1.0 - alpha_cumprod);
        assert!((rule.sample - sample).abs() < 1e-15);
        assert!((rule.x0 - x0).abs() < 1e-15);
        assert_eq!(rule.noise, 0.0);
    }

    #[test]
    fn a_transition_to_the_clean_image_keeps_nothing_of_the_noisy_one() {
        let rule = Transition::skipping(0.3, 1.0).rule(DdpmVariance::BetaTilde, ExtraNoise::On);
        assert_eq!(rule.sample, 0.0);
        assert!((rule.x0 - 1.0).abs() < 1e-15);
    }
}
