//! What a request yields.

use std::sync::Arc;

use burn::tensor::Tensor;
use burn_flex::Flex;
use pyrograph_diffusion::{
    DiffusionCard, NoiseSchedule, NoiseScheduleConfig, PredictionType, SamplerConfig, SamplerPlan,
    Walk,
};
use pyrograph_models::context_unet::ContextUnet;
use pyrograph_pipelines::sprites::{SpriteRequest, SpriteSamples, class_rows};

use crate::common::{
    F32_MODEL, F32_OP, PIXELS, WIDTH, assert_close, contexts, images, initial, model, pipeline,
    pipeline_of, request, sample,
};

fn samplers() -> [SamplerConfig; 3] {
    [
        SamplerConfig::ddpm(10),
        SamplerConfig::ddim(10, 1.0),
        SamplerConfig::dpm_solver_pp(10),
    ]
}

#[test]
fn the_result_does_not_depend_on_the_batch_size() {
    let pipeline = pipeline();
    for sampler in samplers() {
        for guidance in [1.0, 2.0] {
            let of = |batch_size| {
                sample(
                    &pipeline,
                    &SpriteRequest {
                        batch_size,
                        guidance,
                        frames: 2,
                        ..request(sampler, 4)
                    },
                )
            };
            let all: SpriteSamples = of(64);
            for batch_size in [1, 3, 4] {
                let cut = of(batch_size);
                assert_close(&cut.values, &all.values, F32_OP);
                assert_eq!(cut.frames.len(), all.frames.len());
                for (a, b) in cut.frames.iter().zip(&all.frames) {
                    assert_eq!(a.step, b.step);
                    assert_close(&a.values, &b.values, F32_OP);
                }
            }
        }
    }
}

#[test]
fn an_image_does_not_depend_on_its_neighbours() {
    let pipeline = pipeline();
    let whole = sample(&pipeline, &request(SamplerConfig::ddpm(5), 4));
    let fewer = sample(&pipeline, &request(SamplerConfig::ddpm(5), 2));
    assert_close(&fewer.values, &whole.values[..2 * PIXELS], F32_OP);
}

#[test]
fn one_seed_gives_one_result_and_another_seed_another() {
    let pipeline = pipeline();
    for sampler in samplers() {
        let of = |seed| {
            sample(
                &pipeline,
                &SpriteRequest {
                    seed,
                    ..request(sampler, 2)
                },
            )
            .values
        };
        assert_eq!(of(5), of(5), "to the bit");
        assert_ne!(of(5), of(6));
    }
}

#[test]
fn contexts_and_samplers_make_a_difference() {
    let pipeline = pipeline();
    let mut seen: Vec<Vec<f32>> = Vec::new();
    for class in contexts(3) {
        for sampler in samplers() {
            let request = SpriteRequest {
                seed: 5,
                ..SpriteRequest::new(sampler, vec![class.clone()])
            };
            let values = sample(&pipeline, &request).values;
            assert!(!seen.contains(&values), "{sampler:?} {class:?}");
            seen.push(values);
        }
    }
}

/// One DDIM step by hand, with guidance `w` from two separate passes.
fn one_step(model: &ContextUnet<Flex>, w: f64, count: usize) -> Vec<f32> {
    let device = Default::default();
    let schedule = NoiseSchedule::new(&NoiseScheduleConfig::course()).expect("legal");
    let x = images(&initial(5, count));
    let time = Tensor::from_floats([1.0], &device);
    let given: Tensor<Flex, 2> =
        Tensor::<Flex, 1>::from_floats(contexts(count).concat().as_slice(), &device)
            .reshape([count, WIDTH]);
    let with = model.forward(x.clone(), time.clone(), Some(given));
    let without = model.forward(x.clone(), time, None);
    let epsilon = without.clone() + (with - without) * w;
    // A single step of the course's grid leads from t = 500 to the clean image: the predicted x_0 itself.
    let alpha = schedule.alpha_cumprod(500).expect("in the table");
    let x0 = (x - epsilon * (1.0 - alpha).sqrt()) / alpha.sqrt();
    x0.into_data().iter::<f32>().collect()
}

#[test]
fn guidance_goes_from_the_output_without_context_towards_that_with_it() {
    let (model, pipeline) = (model(), pipeline());
    let mut seen: Vec<Vec<f32>> = Vec::new();
    for w in [0.0, 1.0, 2.5, -1.0] {
        let values = sample(
            &pipeline,
            &SpriteRequest {
                guidance: w,
                ..request(SamplerConfig::ddim(1, 0.0), 3)
            },
        )
        .values;
        // ᾱ is 0.006 there: what the forward pass rounds is enlarged by √((1 − ᾱ)/ᾱ) = 12.6.
        assert_close(&values, &one_step(&model, w, 3), 12.6 * F32_MODEL);
        assert!(!seen.contains(&values), "{w}");
        seen.push(values);
    }
}

