//! Bodies, and what a small detector finds.

use std::sync::LazyLock;

use burn_flex::Flex;
use proptest::prelude::*;
use pyrograph_models::ssd::{Detector, DetectorCard, SsdConfig};
use pyrograph_pipelines::detection::{DetectionPipeline, FoundImage};
use pyrograph_vision::{ColourNormalisation, Rgb, RgbImage};
use serde_json::json;

use super::{DetectInput, ObjectDetection, Rules, engine::DetectEngine};
use crate::{
    Engine, Limits, RefusalKind, Task, TaskBody,
    tasks::trial::{alone, bodies, hold_to_schema, on, parse, png, png_text, refused, value},
};

fn pipeline() -> DetectionPipeline<Flex> {
    let config = SsdConfig {
        width: 0.03125,
        ..SsdConfig::vgg16(3)
    };
    let card = DetectorCard {
        classes: vec!["red cell".into(), "white cell".into()],
        normalisation: ColourNormalisation::SSD,
    };
    let network = config.init(&Default::default(), 5).expect("legal");
    let detector = Detector::new(network, config, card, Default::default());
    DetectionPipeline::new(detector.expect("fits"))
}

fn rules() -> Rules {
    Rules::of(pipeline().detector())
}

fn engine() -> DetectEngine<Flex> {
    DetectEngine::new(pipeline(), rules())
}

static TASK: LazyLock<ObjectDetection> = LazyLock::new(|| {
    let task = ObjectDetection::new("nowhere");
    task.rules.set(rules()).expect("once");
    task
});

fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, (x ^ y) as u8]))
}

/// The detector knows nothing and is sure of nothing: a low score lets a few boxes through.
fn input(image: &RgbImage) -> DetectInput {
    let parameters = json!({"score_threshold": 0.01, "max_detections": 8});
    parse(
        &*TASK,
        json!({"image": png_text(image), "parameters": parameters}),
    )
    .expect("reads")
}

#[test]
fn an_image_as_the_body_has_the_commands_options() {
    let body = TaskBody::Image(png(&picture(30, 20)).into());
    let plain = TASK.parse(body, &Limits::default()).expect("reads");
    assert_eq!((plain.input.width(), plain.input.height()), (30, 20));
    let of_json = parse(&*TASK, json!({"image": png_text(&picture(30, 20))})).expect("reads");
    assert_eq!(
        (&of_json.input, of_json.options),
        (&plain.input, plain.options)
    );
    let options = plain.options;
    assert_eq!(
        (options.score_threshold, options.iou_threshold, options.keep),
        (0.5, 0.45, 200)
    );
}

#[test]
fn images_wait_at_the_size_of_the_network_however_large_they_are() {
    let (small, large) = (input(&picture(30, 20)), input(&picture(2000, 1500)));
    // Three channels of 300 by 300 as text, give or take the numbers' lengths: the picture itself has nine million values.
    let length = |input: &DetectInput| format!("{:?}", input.input).len();
    assert!(length(&large) < 2 * length(&small), "{}", length(&large));
    assert_eq!((large.input.width(), large.input.height()), (2000, 1500));
}

