use proptest::prelude::*;

use super::*;
use crate::splitmix::splitmix_floats;
use crate::{BoundingBox, PriorConfig};

/// Of the operations of one box or score in 32 bits.
const F32_OP: f32 = 1e-5;
/// The classes of the fixtures, with the background.
const OUTPUTS: usize = 21;

#[derive(Deserialize)]
struct Case {
    lead: f32,
    passing: usize,
    /// Corners in pixels of 300, the label, the score.
    detections: Vec<(f32, f32, f32, f32, usize, f32)>,
}

/// What `outputs_of` of the fixture's Python makes.
fn outputs(priors: usize, lead: f32) -> (Vec<f32>, Vec<f32>) {
    let far = |index: usize| {
        if (index / 4).is_multiple_of(50) {
            12.0
        } else {
            1.0
        }
    };
    let loc = splitmix_floats(1).take(4 * priors).enumerate();
    let loc = loc.map(|(index, u)| (u * 4.0 - 2.0) * far(index)).collect();
    let logits = splitmix_floats(2).take(OUTPUTS * priors).enumerate();
    let background = |index: usize| index.is_multiple_of(OUTPUTS);
    let logits =
        logits.map(|(index, u)| u * 6.0 - 3.0 + if background(index) { lead } else { 0.0 });
    (loc, logits.collect())
}

fn check_against_torchvision(text: &str) {
    let case: Case = serde_json::from_str(text).unwrap();
    let priors = PriorConfig::torchvision().boxes().unwrap();
    let (loc, logits) = outputs(priors.len(), case.lead);
    let options = DetectOptions::default();
    let passing = candidates(&loc, &logits, OUTPUTS, options.score_threshold);
    assert_eq!(passing.iter().map(Vec::len).sum::<usize>(), case.passing);
    let found = postprocess(&loc, &logits, &priors, &BoxCoder::SSD, &options).unwrap();
    assert_eq!(found.len(), case.detections.len());
    for (found, (x1, y1, x2, y2, label, score)) in found.into_iter().zip(case.detections) {
        let expected = BoundingBox::new(x1, y1, x2, y2).scaled(1.0 / 300.0, 1.0 / 300.0);
        let corners = |b: BoundingBox| [b.x1, b.y1, b.x2, b.y2];
        let pairs = corners(found.bbox).into_iter().zip(corners(expected));
        assert!(
            pairs.into_iter().all(|(a, b)| (a - b).abs() < F32_OP),
            "{found:?} for {expected:?}"
        );
        assert_eq!(found.class + 1, label);
        assert!((found.score - score).abs() < F32_OP, "{found:?}: {score}");
    }
}

#[test]
fn a_few_boxes_are_those_of_torchvision() {
    check_against_torchvision(include_str!(
        "../../../tests/fixtures/postprocess/sparse.json"
    ));
}

#[test]
fn the_best_of_a_hundred_thousand_boxes_are_those_of_torchvision() {
    check_against_torchvision(include_str!(
        "../../../tests/fixtures/postprocess/dense.json"
    ));
}

/// Three priors side by side, each far from the others.
fn three() -> Vec<CenterBox> {
    let prior = |cx| CenterBox {
        cx,
        cy: 0.5,
        w: 0.2,
        h: 0.2,
    };
    [0.2, 0.5, 0.8].map(prior).to_vec()
}

fn found(loc: &[f32], logits: &[f32]) -> Vec<Detection> {
    postprocess(
        loc,
        logits,
        &three(),
        &BoxCoder::SSD,
        &DetectOptions::default(),
    )
    .unwrap()
}

#[test]
fn classes_do_not_count_the_background() {
    let logits = [9.0, 0.0, 0.0, 0.0, 0.0, 9.0, 0.0, 8.0, 0.0];
    let found = found(&[0.0; 12], &logits);
    let seen: Vec<_> = found
        .iter()
        .map(|d| (d.class, (d.bbox.x1 * 10.0).round()))
        .collect();
    assert_eq!(seen, [(1, 4.0), (0, 7.0)]);
    // exp(9) / (exp(9) + 2).
    assert!((found[0].score - 0.999_753).abs() < 1e-6, "{found:?}");
}

#[test]
fn priors_with_values_that_are_not_numbers_yield_nothing_and_hide_nothing() {
    let logits = [0.0, 9.0, 0.0, 8.0, 0.0, 7.0];
    assert_eq!(found(&[0.0; 12], &logits).len(), 3);
    for (index, value) in [
        (0, f32::NAN),
        (1, f32::NAN),
        (0, f32::INFINITY),
        (1, f32::INFINITY),
    ] {
        let mut logits = logits;
        logits[index] = value;
        let found = found(&[0.0; 12], &logits);
        assert_eq!(found.len(), 2, "{index}: {value}");
        assert!(found.iter().all(|d| d.score.is_finite() && d.bbox.x1 > 0.3));
    }
    let one = DetectOptions {
        candidates: 1,
        ..DetectOptions::default()
    };
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut loc = [0.0; 12];
        loc[3] = value;
        let found = postprocess(&loc, &logits, &three(), &BoxCoder::SSD, &one).unwrap();
        // The second best takes the place of the best, whose box is none.
        assert_eq!(found.len(), 1);
        assert!((found[0].bbox.x1 - 0.4).abs() < 1e-6, "{found:?}");
    }
}

