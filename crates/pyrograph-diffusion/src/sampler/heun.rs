//! Heun's method: Karras et al., <https://arxiv.org/abs/2206.00364>, algorithm 1. Two network calls a
//! step but for the last.

use super::build::{Builder, Call, Record};
use super::coefficients::Rule;
use super::sigmas::Ladder;
use crate::DiffusionError;

/// First `x̃ = x + (σ' − σ) ε`, then with `ε'` at `x̃`: `x' = x + (σ' − σ)(ε + ε')/2`.
pub(super) fn calls(builder: &Builder<'_>, ladder: &Ladder) -> Result<Vec<Call>, DiffusionError> {
    let mut calls = Vec::with_capacity(2 * ladder.steps());
    for i in 0..ladder.steps() {
        let change = ladder.sigmas[i + 1] - ladder.sigmas[i];
        let guess = Rule {
            sample: 1.0,
            epsilon: change,
            ..Rule::default()
        };
        let mut first = builder.exploding_call(ladder, i, guess)?;
        let is_last = i + 1 == ladder.steps();
        if !is_last {
            first.keep_sample();
            first.record(Record::Epsilon);
        }
        calls.push(first);
        if !is_last {
            let mean = Rule {
                base: 1.0,
                epsilon: 0.5 * change,
                history: vec![(0, 0.5 * change)],
                ..Rule::default()
            };
            calls.push(builder.exploding_call(ladder, i + 1, mean)?);
        }
    }
    Ok(calls)
}
