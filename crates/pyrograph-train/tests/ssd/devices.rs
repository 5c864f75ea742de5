//! Batches that several devices share.

use pyrograph_train::TrainError;
#[cfg(feature = "several-devices")]
use pyrograph_train::ssd::SsdTraining;

use super::common::{Run, tiny};

#[test]
fn no_device_is_refused() {
    let config = tiny(1);
    let error = Run::new(&config)
        .train_shared(&config, 0)
        .expect_err("none");
    assert!(matches!(error, TrainError::Config { .. }), "{error}");
}

#[cfg(not(feature = "several-devices"))]
#[test]
fn several_devices_need_their_feature() {
    let config = tiny(1);
    let error = Run::new(&config).train_shared(&config, 2).expect_err("two");
    let text = error.to_string();
    assert!(
        text.contains("is 2") && text.contains("`several-devices`"),
        "{text}"
    );
}

/// Without batch norm a share knows nothing of its neighbours: the steps are those of one device, but for the order of sums.
#[cfg(feature = "several-devices")]
#[test]
fn shares_sum_to_the_step_of_the_whole_batch() {
    use super::common::weights;

    let mut config = SsdTraining {
        batch_size: 5,
        learning_rate: 1e-3,
        ema: None,
        ..tiny(3)
    };
    config.model.batch_norm = false;
    let train = |devices| {
        let run = Run::new(&config);
        let trained = run.train_shared(&config, devices).expect("trained");
        (run.log(), weights(&trained.network))
    };
    let (log, whole) = train(1);
    // Five images are two and three; of three devices one has none, since a share has two images at least.
    for devices in [2, 3] {
        let (shared_log, shared) = train(devices);
        for (a, b) in log.iter().zip(&shared_log) {
            assert_eq!(a.positives, b.positives);
            assert!(
                (a.loc_loss - b.loc_loss).abs() < 1e-4 * a.loc_loss,
                "{a:?} {b:?}"
            );
            assert!(
                (a.conf_loss - b.conf_loss).abs() < 1e-4 * a.conf_loss,
                "{a:?} {b:?}"
            );
        }
        for key in whole.keys() {
            let (a, b) = (whole.get(key).expect(key), shared.get(key).expect(key));
            let largest = a
                .to_f32()
                .iter()
                .fold(0.0_f32, |largest, v| largest.max(v.abs()));
            for (a, b) in a.to_f32().iter().zip(&b.to_f32()) {
                assert!((a - b).abs() <= 1e-4 * largest, "{key}: {a} {b}");
            }
        }
    }
}

#[cfg(feature = "several-devices")]
#[test]
fn a_shared_training_repeats_to_the_bit_and_its_norms_have_seen_something() {
    use super::common::{assert_same_weights, weights};

    let config = SsdTraining {
        batch_size: 4,
        ..tiny(3)
    };
    let train = || Run::new(&config).train_shared(&config, 2).expect("trained");
    let (first, second) = (train(), train());
    assert_same_weights(&first.network, &second.network);
    let trained = weights(&first.network);
    let key = trained
        .keys()
        .find(|key| key.ends_with("running_var"))
        .expect("a norm");
    assert!(
        trained
            .get(key)
            .expect(key)
            .to_f32()
            .iter()
            .any(|v| *v != 1.0)
    );
}
