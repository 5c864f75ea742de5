//! UniPC: Zhao et al., <https://arxiv.org/abs/2302.04867>, algorithms 5 to 8, predicting `x_0`.

use super::build::{Builder, Call, Record};
use super::coefficients::Rule;
use super::sigmas::{Ladder, alpha_cumprod};
use super::{UniPcConfig, UniPcVariant};
use crate::DiffusionError;

/// One call a step. It first corrects the sample that the step before arrived at, by this call's
/// prediction, and then predicts the next.
pub(super) fn calls(
    builder: &Builder<'_>,
    ladder: &Ladder,
    config: &UniPcConfig,
) -> Result<Vec<Call>, DiffusionError> {
    let steps = ladder.steps();
    let order_of = |i: usize| {
        let left = if config.lower_order_final {
            steps - i
        } else {
            config.order
        };
        if ladder.sigmas[i + 1] == 0.0 {
            return 1; // no slope reaches a step of infinite length
        }
        config.order.min(left).min(builder.known(i) + 1)
    };
    (0..steps)
        .map(|i| {
            let corrected = if builder.known(i) == 0 {
                Rule {
                    sample: 1.0,
                    ..Rule::default()
                }
            } else {
                let step = Step::new(ladder, i - 1, order_of(i - 1), config.variant);
                step.corrector()
            };
            let step = Step::new(ladder, i, order_of(i), config.variant);
            let mut call = builder.preserving_call(ladder, i, step.predictor(&corrected))?;
            call.record(Record::X0);
            call.keep(corrected);
            Ok(call)
        })
        .collect()
}

/// A step from `σ_i` to `σ_{i+1}`, with the slopes of earlier steps.
struct Step {
    /// `σ'_t/σ'_s`
    sample: f64,
    /// `−α_t(e^{−h} − 1)`
    newest: f64,
    /// `−α_t B(h)`
    slope: f64,
    /// `r_k = (λ_{i−k} − λ_i)/h`, nearest first; negative
    distances: Vec<f64>,
    /// The right-hand side `b` of the order conditions.
    conditions: Vec<f64>,
}

impl Step {
    fn new(ladder: &Ladder, i: usize, order: usize, variant: UniPcVariant) -> Self {
        let (from, to) = (ladder.sigmas[i], ladder.sigmas[i + 1]);
        let (signal_from, signal) = (alpha_cumprod(from).sqrt(), alpha_cumprod(to).sqrt());
        let ratio = to / from;
        let h = (from / to).ln();
        let decay = ratio - 1.0; // e^{−h} − 1
        let b = match variant {
            UniPcVariant::Bh1 => -h,
            UniPcVariant::Bh2 => decay,
        };
        // No slope is taken over a step of no length, nor one of infinite length.
        let moves = h.is_finite() && h > 0.0;
        let distances: Vec<f64> = (1..order)
            .map(|k| (from / ladder.sigmas[i - k]).ln() / h)
            .take_while(|distance| moves && *distance < 0.0)
            .collect();
        let mut conditions = Vec::with_capacity(order);
        let (mut phi, mut factorial) = (decay / -h - 1.0, 1.0);
        for k in 1..=distances.len() + 1 {
            conditions.push(phi * factorial / b);
            factorial *= (k + 1) as f64;
            phi = phi / -h - 1.0 / factorial;
        }
        Self {
            sample: ratio * signal / signal_from,
            newest: -signal * decay,
            slope: if moves { -signal * b } else { 0.0 },
            distances,
            conditions,
        }
    }

    /// `x' = s x + c m_0 + d Σ_k ρ_k (m_k − m_0)/r_k`, from the corrected sample; `m_0` is this call's
    /// prediction.
    fn predictor(&self, corrected: &Rule) -> Rule {
        let weights = match self.distances.len() {
            0 => Vec::new(),
            1 => vec![0.5],
            known => solve(&self.distances, &self.conditions[..known]),
        };
        let mut rule = Rule {
            sample: self.sample * corrected.sample,
            base: self.sample * corrected.base,
            x0: self.sample * corrected.x0 + self.newest,
            history: corrected
                .history
                .iter()
                .map(|&(age, weight)| (age, self.sample * weight))
                .collect(),
            ..Rule::default()
        };
        for (k, (weight, distance)) in weights.iter().zip(&self.distances).enumerate() {
            let slope = self.slope * weight / distance;
            rule.x0 -= slope;
            add(&mut rule.history, k, slope);
        }
        rule
    }

    /// `x_c = s x + c m_0 + d (Σ_k ρ_k (m_k − m_0)/r_k + ρ (m_t − m_0))`, from the kept sample; `m_0` is
    /// the prediction of the call before, `m_t` this call's.
    fn corrector(&self) -> Rule {
        let mut nodes = self.distances.clone();
        nodes.push(1.0);
        let weights = match nodes.len() {
            1 => vec![0.5],
            _ => solve(&nodes, &self.conditions),
        };
        let mut rule = Rule {
            base: self.sample,
            history: vec![(0, self.newest)],
            ..Rule::default()
        };
        for (k, (weight, distance)) in weights.iter().zip(&nodes).enumerate() {
            let slope = self.slope * weight / distance;
            add(&mut rule.history, 0, -slope);
            if k < self.distances.len() {
                add(&mut rule.history, k + 1, slope);
            } else {
                rule.x0 += slope;
            }
        }
        rule
    }
}

/// Adds `weight` to that of the prediction of this age.
fn add(history: &mut Vec<(usize, f64)>, age: usize, weight: f64) {
    match history.iter_mut().find(|(known, _)| *known == age) {
        Some((_, sum)) => *sum += weight,
        None => history.push((age, weight)),
    }
}

/// `ρ` of `Σ_k r_k^{i−1} ρ_k = b_i`, by elimination with pivots; the nodes differ from one another.
fn solve(nodes: &[f64], right: &[f64]) -> Vec<f64> {
    let n = nodes.len();
    let mut rows: Vec<Vec<f64>> = (0..n)
        .map(|i| {
            let mut row: Vec<f64> = nodes.iter().map(|node| node.powi(i as i32)).collect();
            row.push(right[i]);
            row
        })
        .collect();
    for column in 0..n {
        let pivot = (column..n)
            .max_by(|&a, &b| rows[a][column].abs().total_cmp(&rows[b][column].abs()))
            .unwrap_or(column);
        rows.swap(column, pivot);
        let pivot_row = rows[column].clone();
        for row in rows.iter_mut().skip(column + 1) {
            let factor = row[column] / pivot_row[column];
            for (value, pivot) in row.iter_mut().zip(&pivot_row).skip(column) {
                *value -= factor * pivot;
            }
        }
    }
    let mut solution = vec![0.0; n];
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|k| rows[i][k] * solution[k]).sum();
        solution[i] = (rows[i][n] - known) / rows[i][i];
    }
    solution
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_conditions_are_solved() {
        let nodes = [-0.7, -1.9, 1.0];
        let right = [0.3, -0.2, 0.9];
        let weights = solve(&nodes, &right);
        for (i, expected) in right.iter().enumerate() {
            let seen: f64 = nodes
                .iter()
                .zip(&weights)
                .map(|(node, weight)| node.powi(i as i32) * weight)
                .sum();
            assert!((seen - expected).abs() < 1e-12, "condition {i}: {seen}");
        }
    }
}
