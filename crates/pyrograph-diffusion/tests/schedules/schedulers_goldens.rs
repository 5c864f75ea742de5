//! Figures that diffusers' tests state for its schedulers, with the settings of those tests.

use burn::tensor::{DType, Tensor, TensorData};
use burn_flex::Flex;
use std::sync::Arc;

use pyrograph_diffusion::{DiffusersScheduler, SamplerPlan, Walk};

use crate::support::torch_rng::TorchRng;
use crate::support::{
    Samples, TOY_LEN, abs_sum, assert_close, in_f64, toy_model, toy_noise, toy_sample, values,
};

/// Sums that diffusers' tests state, relative; they allow 1e-2 and 1e-3.
const DIFFUSERS: f64 = 1e-3;
/// Figures computed in f64 and printed to six decimals.
const PRINTED_SIX: f64 = 5.1e-7;

fn plan(config: &str, steps: usize) -> SamplerPlan {
    let read = DiffusersScheduler::read(config).expect("a scheduler file");
    read.plan(None, steps).expect("a valid plan")
}

fn walk(plan: SamplerPlan, noise: impl FnMut() -> Samples) -> Samples {
    walk_from(plan, toy_sample(), noise)
}

fn walk_from(plan: SamplerPlan, x: Samples, mut noise: impl FnMut() -> Samples) -> Samples {
    let mut walk = Walk::from_noise(Arc::new(plan), x);
    while let Some((input, t)) = walk.input() {
        let noise = walk.needs_noise().then(&mut noise);
        // The loops of diffusers' tests step from the scaled sample.
        walk.replace_sample(input.clone()).expect("one shape");
        walk.absorb(toy_model(input, t), noise)
            .expect("a legal call");
    }
    walk.into_sample()
}

fn no_noise() -> Samples {
    panic!("a deterministic sampler asked for noise")
}

fn sum(config: &str, steps: usize) -> f64 {
    abs_sum(walk(plan(config, steps), no_noise))
}

#[track_caller]
fn assert_golden(seen: f64, expected: f64) {
    assert_close(
        seen,
        expected,
        DIFFUSERS * expected.abs().max(1.0),
        "diffusers' test",
    );
}

#[test]
fn euler_reaches_the_sum_of_diffusers_test() {
    let config = r#"{"_class_name": "EulerDiscreteScheduler", "num_train_timesteps": 1100}"#;
    assert_golden(sum(config, 10), 10.0807);
}

#[test]
fn ancestral_euler_with_torchs_noise_reaches_the_sum_of_diffusers_test() {
    let config =
        r#"{"_class_name": "EulerAncestralDiscreteScheduler", "num_train_timesteps": 1100}"#;
    // diffusers' sample is laid out with the batch of four innermost, its noise outermost.
    let place = |k: usize| (k % (TOY_LEN / 4) * 4 + k / (TOY_LEN / 4)) as f64 / TOY_LEN as f64;
    let sample = in_f64((0..TOY_LEN).map(place).collect());
    let mut rng = TorchRng::new(0);
    let seen = walk_from(plan(config, 10), sample, || in_f64(rng.randn(TOY_LEN)));
    assert_golden(abs_sum(seen), 152.3192);
}

#[test]
fn lms_reaches_the_sum_of_diffusers_test() {
    let config = r#"{"_class_name": "LMSDiscreteScheduler", "num_train_timesteps": 1100}"#;
    assert_golden(sum(config, 10), 1006.388);
}

