//! What a scorer refuses.

use std::ops::ControlFlow;

use pyrograph_pipelines::{
    PipelineError,
    anomaly::{Method, ScoredImage, SearchConfig},
};

use crate::common::{SIZE, known, scorer, short};

fn score(images: &[f32], config: &SearchConfig) -> Result<Vec<ScoredImage>, PipelineError> {
    scorer().score(images, Method::Search, config, &mut |_, _| {
        ControlFlow::Continue(())
    })
}

#[test]
fn values_that_are_no_whole_images_are_refused() {
    for values in [0, 1, SIZE - 1, SIZE + 1] {
        let message = score(&vec![0.0; values], &short())
            .expect_err("refused")
            .to_string();
        assert!(
            message.contains(&values.to_string()) && message.contains("256"),
            "{message}"
        );
    }
}

#[test]
fn values_that_are_not_finite_are_refused_with_their_place() {
    for value in [f32::NAN, f32::INFINITY] {
        let mut images = known(3);
        images[2 * SIZE + 7] = value;
        let message = score(&images, &short()).expect_err("refused").to_string();
        assert!(
            message.contains("image 2") && message.contains("place 7"),
            "{message}"
        );
    }
}

#[test]
fn a_verdict_without_a_threshold_is_refused_with_what_to_do() {
    let error = scorer()
        .calibration(Method::Search)
        .copied()
        .expect_err("refused");
    let message = error.to_string();
    assert!(
        message.contains("search") && message.contains("anomaly fit"),
        "{message}"
    );
    let go_on = &mut |_, _| ControlFlow::Continue(());
    let fitted = scorer().calibrated(&known(2), Method::Encoder, &short(), 0.9, go_on);
    let fitted = fitted.expect("legal");
    let message = fitted
        .calibration(Method::Warm)
        .expect_err("refused")
        .to_string();
    assert!(
        message.contains("warm") && message.contains("encoder"),
        "{message}"
    );
}

#[test]
fn quantiles_and_searches_out_of_range_are_refused_before_any_search() {
    let never = &mut |_, _| -> ControlFlow<()> { panic!("a step was taken") };
    for quantile in [0.0, 1.1, f64::NAN] {
        let fitted = scorer().calibrated(&known(1), Method::Search, &short(), quantile, never);
        assert!(
            fitted
                .expect_err("refused")
                .to_string()
                .contains("quantile")
        );
    }
    let config = SearchConfig {
        steps: 0,
        ..short()
    };
    let message = score(&known(1), &config).expect_err("refused").to_string();
    assert!(message.contains("steps is 0"), "{message}");
}
