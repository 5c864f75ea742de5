//! Where the noise comes from.

use std::sync::Arc;

use pyrograph_backend::rng::{NoiseKey, Purpose, RngKind, TorchGenerator};
use pyrograph_diffusion::{NoiseSchedule, NoiseScheduleConfig, SamplerConfig, SamplerPlan, Walk};
use pyrograph_pipelines::sprites::{SpriteRequest, StartNoise};

use crate::common::{
    F32_MODEL, F32_OP, PIXELS, assert_close, contexts, images, initial, model, pipeline, request,
    sample,
};

use burn::tensor::Tensor;
use burn_flex::Flex;

/// The noise that the request starts from: its first frame.
fn start_of(request: SpriteRequest) -> Vec<f32> {
    sample(
        &pipeline(),
        &SpriteRequest {
            frames: 1,
            ..request
        },
    )
    .frames[0]
        .values
        .clone()
}

#[test]
fn given_noise_that_equals_the_seeded_gives_the_same_images() {
    let pipeline = pipeline();
    for sampler in [
        SamplerConfig::ddpm(5),
        SamplerConfig::ddim(5, 0.0),
        SamplerConfig::dpm_solver_pp(5),
    ] {
        let seeded = sample(&pipeline, &request(sampler, 3));
        let given = SpriteRequest {
            start: StartNoise::Given(initial(5, 3)),
            ..request(sampler, 3)
        };
        assert_eq!(
            sample(&pipeline, &given).values,
            seeded.values,
            "to the bit"
        );
        let other = SpriteRequest {
            start: StartNoise::Given(initial(6, 3)),
            ..request(sampler, 3)
        };
        assert_ne!(sample(&pipeline, &other).values, seeded.values);
    }
}

/// The sampling loop by hand, with these noises: the start, then one for each step that needs one.
fn walked(
    sampler: SamplerConfig,
    start: &[f32],
    mut extra: impl FnMut(usize) -> Vec<f32>,
) -> Vec<f32> {
    let device = Default::default();
    let schedule = NoiseSchedule::new(&NoiseScheduleConfig::course()).expect("legal");
    let plan = SamplerPlan::new(&schedule, &sampler).expect("legal");
    let count = start.len() / PIXELS;
    let given: Tensor<Flex, 2> =
        Tensor::<Flex, 1>::from_floats(contexts(count).concat().as_slice(), &device)
            .reshape([count, 5]);
    let model = model();
    let mut walk = Walk::from_noise(Arc::new(plan), images(start));
    while let Some((x, _)) = walk.input() {
        let i = walk.position();
        let time = Tensor::from_floats([walk.plan().time_fraction(i) as f32], &device);
        let epsilon = model.forward(x, time, Some(given.clone()));
        let noise = walk.needs_noise().then(|| images(&extra(i)));
        walk.absorb(epsilon, noise).expect("a legal step");
    }
    walk.into_sample().into_data().iter::<f32>().collect()
}

#[test]
fn torchs_noise_is_that_of_the_whole_shape_and_the_steps_draw_on() {
    for sampler in [SamplerConfig::ddpm(6), SamplerConfig::ddim(6, 1.0)] {
        let mut generator = TorchGenerator::new(5);
        let start = generator.randn(3 * PIXELS);
        let torch = SpriteRequest {
            rng: RngKind::Torch,
            frames: 1,
            ..request(sampler, 3)
        };
        let samples = sample(&pipeline(), &torch);
        assert_eq!(samples.frames[0].values, start);
        let expected = walked(sampler, &start, |_| generator.randn(3 * PIXELS));
        assert_close(&samples.values, &expected, F32_MODEL);
        // A batch size cannot cut the sequence.
        let cut = sample(
            &pipeline(),
            &SpriteRequest {
                batch_size: 1,
                ..torch
            },
        );
        assert_eq!(cut.values, samples.values);
    }
}

#[test]
fn counted_noise_is_addressed_by_seed_purpose_and_step() {
    let sampler = SamplerConfig::ddpm(6);
    let step_noise =
        |step: usize| NoiseKey::new(5, Purpose::StepNoise, step as u64).normal(0, 3 * PIXELS);
    let expected = walked(sampler, &initial(5, 3), step_noise);
    assert_close(
        &sample(&pipeline(), &request(sampler, 3)).values,
        &expected,
        F32_MODEL,
    );
}

#[test]
fn torchs_given_noise_leaves_the_sequence_to_the_steps() {
    let sampler = SamplerConfig::ddpm(4);
    let mut generator = TorchGenerator::new(5);
    let start = initial(9, 2);
    let given = StartNoise::Given(start.clone());
    let request = SpriteRequest {
        rng: RngKind::Torch,
        start: given,
        ..request(sampler, 2)
    };
    let expected = walked(sampler, &start, |_| generator.randn(2 * PIXELS));
    assert_close(&sample(&pipeline(), &request).values, &expected, F32_MODEL);
}

#[test]
fn the_way_to_another_seed_begins_and_ends_at_the_two_seeds_own_noise() {
    let sampler = SamplerConfig::ddim(5, 0.0);
    let one = contexts(1)[0].clone();
    for rng in [RngKind::Counter, RngKind::Torch] {
        let of = |seed, count, start| SpriteRequest {
            seed,
            rng,
            start,
            ..SpriteRequest::new(sampler, vec![one.clone(); count])
        };
        let towards = StartNoise::Towards { seed: 6 };
        let noise = start_of(of(5, 4, towards.clone()));
        let own = |seed| start_of(of(seed, 1, StartNoise::Seeded));
        // The ends of the arc are multiplied by sin θ/sin θ.
        assert_close(&noise[..PIXELS], &own(5), F32_OP);
        assert_close(&noise[3 * PIXELS..], &own(6), F32_OP);
        // The middle is another, of a length between the two.
        let norm = |values: &[f32]| values.iter().map(|v| v * v).sum::<f32>().sqrt();
        let middle = &noise[PIXELS..2 * PIXELS];
        assert!(middle != &noise[..PIXELS] && middle != &noise[2 * PIXELS..3 * PIXELS]);
        // Two noises of 256 values are nearly orthogonal: a straight line would lose a fifth of the length here.
        assert!(
            (norm(middle) / norm(&own(5)) - 1.0).abs() < 0.1,
            "{}",
            norm(middle) / norm(&own(5))
        );

        let images = sample(&pipeline(), &of(5, 4, towards.clone())).values;
        let alone = |seed| sample(&pipeline(), &of(seed, 1, StartNoise::Seeded)).values;
        assert_close(&images[..PIXELS], &alone(5), F32_MODEL);
        assert_close(&images[3 * PIXELS..], &alone(6), F32_MODEL);
        // A single image stands at the beginning.
        assert_close(&start_of(of(5, 1, towards)), &own(5), F32_OP);
    }
}

#[test]
fn the_way_to_another_seed_does_not_depend_on_the_batch_size() {
    let of = |batch_size| {
        let start = StartNoise::Towards { seed: 6 };
        sample(
            &pipeline(),
            &SpriteRequest {
                start,
                batch_size,
                ..request(SamplerConfig::ddpm(5), 4)
            },
        )
        .values
    };
    assert_close(&of(1), &of(4), F32_OP);
    assert_close(&of(3), &of(4), F32_OP);
}
