//! DPM-Solver++ and DPM-Solver, multistep: Lu et al., <https://arxiv.org/abs/2211.01095>, algorithm 2 and
//! appendix B, and <https://arxiv.org/abs/2206.00927>.

use super::build::{Builder, Call, Record};
use super::coefficients::Rule;
use super::sigmas::{Ladder, alpha_cumprod};
use super::{DpmAlgorithm, DpmSolverConfig, DpmSolverType};
use crate::{DiffusionError, FinalPoint};

/// Below this many steps, `lower_order_final` acts (diffusers' limit).
const FEW_STEPS: usize = 15;

/// One call a step; the order grows with the predictions that are known, and falls at the end.
pub(super) fn calls(
    builder: &Builder<'_>,
    ladder: &Ladder,
    config: &DpmSolverConfig,
) -> Result<Vec<Call>, DiffusionError> {
    let steps = ladder.steps();
    let few = config.lower_order_final && steps < FEW_STEPS;
    let lowers_last =
        config.euler_at_final || few || builder.config.final_point == FinalPoint::Clean;
    let order_of = |i: usize| {
        let known = builder.known(i) + 1;
        if i + 1 == steps && lowers_last {
            1
        } else if i + 2 == steps && few {
            known.min(config.order).min(2)
        } else {
            known.min(config.order)
        }
    };
    (0..steps)
        .map(|i| {
            let order = order_of(i);
            // σ' at the end, then σ of this step and of those before, newest first.
            let levels: Vec<f64> = (0..=order).map(|k| ladder.sigmas[i + 1 - k]).collect();
            let mut call = builder.preserving_call(ladder, i, rule(config, &levels))?;
            if config.order > 1 {
                call.record(config.algorithm.record());
            }
            Ok(call)
        })
        .collect()
}

impl DpmAlgorithm {
    /// What the solver extrapolates.
    fn record(self) -> Record {
        match self {
            Self::PlusPlus | Self::SdePlusPlus => Record::X0,
            Self::Plain | Self::Sde => Record::Epsilon,
        }
    }
}

/// The step to `levels[0]` from `levels[1]`, of as high an order as the levels allow.
///
/// | symbol | meaning |
/// | --- | --- |
/// | `α = 1/√(1 + σ²)`, `σ' = σα` | signal and noise |
/// | `λ = −ln σ`, `h` | half the log SNR, and its growth over the step |
/// | `m_0`, `m_1`, `m_2` | predictions of this call and those before, `x_0` or `ε` |
/// | `r_0 = h_0/h`, `r_1 = h_1/h` | lengths of the steps before |
/// | `D_1`, `D_2` | estimates of the first and second derivative of `m` |
///
/// The step is `s x + c_0 m_0 + c_1 D_1 + c_2 D_2 + z`. A noise level that repeats (rounding may do
/// that when there are nearly as many steps as timesteps) offers no derivative, and the order falls.
fn rule(config: &DpmSolverConfig, levels: &[f64]) -> Rule {
    let growth = |k: usize| (levels[k + 1] / levels[k]).ln();
    let h = growth(0);
    let mut order = 1;
    if h.is_finite() && h > 0.0 {
        while order + 1 < levels.len() && growth(order) > 0.0 {
            order += 1;
        }
    }
    let weights = Weights::new(config.algorithm, levels[1], levels[0]);
    let [c0, c1, c2] = weights.derivatives(config, order, h);
    let mut history = Vec::new();
    let mut newest = c0;
    if order == 2 {
        let slope = c1 * h / growth(1);
        newest += slope;
        history.push((0, -slope));
    } else if order == 3 {
        let (r0, r1) = (growth(1) / h, growth(2) / h);
        let curved = c2 / (r0 + r1) + c1 * r0 / (r0 + r1);
        // Of (m_0 − m_1)/r_0 and of (m_1 − m_2)/r_1.
        let (near, far) = ((c1 + curved) / r0, -curved / r1);
        newest += near;
        history = vec![(0, far - near), (1, -far)];
    }
    let (x0, epsilon) = match config.algorithm.record() {
        Record::X0 => (newest, 0.0),
        Record::Epsilon | Record::Model => (0.0, newest),
    };
    Rule {
        sample: weights.sample,
        x0,
        epsilon,
        history,
        noise: weights.noise,
        ..Rule::default()
    }
}

/// The parts of a step that do not depend on its order.
struct Weights {
    from: f64,
    to: f64,
    signal: f64,
    sample: f64,
    newest: f64,
    noise: f64,
}

