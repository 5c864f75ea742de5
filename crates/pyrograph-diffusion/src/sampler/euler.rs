//! Euler steps along the probability flow: Karras et al., <https://arxiv.org/abs/2206.00364>,
//! algorithm 2 without churn, and their ancestral form (k-diffusion's `sample_euler_ancestral`).

use super::build::{Builder, Call};
use super::coefficients::Rule;
use super::sigmas::Ladder;
use crate::DiffusionError;

/// `x' = x + (σ' − σ) ε`.
pub(super) fn calls(builder: &Builder<'_>, ladder: &Ladder) -> Result<Vec<Call>, DiffusionError> {
    (0..ladder.steps())
        .map(|i| {
            let (from, to) = (ladder.sigmas[i], ladder.sigmas[i + 1]);
            let rule = Rule {
                sample: 1.0,
                epsilon: to - from,
                ..Rule::default()
            };
            builder.exploding_call(ladder, i, rule)
        })
        .collect()
}

/// `x' = x + (σ_down − σ) ε + σ_up z`, with `σ_up² = σ'²(σ² − σ'²)/σ²`, `σ_down² = σ'² − σ_up²`.
pub(super) fn ancestral_calls(
    builder: &Builder<'_>,
    ladder: &Ladder,
) -> Result<Vec<Call>, DiffusionError> {
    (0..ladder.steps())
        .map(|i| {
            let (from, to) = (ladder.sigmas[i], ladder.sigmas[i + 1]);
            let up = to * (1.0 - (to / from).powi(2)).max(0.0).sqrt();
            let down = (to * to - up * up).max(0.0).sqrt();
            let rule = Rule {
                sample: 1.0,
                epsilon: down - from,
                noise: up,
                ..Rule::default()
            };
            builder.exploding_call(ladder, i, rule)
        })
        .collect()
}
