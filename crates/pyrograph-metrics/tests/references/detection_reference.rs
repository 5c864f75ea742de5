//! COCO's figures agree with pycocotools', Pascal VOC's with a short program of exact fractions; see
//! `fixtures/detection/make.py`.

use pyrograph_metrics::{
    CocoFigures, DetectionScorer, Truth, TruthKind, VocConfig, VocInterpolation,
};
use pyrograph_vision::{BoundingBox, Detection};
use serde_json::Value;

/// Shares of small numbers, added in another order.
const EXACT: f64 = 1e-12;

const SCENES: [(&str, &str); 8] = [
    ("random", include_str!("../fixtures/detection/random.json")),
    ("ties", include_str!("../fixtures/detection/ties.json")),
    (
        "ignored",
        include_str!("../fixtures/detection/ignored.json"),
    ),
    (
        "one class",
        include_str!("../fixtures/detection/one_class.json"),
    ),
    (
        "crowded",
        include_str!("../fixtures/detection/crowded.json"),
    ),
    (
        "on the edge",
        include_str!("../fixtures/detection/on_the_edge.json"),
    ),
    (
        "hundredths",
        include_str!("../fixtures/detection/hundredths.json"),
    ),
    ("nested", include_str!("../fixtures/detection/nested.json")),
];

type TruthRow = (usize, f32, f32, f32, f32, String, Option<f32>);
type DetectionRow = (usize, f32, f32, f32, f32, f32);

/// Each scene's name, the scorer that has seen it, and what is expected.
fn scenes() -> impl Iterator<Item = (&'static str, DetectionScorer, Value)> {
    SCENES.into_iter().map(|(name, text)| {
        let scene: Value = serde_json::from_str(text).unwrap();
        let classes: usize = serde_json::from_value(scene["classes"].clone()).unwrap();
        let mut scorer = DetectionScorer::new(classes).unwrap();
        for image in scene["images"].as_array().unwrap() {
            let truths: Vec<TruthRow> = serde_json::from_value(image["truths"].clone()).unwrap();
            let found: Vec<DetectionRow> =
                serde_json::from_value(image["detections"].clone()).unwrap();
            let truths: Vec<Truth> = truths.into_iter().map(truth).collect();
            let found: Vec<Detection> = found.into_iter().map(detection).collect();
            scorer.push(&truths, &found).unwrap();
        }
        (name, scorer, scene)
    })
}

fn truth((class, x1, y1, x2, y2, kind, area): TruthRow) -> Truth {
    let kind = match kind.as_str() {
        "counted" => TruthKind::Counted,
        "difficult" => TruthKind::Difficult,
        "crowd" => TruthKind::Crowd,
        other => panic!("{other}"),
    };
    Truth {
        bbox: BoundingBox::new(x1, y1, x2, y2),
        class,
        kind,
        area,
    }
}

fn detection((class, x1, y1, x2, y2, score): DetectionRow) -> Detection {
    let bbox = BoundingBox::new(x1, y1, x2, y2);
    Detection { bbox, class, score }
}

fn assert_near(what: &str, seen: &[Option<f64>], expected: &Value) {
    let expected: Vec<Option<f64>> = serde_json::from_value(expected.clone()).unwrap();
    assert_eq!(seen.len(), expected.len(), "{what}");
    for (index, pair) in seen.iter().zip(&expected).enumerate() {
        let near = match pair {
            (Some(seen), Some(expected)) => (seen - expected).abs() < EXACT,
            (seen, expected) => seen == expected,
        };
        assert!(near, "{what}, figure {index}: {pair:?}");
    }
}

#[test]
fn coco_figures_agree_with_pycocotools() {
    for (name, scorer, scene) in scenes() {
        let report = scorer.coco();
        assert_near(name, &report.mean.all(), &scene["coco"]["mean"]);
        let expected = scene["coco"]["classes"].as_array().unwrap();
        assert_eq!(report.classes.len(), expected.len());
        for (index, (class, expected)) in report.classes.iter().zip(expected).enumerate() {
            let what = format!("{name}, class {index}");
            assert_near(&what, &class.figures.all(), expected);
        }
    }
}

#[test]
fn voc_figures_agree_with_exact_fractions() {
    for (name, scorer, scene) in scenes() {
        for (iou, expected) in scene["voc"].as_object().unwrap() {
            let iou = iou.parse().unwrap();
            for (interpolation, key) in [
                (VocInterpolation::ElevenPoint, "eleven_point"),
                (VocInterpolation::Area, "area"),
            ] {
                let report = scorer.voc(&VocConfig { interpolation, iou }).unwrap();
                let figures: Vec<_> = report.classes.iter().map(|class| class.ap).collect();
                assert_near(&format!("{name}, {key}, {iou}"), &figures, &expected[key]);
                let truths: Vec<_> = report.classes.iter().map(|class| class.truths).collect();
                let detections: Vec<_> = report
                    .classes
                    .iter()
                    .map(|class| class.detections)
                    .collect();
                assert_eq!(serde_json::json!(truths), expected["truths"]);
                assert_eq!(serde_json::json!(detections), expected["detections"]);
            }
        }
    }
}

#[test]
fn the_curve_of_a_class_ends_where_all_detections_are_kept() {
    for (name, scorer, _) in scenes() {
        for class in scorer.voc(&VocConfig::default()).unwrap().classes {
            let Some(last) = class.curve.last() else {
                assert!(class.ap.is_none() || class.detections == 0, "{name}");
                continue;
            };
            let hits = last.recall * class.truths as f64;
            assert!(
                (last.precision * class.detections as f64 - hits).abs() < EXACT * hits.max(1.0)
            );
            let falls = |ends: &[_]| {
                let [a, b]: &[pyrograph_metrics::OperatingPoint; 2] = ends.try_into().unwrap();
                a.score > b.score && a.recall <= b.recall
            };
            assert!(class.curve.windows(2).all(falls), "{name}");
            let best = class.best.map_or(0.0, |point| point.f1());
            assert!(class.curve.iter().all(|point| point.f1() <= best));
        }
    }
}

#[test]
fn without_objects_there_are_no_figures_and_without_detections_they_are_zero() {
    let bbox = BoundingBox::new(0.0, 0.0, 50.0, 50.0);
    let mut scorer = DetectionScorer::new(2).unwrap();
    assert_eq!(scorer.coco().mean, CocoFigures::default());
    let nothing_there = [detection((1, 0.0, 0.0, 9.0, 9.0, 0.5))];
    scorer.push(&[], &nothing_there).unwrap();
    assert_eq!(scorer.coco().mean, CocoFigures::default());
    scorer.push(&[Truth::new(bbox, 0)], &[]).unwrap();
    let report = scorer.coco();
    let zero = Some(0.0);
    let (mean, classes) = (report.mean, report.classes);
    assert_eq!((mean.ap, mean.ap_small, mean.ar_medium), (zero, None, zero));
    assert_eq!((classes[0].truths, classes[0].detections), (1, 0));
    assert_eq!((classes[1].truths, classes[1].detections), (0, 1));
    assert_eq!(classes[1].figures, CocoFigures::default());
    assert_eq!(scorer.voc(&VocConfig::default()).unwrap().map, zero);
}
