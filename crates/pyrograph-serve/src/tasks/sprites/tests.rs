//! Bodies, and sprites of a small model.

use std::sync::LazyLock;

use burn_flex::Flex;
use proptest::prelude::*;
use pyrograph_diffusion::DiffusionCard;
use pyrograph_models::context_unet::ContextUnetConfig;
use pyrograph_pipelines::sprites::SpritePipeline;
use serde_json::{Value, json};

use super::{SpriteInput, Sprites, engine::SpriteEngine};
use crate::{
    Engine, Limits, RefusalKind, Task, TaskBody, TaskOutput,
    tasks::trial::{
        alone, bodies, difference, hold_to_schema, images, on, parse, refused, together,
    },
};

/// Bytes of a sprite may differ by so much in company: rows of a pass are summed in blocks whose borders depend on their
/// number.
const COMPANY: u8 = 1;

fn pipeline() -> SpritePipeline<Flex> {
    let config = ContextUnetConfig {
        n_feat: 8,
        ..ContextUnetConfig::default()
    };
    let model = config.init(&Default::default(), 3).expect("legal");
    SpritePipeline::new(model, config, DiffusionCard::course(), &Default::default()).expect("legal")
}

fn loaded() -> (Sprites, SpriteEngine<Flex>) {
    let pipeline = pipeline();
    let task = Sprites::new("nowhere", 4, Limits::default());
    task.rules.set(pipeline.rules().clone()).expect("once");
    (task, SpriteEngine::new(pipeline, Default::default()))
}

static TASK: LazyLock<Sprites> = LazyLock::new(|| loaded().0);

fn contexts(body: Value) -> Vec<Vec<f32>> {
    let input = parse(&*TASK, body).expect("reads");
    let rows = input.requests.into_iter();
    rows.map(|mut request| request.contexts.remove(0)).collect()
}

#[test]
fn contexts_are_names_mixes_numbers_or_lists_of_these() {
    let hero = vec![1.0, 0.0, 0.0, 0.0, 0.0];
    let food = vec![0.0, 0.0, 1.0, 0.0, 0.0];
    let mix = vec![0.5, 0.0, 0.25, 0.0, 0.0];
    assert_eq!(
        contexts(json!({"context": "hero"})),
        std::slice::from_ref(&hero)
    );
    assert_eq!(
        contexts(json!({"context": "hero:0.5,food:0.25"})),
        std::slice::from_ref(&mix)
    );
    assert_eq!(
        contexts(json!({"context": "hero=0.5, food=0.25"})),
        std::slice::from_ref(&mix)
    );
    assert_eq!(
        contexts(json!({"context": [0.5, 0, 0.25, 0, 0]})),
        std::slice::from_ref(&mix)
    );
    let list = json!(["hero", [0, 0, 1, 0, 0]]);
    assert_eq!(
        contexts(json!({"context": list})),
        [hero.clone(), food.clone()]
    );
    let three = json!({"context": list, "parameters": {"num_images": 3}});
    assert_eq!(contexts(three), [hero.clone(), hero.clone(), food]);
    assert_eq!(contexts(json!({})), std::slice::from_ref(&hero));
    let seven = contexts(json!({"parameters": {"num_images": 7}}));
    assert!(seven.len() == 7 && seven[5] == hero && seven[1] != hero);
}

#[test]
fn a_context_that_does_not_read_is_told_the_form_of_bodies() {
    let body = json!({"context": ["hero", "food:much"]});
    let refusal = parse(&*TASK, body).expect_err("no weight");
    assert_eq!(refusal.field.as_deref(), Some("context[1]"));
    assert!(refusal.message.contains("hero:0.5,food:0.5"), "{refusal}");
}