impl Weights {
    /// As `e^{−h} = σ_t/σ_s`, nothing of the `++` forms is infinite at `σ_t = 0`.
    fn new(algorithm: DpmAlgorithm, from: f64, to: f64) -> Self {
        let (signal_from, signal) = (alpha_cumprod(from).sqrt(), alpha_cumprod(to).sqrt());
        let ratio = to / from;
        let kept = 1.0 - ratio * ratio;
        let (sample, newest, noise) = match algorithm {
            DpmAlgorithm::PlusPlus => (ratio * signal / signal_from, signal * (1.0 - ratio), 0.0),
            DpmAlgorithm::SdePlusPlus => (
                ratio * ratio * signal / signal_from,
                signal * kept,
                to * signal * kept.max(0.0).sqrt(),
            ),
            DpmAlgorithm::Plain => (signal / signal_from, signal * (to - from), 0.0),
            DpmAlgorithm::Sde => (
                signal / signal_from,
                2.0 * signal * (to - from),
                signal * (from * from - to * to).max(0.0).sqrt(),
            ),
        };
        Self {
            from,
            to,
            signal,
            sample,
            newest,
            noise,
        }
    }

    /// `c_0`, `c_1` and `c_2`; the last two only as far as `order` needs them.
    fn derivatives(&self, config: &DpmSolverConfig, order: usize, h: f64) -> [f64; 3] {
        let c0 = self.newest;
        if order == 1 {
            return [c0, 0.0, 0.0];
        }
        if order == 2 && config.solver == DpmSolverType::Midpoint {
            return [c0, 0.5 * c0, 0.0];
        }
        let Self {
            from, to, signal, ..
        } = *self;
        let ratio = to / from;
        let squared = ratio * ratio;
        let (c1, c2) = match config.algorithm {
            DpmAlgorithm::PlusPlus => (
                signal * ((ratio - 1.0) / h + 1.0),
                -signal * ((ratio - 1.0 + h) / (h * h) - 0.5),
            ),
            DpmAlgorithm::SdePlusPlus => (
                signal * (1.0 - (1.0 - squared) / (2.0 * h)),
                signal * ((1.0 - squared - 2.0 * h) / (4.0 * h * h) - 0.5),
            ),
            DpmAlgorithm::Plain => (
                -signal * ((from - to) / h - to),
                -signal * ((from - to - to * h) / (h * h) - 0.5 * to),
            ),
            DpmAlgorithm::Sde => (-2.0 * signal * ((from - to) / h - to), 0.0),
        };
        [c0, c1, if order == 3 { c2 } else { 0.0 }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(levels: &[f64]) -> Rule {
        rule(&DpmSolverConfig::default(), levels)
    }

    #[test]
    fn a_first_order_step_to_no_noise_returns_the_predicted_image() {
        let expected = Rule {
            x0: 1.0,
            ..Rule::default()
        };
        assert_eq!(step(&[0.0, 3.0]), expected);
        assert_eq!(step(&[0.0, 3.0, 5.0]), expected);
    }

    #[test]
    fn a_repeated_noise_level_offers_no_slope() {
        assert_eq!(step(&[1.0, 2.0, 2.0]), step(&[1.0, 2.0]));
        let standstill = Rule {
            sample: 1.0,
            ..Rule::default()
        };
        assert_eq!(step(&[1.0, 1.0, 2.0]), standstill);
    }

    #[test]
    fn every_order_keeps_a_constant_prediction() {
        let levels = [1.0, 2.0, 5.0, 11.0];
        for algorithm in [
            DpmAlgorithm::PlusPlus,
            DpmAlgorithm::SdePlusPlus,
            DpmAlgorithm::Plain,
        ] {
            for solver in [DpmSolverType::Midpoint, DpmSolverType::Heun] {
                let config = DpmSolverConfig {
                    algorithm,
                    solver,
                    ..DpmSolverConfig::default()
                };
                let total = |levels: &[f64]| {
                    let rule = rule(&config, levels);
                    rule.x0 + rule.epsilon + rule.history.iter().map(|(_, w)| w).sum::<f64>()
                };
                for order in 2..=3 {
                    let difference = total(&levels[..=order]) - total(&levels[..2]);
                    assert!(difference.abs() < 1e-12, "{algorithm:?} {solver:?} {order}");
                }
            }
        }
    }
}