#[test]
fn pndm_with_runge_kutta_steps_reaches_the_sum_of_diffusers_test() {
    assert_golden(sum(r#"{"_class_name": "PNDMScheduler"}"#, 10), 198.1318);
}

#[test]
fn unipc_reaches_the_mean_of_diffusers_test() {
    let config = r#"{"_class_name": "UniPCMultistepScheduler", "final_sigmas_type": "sigma_min"}"#;
    assert_golden(sum(config, 10) / TOY_LEN as f64, 0.2464);
}

#[test]
fn one_step_of_lcm_reaches_the_sum_of_diffusers_test() {
    assert_golden(sum(r#"{"_class_name": "LCMScheduler"}"#, 1), 18.7097);
}

#[test]
fn dpm_solver_reaches_the_means_of_diffusers_tests() {
    let solver = |more: &str| {
        format!(
            r#"{{"_class_name": "DPMSolverMultistepScheduler", "lower_order_final": false,
                "final_sigmas_type": "sigma_min"{more}}}"#
        )
    };
    let v = r#", "prediction_type": "v_prediction""#;
    for (more, expected) in [
        (String::new(), 0.3301),
        (v.to_owned(), 0.2251),
        (format!(r#"{v}, "use_karras_sigmas": true"#), 0.2096),
        (format!(r#"{v}, "use_lu_lambdas": true"#), 0.1554),
    ] {
        assert_golden(sum(&solver(&more), 10) / TOY_LEN as f64, expected);
    }
    // The quantile is that of each of the four items.
    let thresholding =
        r#", "thresholding": true, "dynamic_thresholding_ratio": 0.87, "sample_max_value": 0.5"#;
    let place = |k: usize| (k % (TOY_LEN / 4) * 4 + k / (TOY_LEN / 4)) as f64 / TOY_LEN as f64;
    let items: Vec<f64> = (0..TOY_LEN).map(place).collect();
    let items: Tensor<Flex, 2> = Tensor::from_data(
        TensorData::new(items, [4, TOY_LEN / 4]),
        (&Default::default(), DType::F64),
    );
    let seen = walk_from(plan(&solver(thresholding), 10), items, no_noise);
    assert_golden(abs_sum(seen) / TOY_LEN as f64, 1.1364);
    // With noise, from the sixth step on.
    let tail = Arc::new(plan(&solver(""), 10).tail(5).expect("ten steps"));
    let mut walk = Walk::from_sample(tail, toy_sample(), toy_noise()).expect("one shape");
    while let Some((input, t)) = walk.input() {
        walk.absorb(toy_model(input, t), None)
            .expect("a legal call");
    }
    assert_golden(abs_sum(walk.into_sample()) / TOY_LEN as f64, 0.4146);
}

/// Stable Diffusion 2.1's scheduler file, for 768 pixels; the base model's predicts noise.
const SD21: &str = r#"{"_class_name": "DDIMScheduler", "_diffusers_version": "0.8.0", "beta_end": 0.012,
    "beta_schedule": "scaled_linear", "beta_start": 0.00085, "clip_sample": false, "num_train_timesteps": 1000,
    "prediction_type": "v_prediction", "set_alpha_to_one": false, "skip_prk_steps": true, "steps_offset": 1,
    "trained_betas": null}"#;
const SD21_BASE: &str = r#"{"_class_name": "PNDMScheduler", "_diffusers_version": "0.10.0.dev0", "beta_end": 0.012,
    "beta_schedule": "scaled_linear", "beta_start": 0.00085, "clip_sample": false, "num_train_timesteps": 1000,
    "prediction_type": "epsilon", "set_alpha_to_one": false, "skip_prk_steps": true, "steps_offset": 1,
    "trained_betas": null}"#;

#[test]
fn stable_diffusions_files_reach_the_published_sums_with_dpm_solver() {
    let sum = |file: &str, more: &str, steps| {
        let file = file.replace(r#""trained_betas""#, &format!(r#"{more}"trained_betas""#));
        let name = "dpm++2m".parse().ok();
        let plan = DiffusersScheduler::read(&file)
            .and_then(|file| file.plan(name, steps))
            .expect("a valid plan");
        abs_sum(walk(plan, no_noise))
    };
    let leading = r#""timestep_spacing": "leading", "#;
    let sigma_min = r#""final_sigmas_type": "sigma_min", "#;
    let karras = r#""use_karras_sigmas": true, "#;
    for (file, more, steps, expected) in [
        (SD21, "", 10, 76.767021),
        (SD21, "", 25, 83.663898),
        (SD21, "", 50, 85.332375),
        (SD21, karras, 25, 93.068882),
        (SD21, sigma_min, 25, 98.716361),
        (SD21_BASE, "", 25, 191.597153),
        (SD21_BASE, sigma_min, 50, 204.572024),
        // Without the key the spacing is DPM-Solver's own, linspace; a file saved anew has it.
        (SD21_BASE, leading, 25, 191.789103),
        (SD21_BASE, leading, 50, 194.001899),
    ] {
        assert_close(sum(file, more, steps), expected, PRINTED_SIX, more);
    }
}

#[test]
fn stable_diffusions_files_reach_the_published_sums_with_their_own_scheduler() {
    for (steps, expected) in [(25, 81.210517), (50, 85.323878)] {
        assert_close(sum(SD21, steps), expected, PRINTED_SIX, "DDIM");
    }
    let timesteps: Vec<f64> = plan(SD21_BASE, 4).timesteps().collect();
    assert_eq!(timesteps, [751.0, 501.0, 501.0, 251.0, 1.0]);
}

#[test]
fn thresholded_samples_stay_within_the_unit_range() {
    let config =
        r#"{"_class_name": "DDIMScheduler", "thresholding": true, "sample_max_value": 3.0}"#;
    let walk = Walk::new(Arc::new(plan(config, 5)), toy_sample() * 40.0);
    let x0 = values(walk.predict_x0(toy_noise() * 3.0).expect("a legal call"));
    assert!(x0.iter().all(|x| x.abs() <= 1.0));
    assert!(x0.iter().any(|x| x.abs() < 0.9));
}
