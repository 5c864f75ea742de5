//! What scores are.

use std::ops::ControlFlow;

use burn::tensor::Tensor;
use burn_flex::Flex;
use pyrograph_losses::AnomalyScore;
use pyrograph_models::blocks::BatchStatistics;
use pyrograph_pipelines::{
    PipelineError,
    anomaly::{AnomalyScorer, Method, SearchConfig},
};

use crate::common::{
    A, SIZE, assert_close, known, networks, score, scorer, scores, short, strange,
};

/// Sixty steps of Adam amplify the rounding in which batches differ.
const SEARCHED: f32 = 1e-3;

#[test]
fn an_image_scores_alone_as_it_does_in_a_batch() {
    let images = [known(3), strange(2)].concat();
    for method in Method::ALL {
        let together = scores(&score(&images, method, &short()));
        for (index, image) in images.chunks(SIZE).enumerate() {
            let alone = scores(&score(image, method, &short()));
            assert_close(&alone, &together[index..=index], SEARCHED);
        }
        // Nor does it matter how many are searched for at once, or in which order they come.
        let pairs = SearchConfig {
            batch_size: 2,
            ..short()
        };
        assert_close(
            &scores(&score(&images, method, &pairs)),
            &together,
            SEARCHED,
        );
        let reversed: Vec<f32> = images.chunks(SIZE).rev().flatten().copied().collect();
        let mut backwards = scores(&score(&reversed, method, &short()));
        backwards.reverse();
        assert_close(&backwards, &together, SEARCHED);
    }
}

#[test]
fn images_of_different_seeds_score_together_as_they_do_alone() {
    let images = [known(2), strange(1)].concat();
    let seeds = [4, 9, 4];
    let go_on = &mut |_, _| ControlFlow::Continue(());
    for method in Method::ALL {
        let seen = scorer().score_seeded(&images, &seeds, method, &short(), go_on);
        let seen = scores(&seen.expect("legal"));
        for (index, (image, seed)) in images.chunks(SIZE).zip(seeds).enumerate() {
            let config = SearchConfig { seed, ..short() };
            let alone = scores(&score(image, method, &config));
            assert_close(&alone, &seen[index..=index], SEARCHED);
        }
    }
    let error = scorer()
        .score_seeded(&images, &seeds[1..], Method::Encoder, &short(), go_on)
        .expect_err("a seed is missing");
    assert!(error.to_string().contains("seeds is 2"), "{error}");
}

#[test]
fn a_scorer_that_is_used_again_scores_as_a_new_one() {
    let scorer = scorer();
    let image = strange(1);
    let with = |scorer: &AnomalyScorer<A>, seed| {
        let config = SearchConfig { seed, ..short() };
        let go_on = &mut |_, _| ControlFlow::Continue(());
        let scored = scorer.score(&image, Method::Search, &config, go_on);
        scores(&scored.expect("legal"))
    };
    let seen = [1, 1, 2, 1].map(|seed| with(&scorer, seed));
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[3]);
    assert_ne!(seen[0], seen[2]);
    assert_eq!(seen[2], with(&crate::common::scorer(), 2));
}

#[test]
fn the_parts_are_those_of_the_score_and_the_twin() {
    let images = strange(2);
    for method in Method::ALL {
        for (image, scored) in images.chunks(SIZE).zip(score(&images, method, &short())) {
            let residual: f32 = image
                .iter()
                .zip(&scored.twin)
                .map(|(x, twin)| (x - twin).abs())
                .sum();
            assert_close(&[scored.residual], &[residual], 1e-4);
            let whole = 0.9 * scored.residual + 0.1 * scored.discrimination;
            assert_close(&[scored.score], &[whole], 1e-5);
            assert_eq!(scored.latent.len(), 4);
            assert!(scored.twin.iter().all(|value| value.abs() <= 1.0));
        }
    }
}

#[test]
fn images_that_the_generator_knows_score_far_below_strange_ones() {
    let search = SearchConfig {
        steps: 150,
        restarts: 2,
        ..SearchConfig::default()
    };
    let known = scores(&score(&known(4), Method::Search, &search));
    let strange = scores(&score(&strange(4), Method::Search, &search));
    let highest = known.iter().copied().fold(f32::MIN, f32::max);
    let lowest = strange.iter().copied().fold(f32::MAX, f32::min);
    assert!(2.0 * highest < lowest, "{known:?} {strange:?}");
}

#[test]
fn more_steps_and_more_starts_never_score_higher() {
    let images = [known(2), strange(1)].concat();
    let first = |steps, restarts| {
        // One rate for all, so that the shorter search is the beginning of the longer.
        let config = SearchConfig {
            steps,
            restarts,
            ..SearchConfig::default()
        };
        scores(&score(&images, Method::Search, &config))
    };
    for (better, worse) in [(first(40, 3), first(40, 1)), (first(40, 1), first(1, 1))] {
        assert!(
            better.iter().zip(&worse).all(|(a, b)| a <= b),
            "{better:?} {worse:?}"
        );
    }
    // A search from the encoder's vector keeps it where nothing better is found.
    let warm = scores(&score(&images, Method::Warm, &short()));
    let encoder = scores(&score(&images, Method::Encoder, &short()));
    assert!(
        warm.iter().zip(&encoder).all(|(a, b)| *a <= b * 1.0001),
        "{warm:?} {encoder:?}"
    );
}

