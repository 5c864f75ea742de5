//! Accelerated walks beside hooks on diffusers' UNet, and off at their neutral settings.

use std::{fs, ops::ControlFlow};

use burn_flex::Flex;
use pyrograph_diffusion::SchedulerName;
use pyrograph_models::weights::StateDict;
use pyrograph_pipelines::stable_diffusion::{
    Acceleration, ImageRequest, ImageWalk, OpenOptions, StableDiffusion,
};
use serde_json::Value;

use crate::common::{Case, difference, fixture};

/// Eight steps in f32 against PyTorch's in f64.
const WALK: f32 = 1e-4;
/// Rows of a pass are summed in blocks whose borders depend on their number.
const COMPANY: f32 = 1e-5;

fn plain(case: &Case, steps: usize) -> ImageRequest {
    let mut request = case.request();
    request.images.truncate(1);
    request.steps = steps;
    request.guidance = 2.0;
    request
}

fn with(request: &ImageRequest, change: impl FnOnce(&mut Acceleration)) -> ImageRequest {
    let mut request = request.clone();
    change(&mut request.acceleration);
    request
}

fn latents(pipeline: &StableDiffusion<Flex>, request: &ImageRequest) -> Vec<f32> {
    let response = pipeline.generate(request, &mut |_| ControlFlow::Continue(()));
    response.unwrap().latents.values
}

fn values(walk: &ImageWalk<Flex>) -> Vec<f32> {
    walk.latents().into_data().iter::<f32>().collect()
}

/// The settings of a case of the fixture.
fn settings(case: &Value) -> Acceleration {
    let none = Acceleration::default();
    let count = |field: &str| case[field].as_u64().map(|number| number as usize);
    let number = |field: &str| case[field].as_f64();
    Acceleration {
        cache_interval: count("cache_interval").unwrap_or(none.cache_interval),
        cache_branch: count("cache_branch").unwrap_or(none.cache_branch),
        gate_step: count("gate_step"),
        merge_ratio: number("merge_ratio").unwrap_or(none.merge_ratio),
        merge_levels: count("merge_levels").unwrap_or(none.merge_levels),
        guidance_from: number("guidance_from").unwrap_or(none.guidance_from),
        guidance_until: number("guidance_until").unwrap_or(none.guidance_until),
    }
}

#[test]
fn accelerated_walks_are_those_of_hooks_on_diffusers_unet() {
    let case = Case::new("base");
    let pipeline = case.open(&OpenOptions::default());
    let numbers = fs::read_to_string(fixture("accelerated/cases.json")).unwrap();
    let numbers: Value = serde_json::from_str(&numbers).unwrap();
    let expected = StateDict::open(fixture("accelerated/latents.safetensors")).unwrap();
    let steps = numbers["steps"].as_u64().unwrap() as usize;
    let cases = numbers["cases"].as_object().unwrap();
    assert_eq!(cases.len(), 8);
    for (name, acceleration) in cases {
        let request = with(&plain(&case, steps), |of| *of = settings(acceleration));
        let mut walk = pipeline.begin(&request).unwrap().walks.remove(0);
        let mut seen = Vec::new();
        while !walk.is_done() {
            pipeline.advance(&mut [&mut walk]).unwrap();
            if [4, steps].contains(&walk.taken()) {
                seen.extend(values(&walk));
            }
        }
        let expected = expected.get(name).unwrap().to_f32();
        let seen = difference(&seen, &expected);
        println!("{name}: {seen:e}");
        assert!(seen < WALK, "{name} differs by {seen}");
    }
}

#[test]
fn neutral_settings_are_plain_sampling_to_the_bit() {
    for name in ["base", "image", "masked", "nine", "turbo"] {
        let case = Case::new(name);
        let pipeline = case.open(&OpenOptions::default());
        let request = ImageRequest {
            steps: 4,
            ..case.request()
        };
        let expected = latents(&pipeline, &request);
        for (setting, neutral) in [
            ("interval 1", with(&request, |a| a.cache_branch = 2)),
            (
                "a gate after the end",
                with(&request, |a| a.gate_step = Some(4)),
            ),
            ("ratio 0", with(&request, |a| a.merge_levels = 2)),
            (
                "the whole interval",
                with(&request, |a| {
                    (a.guidance_from, a.guidance_until) = (0.0, 1.0)
                }),
            ),
        ] {
            assert_eq!(latents(&pipeline, &neutral), expected, "{name}, {setting}");
        }
    }
}

#[test]
fn every_setting_changes_pictures_of_every_start_and_repeats() {
    for name in ["image", "masked", "nine"] {
        let case = Case::new(name);
        let pipeline = case.open(&OpenOptions::default());
        let request = ImageRequest {
            steps: 6,
            ..case.request()
        };
        let expected = latents(&pipeline, &request);
        for (setting, changed) in [
            ("cache_interval", with(&request, |a| a.cache_interval = 2)),
            ("gate_step", with(&request, |a| a.gate_step = Some(2))),
            ("merge_ratio", with(&request, |a| a.merge_ratio = 0.5)),
            ("guidance_until", with(&request, |a| a.guidance_until = 0.5)),
        ] {
            let seen = latents(&pipeline, &changed);
            assert!(
                seen.iter().all(|value| value.is_finite()),
                "{name}, {setting}"
            );
            assert_ne!(seen, expected, "{name}, {setting}");
            assert_eq!(
                seen,
                latents(&pipeline, &changed),
                "{name}, {setting} repeats"
            );
        }
    }
}

