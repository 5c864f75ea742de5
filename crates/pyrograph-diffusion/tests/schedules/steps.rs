//! Walks: what they compute at the edges, what they carry along, and what they refuse.

use std::sync::Arc;
use std::thread;

use burn::tensor::DType;
use pyrograph_diffusion::{
    DdpmVariance, DiffusionError, ExtraNoise, NoiseSchedule, NoiseScheduleConfig, SamplerConfig,
    SamplerKind, SamplerPlan, SchedulerName, Walk,
};

use crate::support::{Samples, assert_close, clean_and_noise, in_f64, plan, toy_loop, values};

/// One call of a run that begins at call `i`.
fn single_call(plan: &SamplerPlan, i: usize, x: f64, output: f64, noise: Option<f64>) -> f64 {
    let tail = Arc::new(plan.tail(i).unwrap());
    let mut walk = Walk::new(tail, in_f64(vec![x]));
    let noise = noise.map(|noise| in_f64(vec![noise]));
    walk.absorb(in_f64(vec![output]), noise).unwrap();
    values(walk.sample())[0]
}

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
    let seen = single_call(&plan, 499, x, epsilon, None);
    assert_close(seen, expected, 1e-14, "t = 1");
}

#[test]
fn a_course_step_adds_the_variance_of_its_timestep() {
    let schedule = NoiseSchedule::new(&NoiseScheduleConfig::course()).unwrap();
    let plan = plan(&NoiseScheduleConfig::course(), &SamplerConfig::ddpm(500));
    for i in [0, 250, 498] {
        let seen = single_call(&plan, i, 0.0, 0.0, Some(1.0));
        let expected = schedule.beta(500 - i).unwrap().sqrt();
        assert_close(seen, expected, 1e-14, "deviation");
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
    let but_last = [true, true, true, false];
    assert_eq!(needs(&SamplerConfig::ddpm(4)), but_last);
    assert_eq!(needs(&SamplerConfig::ddim(4, 1.0)), but_last);
    for name in ["dpm++2m-sde", "euler-a", "lcm"] {
        let name: SchedulerName = name.parse().unwrap();
        assert_eq!(needs(&name.config(4)), but_last, "{name}");
    }
    for name in [
        "ddim",
        "dpm++2m",
        "dpm++3m",
        "euler",
        "lms",
        "unipc",
        "ddpm-no-noise",
    ] {
        let name: SchedulerName = name.parse().unwrap();
        assert_eq!(needs(&name.config(4)), [false; 4], "{name}");
    }
    assert_eq!(needs(&SchedulerName::Heun.config(4)), [false; 7]);
    assert_eq!(needs(&SchedulerName::Pndm.config(4)), [false; 5]);
    let kind = SamplerKind::Ddpm {
        variance: DdpmVariance::Beta,
        extra_noise: ExtraNoise::Off,
    };
    assert_eq!(needs(&SamplerConfig::of_kind(kind, 4)), [false; 4]);
}

#[test]
fn a_stochastic_step_without_noise_is_refused_and_leaves_the_walk_as_it_was() {
    let plan = plan(&NoiseScheduleConfig::course(), &SamplerConfig::ddpm(4));
    let (x, noise) = clean_and_noise();
    let mut walk = Walk::new(Arc::new(plan), x.clone());
    assert!(walk.needs_noise());
    let refused = walk.absorb(x.clone(), None).err();
    assert_eq!(refused, Some(DiffusionError::MissingNoise { step: 0 }));
    assert_eq!(walk.position(), 0);
    assert!(walk.absorb(x, Some(noise)).is_ok());
    assert_eq!(walk.position(), 1);
}

#[test]
fn a_walk_at_its_end_asks_for_nothing_and_refuses_more() {
    for name in SchedulerName::ALL {
        let plan = Arc::new(plan(&NoiseScheduleConfig::course(), &name.config(5)));
        let (x, noise) = clean_and_noise();
        let mut walk = Walk::from_noise(plan.clone(), x.clone());
        let mut calls = 0;
        while let Some((input, _)) = walk.input() {
            assert!(!walk.is_done());
            walk.absorb(input, Some(noise.clone())).unwrap();
            calls += 1;
        }
        assert_eq!(calls, plan.len(), "{name}");
        assert!(walk.is_done() && !walk.needs_noise());
        let refused = walk.absorb(x.clone(), None).err();
        assert_eq!(refused, Some(DiffusionError::WalkDone { calls }));
        assert!(walk.predict_x0(x).is_err());
    }
}

#[test]
fn a_second_image_equals_the_first() {
    for name in SchedulerName::ALL {
        let plan = plan(&NoiseScheduleConfig::course(), &name.config(20));
        let (x, noise) = clean_and_noise();
        let first = toy_loop(&plan, x.clone(), || noise.clone());
        let second = toy_loop(&plan, x, || noise.clone());
        assert_eq!(values(first), values(second), "{name}");
    }
}

#[test]
fn walks_that_stand_at_different_calls_do_not_disturb_one_another() {
    // One loop over walks of every sampler, begun one after another, gives what each gives alone.
    let sd = NoiseScheduleConfig::stable_diffusion();
    let (x, noise) = clean_and_noise();
    let plans: Vec<_> = SchedulerName::ALL
        .iter()
        .map(|name| plan(&sd, &name.config(10)))
        .collect();
    let model = |x: Samples, t: f64| x.mul_scalar(0.7 * t / (t + 1.0)) + 0.1;
    let alone: Vec<_> = plans
        .iter()
        .map(|plan| {
            let mut walk = Walk::from_noise(Arc::new(plan.clone()), x.clone());
            while let Some((input, t)) = walk.input() {
                walk.absorb(model(input, t), Some(noise.clone())).unwrap();
            }
            values(walk.into_sample())
        })
        .collect();
    let mut waiting = plans.into_iter();
    let mut walks: Vec<Walk<_, 2>> = Vec::new();
    loop {
        walks.extend(
            waiting
                .next()
                .map(|plan| Walk::from_noise(Arc::new(plan), x.clone())),
        );
        let batch: Vec<_> = walks.iter_mut().filter(|walk| !walk.is_done()).collect();
        if batch.is_empty() {
            break;
        }
        // One call of the network for all.
        let (inputs, times): (Vec<_>, Vec<_>) =
            batch.iter().filter_map(|walk| walk.input()).unzip();
        let factors = times
            .iter()
            .map(|t| 0.7 * t / (t + 1.0))
            .collect::<Vec<_>>();
        let outputs = burn::tensor::Tensor::cat(inputs, 0)
            * in_f64(factors).reshape([batch.len() as i32, 1])
            + 0.1;
        for (row, walk) in batch.into_iter().enumerate() {
            let output = outputs.clone().narrow(0, row, 1);
            walk.absorb(output, Some(noise.clone())).unwrap();
        }
    }
    for (walk, alone) in walks.into_iter().zip(alone) {
        assert_eq!(values(walk.into_sample()), alone);
    }
}

#[test]
fn tensors_that_do_not_fit_are_refused() {
    let plan = Arc::new(plan(
        &NoiseScheduleConfig::course(),
        &SamplerConfig::ddpm(4),
    ));
    let (x, noise) = clean_and_noise();
    let short = in_f64(vec![0.0]);
    let absorb = |output: &Samples, noise: &Samples| {
        Walk::new(plan.clone(), x.clone())
            .absorb(output.clone(), Some(noise.clone()))
            .err()
    };
    let shape = |name| move |error: DiffusionError| matches!(error, DiffusionError::Shape { name: seen, .. } if seen == name);
    assert!(absorb(&short, &noise).is_some_and(shape("the network's output")));
    assert!(absorb(&x, &short).is_some_and(shape("noise")));
    let mut walk = Walk::new(plan.clone(), x.clone());
    assert!(
        walk.replace_sample(short.clone())
            .err()
            .is_some_and(shape("the sample"))
    );
    assert!(
        walk.predict_x0(short.clone())
            .err()
            .is_some_and(shape("the network's output"))
    );
    let refused = Walk::from_sample(plan.clone(), x.clone(), short).err();
    assert!(refused.is_some_and(shape("noise")));
    let refused = plan.add_noise(4, x.clone(), x).err();
    assert_eq!(
        refused,
        Some(DiffusionError::StepOutOfRange { seen: 4, last: 3 })
    );
}

#[test]
fn half_precision_samples_are_walked_in_single_precision_and_handed_out_in_half() {
    for name in [SchedulerName::DpmPlusPlus2M, SchedulerName::Euler] {
        let plan = Arc::new(plan(
            &NoiseScheduleConfig::stable_diffusion(),
            &name.config(5),
        ));
        let (x, _) = clean_and_noise();
        let half = x.clone().cast(DType::F16);
        let single = half.clone().cast(DType::F32);
        let mut exact = Walk::from_noise(plan.clone(), single);
        let mut rounded = Walk::from_noise(plan, half);
        for _ in 0..2 {
            let (input, _) = rounded.input().unwrap();
            assert_eq!(input.dtype(), DType::F16);
            exact.absorb(input.clone().cast(DType::F32), None).unwrap();
            rounded.absorb(input, None).unwrap();
            assert_eq!(rounded.sample().dtype(), DType::F16);
            let expected = exact.sample().cast(DType::F16);
            assert_eq!(values(rounded.sample()), values(expected));
        }
    }
}

#[test]
fn a_plan_serves_several_threads_at_once() {
    let plan = plan(
        &NoiseScheduleConfig::course(),
        &SchedulerName::UniPc.config(20),
    );
    let walk = || {
        let (x, noise) = clean_and_noise();
        values(toy_loop(&plan, x, || noise.clone()))
    };
    let alone = walk();
    thread::scope(|scope| {
        let walks: Vec<_> = (0..4).map(|_| scope.spawn(walk)).collect();
        for walk in walks {
            assert_eq!(walk.join().unwrap(), alone);
        }
    });
}