#[test]
fn every_field_has_its_effect() {
    let input = parse(
        &*TASK,
        json!({"context": "hero", "parameters": {
            "num_inference_steps": 7, "guidance_scale": 2.5, "seed": 9, "num_images": 2,
            "sampler": "ddpm", "scale": 4,
        }}),
    );
    let SpriteInput {
        requests,
        scale,
        steps,
    } = input.expect("reads");
    let seeds: Vec<u64> = requests.iter().map(|request| request.seed).collect();
    assert_eq!((seeds, scale), (vec![9, 10], 4));
    assert!(requests.iter().all(|request| request.guidance == 2.5));
    // 500 in 7: every 71st, which are eight.
    assert_eq!((requests[0].sampler.steps, steps), (7, 8));
    let plain = parse(&*TASK, json!({})).expect("reads");
    assert_eq!(
        (plain.steps, plain.scale, plain.requests[0].guidance),
        (4, 1, 1.0)
    );
    let demand = TASK.demand(
        &parse(
            &*TASK,
            json!({"parameters": {"guidance_scale": 3, "num_images": 4}}),
        )
        .expect("reads"),
    );
    assert_eq!(demand.rows, 8);
    let two = parse(&*TASK, json!({"context": ["hero", "food"]})).expect("reads");
    assert_eq!(TASK.images(&two), Some(2));
}

#[test]
fn what_is_wrong_is_refused_with_its_field() {
    let invalid = RefusalKind::Invalid;
    let bad = RefusalKind::BadRequest;
    for (kind, field, body) in [
        (invalid, "context", json!({"context": "dragon"})),
        (invalid, "context", json!({"context": "hero:x"})),
        (invalid, "context", json!({"context": "hero,hero"})),
        (invalid, "context", json!({"context": [1, 2]})),
        (invalid, "context", json!({"context": []})),
        (invalid, "context", json!({"context": [1e30, 0, 0, 0, 0]})),
        (invalid, "context", json!({"context": vec!["hero"; 9]})),
        (
            invalid,
            "context[1]",
            json!({"context": ["hero", "dragon"]}),
        ),
        (
            invalid,
            "context",
            json!({"context": ["hero", "food", "hero"], "parameters": {"num_images": 2}}),
        ),
        (bad, "context[1]", json!({"context": ["hero", 3]})),
        (bad, "context", json!({"context": {"hero": 1}})),
        (bad, "context", json!({"context": [1, "hero"]})),
        (
            RefusalKind::TooLarge,
            "context",
            json!({"context": "a".repeat(2000)}),
        ),
        (
            invalid,
            "parameters.sampler",
            json!({"parameters": {"sampler": "fast"}}),
        ),
        (
            invalid,
            "parameters.scale",
            json!({"parameters": {"scale": 65}}),
        ),
        (
            invalid,
            "parameters.num_images",
            json!({"parameters": {"num_images": 0}}),
        ),
        (
            invalid,
            "parameters.guidance_scale",
            json!({"parameters": {"guidance_scale": 1e9}}),
        ),
        (
            invalid,
            "parameters.num_inference_steps",
            json!({"parameters": {"num_inference_steps": 501}}),
        ),
        (
            bad,
            "parameters.scale",
            json!({"parameters": {"scale": "4"}}),
        ),
        (bad, "prompt", json!({"prompt": "hero"})),
    ] {
        let refusal = refused(&*TASK, body);
        assert_eq!(
            (refusal.kind, refusal.field.as_deref()),
            (kind, Some(field)),
            "{refusal}"
        );
    }
}

#[test]
fn contexts_beyond_the_number_of_images_are_refused_with_both_numbers() {
    let body = json!({"context": ["hero", "food", "hero"], "parameters": {"num_images": 2}});
    let refusal = refused(&*TASK, body).to_string();
    assert!(
        refusal.contains("3 contexts") && refusal.contains("at most 2"),
        "{refusal}"
    );
}

