//! Fitted model files.

use std::ops::ControlFlow;

use pyrograph_models::weights::{LoadOptions, Precision, save_model};
use pyrograph_pipelines::anomaly::{AnomalyScorer, Method};

use crate::common::{A, config, known, networks, score, scorer, scores, short, strange};

#[test]
fn a_file_carries_networks_and_thresholds() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("anomaly.safetensors");
    let go_on = &mut |_, _| ControlFlow::Continue(());
    let fitted = scorer()
        .calibrated(&known(4), Method::Encoder, &short(), 0.75, go_on)
        .and_then(|s| s.calibrated(&known(4), Method::Search, &short(), 1.0, go_on))
        .expect("legal");
    fitted.save(&path).expect("writable");
    let read = AnomalyScorer::<A>::open(&path, &Default::default()).expect("readable");
    assert_eq!(read.card(), fitted.card());
    assert_eq!(read.config(), &config());
    let images = strange(2);
    let again = read
        .score(&images, Method::Search, &short(), go_on)
        .expect("legal");
    assert_eq!(
        scores(&again),
        scores(&score(&images, Method::Search, &short()))
    );
    // The line lies where it was asked for: all of the normal images are below the whole of them.
    let line = read.calibration(Method::Search).expect("calibrated");
    let normal = scores(&score(&known(4), Method::Search, &short()));
    assert_eq!(
        line.threshold,
        normal.iter().copied().fold(f32::MIN, f32::max)
    );
    assert_eq!((line.images, line.search), (4, Some(short())));
    assert!(normal.iter().all(|&score| !line.is_anomalous(score)));
    assert!(scores(&again).iter().all(|&score| line.is_anomalous(score)));
    assert_eq!(
        read.calibration(Method::Encoder)
            .expect("calibrated")
            .search,
        None
    );
}

#[test]
fn weights_in_half_precision_score_by_the_encoder_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("anomaly.safetensors");
    scorer().save(&path).expect("writable");
    let go_on = &mut |_, _| ControlFlow::Continue(());
    let images = strange(2);
    let open = |precision| {
        let options = LoadOptions::of_weights(precision);
        AnomalyScorer::<A>::open_by(&path, &options, &Default::default()).expect("readable")
    };
    for method in [Method::Encoder, Method::Search] {
        let exact = open(Precision::F32).score(&images, method, &short(), go_on);
        assert_eq!(exact.expect("legal"), score(&images, method, &short()));
    }
    let exact = scores(&score(&images, Method::Encoder, &short()));
    for precision in [Precision::Bf16, Precision::F16] {
        let half = open(precision);
        let scored = half.score(&images, Method::Encoder, &short(), go_on);
        let scored = scores(&scored.expect("legal"));
        assert_ne!(scored, exact);
        for (half, exact) in scored.iter().zip(&exact) {
            assert!((half - exact).abs() <= 3e-2 * exact, "{half} {exact}");
        }
        for method in [Method::Search, Method::Warm] {
            let refused = half.score(&images, method, &short(), go_on);
            let message = refused.expect_err("a search").to_string();
            for words in [&precision.to_string(), "f32", "the method encoder"] {
                assert!(message.contains(words), "{message}");
            }
        }
    }
}

#[test]
fn a_file_without_a_card_or_with_a_wrong_one_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.safetensors");
    let open = || {
        let opened = AnomalyScorer::<A>::open(&path, &Default::default());
        opened.expect_err("refused").to_string()
    };
    save_model(&networks(), &config(), Default::default(), &path).expect("writable");
    assert!(open().contains("does not say how it scores"));
    let card = r#"{"normalisation": {"mean": 0.5, "std": 0.5}, "score": 7, "normal": [], "calibrations": {}}"#;
    let notes = [("pyrograph.anomaly".to_owned(), card.to_owned())].into();
    save_model(&networks(), &config(), notes, &path).expect("writable");
    let message = open();
    assert!(
        message.contains("lambda") && message.contains('7'),
        "{message}"
    );
    std::fs::write(&path, b"no model").expect("writable");
    assert!(open().contains("model.safetensors"));
}