#[test]
fn requests_of_different_options_share_a_pass_and_find_what_each_finds_alone() {
    let mut engine = engine();
    let asked = [
        json!({"score_threshold": 0.01, "max_detections": 3}),
        json!({"score_threshold": 0.01, "max_detections": 30}),
        json!({"score_threshold": 1}),
        json!({"score_threshold": 0.01, "iou_threshold": 0.1}),
    ];
    let image = picture(70, 50);
    let inputs = asked.map(|parameters| {
        let body = json!({"image": png_text(&image), "parameters": parameters});
        parse(&*TASK, body).expect("reads")
    });
    let key = TASK.demand(&inputs[0]).key;
    assert!(inputs.iter().all(|input| TASK.demand(input).key == key));
    let mut states = inputs
        .clone()
        .map(|input| engine.begin(input).expect("begins"));
    engine
        .step(&mut states.iter_mut().collect::<Vec<_>>(), &on())
        .expect("steps");
    let mut counts = Vec::new();
    for (state, input) in states.into_iter().zip(inputs) {
        let found = |value| serde_json::from_value::<FoundImage>(value).expect("reads");
        let seen = found(value(engine.finish(state).expect("ends")));
        let alone = found(value(alone(&mut engine, input)));
        counts.push(seen.detections.len());
        assert_eq!(seen.detections.len(), alone.detections.len());
        for (seen, alone) in seen.detections.iter().zip(&alone.detections) {
            assert_eq!(seen.class, alone.class);
            assert!((seen.score - alone.score).abs() < 1e-4);
        }
    }
    assert_eq!((counts[0], counts[1], counts[2]), (3, 30, 0));
    assert!(counts[3] > 0);
}

#[test]
fn before_the_model_is_loaded_nothing_is_read() {
    let fresh = ObjectDetection::new("nowhere");
    let refusal = refused(&fresh, json!({"image": png_text(&picture(8, 8))}));
    assert_eq!(refusal.kind, RefusalKind::Unavailable);
}

#[test]
fn what_is_wrong_is_refused_with_its_field() {
    let image = png_text(&picture(8, 8));
    let invalid = RefusalKind::Invalid;
    let bad = RefusalKind::BadRequest;
    for (kind, field, parameters) in [
        (
            invalid,
            "parameters.score_threshold",
            json!({"score_threshold": 1.5}),
        ),
        (
            invalid,
            "parameters.iou_threshold",
            json!({"iou_threshold": -1}),
        ),
        (
            invalid,
            "parameters.max_detections",
            json!({"max_detections": 0}),
        ),
        (
            bad,
            "parameters.max_detections",
            json!({"max_detections": 1.5}),
        ),
        (bad, "parameters.candidates", json!({"candidates": 1})),
    ] {
        let refusal = refused(&*TASK, json!({"image": image, "parameters": parameters}));
        assert_eq!(
            (refusal.kind, refusal.field.as_deref()),
            (kind, Some(field)),
            "{refusal}"
        );
    }
    assert_eq!(
        refused(&*TASK, json!({"image": "x"})).field.as_deref(),
        Some("image")
    );
}

#[test]
fn images_of_several_requests_are_found_as_the_pipeline_finds_them() {
    let mut engine = engine();
    let pictures = [picture(70, 50), picture(40, 90), picture(70, 50)];
    let mut states: Vec<_> = pictures
        .iter()
        .map(|image| engine.begin(input(image)).expect("begins"))
        .collect();
    assert!(!engine.progress(&states[0]).is_done());
    engine
        .step(&mut states.iter_mut().collect::<Vec<_>>(), &on())
        .expect("steps");
    let options = input(&pictures[0]).options;
    let expected = pipeline().detect(&pictures, &options).expect("legal");
    for (state, expected) in states.into_iter().zip(expected) {
        let seen = value(engine.finish(state).expect("ends"));
        assert!(seen["detections"].as_array().expect("a list").len() > 1);
        let text = serde_json::to_string(&expected).expect("writes");
        assert_eq!(
            seen,
            serde_json::from_str::<serde_json::Value>(&text).expect("reads")
        );
        assert_eq!(
            serde_json::from_value::<FoundImage>(seen).expect("reads"),
            expected
        );
    }
}

#[test]
fn warm_up_looks_at_an_image() {
    let mut engine = engine();
    let probe = engine.probe(0, 3).expect("one size");
    assert_eq!(value(alone(&mut engine, probe))["width"], 300);
    assert!(engine.probe(1, 0).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_the_schema_refuses_is_refused(body in bodies(&TASK.schema()), with_image: bool) {
        let mut body = body;
        if with_image {
            body["image"] = png_text(&picture(4, 4)).into();
        }
        hold_to_schema(&*TASK, body)?;
    }
}
