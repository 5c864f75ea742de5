//! Bodies, and pictures of tiny pipelines.

#[path = "../../../../pyrograph-pipelines/tests/stable_diffusion/common.rs"]
#[allow(dead_code)] // Shared with the tests of the pipelines.
mod common;

use std::{ops::ControlFlow, sync::LazyLock, time::Instant};

use burn_flex::Flex;
use proptest::prelude::*;
use pyrograph_diffusion::SchedulerName;
use pyrograph_models::weights::Precision;
use pyrograph_pipelines::stable_diffusion::{
    ImageStart, MemoryLimit, OpenOptions, StableDiffusion, tokenizer::PromptSyntax,
};
use pyrograph_vision::{Rgb, RgbImage};
use serde_json::{Value, json};

use self::common::Case;
use super::{ImageInput, TextToImage, engine::ImageEngine};
use crate::{
    Batching, Engine, Limits, RefusalKind, Task, TaskBody, TaskOutput,
    tasks::{
        ModelOptions,
        trial::{
            alone, bodies, difference, hold_to_schema, images, on, parse, png, png_text, refusal,
            refused, together,
        },
    },
};

/// Bytes of a picture may differ by so much in company: rows of a pass are summed in blocks whose borders depend on their
/// number.
const COMPANY: u8 = 1;

fn options() -> ModelOptions {
    ModelOptions {
        precision: Precision::AsStored,
        tiny_vae: None,
        loras: Vec::new(),
        embeddings: Vec::new(),
        sizes: Vec::new(),
        steps: 3,
        memory: MemoryLimit::None,
    }
}

/// The task that has loaded the case.
fn task_of(pipeline: &StableDiffusion<Flex>) -> TextToImage {
    let task = TextToImage::new("nowhere", options(), Limits::default());
    task.rules.set(pipeline.rules().clone()).expect("once");
    task
}

fn loaded(name: &'static str, options: &OpenOptions) -> (TextToImage, ImageEngine<Flex>) {
    let pipeline = Case::new(name).open(options);
    let task = task_of(&pipeline);
    (
        task,
        ImageEngine::new(pipeline, Default::default(), Vec::new(), 20),
    )
}

fn plain() -> (TextToImage, ImageEngine<Flex>) {
    loaded("base", &OpenOptions::default())
}

static TASK: LazyLock<TextToImage> = LazyLock::new(|| plain().0);
static INPAINT: LazyLock<TextToImage> = LazyLock::new(|| loaded("nine", &OpenOptions::default()).0);

fn input(body: Value) -> ImageInput {
    parse(&*TASK, body).expect("reads")
}

fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, 9]))
}

#[test]
fn the_articles_bodies_have_the_defaults() {
    for body in [
        json!({"prompt": "cat"}),
        json!({"prompt": "cat", "parameters": {}}),
        json!({"prompt": "cat", "parameters": null, "image": null, "quality": "high"}),
    ] {
        let ImageInput { request, size, .. } = input(body);
        assert_eq!((request.steps, request.guidance, size), (3, 7.5, [64, 64]));
        assert!(request.images.len() == 1 && request.images[0].prompt == "cat");
        assert!(request.images[0].seed < 1 << 32);
        assert_eq!(request.start, ImageStart::Noise);
        assert_eq!(request.syntax, PromptSyntax::Plain);
    }
}

#[test]
fn every_field_has_its_effect() {
    let ImageInput {
        request,
        size,
        steps,
        ..
    } = input(json!({
        "prompt": "cat", "negative_prompt": "dog",
        "parameters": {
            "num_inference_steps": 5, "guidance_scale": 1, "guidance_rescale": 0.5, "width": 32,
            "height": 48, "seed": u64::MAX, "num_images": 2, "scheduler": "heun",
        },
    }));
    let seeds: Vec<u64> = request.images.iter().map(|image| image.seed).collect();
    assert_eq!((seeds, size), (vec![u64::MAX, 0], [32, 48]));
    assert!(request.images.iter().all(|image| image.negative == "dog"));
    assert_eq!((request.guidance, request.guidance_rescale), (1.0, 0.5));
    assert_eq!(request.scheduler.name, Some(SchedulerName::Heun));
    // Two passes a step, but for the last.
    assert_eq!((request.steps, steps), (5, 9));
    let demand = TASK.demand(&input(
        json!({"prompt": "", "parameters": {"num_images": 3}}),
    ));
    assert_eq!((demand.rows, demand.key.0.as_str()), (6, "64x64"));
}

