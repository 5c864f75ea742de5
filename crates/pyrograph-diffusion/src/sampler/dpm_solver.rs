//! DPM-Solver++(2M), midpoint form: Lu et al., *DPM-Solver++*,
//! <https://arxiv.org/abs/2211.01095>, algorithm 2.

use super::coefficients::Rule;
use crate::{FinalPoint, NoiseSchedule};

/// Below this many steps, `lower_order_final` acts (diffusers' limit).
const FEW_STEPS: usize = 15;
/// The exponent `ρ` of Karras et al. 2022, equation 5.
const KARRAS_RHO: f64 = 7.0;

/// The ratio `σ = √((1 − ᾱ)/ᾱ)` of noise to signal.
pub(super) fn sigma(alpha_cumprod: f64) -> f64 {
    ((1.0 - alpha_cumprod) / alpha_cumprod).sqrt()
}

/// The inverse of [`sigma`]: `ᾱ = 1/(1 + σ²)`.
pub(super) fn alpha_cumprod(sigma: f64) -> f64 {
    1.0 / (1.0 + sigma * sigma)
}

/// Whether the last of `steps` steps is of first order.
pub(super) fn lowers_final_order(
    final_point: FinalPoint,
    lower_order_final: bool,
    steps: usize,
) -> bool {
    final_point == FinalPoint::Clean || (lower_order_final && steps < FEW_STEPS)
}

/// A step from `σ_s` to `σ_t` at first order:
/// `x' = σ'_t/σ'_s x − α_t (e^{−h} − 1) m_0`.
///
/// | argument | symbol | meaning |
/// | --- | --- | --- |
/// | `from`, `to` | `σ_s`, `σ_t` | noise to signal before and after |
/// | | `α = 1/√(1 + σ²)`, `σ' = σα` | signal and noise |
/// | | `λ = ln α − ln σ' = −ln σ`, `h = λ_t − λ_s` | half the log SNR, and its growth |
/// | | `m_0` | the predicted `x_0` |
///
/// As `e^{−h} = σ_t/σ_s`, nothing here is infinite at `σ_t = 0`.
pub(super) fn first_order(from: f64, to: f64) -> Rule {
    let (signal_from, signal_to) = (alpha_cumprod(from).sqrt(), alpha_cumprod(to).sqrt());
    let ratio = to / from;
    Rule {
        sample: ratio * signal_to / signal_from,
        x0: signal_to * (1.0 - ratio),
        ..Rule::default()
    }
}

/// A step at second order: the first-order step with `m_0 + ½ D_1` in place of `m_0`, where
/// `D_1 = (m_0 − m_1)/r_0`, `r_0 = h_0/h`, and `m_1`, `h_0` belong to the step before, from
/// `σ_{s1} = before` to `σ_s = from`.
///
/// `None` where no slope can be taken: the two levels before are one and the same (rounding may
/// repeat a timestep when there are nearly as many steps as timesteps), or the step leads to no
/// noise at all, where `h` is infinite.
pub(super) fn second_order(before: f64, from: f64, to: f64) -> Option<Rule> {
    let first = first_order(from, to);
    let (previous, current) = ((before / from).ln(), (from / to).ln());
    if previous <= 0.0 || !current.is_finite() {
        return None;
    }
    let slope = 0.5 * first.x0 * current / previous;
    Some(Rule {
        x0: first.x0 + slope,
        history: -slope,
        ..first
    })
}

/// `steps` noise levels `(σ_max^{1/ρ} + i/(n−1)·(σ_min^{1/ρ} − σ_max^{1/ρ}))^ρ` over the schedule's
/// whole range, each with the timestep nearest to it in `ln σ`.
pub(super) fn karras(schedule: &NoiseSchedule, steps: usize) -> Vec<(f64, usize)> {
    let first = schedule.first_timestep();
    let noisy = &schedule.alphas_cumprod()[first..];
    let log_sigmas: Vec<f64> = noisy.iter().map(|&level| sigma(level).ln()).collect();
    // The schedule has at least one noisy timestep.
    let root = |level: f64| sigma(level).powf(1.0 / KARRAS_RHO);
    let (low, high) = (root(noisy[0]), root(noisy[noisy.len() - 1]));
    let ramp = |i: usize| i as f64 / (steps - 1).max(1) as f64;
    (0..steps)
        .map(|i| (high + ramp(i) * (low - high)).powf(KARRAS_RHO))
        .map(|sigma| (sigma, first + nearest(&log_sigmas, sigma.ln())))
        .collect()
}

/// The position of `value` in an ascending table, interpolated and rounded half to even.
fn nearest(table: &[f64], value: f64) -> usize {
    let above = table
        .partition_point(|&entry| entry <= value)
        .min(table.len() - 1)
        .max(1);
    let below = above - 1;
    let (Some(&low), Some(&high)) = (table.get(below), table.get(above)) else {
        return 0; // a table of one entry
    };
    let weight = ((value - low) / (high - low)).clamp(0.0, 1.0);
    (below as f64 + weight).round_ties_even() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NoiseScheduleConfig;

    #[test]
    fn karras_levels_fall_on_the_published_timesteps() {
        let sd = NoiseSchedule::new(&NoiseScheduleConfig::stable_diffusion()).unwrap();
        let timesteps: Vec<usize> = karras(&sd, 25).into_iter().map(|(_, t)| t).collect();
        let expected = [
            999, 970, 938, 905, 868, 829, 786, 739, 687, 630, 568, 500, 427, 352, 278, 207, 146,
            96, 59, 34, 18, 9, 4, 1, 0,
        ];
        assert_eq!(timesteps, expected);
    }

    #[test]
    fn a_first_order_step_to_no_noise_returns_the_predicted_image() {
        assert_eq!(
            first_order(3.0, 0.0),
            Rule {
                x0: 1.0,
                ..Rule::default()
            }
        );
    }

    #[test]
    fn a_repeated_noise_level_offers_no_slope() {
        assert_eq!(second_order(2.0, 2.0, 1.0), None);
        assert_eq!(second_order(2.0, 1.0, 0.0), None);
        let standstill = second_order(2.0, 1.0, 1.0).unwrap();
        assert_eq!(
            standstill,
            Rule {
                sample: 1.0,
                history: -0.0,
                ..Rule::default()
            }
        );
    }

    #[test]
    fn a_table_of_one_level_has_one_karras_timestep() {
        let config = NoiseScheduleConfig {
            timesteps: 1,
            ..NoiseScheduleConfig::course()
        };
        let course = NoiseSchedule::new(&config).unwrap();
        assert!(matches!(karras(&course, 1)[..], [(sigma, 1)] if sigma > 0.0));
    }
}
