//! The forward process on tensors: noise added, and the targets that go with it.

use std::sync::Arc;

use burn::tensor::Tensor;
use burn_flex::Flex;
use pyrograph_diffusion::{
    DiffusionError, ForwardNoise, NoiseSchedule, NoiseScheduleConfig, PredictionType,
    SamplerConfig, Walk,
};

use crate::support::{PREDICTIONS, assert_close, clean_and_noise, plan, values};

/// A few roundings in f32.
const F32_OP: f64 = 1e-5;

#[test]
fn noise_is_added_item_by_item_or_to_all_alike() {
    let schedule = NoiseSchedule::new(&NoiseScheduleConfig::course()).unwrap();
    let device = Default::default();
    let x0 = Tensor::<Flex, 2>::from_data([[1.0f32, 0.0], [1.0, 0.0], [1.0, 0.0]], &device);
    let noise = Tensor::<Flex, 2>::from_data([[0.0f32, 1.0], [0.0, 1.0], [0.0, 1.0]], &device);
    let add = |t: &[usize], forward| schedule.add_noise(x0.clone(), noise.clone(), t, forward);
    for (forward, name) in [
        (ForwardNoise::Standard, "standard"),
        (ForwardNoise::Course, "course"),
    ] {
        let each = values(add(&[0, 100, 500], forward).unwrap());
        for (item, t) in [0, 100, 500].into_iter().enumerate() {
            let alpha_cumprod = schedule.alpha_cumprod(t).unwrap();
            let spread = match forward {
                ForwardNoise::Standard => (1.0 - alpha_cumprod).sqrt(),
                ForwardNoise::Course => 1.0 - alpha_cumprod,
            };
            assert_close(each[2 * item], alpha_cumprod.sqrt(), F32_OP, name);
            assert_close(each[2 * item + 1], spread, F32_OP, name);
            let shared = values(add(&[t], forward).unwrap());
            assert_eq!(shared[2 * item..2 * item + 2], each[2 * item..2 * item + 2]);
        }
    }
    // The course's slip at t = 100: a deviation of 0.191 instead of 0.437.
    let spread = |forward| values(add(&[100], forward).unwrap())[1];
    assert_close(spread(ForwardNoise::Standard), 0.437, 5e-4, "with the root");
    assert_close(
        spread(ForwardNoise::Course),
        0.191,
        5e-4,
        "without the root",
    );
}

#[test]
fn noise_for_a_wrong_number_of_timesteps_or_shape_is_refused() {
    let schedule = NoiseSchedule::new(&NoiseScheduleConfig::course()).unwrap();
    let x0 = Tensor::<Flex, 2>::zeros([3, 2], &Default::default());
    for seen in [0, 2, 4] {
        let t = vec![1; seen];
        let refused = schedule
            .add_noise(x0.clone(), x0.clone(), &t, ForwardNoise::Standard)
            .err();
        assert_eq!(
            refused,
            Some(DiffusionError::TimestepCount { seen, batch: 3 })
        );
        let refused = schedule
            .target(PredictionType::Epsilon, x0.clone(), x0.clone(), &t)
            .err();
        assert_eq!(
            refused,
            Some(DiffusionError::TimestepCount { seen, batch: 3 })
        );
    }
    let refused = schedule
        .add_noise(x0.clone(), x0.clone(), &[501], ForwardNoise::Standard)
        .err();
    assert_eq!(
        refused,
        Some(DiffusionError::TimestepOutOfRange {
            seen: 501,
            first: 0,
            last: 500
        })
    );
    let longer = Tensor::zeros([4, 2], &Default::default());
    let refused = schedule
        .add_noise(x0, longer, &[1], ForwardNoise::Standard)
        .err();
    assert!(matches!(
        refused,
        Some(DiffusionError::Shape { name: "noise", .. })
    ));
}

#[test]
fn a_network_that_hits_every_target_predicts_the_image_exactly() {
    let config = NoiseScheduleConfig::course();
    let schedule = NoiseSchedule::new(&config).unwrap();
    let (x0, noise) = clean_and_noise();
    for prediction_type in PREDICTIONS {
        let plan = plan(
            &config,
            &SamplerConfig {
                prediction_type,
                ..SamplerConfig::ddim(10, 0.0)
            },
        );
        let plan = Arc::new(plan.tail(3).unwrap());
        let t = [plan.timestep(0) as usize];
        let x = schedule
            .add_noise(x0.clone(), noise.clone(), &t, ForwardNoise::Standard)
            .unwrap();
        let target = schedule
            .target(prediction_type, x0.clone(), noise.clone(), &t)
            .unwrap();
        let predicted = Walk::new(plan, x).predict_x0(target).unwrap();
        for (seen, expected) in values(predicted).into_iter().zip(values(x0.clone())) {
            assert_close(seen, expected, 1e-12, &format!("{prediction_type:?}"));
        }
    }
}
