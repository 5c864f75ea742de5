//! Whole runs against diffusers' schedulers, configured by their own files (`fixtures/schedulers/make.py`).

use std::sync::Arc;

use burn::tensor::{DType, Tensor, TensorData};
use burn_flex::Flex;
use pyrograph_diffusion::{
    DiffusersScheduler, NoiseSchedule, PredictionType, SamplerKind, SamplerPlan, Walk,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::support::values;

/// Figures computed in f64 and printed to ten digits, relative to the larger of 1 and the value.
const PRINTED: f64 = 1e-8;
const SHAPE: [usize; 4] = [2, 2, 1, 1];

#[derive(Deserialize)]
struct Fixture {
    sample: Vec<f64>,
    direction: Vec<f64>,
    noises: Vec<Vec<f64>>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    config: Value,
    steps: usize,
    timesteps: Vec<f64>,
    sigmas: Option<Vec<f64>>,
    strength: Option<f64>,
    eta: Option<f64>,
    results: Map<String, Value>,
}

fn tensor(values: &[f64]) -> Tensor<Flex, 4> {
    let data = TensorData::new(values.to_vec(), SHAPE);
    Tensor::from_data(data, (&Default::default(), DType::F64))
}

impl Case {
    fn plan(&self, prediction: &str) -> SamplerPlan {
        let file = DiffusersScheduler::read(&self.config.to_string()).expect("a scheduler file");
        let mut read = file.sampler(None, self.steps).expect("supported settings");
        assert_eq!(read.unknown, [""; 0], "{}", self.config);
        read.sampler.prediction_type = match prediction {
            "epsilon" => PredictionType::Epsilon,
            "sample" => PredictionType::Sample,
            _ => PredictionType::VPrediction,
        };
        if let (SamplerKind::Ddim { eta, .. }, Some(given)) = (&mut read.sampler.kind, self.eta) {
            *eta = given;
        }
        let schedule = NoiseSchedule::new(&read.schedule).expect("a valid schedule");
        let plan = SamplerPlan::new(&schedule, &read.sampler).expect("a valid plan");
        match self.strength {
            Some(strength) => plan.with_strength(strength).expect("a valid strength"),
            None => plan,
        }
    }

    /// The problems of one run.
    fn check(&self, fixture: &Fixture, prediction: &str, expected: &Value) -> Vec<String> {
        let plan = Arc::new(self.plan(prediction));
        let mut problems = Vec::new();
        // Printed to four decimals; whole timesteps are equal.
        let timesteps: Vec<f64> = plan.timesteps().collect();
        let near = |a: &f64, b: &f64| (a - b).abs() < 1e-4;
        if timesteps.len() != self.timesteps.len()
            || !timesteps
                .iter()
                .zip(&self.timesteps)
                .all(|(a, b)| near(a, b))
        {
            problems.push(format!(
                "timesteps {timesteps:?} are not {:?}",
                self.timesteps
            ));
        }
        if let Some(sigmas) = &self.sigmas {
            let far = plan
                .sigmas()
                .zip(sigmas)
                .find(|(a, b)| (a - *b).abs() > PRINTED * b.max(1.0));
            problems.extend(far.map(|(seen, expected)| format!("sigma {seen} is not {expected}")));
        }
        let sample = tensor(&fixture.sample);
        let mut walk = match self.strength {
            Some(_) => {
                let noise = tensor(&fixture.noises[fixture.noises.len() - 1]);
                Walk::from_sample(plan, sample, noise).expect("one shape")
            }
            None => Walk::from_noise(plan, sample),
        };
        let direction = tensor(&fixture.direction).mul_scalar(0.3);
        while let Some((input, t)) = walk.input() {
            let output = input.mul_scalar(0.6 * t / (t + 1.0)) + direction.clone();
            let noise = tensor(&fixture.noises[walk.position()]);
            walk.absorb(output, Some(noise)).expect("a legal call");
        }
        let expected: Vec<f64> = serde_json::from_value(expected.clone()).expect("numbers");
        let seen = values(walk.into_sample());
        let close = |(a, b): (&f64, &f64)| (a - b).abs() <= PRINTED * b.abs().max(1.0);
        if seen.len() != expected.len() || !seen.iter().zip(&expected).all(close) {
            problems.push(format!("{seen:?} is not {expected:?}"));
        }
        problems
    }
}

fn assert_runs(json: &str) {
    let fixture: Fixture = serde_json::from_str(json).expect("a fixture of make.py");
    assert!(!fixture.cases.is_empty());
    let mut failures = Vec::new();
    for case in &fixture.cases {
        for (prediction, expected) in &case.results {
            for problem in case.check(&fixture, prediction, expected) {
                let Case {
                    config,
                    steps,
                    strength,
                    ..
                } = case;
                failures.push(format!(
                    "{config} {steps} steps {strength:?} {prediction}: {problem}"
                ));
            }
        }
    }
    let runs: usize = fixture.cases.iter().map(|case| case.results.len()).sum();
    assert!(
        failures.is_empty(),
        "{} of {runs} runs:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

macro_rules! runs {
    ($($test:ident: $file:literal,)*) => {$(
        #[test]
        fn $test() {
            assert_runs(include_str!(concat!("../fixtures/schedulers/", $file, ".json")));
        }
    )*};
}

runs! {
    dpm_solver_runs_as_in_diffusers: "dpm",
    dpm_solver_spaces_its_sigmas_as_diffusers: "dpm_sigmas",
    every_form_of_dpm_solver_runs_as_in_diffusers: "dpm_variants",
    ddim_runs_as_in_diffusers: "ddim",
    ddpm_runs_as_in_diffusers: "ddpm",
    pndm_runs_as_in_diffusers: "pndm",
    euler_runs_as_in_diffusers: "euler",
    euler_ancestral_runs_as_in_diffusers: "euler_ancestral",
    heun_runs_as_in_diffusers: "heun",
    lms_runs_as_in_diffusers: "lms",
    unipc_runs_as_in_diffusers: "unipc",
    every_form_of_unipc_runs_as_in_diffusers: "unipc_variants",
    lcm_runs_as_in_diffusers: "lcm",
}