#[test]
fn no_request_walks_more_steps_than_the_limit() {
    let limits = Limits {
        steps: 7,
        ..Limits::default()
    };
    let walked = |task: &Sprites, parameters: Value| {
        let body = TaskBody::Json(json!({"parameters": parameters}));
        task.parse(body, &limits).map(|input| input.steps)
    };
    assert_eq!(walked(&TASK, json!({"num_inference_steps": 5})), Ok(5));
    // 500 in 7: every 71st, which are eight.
    let refusal = walked(&TASK, json!({"num_inference_steps": 7})).expect_err("eight steps");
    assert_eq!(refusal.kind, RefusalKind::Invalid);
    assert_eq!(
        refusal.field.as_deref(),
        Some("parameters.num_inference_steps")
    );
    for part in ["is 7", "walks 8 steps", "at most 7"] {
        assert!(refusal.message.contains(part), "{refusal}");
    }
    // The usual number gives way: who names none has not asked for too many.
    let task = Sprites::new("nowhere", 7, limits.clone());
    let rules = TASK.rules.get().expect("loaded");
    task.rules.set(rules.clone()).expect("once");
    assert_eq!(walked(&task, json!({})), Ok(7));
    let heun = walked(&task, json!({"sampler": "heun"})).expect("fits");
    assert!(heun <= 7, "{heun}");
}

#[test]
fn a_request_in_company_gets_its_own_sprites() {
    let (task, mut engine) = loaded();
    let inputs: Vec<SpriteInput> = [
        json!({"context": "hero", "parameters": {"seed": 1, "num_inference_steps": 6}}),
        json!({"context": "food", "parameters": {"seed": 2, "guidance_scale": 3, "sampler": "ddpm"}}),
        json!({"parameters": {"seed": 3, "num_images": 3, "sampler": "heun", "num_inference_steps": 2}}),
    ]
    .into_iter()
    .map(|body| parse(&task, body).expect("reads"))
    .collect();
    let seen = together(&mut engine, inputs.clone());
    for (seen, input) in seen.into_iter().zip(inputs) {
        let seen = images(seen);
        let expected = images(alone(&mut engine, input));
        let most = difference(&seen, &expected);
        assert!(most <= COMPANY, "{most}");
    }
}

#[test]
fn every_image_has_its_seed_and_can_be_drawn_alone_by_it() {
    let (task, mut engine) = loaded();
    let of = |seed, count| {
        let parameters = json!({"seed": seed, "num_images": count, "scale": 2});
        parse(&task, json!({"context": "hero", "parameters": parameters})).expect("reads")
    };
    let TaskOutput::Images { images: both, .. } = alone(&mut engine, of(4, 2)) else {
        panic!("no images");
    };
    assert_eq!((both[0].seed, both[1].seed), (4, 5));
    let second = images(alone(&mut engine, of(5, 1)));
    assert!(difference(&second, &[both[1].image.clone()]) <= COMPANY);
    assert_ne!(both[0].image, both[1].image);
    assert_eq!(both[0].image.dimensions(), (32, 32));
    assert_eq!(both[0].image.get_pixel(0, 0), both[0].image.get_pixel(1, 1));
}

#[test]
fn previews_and_probes_are_there() {
    let (task, mut engine) = loaded();
    let body = json!({"context": "hero", "parameters": {"num_images": 2, "scale": 3}});
    let mut state = engine
        .begin(parse(&task, body).expect("reads"))
        .expect("begins");
    engine.step(&mut [&mut state], &on()).expect("steps");
    let previews = engine.preview(&state).expect("previews");
    assert!(previews.len() == 2 && previews[0].dimensions() == (48, 48));
    let probe = engine.probe(0, 1).expect("one size");
    assert_eq!(task.demand(&probe).rows, 2);
    assert!(probe.steps >= 2, "the first step fills caches");
    assert!(engine.probe(1, 1).is_none());
    assert_eq!(images(alone(&mut engine, probe)).len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_the_schema_refuses_is_refused(body in bodies(&TASK.schema())) {
        hold_to_schema(&*TASK, body)?;
    }
}
