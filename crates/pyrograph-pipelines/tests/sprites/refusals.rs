//! Requests that are not allowed.

use std::ops::ControlFlow;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;
use burn_flex::Flex;
use pyrograph_backend::rng::RngKind;
use pyrograph_diffusion::{DiffusionCard, DiffusionError, NoiseScheduleConfig, SamplerConfig};
use pyrograph_pipelines::{
    PipelineError,
    sprites::{SpritePipeline, SpriteRequest, StartNoise, parse_context},
};

use crate::common::{PIXELS, config, contexts, initial, model, pipeline, refusal, request};

fn ddim() -> SamplerConfig {
    SamplerConfig::ddim(2, 0.0)
}

/// Field, value and what is allowed.
#[track_caller]
fn number(change: impl FnOnce(&mut SpriteRequest)) -> (&'static str, String, String) {
    let mut request = request(ddim(), 2);
    change(&mut request);
    match refusal(&pipeline(), &request) {
        PipelineError::Number {
            field,
            seen,
            allowed,
        } => (field, seen, allowed),
        error => panic!("{error:?}"),
    }
}

#[test]
fn numbers_that_are_not_allowed_are_refused_by_name_value_and_range() {
    type Change = fn(&mut SpriteRequest);
    let cases: [(Change, &str, &str, &str); 12] = [
        (
            |r| r.contexts.clear(),
            "the number of images",
            "0",
            "1 or more",
        ),
        (
            |r| r.contexts = vec![vec![]; 65_537],
            "the number of images",
            "65537",
            "at most 65536",
        ),
        (|r| r.batch_size = 0, "the batch size", "0", "1 or more"),
        (
            |r| {
                r.contexts = contexts(4097);
                r.batch_size = usize::MAX;
            },
            "the batch size",
            "4097",
            "at most 4096",
        ),
        (
            |r| {
                r.contexts = contexts(4097);
                r.rng = RngKind::Torch;
            },
            "the batch size",
            "4097",
            "one batch",
        ),
        (
            |r| {
                r.contexts = contexts(65_536);
                r.frames = usize::MAX;
            },
            "the number of moments",
            "501",
            "fewer",
        ),
        (|r| r.guidance = f64::NAN, "guidance", "NaN", "finite"),
        (
            |r| r.guidance = f64::NEG_INFINITY,
            "guidance",
            "-inf",
            "finite",
        ),
        (
            |r| r.start = StartNoise::Given(vec![0.0; PIXELS]),
            "the number of noise values",
            "256",
            "2 images of 256",
        ),
        (
            |r| r.start = StartNoise::Given(vec![]),
            "the number of noise values",
            "0",
            "2 images of 256",
        ),
        (
            |r| r.start = StartNoise::Given(with(300, f32::NAN)),
            "the noise",
            "NaN at place 300",
            "finite",
        ),
        (
            |r| r.start = StartNoise::Given(with(0, f32::INFINITY)),
            "the noise",
            "inf at place 0",
            "finite",
        ),
    ];
    for (change, field, seen, allowed) in cases {
        let (f, s, a) = number(change);
        assert_eq!((f, s.as_str()), (field, seen));
        assert!(a.contains(allowed), "{field}: {a}");
    }
}

/// Noise of two images with one value replaced.
fn with(place: usize, value: f32) -> Vec<f32> {
    let mut noise = initial(0, 2);
    noise[place] = value;
    noise
}

#[test]
fn a_context_of_another_width_or_no_number_is_refused_by_its_place() {
    for bad in [
        vec![1.0; 4],
        vec![1.0; 6],
        vec![],
        vec![0.0, f32::NAN, 0.0, 0.0, 0.0],
        vec![f32::INFINITY; 5],
    ] {
        let mut request = request(ddim(), 3);
        request.contexts[1] = bad.clone();
        let error = refusal(&pipeline(), &request);
        let PipelineError::Context {
            index: 1,
            seen,
            width: 5,
        } = &error
        else {
            panic!("{error:?}")
        };
        assert_eq!(seen.len(), bad.len());
        assert!(
            error.to_string().contains("context 1") && error.to_string().contains("5 finite"),
            "{error}"
        );
    }
}

#[test]
fn samplers_that_the_schedule_cannot_serve_are_refused() {
    let diffusion = |sampler| match refusal(&pipeline(), &request(sampler, 1)) {
        PipelineError::Diffusion(error) => error,
        error => panic!("{error:?}"),
    };
    for steps in [0, 501] {
        assert_eq!(
            diffusion(SamplerConfig::ddim(steps, 0.0)),
            DiffusionError::Steps {
                seen: steps,
                max: 500
            }
        );
        assert_eq!(
            diffusion(SamplerConfig::ddpm(steps)),
            DiffusionError::Steps {
                seen: steps,
                max: 500
            }
        );
    }
    for eta in [-0.1, 1.1, f64::INFINITY] {
        assert_eq!(
            diffusion(SamplerConfig::ddim(2, eta)),
            DiffusionError::Eta { seen: eta }
        );
    }
    assert!(matches!(
        diffusion(SamplerConfig::ddim(2, f64::NAN)),
        DiffusionError::Eta { .. }
    ));
    let clip = SamplerConfig {
        clip_sample: Some(0.0),
        ..ddim()
    };
    assert_eq!(diffusion(clip), DiffusionError::ClipSample { seen: 0.0 });
}