#[test]
fn pictures_to_start_from_come_with_their_defaults() {
    let image = png_text(&picture(40, 33));
    let of = |body| input(body).request.start;
    match of(json!({"prompt": "", "image": image})) {
        ImageStart::Image { image, strength } => {
            assert_eq!((image, strength), (picture(40, 33), 0.8));
        }
        other => panic!("{other:?}"),
    }
    let size = input(json!({"prompt": "", "image": image})).size;
    assert_eq!(size, [40, 32]);
    let mask = png_text(&picture(40, 33));
    match of(json!({"prompt": "", "image": image, "mask": mask, "strength": 0.9})) {
        ImageStart::Inpaint { strength, .. } => assert_eq!(strength, 0.9),
        other => panic!("{other:?}"),
    }
    match of(json!({"prompt": "", "image": image, "mask": mask})) {
        ImageStart::Inpaint { strength, .. } => assert_eq!(strength, 1.0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn values_outside_their_ranges_are_refused_with_their_fields() {
    let small = png_text(&picture(8, 8));
    for (field, change) in [
        ("parameters.width", json!({"parameters": {"width": -8}})),
        ("parameters.width", json!({"parameters": {"width": 100}})),
        (
            "parameters.width",
            json!({"parameters": {"width": 4096, "height": 4096}}),
        ),
        ("parameters.height", json!({"parameters": {"height": 0}})),
        (
            "parameters.num_inference_steps",
            json!({"parameters": {"num_inference_steps": 0}}),
        ),
        (
            "parameters.num_inference_steps",
            json!({"parameters": {"num_inference_steps": 201}}),
        ),
        (
            "parameters.guidance_scale",
            json!({"parameters": {"guidance_scale": 1e9}}),
        ),
        (
            "parameters.guidance_rescale",
            json!({"parameters": {"guidance_rescale": -0.1}}),
        ),
        (
            "parameters.num_images",
            json!({"parameters": {"num_images": 9}}),
        ),
        ("parameters.seed", json!({"parameters": {"seed": -1}})),
        (
            "parameters.scheduler",
            json!({"parameters": {"scheduler": "fast"}}),
        ),
        (
            "parameters.scheduler",
            json!({"parameters": {"scheduler": "ddpm-no-noise"}}),
        ),
        ("strength", json!({"strength": 1.5, "image": small})),
        ("strength", json!({"strength": 0.01, "image": small})),
        ("image", json!({"strength": 0.5})),
        ("image", json!({"mask": small})),
        (
            "mask",
            json!({"mask": png_text(&picture(8, 9)), "image": small}),
        ),
        (
            "parameters.width",
            json!({"image": png_text(&picture(4, 4))}),
        ),
    ] {
        let mut body = change;
        body["prompt"] = "cat".into();
        let refusal = refused(&*TASK, body);
        assert_eq!(refusal.kind, RefusalKind::Invalid, "{refusal}");
        assert_eq!(refusal.field.as_deref(), Some(field), "{refusal}");
    }
    // A UNet for inpainting alone.
    for (field, body) in [
        ("image", json!({"prompt": "cat"})),
        ("mask", json!({"prompt": "cat", "image": small})),
    ] {
        assert_eq!(refused(&*INPAINT, body).field.as_deref(), Some(field));
    }
}

#[test]
fn bodies_that_do_not_read_and_what_is_too_large_have_their_own_kinds() {
    let kind = |body| {
        let refusal = refused(&*TASK, body);
        (refusal.kind, refusal.field)
    };
    let named = |kind, field: &str| (kind, Some(field.to_owned()));
    let bad = RefusalKind::BadRequest;
    assert_eq!(kind(json!({})).0, bad);
    assert_eq!(kind(json!({"prompt": 3})), named(bad, "prompt"));
    assert_eq!(
        kind(json!({"prompt": "", "promt": ""})),
        named(bad, "promt")
    );
    let seed = json!({"prompt": "", "parameters": {"seed": "1"}});
    assert_eq!(kind(seed), named(bad, "parameters.seed"));
    let image = json!({"prompt": "", "image": "no base64"});
    assert_eq!(kind(image), named(bad, "image"));
    let large = RefusalKind::TooLarge;
    let long = json!({"prompt": "a".repeat(8193)});
    assert_eq!(kind(long), named(large, "prompt"));
    let limits = Limits {
        input_pixels: 63,
        ..Limits::default()
    };
    let body = json!({"prompt": "", "image": png_text(&picture(8, 8))});
    let refusal = TASK
        .parse(TaskBody::Json(body), &limits)
        .expect_err("too large");
    assert_eq!((refusal.kind, refusal.field), named(large, "image"));
    let body = TaskBody::Image(png(&picture(8, 8)).into());
    let refusal = TASK.parse(body, &limits).expect_err("no JSON");
    assert_eq!(refusal.kind, RefusalKind::MediaType);
    let fresh = TextToImage::new("nowhere", options(), Limits::default());
    let early = refused(&fresh, json!({"prompt": ""}));
    assert_eq!(early.kind, RefusalKind::Unavailable);
}

#[test]
fn hostile_prompts_are_quick_and_harmless() {
    let (task, mut engine) = plain();
    let begun = Instant::now();
    for prompt in [
        "(".repeat(8192),
        "([{".repeat(1365) + &")]}".repeat(1365),
        "a".repeat(8192),
        "猫".repeat(2730),
        "\u{0}\u{202e}<|endoftext|> ".repeat(300),
        "e\u{301}".repeat(2700),
        "a:1.1)".repeat(1365),
    ] {
        let body = json!({"prompt": prompt, "parameters": {"num_inference_steps": 1}});
        let output = alone(&mut engine, parse(&task, body).expect("reads"));
        match output {
            TaskOutput::Images { notes, .. } => {
                assert!(
                    notes.iter().all(|note| note.chars().count() < 400),
                    "{notes:?}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
}

#[test]
fn a_prompt_that_does_not_fit_is_told() {
    let (task, mut engine) = plain();
    let body = json!({"prompt": "cat ".repeat(100), "parameters": {"num_inference_steps": 1}});
    match alone(&mut engine, parse(&task, body).expect("reads")) {
        TaskOutput::Images { notes, .. } => assert!(notes[0].contains("without effect: cat")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_in_company_gets_its_own_pictures() {
    let (task, mut engine) = plain();
    assert_eq!(engine.batching(), Batching::BetweenSteps);
    let parameters = [
        json!({"num_inference_steps": 4, "guidance_scale": 7.5, "seed": 1}),
        json!({"num_inference_steps": 2, "guidance_scale": 1, "seed": 2, "scheduler": "euler-a"}),
        json!({"num_inference_steps": 3, "seed": 3, "num_images": 2, "scheduler": "heun"}),
        json!({"num_inference_steps": 5, "guidance_rescale": 0.7, "seed": 1, "scheduler": "ddpm"}),
    ];
    let image = png_text(&picture(64, 64));
    let inputs = parameters
        .into_iter()
        .enumerate()
        .map(|(place, parameters)| {
            let mut body = json!({"prompt": format!("cat {place}"), "parameters": parameters});
            if place == 3 {
                body["image"] = image.clone().into();
            }
            parse(&task, body).expect("reads")
        });
    let inputs: Vec<ImageInput> = inputs.collect();
    let seen = together(&mut engine, inputs.clone());
    let mut all = Vec::new();
    for (seen, input) in seen.into_iter().zip(inputs) {
        let seen = images(seen);
        assert_eq!(seen.len(), input.request.images.len());
        let expected = images(alone(&mut engine, input));
        let most = difference(&seen, &expected);
        assert!(most <= COMPANY, "{most}");
        all.extend(seen);
    }
    assert!((1..all.len()).all(|place| all[place] != all[place - 1]));
}

#[test]
fn a_request_gets_what_the_pipeline_gives() {
    let pipeline = Case::new("base").open(&OpenOptions::default());
    let task = task_of(&pipeline);
    let body = json!({"prompt": "cat", "parameters": {"seed": 7}});
    let input = parse(&task, body).expect("reads");
    let expected = pipeline
        .generate(&input.request, &mut |_| ControlFlow::Continue(()))
        .expect("legal");
    let mut engine = ImageEngine::new(pipeline, Default::default(), Vec::new(), 20);
    match alone(&mut engine, input) {
        TaskOutput::Images { images, .. } => {
            assert_eq!(images[0].seed, 7);
            assert_eq!(images[0].image, expected.images[0]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn previews_have_the_size_of_the_pictures() {
    let folder = tempfile::tempdir().expect("a folder");
    let tiny = folder.path().join("taesd");
    common::write_tiny_vae("tiny", &tiny);
    let with_tiny = OpenOptions {
        tiny_vae: Some(tiny),
        ..OpenOptions::default()
    };
    for (name, options) in [("base", OpenOptions::default()), ("tiny", with_tiny)] {
        let (task, mut engine) = loaded(name, &options);
        let body = json!({
            "prompt": "cat", "parameters": {"num_images": 2, "width": 32, "height": 48},
        });
        let mut state = engine
            .begin(parse(&task, body).expect("reads"))
            .expect("begins");
        let before = engine.preview(&state).expect("previews");
        engine.step(&mut [&mut state], &on()).expect("steps");
        let previews = engine.preview(&state).expect("previews");
        assert_eq!(previews.len(), 2);
        assert!(
            previews.iter().all(|image| image.dimensions() == (32, 48)),
            "{name}"
        );
        assert_ne!(before, previews);
    }
}

#[test]
fn warm_up_is_ready_for_every_size_and_for_inpainting() {
    let pipeline = Case::new("base").open(&OpenOptions::default());
    let sizes = vec![[64, 64], [32, 16]];
    let engine = ImageEngine::new(pipeline, Default::default(), sizes.clone(), 20);
    for (index, size) in sizes.into_iter().enumerate() {
        let probe = engine.probe(index, 1).expect("a size");
        assert_eq!((probe.size, probe.request.is_guided()), (size, true));
    }
    assert!(engine.probe(2, 0).is_none());
    let (_, mut engine) = loaded("nine", &OpenOptions::default());
    let probe = engine.probe(0, 0).expect("the model's own size");
    assert_eq!(images(alone(&mut engine, probe))[0].dimensions(), (64, 64));
}

#[test]
fn a_request_beyond_the_memory_is_refused_with_the_numbers() {
    let pipeline = Case::new("base").open(&OpenOptions {
        memory: MemoryLimit::Bytes(20 << 20),
        ..OpenOptions::default()
    });
    let task = task_of(&pipeline);
    let mut engine = ImageEngine::new(pipeline, Default::default(), Vec::new(), 20);
    let body = json!({"prompt": "cat", "parameters": {"width": 1024, "height": 1024}});
    let refusal = refusal(engine.begin(parse(&task, body).expect("reads")));
    assert_eq!(refusal.kind, RefusalKind::Invalid);
    assert!(refusal.message.contains("GiB"), "{refusal}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_the_schema_refuses_is_refused(body in bodies(&TASK.schema())) {
        hold_to_schema(&*TASK, body)?;
    }
}
