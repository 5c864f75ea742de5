//! Steps: what they compute at the edges, what they carry along, and what they refuse.

mod support;

use std::thread;

use burn::tensor::DType;
use pyrograph_diffusion::{
    DdpmVariance, DiffusionError, ExtraNoise, NoiseSchedule, NoiseScheduleConfig, SamplerConfig,
    SamplerKind, SamplerState,
};
use support::{Samples, assert_close, clean_and_noise, in_f64, plan, toy_loop, values};

#[test]
fn the_course_sampler_at_every_timestep_uses_the_tables_own_alpha() {
    // At t = 1, where ᾱ_0 := 1 has left the product: (x − ε (1−a)/√(1−ᾱ))/√a.
    let schedule = NoiseSchedule::new(&NoiseScheduleConfig::course()).unwrap();
    let plan = plan(&NoiseScheduleConfig::course(), &SamplerConfig::ddpm(500));
    let (x, epsilon) = (0.7, -0.2);
    let (beta, alpha_cumprod) = (
        schedule.beta(1).unwrap(),
        schedule.alpha_cumprod(1).unwrap(),
    );
    let expected = (x - epsilon * beta / (1.0 - alpha_cumprod).sqrt()) / (1.0 - beta).sqrt();
    let (x, epsilon) = (in_f64(vec![x]), in_f64(vec![epsilon]));
    let output = plan
        .step(499, x, epsilon, &mut SamplerState::new(), None)
        .unwrap();
    assert_close(values(output.prev_sample)[0], expected, 1e-14, "t = 1");
}

#[test]
fn a_course_step_adds_the_variance_of_its_timestep() {
    let schedule = NoiseSchedule::new(&NoiseScheduleConfig::course()).unwrap();
    let plan = plan(&NoiseScheduleConfig::course(), &SamplerConfig::ddpm(500));
    let zero = || in_f64(vec![0.0]);
    for i in [0, 250, 498] {
        let one = Some(in_f64(vec![1.0]));
        let output = plan
            .step(i, zero(), zero(), &mut SamplerState::new(), one)
            .unwrap();
        let expected = schedule.beta(500 - i).unwrap().sqrt();
        assert_close(values(output.prev_sample)[0], expected, 1e-14, "deviation");
    }
}

#[test]
fn only_steps_that_add_noise_ask_for_it() {
    let course = NoiseScheduleConfig::course();
    let needs = |config: &SamplerConfig| {
        let plan = plan(&course, config);
        (0..plan.len())
            .map(|i| plan.needs_noise(i))
            .collect::<Vec<_>>()
    };
    assert_eq!(needs(&SamplerConfig::ddpm(4)), [true, true, true, false]);
    assert_eq!(
        needs(&SamplerConfig::ddim(4, 1.0)),
        [true, true, true, false]
    );
    assert_eq!(needs(&SamplerConfig::ddim(4, 0.0)), [false; 4]);
    assert_eq!(needs(&SamplerConfig::dpm_solver_pp(4)), [false; 4]);
    let kind = SamplerKind::Ddpm {
        variance: DdpmVariance::Beta,
        extra_noise: ExtraNoise::Off,
    };
    assert_eq!(
        needs(&SamplerConfig {
            kind,
            ..SamplerConfig::ddpm(4)
        }),
        [false; 4]
    );
}

#[test]
fn a_stochastic_step_without_noise_is_refused_and_leaves_the_state_as_it_was() {
    let plan = plan(&NoiseScheduleConfig::course(), &SamplerConfig::ddpm(4));
    let (x, noise) = clean_and_noise();
    let mut state = SamplerState::new();
    let refused = plan.step(0, x.clone(), x.clone(), &mut state, None).err();
    assert_eq!(refused, Some(DiffusionError::MissingNoise { step: 0 }));
    assert!(plan.step(0, x.clone(), x, &mut state, Some(noise)).is_ok());
}

#[test]
fn a_state_of_an_earlier_request_is_refused() {
    let plan = plan(
        &NoiseScheduleConfig::course(),
        &SamplerConfig::dpm_solver_pp(3),
    );
    let (x, _) = clean_and_noise();
    let mut state = SamplerState::new();
    for i in 0..3 {
        plan.step(i, x.clone(), x.clone(), &mut state, None)
            .unwrap();
    }
    let refused = plan.step(0, x.clone(), x, &mut state, None).err();
    assert_eq!(
        refused,
        Some(DiffusionError::StepOutOfOrder {
            seen: 0,
            expected: 3
        })
    );
}

#[test]
fn a_second_image_with_a_fresh_state_equals_the_first() {
    let plan = plan(
        &NoiseScheduleConfig::course(),
        &SamplerConfig::dpm_solver_pp(20),
    );
    let (x, noise) = clean_and_noise();
    let first = toy_loop(&plan, 0, x.clone(), || noise.clone());
    let second = toy_loop(&plan, 0, x, || noise.clone());
    assert_eq!(values(first), values(second));
}

#[test]
fn tensors_and_indices_that_do_not_fit_are_refused() {
    let plan = plan(&NoiseScheduleConfig::course(), &SamplerConfig::ddpm(4));
    let (x, noise) = clean_and_noise();
    let short = in_f64(vec![0.0]);
    let step = |i, output: &Samples, noise: &Samples| {
        plan.step(
            i,
            x.clone(),
            output.clone(),
            &mut SamplerState::new(),
            Some(noise.clone()),
        )
        .err()
    };
    assert!(matches!(
        step(0, &short, &noise),
        Some(DiffusionError::Shape {
            name: "model_output",
            ..
        })
    ));
    assert!(matches!(
        step(0, &x, &short),
        Some(DiffusionError::Shape { name: "noise", .. })
    ));
    assert_eq!(
        step(4, &x, &noise),
        Some(DiffusionError::StepOutOfRange { seen: 4, last: 3 })
    );
}

#[test]
fn half_precision_samples_are_stepped_in_single_precision_and_handed_back_in_half() {
    let plan = plan(
        &NoiseScheduleConfig::stable_diffusion(),
        &SamplerConfig::dpm_solver_pp(5),
    );
    let (x, _) = clean_and_noise();
    let (half, single) = (
        x.clone().cast(DType::F16),
        x.cast(DType::F16).cast(DType::F32),
    );
    let mut states = [SamplerState::new(), SamplerState::new()];
    for i in 0..2 {
        let exact = plan
            .step(i, single.clone(), single.clone(), &mut states[0], None)
            .unwrap();
        let rounded = plan
            .step(i, half.clone(), half.clone(), &mut states[1], None)
            .unwrap();
        assert_eq!(rounded.prev_sample.dtype(), DType::F16);
        assert_eq!(rounded.pred_original_sample.dtype(), DType::F16);
        let expected = exact.prev_sample.cast(DType::F16);
        assert_eq!(values(rounded.prev_sample), values(expected), "step {i}");
    }
}

#[test]
fn a_plan_serves_several_threads_at_once() {
    let plan = plan(
        &NoiseScheduleConfig::course(),
        &SamplerConfig::dpm_solver_pp(20),
    );
    let walk = || {
        let (x, noise) = clean_and_noise();
        values(toy_loop(&plan, 0, x, || noise.clone()))
    };
    let alone = walk();
    thread::scope(|scope| {
        let walks: Vec<_> = (0..4).map(|_| scope.spawn(walk)).collect();
        for walk in walks {
            assert_eq!(walk.join().unwrap(), alone);
        }
    });
}