#[test]
fn guidance_of_one_is_the_conditional_model_alone() {
    // Composed step by step from the model and the plan: exact, as there is no doubling whose order could differ.
    let device = Default::default();
    let (model, pipeline) = (model(), pipeline());
    let sampler = SamplerConfig::ddim(5, 0.0);
    let schedule = NoiseSchedule::new(&NoiseScheduleConfig::course()).expect("legal");
    let plan = SamplerPlan::new(&schedule, &sampler).expect("legal");
    let given: Tensor<Flex, 2> =
        Tensor::<Flex, 1>::from_floats(contexts(2).concat().as_slice(), &device)
            .reshape([2, WIDTH]);
    let mut walk = Walk::from_noise(Arc::new(plan), images(&initial(5, 2)));
    while let Some((x, _)) = walk.input() {
        let fraction = walk.plan().time_fraction(walk.position());
        let time = Tensor::from_floats([fraction as f32], &device);
        let epsilon = model.forward(x, time, Some(given.clone()));
        walk.absorb(epsilon, None).expect("a legal step");
    }
    let expected: Vec<f32> = walk.into_sample().into_data().iter::<f32>().collect();
    let seen = sample(&pipeline, &request(sampler, 2));
    assert_close(&seen.values, &expected, F32_OP);
    assert_eq!(seen.steps, 5);
    // A hair beside 1 doubles the batch, and comes out beside it.
    let beside = SpriteRequest {
        guidance: 1.0 + 1e-6,
        ..request(sampler, 2)
    };
    assert_close(
        &sample(&pipeline, &beside).values,
        &expected,
        10.0 * F32_MODEL,
    );
}

#[test]
fn the_prediction_type_is_the_models_and_not_the_requests() {
    let sampler = SamplerConfig::ddim(5, 0.0);
    let of = |card: PredictionType, asked: PredictionType| {
        let pipeline = pipeline_of(DiffusionCard {
            prediction_type: card,
            ..DiffusionCard::course()
        });
        sample(
            &pipeline,
            &request(
                SamplerConfig {
                    prediction_type: asked,
                    ..sampler
                },
                1,
            ),
        )
        .values
    };
    let (epsilon, v) = (PredictionType::Epsilon, PredictionType::VPrediction);
    assert_eq!(of(epsilon, epsilon), of(epsilon, v));
    assert_eq!(of(v, epsilon), of(v, v));
    assert_ne!(of(epsilon, epsilon), of(v, epsilon));
}

#[test]
fn the_schedule_is_the_models() {
    let ddpm = pipeline_of(DiffusionCard {
        schedule: NoiseScheduleConfig::ddpm(),
        ..DiffusionCard::course()
    });
    assert_eq!((pipeline().timesteps(), ddpm.timesteps()), (500, 1000));
    let request = request(SamplerConfig::ddim(5, 0.0), 1);
    assert_ne!(
        sample(&pipeline(), &request).values,
        sample(&ddpm, &request).values
    );
}

#[test]
fn frames_go_from_the_noise_to_the_result() {
    let pipeline = pipeline();
    let of = |frames, batch_size| {
        sample(
            &pipeline,
            &SpriteRequest {
                frames,
                batch_size,
                ..request(SamplerConfig::ddpm(10), 3)
            },
        )
    };
    let none = of(0, 64);
    assert!(none.frames.is_empty());
    for batch_size in [64, 2] {
        for (frames, steps) in [
            (1, vec![0, 10]),
            (2, vec![0, 5, 10]),
            (4, vec![0, 2, 5, 7, 10]),
            (10, (0..=10).collect()),
            // More than there are steps: one each.
            (50, (0..=10).collect()),
        ] {
            let samples = of(frames, batch_size);
            let seen: Vec<_> = samples.frames.iter().map(|frame| frame.step).collect();
            assert_eq!(seen, steps, "{frames} frames");
            assert_eq!(samples.frames[0].values, initial(5, 3));
            assert_eq!(
                samples.frames.last().expect("the end").values,
                samples.values
            );
            assert!(
                samples
                    .frames
                    .iter()
                    .all(|frame| frame.values.len() == 3 * PIXELS)
            );
            // Looking on does not change the result.
            assert_close(&samples.values, &none.values, F32_OP);
        }
    }
}

#[test]
fn progress_counts_the_steps_of_all_batches() {
    let mut seen = Vec::new();
    let request = SpriteRequest {
        batch_size: 2,
        ..request(SamplerConfig::ddim(4, 0.0), 3)
    };
    pipeline()
        .sample(&request, &mut |done, total| seen.push((done, total)))
        .expect("legal");
    assert_eq!(seen, (1..=8).map(|done| (done, 8)).collect::<Vec<_>>());
}

#[test]
fn the_courses_grid_may_take_more_steps_than_asked_for() {
    // 500 in 7: every 71st, from 500 down to 3, which are eight.
    let samples = sample(
        &pipeline(),
        &SpriteRequest {
            frames: 100,
            ..request(SamplerConfig::ddim(7, 0.0), 1)
        },
    );
    assert_eq!((samples.steps, samples.frames.len()), (8, 9));
}

#[test]
fn rows_of_classes_ask_for_each_class_as_often_as_said() {
    let pipeline = pipeline();
    let (rows, labels) = class_rows(&pipeline.context_names(), 2);
    assert_eq!(rows.len(), 10);
    assert_eq!(
        (&rows[3], labels[3].as_str()),
        (&vec![0.0, 1.0, 0.0, 0.0, 0.0], "non-hero")
    );
    assert!(class_rows(&pipeline.context_names(), 0).0.is_empty());
    sample(
        &pipeline,
        &SpriteRequest::new(SamplerConfig::ddim(1, 0.0), rows),
    );
}
