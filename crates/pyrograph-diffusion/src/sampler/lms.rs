//! The linear multistep method of k-diffusion (`sample_lms`): Adams–Bashforth over uneven `σ`.

use super::build::{Builder, Call, Record};
use super::coefficients::Rule;
use super::sigmas::Ladder;
use crate::DiffusionError;

/// The number of derivatives combined.
const ORDER: usize = 4;
/// Nodes and weights of Gauss–Legendre's rule on −1 to 1; exact up to the fifth degree.
const GAUSS: [(f64, f64); 3] = [
    (-0.774_596_669_241_483_4, 5.0 / 9.0),
    (0.0, 8.0 / 9.0),
    (0.774_596_669_241_483_4, 5.0 / 9.0),
];

/// `x' = x + Σ_k c_k ε_{i−k}`, `c_k = ∫ Π_{j≠k} (τ − σ_{i−j})/(σ_{i−k} − σ_{i−j}) dτ` from `σ_i` to
/// `σ_{i+1}`. The order grows from 1 with the steps of the whole plan. A walk that begins later has the
/// coefficients of that order too, without the derivatives that it lacks: so diffusers computes it.
pub(super) fn calls(builder: &Builder<'_>, ladder: &Ladder) -> Result<Vec<Call>, DiffusionError> {
    (0..ladder.steps())
        .map(|i| {
            let order = (i + 1).min(ORDER);
            let rule = Rule {
                sample: 1.0,
                epsilon: coefficient(&ladder.sigmas, i, order, 0),
                history: (1..order.min(builder.known(i) + 1))
                    .map(|k| (k - 1, coefficient(&ladder.sigmas, i, order, k)))
                    .collect(),
                ..Rule::default()
            };
            let mut call = builder.exploding_call(ladder, i, rule)?;
            call.record(Record::Epsilon);
            Ok(call)
        })
        .collect()
}

fn coefficient(sigmas: &[f64], i: usize, order: usize, k: usize) -> f64 {
    let (from, to) = (sigmas[i], sigmas[i + 1]);
    let (middle, half) = (0.5 * (from + to), 0.5 * (to - from));
    let lagrange = |tau: f64| -> f64 {
        (0..order)
            .filter(|&j| j != k)
            .map(|j| (tau - sigmas[i - j]) / (sigmas[i - k] - sigmas[i - j]))
            .product()
    };
    GAUSS
        .iter()
        .map(|(node, weight)| half * weight * lagrange(middle + half * node))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coefficients_of_a_step_add_up_to_its_change_of_sigma() {
        let sigmas = [14.0, 9.0, 5.0, 2.5, 1.0, 0.0];
        for order in 1..=ORDER {
            let sum: f64 = (0..order).map(|k| coefficient(&sigmas, 4, order, k)).sum();
            assert!((sum + 1.0).abs() < 1e-12, "order {order}: {sum}");
        }
    }
}