#[test]
fn an_impossible_class_is_no_reason_to_drop_a_prior() {
    let logits = [
        f32::NEG_INFINITY,
        9.0,
        0.0,
        f32::NEG_INFINITY,
        0.0,
        f32::NEG_INFINITY,
    ];
    let found = found(&[0.0; 12], &logits);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].score, found[0].class), (1.0, 0));
}

#[test]
fn of_equal_scores_the_lower_class_and_then_the_lower_prior_comes_first() {
    let found = found(&[0.0; 12], &[0.0; 9]);
    let seen: Vec<_> = found
        .iter()
        .map(|d| (d.class, (d.bbox.x1 * 10.0).round()))
        .collect();
    assert_eq!(
        seen,
        [(0, 1.0), (0, 4.0), (0, 7.0), (1, 1.0), (1, 4.0), (1, 7.0)]
    );
}

#[test]
fn outputs_that_do_not_fit_the_priors_are_refused() {
    let run = |loc: usize, logits: usize, priors: usize| {
        let (loc, logits) = (vec![0.0; loc], vec![0.0; logits]);
        let options = DetectOptions::default();
        let priors = vec![CenterBox::default(); priors];
        postprocess(&loc, &logits, &priors, &BoxCoder::SSD, &options)
    };
    assert!(matches!(run(0, 0, 0), Err(VisionError::Empty { .. })));
    for (loc, logits, what, seen) in [
        (11, 6, "offsets", 11),
        (16, 6, "offsets", 16),
        (12, 3, "logits", 3),
        (12, 0, "logits", 0),
        (12, 7, "logits", 7),
    ] {
        let error = run(loc, logits, 3).unwrap_err().to_string();
        assert!(
            error.contains(&format!("{seen} {what} for 3 priors")),
            "{error}"
        );
    }
}

#[test]
fn options_out_of_range_are_refused() {
    let refused = |change: fn(&mut DetectOptions)| {
        let mut options = DetectOptions::default();
        change(&mut options);
        let run = postprocess(&[0.0; 12], &[0.0; 6], &three(), &BoxCoder::SSD, &options);
        assert_eq!(
            run.unwrap_err().to_string(),
            options.check().unwrap_err().to_string()
        );
        options.check().unwrap_err().to_string()
    };
    assert!(refused(|o| o.score_threshold = -0.1).contains("score threshold"));
    assert!(refused(|o| o.score_threshold = f32::NAN).contains("NaN"));
    assert!(refused(|o| o.iou_threshold = 1.5).contains("1.5"));
    assert!(refused(|o| o.candidates = 0).contains("candidates"));
    assert!(refused(|o| o.keep = 0).contains("kept"));
    assert!(DetectOptions::ssd_pytorch().check().is_ok());
    let text =
        r#"{"score_threshold": 0.5, "candidates": 1, "iou_threshold": 0.5, "keep": 1, "top": 1}"#;
    assert!(serde_json::from_str::<DetectOptions>(text).is_err());
}

/// Class by class, prior by prior, with nothing left out ahead.
fn oracle(
    loc: &[f32],
    logits: &[f32],
    priors: &[CenterBox],
    options: &DetectOptions,
) -> Vec<Detection> {
    let outputs = logits.len() / priors.len();
    let mut found = Vec::new();
    for class in 1..outputs {
        let mut detections: Vec<Detection> = Vec::new();
        for (index, &prior) in priors.iter().enumerate() {
            let row = &logits[index * outputs..][..outputs];
            let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f32 = row.iter().map(|logit| (logit - largest).exp()).sum();
            let score = (row[class] - largest).exp() / sum;
            let bbox = BoxCoder::SSD
                .decode(offsets(loc, index), prior)
                .clip(1.0, 1.0);
            if score > options.score_threshold && bbox.is_finite() {
                detections.push(Detection {
                    bbox,
                    class: class - 1,
                    score,
                });
            }
        }
        detections.sort_by(|a, b| b.score.total_cmp(&a.score));
        detections.truncate(options.candidates);
        let mut kept: Vec<Detection> = Vec::new();
        for detection in detections {
            if kept
                .iter()
                .all(|k| k.bbox.iou(detection.bbox) <= options.iou_threshold)
            {
                kept.push(detection);
            }
        }
        found.extend(kept);
    }
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found.truncate(options.keep);
    found
}

proptest! {
    #[test]
    fn short_cuts_change_nothing(
        loc in proptest::collection::vec(prop_oneof![30 => -3_f32..3.0, 1 => Just(f32::NAN)], 4 * 30),
        // Few different values, so that scores are equal, and leads around the one that makes a prior hopeless.
        logits in proptest::collection::vec(prop_oneof![30 => (-6_i8..6).prop_map(f32::from), 1 => Just(f32::NAN)], 30 * 4),
        score_threshold in prop_oneof![Just(0.0), Just(0.01), Just(1.0), 0_f32..1.0],
        iou_threshold in 0_f32..1.0,
        (candidates, keep) in (1_usize..40, 1_usize..90),
    ) {
        let priors = PriorConfig::mobilenet().boxes().unwrap();
        let priors: Vec<_> = priors.into_iter().rev().take(30).collect();
        let options = DetectOptions { score_threshold, candidates, iou_threshold, keep };
        let found = postprocess(&loc, &logits, &priors, &BoxCoder::SSD, &options).unwrap();
        prop_assert_eq!(found, oracle(&loc, &logits, &priors, &options));
    }
}
