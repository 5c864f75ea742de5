//! Whole trajectories against diffusers' schedulers (`fixtures/samplers/make.py`).

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use burn_flex::Flex;
use pyrograph_diffusion::{NoiseScheduleConfig, SamplerConfig, Walk};
use serde::Deserialize;

use crate::support;
use crate::support::{plan, values};

/// diffusers computes `ᾱ` as a product of a thousand factors in f32, and both sides step in f32;
/// relative to the larger of 1 and the value.
const F32_TABLES: f64 = 2e-5;

#[derive(Deserialize)]
struct Fixture {
    shape: [usize; 2],
    sample: Vec<f32>,
    direction: Vec<f32>,
    noises: Vec<Vec<f32>>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    schedule: NoiseScheduleConfig,
    sampler: SamplerConfig,
    timesteps: Vec<f64>,
    prev_samples: Vec<Vec<f64>>,
    pred_original_samples: Vec<Vec<f64>>,
}

fn assert_trajectories(json: &str) {
    let fixture: Fixture = serde_json::from_str(json).expect("a fixture of make.py");
    let tensor = |values: &[f32]| -> Tensor<Flex, 2> {
        Tensor::from_data(
            TensorData::new(values.to_vec(), fixture.shape),
            &Default::default(),
        )
    };
    let direction = tensor(&fixture.direction).mul_scalar(0.3);
    for case in &fixture.cases {
        let what = format!("{:?} {:?}", case.schedule, case.sampler);
        let plan = plan(&case.schedule, &case.sampler);
        assert_eq!(
            plan.timesteps().collect::<Vec<_>>(),
            case.timesteps,
            "{what}"
        );

        let mut walk = Walk::new(Arc::new(plan), tensor(&fixture.sample));
        while let Some((x, t)) = walk.input() {
            let i = walk.position();
            let output = x.mul_scalar(0.6 * t / (t + 1.0)) + direction.clone();
            let x0 = walk.predict_x0(output.clone()).expect("a legal call");
            let noise = Some(tensor(&fixture.noises[i]));
            walk.absorb(output, noise).expect("a legal call");
            let expected = &case.prev_samples[i];
            assert_all_close(walk.sample(), expected, &format!("{what}, step {i}"));
            let expected = &case.pred_original_samples[i];
            assert_all_close(x0, expected, &format!("{what}, x0 of step {i}"));
        }
    }
}

fn assert_all_close(seen: Tensor<Flex, 2>, expected: &[f64], what: &str) {
    let seen = values(seen);
    assert_eq!(seen.len(), expected.len());
    for (&seen, &expected) in seen.iter().zip(expected) {
        support::assert_close(seen, expected, F32_TABLES * expected.abs().max(1.0), what);
    }
}

#[test]
fn ddim_walks_the_trajectories_of_diffusers() {
    assert_trajectories(include_str!("../fixtures/samplers/ddim.json"));
}

#[test]
fn ddpm_walks_the_trajectories_of_diffusers() {
    assert_trajectories(include_str!("../fixtures/samplers/ddpm.json"));
}

#[test]
fn the_solver_walks_the_trajectories_of_diffusers() {
    assert_trajectories(include_str!("../fixtures/samplers/dpm_solver.json"));
}
