//! Bodies, and scores of a small model.

use std::{cell::Cell, ops::ControlFlow, sync::LazyLock};

use burn::backend::Autodiff;
use burn_flex::Flex;
use proptest::prelude::*;
use pyrograph_models::dcgan::DcganConfig;
use pyrograph_pipelines::anomaly::{AnomalyCard, AnomalyScorer, Method, SearchConfig};
use pyrograph_vision::{Rgb, RgbImage};
use serde_json::{Value, json};

use super::{AnomalyInput, AnomalyScores, Rules, engine::AnomalyEngine};
use crate::{
    Batching, Engine, Limits, Progress, RefusalKind, Task, TaskBody, TaskError, Watch,
    tasks::trial::{alone, bodies, hold_to_schema, parse, png, png_text, refused, value},
};

type A = Autodiff<Flex>;

/// A search amplifies the rounding in which batches differ.
const COMPANY: f64 = 1e-3;

fn search() -> SearchConfig {
    SearchConfig {
        steps: 8,
        pool: 20,
        ..SearchConfig::default()
    }
}

/// A scorer that is calibrated for these methods.
fn scorer(methods: &[Method]) -> AnomalyScorer<A> {
    let config = DcganConfig {
        z_dim: 4,
        width: 4,
        blocks: 2,
        ..DcganConfig::default()
    };
    let networks = config
        .init_anogan::<Flex>(&Default::default(), 3)
        .expect("legal");
    let card: AnomalyCard = serde_json::from_value(json!({
        "normalisation": {"mean": 0.5, "std": 0.5}, "score": 0.1, "normal": [], "calibrations": {},
    }))
    .expect("a card");
    let mut scorer = AnomalyScorer::new(networks, config, card, &Default::default());
    let normal: Vec<f32> = (0..4 * 256).map(|place| (place % 7) as f32 / 7.0).collect();
    for method in methods {
        let go_on = &mut |_, _| ControlFlow::Continue(());
        scorer = scorer
            .calibrated(&normal, *method, &search(), 0.9, go_on)
            .expect("legal");
    }
    scorer
}

fn loaded(methods: &[Method]) -> (AnomalyScores, AnomalyEngine<A>) {
    let scorer = scorer(methods);
    let rules = Rules {
        config: scorer.config().clone(),
        card: scorer.card().clone(),
    };
    let task = AnomalyScores::new("nowhere", Limits::default());
    task.rules.set(rules.clone()).expect("once");
    (task, AnomalyEngine::new(scorer, rules).expect("calibrated"))
}

static TASK: LazyLock<AnomalyScores> =
    LazyLock::new(|| loaded(&[Method::Encoder, Method::Search]).0);

fn picture(seed: u32) -> RgbImage {
    RgbImage::from_fn(20, 18, |x, y| Rgb([((x * 13 + y * seed) % 256) as u8; 3]))
}

#[test]
fn an_image_as_the_body_and_in_json_are_one_request() {
    let image = picture(7);
    let of_json = parse(&*TASK, json!({"image": png_text(&image)})).expect("reads");
    let body = TaskBody::Image(png(&image).into());
    let of_image = TASK.parse(body, &Limits::default()).expect("reads");
    assert_eq!(of_json.values, of_image.values);
    assert_eq!(of_json.values.len(), 256);
    assert!(
        of_json
            .values
            .iter()
            .all(|value| (-1.0..=1.0).contains(value))
    );
    assert_eq!((of_json.method, of_json.heatmap), (Method::Encoder, false));
}

#[test]
fn the_encoder_comes_first_and_a_search_has_its_calibrations_numbers() {
    let searching = json!({"image": png_text(&picture(1)), "parameters": {"method": "search"}});
    let input = parse(&*TASK, searching.clone()).expect("reads");
    assert_eq!((input.method, input.search), (Method::Search, search()));
    let (task, _) = loaded(&[Method::Search]);
    let image = json!({"image": png_text(&picture(1))});
    assert_eq!(parse(&task, image).expect("reads").method, Method::Search);
    let mut body = searching;
    body["parameters"]["steps"] = 5.into();
    body["parameters"]["seed"] = 3.into();
    let input = parse(&task, body).expect("reads");
    assert_eq!((input.search.steps, input.search.seed), (5, 3));
    let demand = task.demand(&input);
    assert_eq!((demand.steps, demand.rows), (5, search().restarts));
}

