//! What is drawn.

use std::{ops::ControlFlow, time::Instant};

use pyrograph_diffusion::SchedulerName;
use pyrograph_pipelines::stable_diffusion::{ImageRequest, MemoryLimit, OpenOptions};
use serde_json::json;

use super::{
    common::{Case, write_tiny_vae},
    engine_of, loaded, picture, plain, task_of,
};
use crate::{
    Batching, Engine, RefusalKind, TaskOutput,
    tasks::{
        text_to_image::{ImageInput, engine::ImageEngine},
        trial::{alone, difference, images, on, parse, png_text, refusal, together},
    },
};

/// Bytes of a picture may differ by so much in company: rows of a pass are summed in blocks whose borders depend on their
/// number.
const COMPANY: u8 = 1;

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
    let mut engine = engine_of(pipeline, Vec::new());
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
    write_tiny_vae("tiny", &tiny);
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
    let engine = engine_of(pipeline, sizes.clone());
    for (index, size) in sizes.into_iter().enumerate() {
        let probe = engine.probe(index, 1).expect("a size");
        assert_eq!((probe.size, probe.request.is_guided()), (size, true));
        assert!(probe.steps >= 2, "the first step fills caches");
    }
    assert!(engine.probe(2, 0).is_none());
    let pipeline = Case::new("base").open(&OpenOptions::default());
    let sizes = vec![[64, 64], [60, 64]];
    let refusal = ImageEngine::new(pipeline, Default::default(), sizes).err();
    let refusal = refusal.expect("no multiple of 8");
    assert!(refusal.message.contains("60"), "{refusal}");
    let (_, mut engine) = loaded("nine", &OpenOptions::default());
    let probe = engine.probe(0, 0).expect("the model's own size");
    assert_eq!(images(alone(&mut engine, probe))[0].dimensions(), (64, 64));
}

#[test]
fn two_steps_of_warm_up_are_legal_with_every_scheduler() {
    let pipeline = Case::new("base").open(&OpenOptions::default());
    for name in SchedulerName::ALL {
        let mut request = ImageRequest {
            steps: 2,
            ..ImageRequest::new("cat", 0)
        };
        request.scheduler.name = Some(name);
        let checked = pipeline.rules().check(&request);
        let checked = checked.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(checked.steps() >= 2, "{name}");
    }
}

#[test]
fn a_request_beyond_the_memory_is_refused_with_the_numbers() {
    let pipeline = Case::new("base").open(&OpenOptions {
        memory: MemoryLimit::Bytes(20 << 20),
        ..OpenOptions::default()
    });
    let task = task_of(&pipeline);
    let mut engine = engine_of(pipeline, Vec::new());
    let body = json!({"prompt": "cat", "parameters": {"width": 1024, "height": 1024}});
    let refusal = refusal(engine.begin(parse(&task, body).expect("reads")));
    assert_eq!(refusal.kind, RefusalKind::Invalid);
    assert!(refusal.message.contains("GiB"), "{refusal}");
}
