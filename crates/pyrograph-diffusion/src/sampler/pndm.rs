//! Pseudo numerical methods: Liu et al., <https://arxiv.org/abs/2202.09778>, equations 9 to 14.

use super::build::{Builder, Call, Level, Record};
use super::coefficients::Rule;
use crate::{DiffusionError, PredictionType};

/// Steps that the Runge–Kutta warm-up needs at least.
const RUNGE_KUTTA_STEPS: usize = 4;
/// Network calls of the Runge–Kutta warm-up: four for each of the first three steps.
const RUNGE_KUTTA_CALLS: usize = 12;
/// Weights of a step's four Runge–Kutta outputs.
const RUNGE_KUTTA: [f64; 4] = [1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0];

/// The calls of the linear multistep method. It starts with a half-step of order 2, for which the
/// second timestep is visited twice.
pub(super) fn linear_multistep_calls(
    builder: &Builder<'_>,
    timesteps: &[usize],
) -> Result<Vec<Call>, DiffusionError> {
    let mut visited = timesteps.to_vec();
    if let Some(&second) = timesteps.get(1) {
        visited.insert(1, second);
    }
    let stride = builder.stride();
    let mut calls = Vec::with_capacity(visited.len());
    for (i, &t) in visited.iter().enumerate() {
        let known = builder.known(i);
        if known == 1 {
            // The same step again, from the sample kept before it, with the mean of both outputs.
            let from = (t + stride).min(builder.schedule.last_timestep());
            let rule = transfer(builder, from, builder.level(Some(t))?, From::Base)?;
            calls.push(builder.call(
                t,
                builder.schedule.alpha_cumprod(t)?,
                builder.level(Some(t))?,
                rule.mean(&[(None, 0.5), (Some(0), 0.5)]),
            )?);
            continue;
        }
        let next = builder.below(t, stride)?;
        let rule = transfer(builder, t, next, From::Sample)?;
        let outputs: Vec<_> = multistep(known.saturating_sub(1))
            .iter()
            .enumerate()
            .map(|(k, &weight)| (k.checked_sub(1), weight))
            .collect();
        let mut call = builder.call(
            t,
            builder.schedule.alpha_cumprod(t)?,
            next,
            rule.mean(&outputs),
        )?;
        call.record(Record::Model);
        if known == 0 {
            call.keep_sample();
        }
        calls.push(call);
    }
    Ok(calls)
}

/// Adams–Bashforth's weights of the newest output first, after `known` outputs.
fn multistep(known: usize) -> &'static [f64] {
    match known {
        0 => &[1.0],
        1 => &[1.5, -0.5],
        2 => &[23.0 / 12.0, -16.0 / 12.0, 5.0 / 12.0],
        _ => &[55.0 / 24.0, -59.0 / 24.0, 37.0 / 24.0, -9.0 / 24.0],
    }
}

/// The calls with three Runge–Kutta steps of four calls each at the start.
pub(super) fn runge_kutta_calls(
    builder: &Builder<'_>,
    timesteps: &[usize],
) -> Result<Vec<Call>, DiffusionError> {
    if timesteps.len() < RUNGE_KUTTA_STEPS {
        return Err(DiffusionError::RungeKuttaSteps {
            seen: timesteps.len(),
            min: RUNGE_KUTTA_STEPS,
        });
    }
    if builder.first != 0 {
        return Err(DiffusionError::RungeKuttaStart);
    }
    let (stride, half) = (builder.stride(), builder.stride() / 2);
    let mut calls = Vec::with_capacity(timesteps.len() + RUNGE_KUTTA_CALLS - 3);
    for step in 0..3 {
        let (t, next) = (timesteps[step], timesteps[step + 1]);
        // The middle and the end of the step, as diffusers lays them out: from the next timestep up.
        let (middle, end) = (next + half, next);
        for (stage, (at, arrival)) in [
            (t, t.saturating_sub(half)),
            (middle, middle),
            (middle, middle.saturating_sub(half)),
            (end, end),
        ]
        .into_iter()
        .enumerate()
        {
            let arrival = builder.level(Some(arrival))?;
            let from = if stage == 0 { From::Sample } else { From::Base };
            let rule = transfer(builder, t, arrival, from)?;
            let outputs: Vec<_> = if stage == 3 {
                RUNGE_KUTTA
                    .iter()
                    .rev()
                    .enumerate()
                    .map(|(k, &weight)| (k.checked_sub(1), weight))
                    .collect()
            } else {
                vec![(None, 1.0)]
            };
            let level = builder.schedule.alpha_cumprod(at)?;
            let mut call = builder.call(at, level, arrival, rule.mean(&outputs))?;
            call.record(Record::Model);
            if stage == 0 {
                call.keep_sample();
            }
            calls.push(call);
        }
    }
    // The first outputs of the three steps lie four calls apart in the record.
    let mut ages = vec![3, 7, 11];
    for &t in &timesteps[3..] {
        let next = builder.below(t, stride)?;
        let outputs: Vec<_> = multistep(3)
            .iter()
            .enumerate()
            .map(|(k, &weight)| (k.checked_sub(1).map(|k| ages[k]), weight))
            .collect();
        let rule = transfer(builder, t, next, From::Sample)?.mean(&outputs);
        let mut call = builder.call(t, builder.schedule.alpha_cumprod(t)?, next, rule)?;
        call.record(Record::Model);
        calls.push(call);
        ages = vec![0, ages[0] + 1, ages[1] + 1];
    }
    Ok(calls)
}

/// The sample from which a step goes out.
#[derive(Clone, Copy, PartialEq)]
enum From {
    Sample,
    Base,
}

/// `x' = √(ᾱ'/ᾱ) x − (ᾱ' − ᾱ)/(ᾱ√(1−ᾱ') + √(ᾱ(1−ᾱ)ᾱ')) ε`, equation 11.
struct Transfer {
    from: From,
    sample: f64,
    /// of the mean output, as the network puts it
    model: f64,
}

fn transfer(
    builder: &Builder<'_>,
    t: usize,
    next: Level,
    from: From,
) -> Result<Transfer, DiffusionError> {
    let (level, next) = (builder.schedule.alpha_cumprod(t)?, next.alpha_cumprod);
    let divisor = level * (1.0 - next).sqrt() + (level * (1.0 - level) * next).sqrt();
    let epsilon = -(next - level) / divisor;
    let sample = (next / level).sqrt();
    Ok(match builder.config.prediction_type {
        PredictionType::Epsilon => Transfer {
            from,
            sample,
            model: epsilon,
        },
        // ε = √ᾱ v + √(1−ᾱ) x
        PredictionType::VPrediction => Transfer {
            from,
            sample: sample + epsilon * (1.0 - level).sqrt(),
            model: epsilon * level.sqrt(),
        },
        PredictionType::Sample => {
            return Err(DiffusionError::Unsupported {
                name: "prediction_type",
                seen: "sample".into(),
                allowed: "epsilon and v_prediction for pndm",
            });
        }
    })
}

impl Transfer {
    /// The transfer with a weighted mean of outputs: this call's (`None`) and recorded ones, by age.
    fn mean(&self, outputs: &[(Option<usize>, f64)]) -> Rule {
        let mut rule = Rule::default();
        match self.from {
            From::Sample => rule.sample = self.sample,
            From::Base => rule.base = self.sample,
        }
        for &(age, weight) in outputs {
            match age {
                None => rule.model = weight * self.model,
                Some(age) => rule.history.push((age, weight * self.model)),
            }
        }
        rule
    }
}