#[test]
fn what_is_wrong_is_refused_with_its_field() {
    let image = png_text(&picture(1));
    let colour = png_text(&RgbImage::from_pixel(8, 8, Rgb([9, 0, 0])));
    let invalid = RefusalKind::Invalid;
    let bad = RefusalKind::BadRequest;
    for (kind, field, body) in [
        (invalid, "image", json!({"image": colour})),
        (bad, "image", json!({"image": null})),
        (bad, "image", json!({"image": "x"})),
        (
            invalid,
            "parameters.method",
            json!({"image": image, "parameters": {"method": "warm"}}),
        ),
        (
            invalid,
            "parameters.steps",
            json!({"image": image, "parameters": {"steps": 0}}),
        ),
        (
            invalid,
            "parameters.steps",
            json!({"image": image, "parameters": {"steps": 201}}),
        ),
        (
            bad,
            "parameters.heatmap",
            json!({"image": image, "parameters": {"heatmap": 1}}),
        ),
        (
            bad,
            "parameters.rate",
            json!({"image": image, "parameters": {"rate": 1}}),
        ),
    ] {
        let refusal = refused(&*TASK, body);
        assert_eq!(
            (refusal.kind, refusal.field.as_deref()),
            (kind, Some(field)),
            "{refusal}"
        );
    }
    assert_eq!(refused(&*TASK, json!({})).kind, bad);
    let body = TaskBody::Image(b"no image".as_slice().into());
    let refusal = TASK.parse(body, &Limits::default()).expect_err("no image");
    assert_eq!(refusal.kind, bad);
}

fn score(engine: &mut AnomalyEngine<A>, inputs: &[AnomalyInput]) -> Vec<Value> {
    let begin = |input: &AnomalyInput| engine.begin(input.clone()).expect("begins");
    let mut states: Vec<_> = inputs.iter().map(begin).collect();
    let told = Cell::new(0);
    let watch = Watch {
        rows: usize::MAX,
        stopped: &|| false,
        progress: &|progress: Progress| told.set(told.get().max(progress.taken)),
    };
    let mut group: Vec<_> = states.iter_mut().collect();
    engine.step(&mut group, &watch).expect("steps");
    assert_eq!(told.get(), inputs[0].steps());
    let ends = states.into_iter().map(|state| {
        assert!(engine.progress(&state).is_done());
        value(engine.finish(state).expect("ends"))
    });
    ends.collect()
}

#[test]
fn a_score_in_company_is_the_score_alone() {
    let (task, mut engine) = loaded(&[Method::Encoder, Method::Search]);
    assert_eq!(engine.batching(), Batching::Gathered);
    for method in ["encoder", "search"] {
        // One image is there twice, with two seeds.
        let inputs: Vec<AnomalyInput> = [(1, 0), (5, 0), (9, 7), (1, 8)]
            .map(|(image, seed)| {
                let body = json!({
                    "image": png_text(&picture(image)), "parameters": {"method": method, "seed": seed},
                });
                parse(&task, body).expect("reads")
            })
            .to_vec();
        let key = task.demand(&inputs[0]).key;
        assert!(inputs.iter().all(|input| task.demand(input).key == key));
        let seen = score(&mut engine, &inputs);
        for (seen, input) in seen.iter().zip(&inputs) {
            let expected = &score(&mut engine, std::slice::from_ref(input))[0];
            let number = |value: &Value| value["score"].as_f64().expect("a score");
            let (seen_score, score) = (number(seen), number(expected));
            assert!(
                (seen_score - score).abs() <= COMPANY * score.abs(),
                "{seen} {expected}"
            );
            assert_eq!(seen["method"], method);
            let threshold = seen["threshold"].as_f64().expect("a threshold");
            assert_eq!(seen["anomalous"], json!(seen_score > threshold));
            assert!(seen.get("heatmap").is_none());
        }
        assert_ne!(seen[0]["score"], seen[1]["score"]);
        // The seed is one of a search alone.
        let is_searched = method == "search";
        assert_eq!(seen[0]["score"] != seen[3]["score"], is_searched);
    }
}

#[test]
fn a_heat_map_is_a_png_of_the_images_size() {
    let (task, mut engine) = loaded(&[Method::Encoder]);
    let body = json!({"image": png_text(&picture(3)), "parameters": {"heatmap": true}});
    let report = value(alone(&mut engine, parse(&task, body).expect("reads")));
    let text = report["heatmap"].as_str().expect("a heat map");
    let limits = Limits::default();
    let image = crate::tasks::body::image_of("heatmap", text, &limits).expect("a PNG");
    assert_eq!(image.dimensions(), (16, 16));
}

#[test]
fn a_search_that_nobody_waits_for_ends_early() {
    let (_, mut engine) = loaded(&[Method::Search]);
    let mut state = engine
        .begin(engine.probe(0, 1).expect("a probe"))
        .expect("begins");
    let watch = Watch {
        rows: usize::MAX,
        stopped: &|| true,
        progress: &|_: Progress| {},
    };
    let error = engine.step(&mut [&mut state], &watch).expect_err("stopped");
    assert!(matches!(error, TaskError::Stopped), "{error}");
    assert!(!engine.progress(&state).is_done());
    assert!(engine.probe(1, 0).is_none());
}

#[test]
fn a_model_without_a_threshold_is_refused() {
    let scorer = scorer(&[]);
    let rules = Rules {
        config: scorer.config().clone(),
        card: scorer.card().clone(),
    };
    let refusal = AnomalyEngine::new(scorer, rules)
        .err()
        .expect("no threshold");
    assert!(refusal.message.contains("anomaly fit"), "{refusal}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_the_schema_refuses_is_refused(body in bodies(&TASK.schema()), with_image: bool) {
        let mut body = body;
        if with_image {
            body["image"] = png_text(&picture(1)).into();
        }
        hold_to_schema(&*TASK, body)?;
    }
}
