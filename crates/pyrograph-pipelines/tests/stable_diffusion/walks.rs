//! Walks by themselves, in company, and broken off.

use std::ops::ControlFlow;

use burn_flex::Flex;
use pyrograph_backend::rng::RngKind;
use pyrograph_diffusion::SchedulerName;
use pyrograph_pipelines::{
    PipelineError,
    stable_diffusion::{
        ImageRequest, ImageResponse, ImageStart, ImageWalk, Latents, OpenOptions, StableDiffusion,
    },
};

use crate::common::{Case, bytes, difference};

/// Rows of a pass are summed in blocks whose borders depend on their number.
const COMPANY: f32 = 1e-5;

fn generate(pipeline: &StableDiffusion<Flex>, request: &ImageRequest) -> ImageResponse {
    pipeline
        .generate(request, &mut |_| ControlFlow::Continue(()))
        .unwrap()
}

fn short(case: &Case) -> ImageRequest {
    ImageRequest {
        steps: 3,
        guidance: 2.0,
        ..case.request()
    }
}

#[test]
fn a_pipeline_can_be_shared_between_threads() {
    fn is_shareable<T: Send + Sync>() {}
    is_shareable::<StableDiffusion<Flex>>();
}

#[test]
fn a_picture_is_the_same_alone_and_in_company_under_both_generators() {
    let case = Case::new("base");
    let pipeline = case.open(&OpenOptions::default());
    for rng in [RngKind::Torch, RngKind::Counter] {
        let both = ImageRequest {
            rng,
            ..short(&case)
        };
        let together = generate(&pipeline, &both);
        let half = together.latents.values.len() / 2;
        for place in 0..2 {
            let alone = ImageRequest {
                images: vec![both.images[place].clone()],
                ..both.clone()
            };
            let seen = generate(&pipeline, &alone).latents.values;
            let expected = &together.latents.values[place * half..][..half];
            assert!(
                difference(&seen, expected) < COMPANY,
                "{rng:?}, picture {place}"
            );
        }
        assert_ne!(
            together.latents.values[..half],
            together.latents.values[half..]
        );
    }
}

#[test]
fn walks_of_different_schedulers_at_different_steps_share_a_pass() {
    let case = Case::new("base");
    let pipeline = case.open(&OpenOptions::default());
    let with = |name, steps, guidance| {
        let mut request = short(&case);
        request.images.truncate(1);
        request.scheduler.name = Some(name);
        request.steps = steps;
        request.guidance = guidance;
        request
    };
    let requests = [
        with(SchedulerName::Heun, 2, 3.0),
        with(SchedulerName::EulerAncestral, 4, 1.0),
        with(SchedulerName::DpmPlusPlus2M, 3, 5.0),
    ];
    let begin = |request: &ImageRequest| pipeline.begin(request).unwrap().walks.remove(0);
    let mut walks: Vec<_> = requests.iter().map(begin).collect();
    // The first is a step ahead of the others.
    pipeline.advance(&mut [&mut walks[0]]).unwrap();
    while walks.iter().any(|walk| !walk.is_done()) {
        let mut going: Vec<_> = walks.iter_mut().filter(|walk| !walk.is_done()).collect();
        pipeline.advance(&mut going).unwrap();
    }
    assert_eq!(
        walks.iter().map(ImageWalk::rows).collect::<Vec<_>>(),
        [2, 1, 2]
    );
    for (request, walk) in requests.iter().zip(&walks) {
        walk.check().unwrap();
        let seen: Vec<f32> = walk.latents().into_data().iter::<f32>().collect();
        let alone = generate(&pipeline, request).latents.values;
        assert!(
            difference(&seen, &alone) < COMPANY,
            "{:?}",
            request.scheduler.name
        );
    }
}

#[test]
fn without_guidance_the_negative_prompt_has_no_effect_and_needs_no_memory() {
    let case = Case::new("base");
    let pipeline = case.open(&OpenOptions::default());
    let plain = ImageRequest {
        guidance: 1.0,
        ..short(&case)
    };
    let mut other = plain.clone();
    other
        .images
        .iter_mut()
        .for_each(|image| image.negative = "a dog".into());
    assert_eq!(
        generate(&pipeline, &plain).latents,
        generate(&pipeline, &other).latents
    );
    let need = |request| pipeline.memory_need(request).unwrap().unet;
    assert_eq!(2 * need(&plain), need(&short(&case)));
}

#[test]
fn latents_can_be_given_and_are_those_of_the_seed() {
    let case = Case::new("base");
    let pipeline = case.open(&OpenOptions::default());
    let seeded = short(&case);
    let begun = pipeline.begin(&seeded).unwrap();
    let noise: Vec<f32> = begun
        .walks
        .iter()
        .flat_map(|walk| walk.latents().into_data().iter::<f32>().collect::<Vec<_>>())
        .collect();
    let mut given = seeded.clone();
    given.start = ImageStart::Latents(Latents {
        shape: [2, 4, 8, 8],
        values: noise,
    });
    given.images.iter_mut().for_each(|image| image.seed = 99);
    (given.width, given.height) = (None, None);
    assert_eq!(
        generate(&pipeline, &seeded).latents,
        generate(&pipeline, &given).latents
    );
}

#[test]
fn a_callback_sees_previews_and_can_break_off() {
    let case = Case::new("base");
    let pipeline = case.open(&OpenOptions::default());
    let mut seen = Vec::new();
    let result = pipeline.generate(&short(&case), &mut |step| {
        let previews = step.previews().unwrap();
        assert_eq!(previews.len(), 2);
        assert_eq!(previews[0].dimensions(), (8, 8));
        seen.push((step.taken, step.steps));
        match step.taken {
            2 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    });
    assert!(matches!(result, Err(PipelineError::Stopped)));
    assert_eq!(seen, [(1, 3), (2, 3)]);
}

#[test]
fn tiles_give_nearly_the_picture_of_one_piece() {
    let case = Case::new("base");
    let pipeline = case.open(&OpenOptions::default());
    let mut request = short(&case);
    request.images.truncate(1);
    (request.width, request.height) = (Some(96), Some(80));
    let whole = generate(&pipeline, &request);
    request.tiled = true;
    let tiled = generate(&pipeline, &request);
    assert_eq!(whole.latents, tiled.latents);
    assert_eq!(tiled.images[0].dimensions(), (96, 80));
    assert_ne!(bytes(&whole.images), bytes(&tiled.images));
    let need = pipeline.memory_need(&request).unwrap().vae;
    request.tiled = false;
    assert!(need < pipeline.memory_need(&request).unwrap().vae);
}

#[test]
fn the_smallest_and_odd_sizes_make_pictures() {
    let case = Case::new("base");
    let pipeline = case.open(&OpenOptions::default());
    for (width, height) in [(8, 8), (8, 72), (120, 24)] {
        let mut request = short(&case);
        request.images.truncate(1);
        (request.width, request.height) = (Some(width), Some(height));
        let response = generate(&pipeline, &request);
        assert_eq!(
            response.images[0].dimensions(),
            (width as u32, height as u32)
        );
    }
}
