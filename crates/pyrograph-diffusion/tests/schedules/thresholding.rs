//! Dynamic thresholding and clipping against diffusers, on the numbers of `fixtures/thresholding/make.py`.

use std::{fs, path::Path, sync::Arc};

use burn::tensor::{Tensor, TensorData};
use burn_flex::Flex;
use pyrograph_diffusion::{
    BetaSchedule, DdpmVariance, ExtraNoise, NoiseSchedule, NoiseScheduleConfig, PredictionType,
    SamplerConfig, SamplerKind, Thresholding, TimestepGrid, Walk,
};
use serde_json::Value;

use crate::support::plan;

/// `f32_op`: a few f32 operations.
const F32_OP: f32 = 2e-6;
/// Walks of up to 25 steps in f32, whose first step divides by 1e-4.
const F32_WALK: f32 = 1e-4;
/// Items of a batch.
const BATCH: usize = 2;

fn cases(key: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/thresholding/cases.json");
    let text = fs::read_to_string(path).expect("the fixture");
    let cases: Value = serde_json::from_str(&text).expect("JSON");
    cases[key].as_array().expect("a list").clone()
}

fn numbers(value: &Value) -> Vec<f32> {
    let values = value.as_array().expect("a list").iter();
    values
        .map(|v| v.as_f64().expect("a number") as f32)
        .collect()
}

fn tensor(values: Vec<f32>) -> Tensor<Flex, 2> {
    let shape = [BATCH, values.len() / BATCH];
    Tensor::from_data(TensorData::new(values, shape), &Default::default())
}

#[track_caller]
fn assert_close(seen: Tensor<Flex, 2>, expected: &[f32], tolerance: f32, name: &str) {
    let seen: Vec<f32> = seen.into_data().iter::<f32>().collect();
    assert_eq!(seen.len(), expected.len());
    for (i, (a, b)) in seen.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= tolerance, "{name}: {a} is not {b} at {i}");
    }
}

fn thresholding(case: &Value) -> Option<Thresholding> {
    Some(Thresholding {
        ratio: case["ratio"].as_f64()?,
        max: case["max"].as_f64().expect("a number"),
    })
}

#[test]
fn a_thresholded_sample_is_that_of_diffusers() {
    let cases = cases("thresholds");
    assert_eq!(cases.len(), 7);
    for case in cases {
        let sampler = SamplerConfig {
            // The network's output is the sample itself.
            prediction_type: PredictionType::Sample,
            thresholding: thresholding(&case),
            ..SamplerConfig::ddpm(1)
        };
        let plan = Arc::new(plan(&NoiseScheduleConfig::ddpm(), &sampler));
        let sample = tensor(numbers(&case["sample"]));
        let walk = Walk::from_noise(plan, sample.zeros_like());
        let seen = walk.predict_x0(sample).expect("one shape");
        let name = format!("ratio {} to {}", case["ratio"], case["max"]);
        assert_close(seen, &numbers(&case["result"]), F32_OP, &name);
    }
}

#[test]
fn without_a_largest_threshold_imagens_is_that_of_diffusers_with_a_large_one() {
    let case = &cases("thresholds")[1];
    assert_eq!(case["max"].as_f64(), Some(1e6));
    let sampler = SamplerConfig {
        prediction_type: PredictionType::Sample,
        thresholding: Some(Thresholding::IMAGEN),
        ..SamplerConfig::ddpm(1)
    };
    let plan = Arc::new(plan(&NoiseScheduleConfig::ddpm(), &sampler));
    let sample = tensor(numbers(&case["sample"]));
    let walk = Walk::from_noise(plan, sample.zeros_like());
    let seen = walk.predict_x0(sample).expect("one shape");
    assert_close(seen, &numbers(&case["result"]), F32_OP, "no largest");
}

#[test]
fn a_bounded_walk_on_the_cosine_schedule_is_that_of_diffusers() {
    let schedule = NoiseScheduleConfig::new(BetaSchedule::Cosine, 500);
    for case in cases("walks") {
        let timesteps = numbers(&case["timesteps"]);
        let variance = match case["variance"].as_str() {
            Some("fixed_small") => DdpmVariance::BetaTilde,
            _ => DdpmVariance::Beta,
        };
        let extra_noise = ExtraNoise::On;
        let kind = SamplerKind::Ddpm {
            variance,
            extra_noise,
        };
        let sampler = SamplerConfig {
            grid: Some(TimestepGrid::Leading { steps_offset: 0 }),
            thresholding: thresholding(&case),
            ..SamplerConfig::of_kind(kind, timesteps.len())
        };
        let schedule_of = NoiseSchedule::new(&schedule).expect("legal");
        // Clipping is what the schedule needs by itself.
        let plan = Arc::new(plan(&schedule, &sampler.with_needed_clip(&schedule_of)));
        assert_eq!(plan.config().clip_sample.is_some(), case["clip"] == true);
        let seen: Vec<f32> = plan.timesteps().map(|t| t as f32).collect();
        assert_eq!(seen, timesteps);

        let direction = tensor(numbers(&case["direction"]));
        let mut walk = Walk::from_noise(plan, tensor(numbers(&case["start"])));
        while let Some((x, t)) = walk.input() {
            let output = x.mul_scalar(0.6 * t / (t + 1.0)) + direction.clone().mul_scalar(0.3);
            let noise = tensor(numbers(&case["noises"][walk.position()]));
            walk.absorb(output, Some(noise)).expect("a legal call");
        }
        let name = format!("{} and {}", case["variance"], case["ratio"]);
        assert_close(
            walk.into_sample(),
            &numbers(&case["result"]),
            F32_WALK,
            &name,
        );
    }
}
