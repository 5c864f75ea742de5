//! Areas, curves and thresholds agree with scikit-learn's and numpy's; see
//! `fixtures/ranking/make.py`.

use pyrograph_metrics::{
    PrecisionRecallCurve, RocCurve, auroc, average_precision, confusion_at, f1_max,
    quantile_threshold,
};
use serde_json::Value;

/// Shares of small numbers, added in another order.
const EXACT: f64 = 1e-12;
/// Thresholds are rounded to f32.
const F32_OP: f64 = 1e-6;

struct Case {
    name: String,
    scores: Vec<f32>,
    anomalous: Vec<bool>,
    expected: Value,
}

fn cases() -> Vec<Case> {
    let text = include_str!("../fixtures/ranking/reference.json");
    let cases: Vec<Value> = serde_json::from_str(text).unwrap();
    let case = |expected: Value| Case {
        name: expected["name"].as_str().unwrap().into(),
        scores: numbers(&expected["scores"])
            .iter()
            .map(|x| *x as f32)
            .collect(),
        anomalous: serde_json::from_value(expected["anomalous"].clone()).unwrap(),
        expected,
    };
    cases.into_iter().map(case).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    let values = value.as_array().unwrap().iter();
    values.map(|value| value.as_f64().unwrap()).collect()
}

fn assert_near(name: &str, seen: &[f64], expected: &[f64]) {
    assert_eq!(seen.len(), expected.len(), "{name}");
    for (seen, expected) in seen.iter().zip(expected) {
        assert!((seen - expected).abs() < EXACT, "{name}: {seen} {expected}");
    }
}

#[test]
fn areas_agree_with_scikit_learn() {
    for case in cases() {
        let area = auroc(&case.scores, &case.anomalous).unwrap();
        let average = average_precision(&case.scores, &case.anomalous).unwrap();
        let expected =
            ["auroc", "average_precision"].map(|key| case.expected[key].as_f64().unwrap());
        assert_near(&case.name, &[area, average], &expected);
    }
}

#[test]
fn roc_curves_agree_with_scikit_learn() {
    for case in cases() {
        let points = RocCurve::new(&case.scores, &case.anomalous).unwrap().points;
        let expected = &case.expected["roc"];
        let fpr: Vec<f64> = points.iter().map(|point| point.fpr).collect();
        let tpr: Vec<f64> = points.iter().map(|point| point.tpr).collect();
        assert_near(&case.name, &fpr, &numbers(&expected["fpr"]));
        assert_near(&case.name, &tpr, &numbers(&expected["tpr"]));
        // What the point before does not call is the first that this one calls.
        let called_from: Vec<f64> = points.iter().map(|point| point.threshold.into()).collect();
        let (last, called_from) = called_from.split_last().unwrap();
        assert_eq!(called_from, numbers(&expected["called_from"]));
        assert_eq!(*last, f64::NEG_INFINITY);
    }
}

#[test]
fn precision_recall_curves_agree_with_scikit_learn() {
    for case in cases() {
        let curve = PrecisionRecallCurve::new(&case.scores, &case.anomalous).unwrap();
        // scikit-learn's order is from the lowest threshold up.
        let points = curve.points.iter().rev();
        let expected = &case.expected["precision_recall"];
        let precision: Vec<f64> = points.clone().map(|point| point.precision).collect();
        let recall: Vec<f64> = points.clone().map(|point| point.recall).collect();
        assert_near(&case.name, &precision, &numbers(&expected["precision"]));
        assert_near(&case.name, &recall, &numbers(&expected["recall"]));
        let called_from: Vec<f64> = points.skip(1).map(|point| point.threshold.into()).collect();
        assert_eq!(called_from, numbers(&expected["called_from"]));
    }
}

#[test]
fn the_largest_f1_agrees_with_scikit_learn_and_survives_two_decimals() {
    for case in cases() {
        let best = f1_max(&case.scores, &case.anomalous).unwrap();
        let expected = case.expected["f1_max"].as_f64().unwrap();
        assert_near(&case.name, &[best.f1], &[expected]);
        let written = format!("{:.2}", best.threshold).parse().unwrap();
        let confusion = confusion_at(&case.scores, &case.anomalous, written).unwrap();
        assert_near(&case.name, &[confusion.f1().unwrap()], &[expected]);
    }
}

#[test]
fn quantile_thresholds_agree_with_numpy() {
    for case in cases() {
        for (level, expected) in case.expected["quantiles"].as_object().unwrap() {
            let seen = quantile_threshold(&case.scores, level.parse().unwrap()).unwrap();
            let expected = expected.as_f64().unwrap();
            let difference = (f64::from(seen) - expected).abs();
            assert!(
                difference <= F32_OP * expected.abs().max(1.0),
                "{}: {level}",
                case.name
            );
        }
    }
}