#[test]
fn another_seed_starts_elsewhere_and_equal_images_start_alike() {
    let one = known(1);
    let start = |pool, seed, images: &[f32]| {
        let config = SearchConfig {
            steps: 1,
            learning_rate: 1e-9,
            pool,
            seed,
            ..SearchConfig::default()
        };
        score(images, Method::Search, &config)
            .into_iter()
            .map(|s| s.latent)
            .collect::<Vec<_>>()
    };
    for pool in [0, 50] {
        assert_ne!(start(pool, 0, &one), start(pool, 1, &one), "{pool}");
    }
    let [first, second] = start(0, 0, &[one.clone(), one].concat())
        .try_into()
        .expect("two");
    assert_eq!(first, second);
    // Different images do not share a start: a latent vector is drawn for each.
    let [first, second] = start(0, 0, &known(2)).try_into().expect("two");
    assert_ne!(first, second);
}

#[test]
fn an_early_stop_spares_steps_for_each_image_by_itself() {
    let images = [known(2), strange(3)].concat();
    let whole = SearchConfig {
        steps: 400,
        learning_rate: 0.02,
        ..SearchConfig::default()
    };
    let early = SearchConfig {
        early_stop: 0.01,
        ..whole
    };
    let (whole, stopped) = (
        score(&images, Method::Search, &whole),
        score(&images, Method::Search, &early),
    );
    assert!(whole.iter().all(|image| image.steps == 400));
    assert!(stopped.iter().any(|image| image.steps < 400), "{stopped:?}");
    for (index, image) in stopped.iter().enumerate() {
        assert!(image.score >= whole[index].score * 0.999);
        let alone = score(&images[index * SIZE..][..SIZE], Method::Search, &early);
        assert_eq!(alone[0].steps, image.steps, "image {index}");
        assert_close(&[alone[0].score], &[image.score], SEARCHED);
    }
}

#[test]
fn the_weight_of_the_features_changes_the_score_and_drops_the_thresholds() {
    let images = strange(2);
    let go_on = &mut |_, _| ControlFlow::Continue(());
    let fitted = scorer()
        .calibrated(&known(3), Method::Encoder, &short(), 0.9, go_on)
        .expect("legal");
    assert!(fitted.calibration(Method::Encoder).is_ok());
    let pixels = fitted.with_score(AnomalyScore::new(0.0).expect("legal"));
    assert!(pixels.calibration(Method::Encoder).is_err());
    let scored = pixels
        .score(&images, Method::Encoder, &short(), go_on)
        .expect("legal");
    assert!(scored.iter().all(|image| image.score == image.residual));
}

#[test]
fn progress_counts_every_step_and_may_break_off() {
    let images = known(3);
    let config = SearchConfig {
        steps: 10,
        batch_size: 2,
        ..SearchConfig::default()
    };
    let mut seen = Vec::new();
    scorer()
        .score(&images, Method::Search, &config, &mut |done, total| {
            seen.push((done, total));
            ControlFlow::Continue(())
        })
        .expect("legal");
    assert!(seen.into_iter().eq((1..=20).map(|done| (done, 20))));
    let stopped = scorer().score(&images, Method::Search, &config, &mut |done, _| {
        if done == 7 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert!(matches!(stopped, Err(PipelineError::Stopped)));
}

#[test]
fn networks_in_train_mode_join_the_images_of_a_batch() {
    let images = [known(2), strange(1)].concat();
    let article = SearchConfig {
        steps: 20,
        ..SearchConfig::article()
    };
    let together = score(&images, Method::Search, &article);
    // The twins are the generator's of these latent vectors, with the statistics of the batch.
    let z: Vec<f32> = together
        .iter()
        .flat_map(|image| &image.latent)
        .copied()
        .collect();
    let z = Tensor::<Flex, 1>::from_floats(&z[..], &Default::default()).reshape([3, 4]);
    let twins = networks()
        .generator
        .forward_training(z.clone(), &mut BatchStatistics::new());
    let twins: Vec<f32> = twins.into_data().iter::<f32>().collect();
    let seen: Vec<f32> = together
        .iter()
        .flat_map(|image| &image.twin)
        .copied()
        .collect();
    assert_close(&seen, &twins, SEARCHED);
    // So an image scores otherwise alone, as in evaluation it does not.
    let difference = |config: &SearchConfig| {
        let together = scores(&score(&images, Method::Search, config))[0];
        let alone = scores(&score(&images[..SIZE], Method::Search, config))[0];
        (alone - together).abs() / together.abs()
    };
    assert!(difference(&article) > 0.01, "{}", difference(&article));
    let evaluated = SearchConfig {
        train_mode: false,
        ..article
    };
    assert!(difference(&evaluated) < SEARCHED);
}