#[test]
fn walks_of_all_settings_advance_together_as_they_do_alone() {
    let case = Case::new("base");
    let pipeline = case.open(&OpenOptions::default());
    let request = ImageRequest {
        steps: 6,
        guidance: 2.0,
        ..case.request()
    };
    let heun = |mut request: ImageRequest| {
        request.scheduler.name = Some(SchedulerName::Heun);
        request
    };
    let cached = with(&request, |a| a.cache_interval = 3);
    let requests = [
        request.clone(),
        cached.clone(),
        heun(cached.clone()),
        with(&cached, |a| a.cache_branch = 1),
        with(&cached, |a| a.gate_step = Some(3)),
        with(&request, |a| a.gate_step = Some(2)),
        with(&request, |a| a.merge_ratio = 0.5),
        with(&request, |a| {
            (a.guidance_from, a.guidance_until) = (0.3, 0.7)
        }),
        with(&cached, |a| (a.guidance_from, a.merge_ratio) = (0.4, 0.25)),
    ];
    let alone: Vec<_> = requests
        .iter()
        .map(|request| latents(&pipeline, request))
        .collect();
    let begin = |request: &ImageRequest| pipeline.begin(request).unwrap().walks;
    let mut walks: Vec<Vec<ImageWalk<Flex>>> = requests.iter().map(begin).collect();
    // Every other request is a step ahead.
    for walks in walks.iter_mut().step_by(2) {
        pipeline
            .advance(&mut walks.iter_mut().collect::<Vec<_>>())
            .unwrap();
    }
    while walks.iter().flatten().any(|walk| !walk.is_done()) {
        let mut going: Vec<_> = walks
            .iter_mut()
            .flatten()
            .filter(|walk| !walk.is_done())
            .collect();
        pipeline.advance(&mut going).unwrap();
    }
    for (place, (walks, alone)) in walks.iter().zip(&alone).enumerate() {
        let seen: Vec<f32> = walks.iter().flat_map(values).collect();
        let seen = difference(&seen, alone);
        assert!(seen < COMPANY, "request {place} differs by {seen}");
    }
}

#[test]
fn a_picture_of_several_is_that_of_its_own_request() {
    let case = Case::new("base");
    let pipeline = case.open(&OpenOptions::default());
    let mut both = case.request();
    (both.steps, both.guidance) = (5, 2.0);
    let both = with(&both, |a| {
        (a.cache_interval, a.gate_step, a.merge_ratio) = (2, Some(3), 0.5);
    });
    let together = latents(&pipeline, &both);
    let half = together.len() / 2;
    for place in 0..2 {
        let mut alone = both.clone();
        alone.images = vec![both.images[place].clone()];
        let seen = latents(&pipeline, &alone);
        let seen = difference(&seen, &together[place * half..][..half]);
        assert!(seen < COMPANY, "picture {place} differs by {seen}");
    }
}

#[test]
fn the_rows_of_a_walk_are_those_of_its_next_pass() {
    let case = Case::new("base");
    let pipeline = case.open(&OpenOptions::default());
    let request = with(&plain(&case, 5), |a| {
        (a.guidance_from, a.gate_step) = (0.2, Some(3))
    });
    let mut walk = pipeline.begin(&request).unwrap().walks.remove(0);
    let mut rows = Vec::new();
    while !walk.is_done() {
        rows.push(walk.rows());
        pipeline.advance(&mut [&mut walk]).unwrap();
    }
    assert_eq!(rows, [1, 2, 2, 1, 1]);
    assert_eq!(pipeline.rules().rows_a_picture(&request), 2);
}

#[test]
fn settings_that_the_model_or_the_steps_do_not_have_are_refused() {
    let case = Case::new("base");
    let pipeline = case.open(&OpenOptions::default());
    let refused = |request: &ImageRequest| pipeline.begin(request).unwrap_err().to_string();
    let request = plain(&case, 4);
    for (change, words) in [
        (
            with(&request, |a| a.cache_branch = 4),
            ["cache_branch is 4", "0 to 3"],
        ),
        (
            with(&request, |a| a.merge_levels = 3),
            ["merge_levels is 3", "1 to 2"],
        ),
        (
            with(&request, |a| a.cache_interval = 0),
            ["cache_interval is 0", "1 or more"],
        ),
        (
            with(&request, |a| {
                (a.guidance_from, a.gate_step) = (0.75, Some(2))
            }),
            ["guidance_from is 0.75", "gate_step 2"],
        ),
    ] {
        let message = refused(&change);
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    }
    let case = Case::new("consistency");
    let pipeline = case.open(&OpenOptions::default());
    let message = pipeline
        .begin(&with(&case.request(), |a| a.guidance_until = 0.5))
        .unwrap_err()
        .to_string();
    assert!(message.contains("reads guidance as an input"), "{message}");
}

#[test]
fn what_is_kept_counts_in_the_memory_of_a_request() {
    let case = Case::new("base");
    let pipeline = case.open(&OpenOptions::default());
    let request = plain(&case, 4);
    let need = |request: &ImageRequest| pipeline.memory_need(request).unwrap().unet;
    for more in [
        with(&request, |a| a.cache_interval = 2),
        with(&request, |a| a.gate_step = Some(2)),
        with(&request, |a| a.merge_ratio = 0.5),
    ] {
        assert!(need(&more) > need(&request), "{:?}", more.acceleration);
    }
}