#[test]
fn a_refused_request_takes_no_step() {
    let mut steps = 0;
    let bad = request(SamplerConfig::ddim(0, 0.0), 1);
    assert!(pipeline().sample(&bad, &mut |_, _| steps += 1).is_err());
    assert_eq!(steps, 0);
}

#[test]
fn a_schedule_that_cannot_be_is_refused_with_the_card() {
    let schedule = NoiseScheduleConfig {
        timesteps: 0,
        ..NoiseScheduleConfig::course()
    };
    let card = DiffusionCard {
        schedule,
        ..DiffusionCard::course()
    };
    let error = SpritePipeline::<Flex>::new(model(), config(), card, &Default::default())
        .expect_err("no timesteps");
    assert!(
        matches!(
            error,
            PipelineError::Diffusion(DiffusionError::Timesteps { seen: 0, .. })
        ),
        "{error:?}"
    );
}

#[test]
fn names_that_the_model_does_not_know_are_refused_with_those_it_knows() {
    let names = pipeline().context_names();
    assert_eq!(
        parse_context("side-facing=0.5", &names).expect("known"),
        [0.0, 0.0, 0.0, 0.0, 0.5]
    );
    let error = parse_context("hero=1,dragon=0.5", &names).expect_err("unknown");
    let PipelineError::ContextName { seen, allowed } = &error else {
        panic!("{error:?}")
    };
    assert_eq!((seen.as_str(), allowed), ("dragon", &names));
}

#[test]
fn entries_without_names_are_numbered() {
    for context_names in [vec![], vec!["hero".to_owned()]] {
        let card = DiffusionCard {
            context_names,
            ..DiffusionCard::course()
        };
        let pipeline = SpritePipeline::<Flex>::new(model(), config(), card, &Default::default())
            .expect("legal");
        assert_eq!(pipeline.context_names(), ["0", "1", "2", "3", "4"]);
        assert_eq!(
            parse_context("3", &pipeline.context_names()).expect("known"),
            [0.0, 0.0, 0.0, 1.0, 0.0]
        );
    }
}

/// Every parameter becomes this value.
struct Fill(f32);

impl ModuleMapper<Flex> for Fill {
    fn map_float<const D: usize>(
        &mut self,
        param: Param<Tensor<Flex, D>>,
    ) -> Param<Tensor<Flex, D>> {
        param.map(|tensor| tensor.full_like(self.0))
    }
}

#[test]
fn a_model_whose_output_is_no_number_is_told_from_an_image() {
    for value in [f32::NAN, f32::INFINITY, 1e30] {
        let broken = model().map(&mut Fill(value));
        let pipeline = SpritePipeline::<Flex>::new(
            broken,
            config(),
            DiffusionCard::course(),
            &Default::default(),
        )
        .expect("legal");
        let error = refusal(&pipeline, &request(ddim(), 2));
        let PipelineError::NonFinite { value, .. } = error else {
            panic!("{error:?}")
        };
        assert!(!value.is_finite());
        assert!(error.to_string().contains("damaged"), "{error}");
    }
}

#[test]
fn a_value_that_is_no_number_is_found_at_its_place_whatever_the_batch_size() {
    // The third image's context is finite and overflows within the model.
    let mut request = request(ddim(), 4);
    request.contexts[2] = vec![f32::MAX; 5];
    let place = |batch_size| match refusal(
        &pipeline(),
        &SpriteRequest {
            batch_size,
            ..request.clone()
        },
    ) {
        PipelineError::NonFinite { index, .. } => index,
        error => panic!("{error:?}"),
    };
    for batch_size in [1, 2, 3, 64] {
        let index = place(batch_size);
        assert!(
            (2 * PIXELS..3 * PIXELS).contains(&index),
            "{index} at batch size {batch_size}"
        );
        assert_eq!(index, place(64));
    }
    request.contexts = contexts(4);
    assert!(pipeline().sample(&request, &mut |_, _| {}).is_ok());
}

#[test]
fn a_batch_beyond_the_images_is_one_batch() {
    let mut request = request(ddim(), 2);
    request.batch_size = usize::MAX;
    let samples = pipeline().sample(&request, &mut |_, _| {}).expect("legal");
    assert_eq!(samples.shape[0], 2);
}

#[test]
fn sampling_stops_after_the_step_at_which_it_is_told_to() {
    let mut steps = 0;
    let stopped =
        pipeline().sample_while(&request(SamplerConfig::ddim(20, 0.0), 1), &mut |done, _| {
            steps = done;
            if done == 3 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
    assert!(matches!(stopped, Err(PipelineError::Stopped)) && steps == 3);
}

#[test]
fn the_steps_that_a_sampler_walks_are_known_beforehand() {
    let walked = |steps| pipeline().steps_walked(&SamplerConfig::ddim(steps, 0.0));
    assert_eq!(walked(250).expect("legal"), 250);
    assert_eq!(walked(251).expect("legal"), 500);
    assert!(walked(0).is_err() && walked(501).is_err());
}
