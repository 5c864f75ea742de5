//! What a training does.

use pyrograph_models::{
    ssd::{SsdBackbone, Transfer},
    weights::StateDict,
};
use pyrograph_train::{
    run_folder::RunFolder,
    ssd::{RateSchedule, SsdTraining, StartFrom, Unfreeze, best_weights, train_ssd},
};

use super::common::{A, Run, assert_same_weights, scenes, tiny, weights};

#[test]
fn every_step_is_logged_with_its_terms_and_the_loss_falls() {
    let config = SsdTraining {
        augment: pyrograph_data::detection::SsdAugment::none(),
        learning_rate: 0.01,
        ..tiny(24)
    };
    let run = Run::new(&config);
    let trained = run.train(&config, &mut ()).expect("trained");
    let log = run.log();
    assert_eq!(trained.steps, 24);
    assert_eq!(log.len(), 24);
    for (place, record) in log.iter().enumerate() {
        assert_eq!(record.step, place as u64 + 1);
        // Three batches of two of seven images: the rest of one is left out.
        assert_eq!(record.epoch, place as u64 / 3);
        assert!(record.positives > 0 && record.gradient_norm.expect("clipped") > 0.0);
        assert!(record.loc_loss > 0.0 && record.conf_loss > 0.0 && record.map.is_none());
    }
    // The rate rises over two steps and falls by a cosine.
    assert!((log[0].rate - 0.005).abs() < 1e-9 && log[1].rate > 0.0099);
    assert!(log[23].rate < 1e-4);
    let mean = |part: &[pyrograph_train::ssd::DetectionRecord]| {
        part.iter().map(|r| r.loc_loss + r.conf_loss).sum::<f32>() / part.len() as f32
    };
    let (first, last) = (mean(&log[..6]), mean(&log[18..]));
    assert!(last < 0.9 * first, "{first} → {last}");
}

#[test]
fn the_number_of_loaders_changes_nothing() {
    let train = |loaders| {
        let config = SsdTraining { loaders, ..tiny(4) };
        Run::new(&config).train(&config, &mut ()).expect("trained")
    };
    assert_same_weights(&train(1).network, &train(3).network);
}

#[test]
fn published_steps_lower_the_rate_to_tenths() {
    let config = SsdTraining {
        schedule: RateSchedule::Steps(vec![0.5, 0.75]),
        warm_up: 0,
        ..tiny(8)
    };
    let run = Run::new(&config);
    run.train(&config, &mut ()).expect("trained");
    let rates: Vec<f64> = run.log().iter().map(|record| record.rate / 0.02).collect();
    let expected = [1.0, 1.0, 1.0, 1.0, 0.1, 0.1, 0.01, 0.01];
    for (rate, expected) in rates.iter().zip(expected) {
        assert!((rate - expected).abs() < 1e-9, "{rates:?}");
    }
}

#[test]
fn an_exponential_schedule_falls_after_every_epoch() {
    let config = SsdTraining {
        schedule: RateSchedule::Exponential(0.5),
        warm_up: 0,
        ..tiny(7)
    };
    let run = Run::new(&config);
    run.train(&config, &mut ()).expect("trained");
    let rates: Vec<f64> = run.log().iter().map(|record| record.rate / 0.02).collect();
    // An epoch is three steps.
    let expected = [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25];
    for (rate, expected) in rates.iter().zip(expected) {
        assert!((rate - expected).abs() < 1e-9, "{rates:?}");
    }
}

#[test]
fn a_frozen_leg_is_followed_by_a_free_one_with_its_own_rate_also_after_a_resume() {
    let frozen = |key: &str| key.starts_with("vgg.0.") && key.ends_with("weight");
    let config = SsdTraining {
        schedule: RateSchedule::Exponential(0.5),
        warm_up: 0,
        freeze: 2,
        unfreeze: Some(Unfreeze {
            at: 0.5,
            learning_rate: Some(0.01),
        }),
        ema: None,
        ..tiny(8)
    };
    let fresh = config
        .model
        .init::<burn_flex::Flex>(&Default::default(), config.seed);
    let fresh = weights(&fresh.expect("legal"));
    let moved = |network: &_| {
        let after = weights(network);
        fresh
            .keys()
            .filter(|key| frozen(key))
            .any(|key| fresh.get(key) != after.get(key))
    };
    let broken = Run::new(&config);
    let mut notes = super::common::Notes {
        stop_after: Some(4),
        ..Default::default()
    };
    let first = broken.train(&config, &mut notes).expect("stopped");
    assert!(!moved(&first.network));
    let second = broken.train(&config, &mut ()).expect("trained");
    assert!(moved(&second.network));
    let unbroken = Run::new(&config);
    let whole = unbroken.train(&config, &mut ()).expect("trained");
    assert_same_weights(&whole.network, &second.network);
    assert_eq!(unbroken.log(), broken.log());
    let rates: Vec<f64> = broken.log().iter().map(|record| record.rate).collect();
    let expected = [0.02, 0.02, 0.02, 0.01, 0.01, 0.01, 0.01, 0.005];
    for (rate, expected) in rates.iter().zip(expected) {
        assert!((rate - expected).abs() < 1e-9, "{rates:?}");
    }
}

#[test]
fn frozen_layers_stay_with_their_statistics_and_the_others_move() {
    for (backbone, width, kept) in [
        (SsdBackbone::Vgg16, 0.03125, ["vgg.0.", "vgg.2."]),
        (
            SsdBackbone::MobilenetV2,
            0.0625,
            ["base_net.0.", "base_net.1."],
        ),
    ] {
        let usual = tiny(2);
        let config = SsdTraining {
            model: SsdTraining::for_set(&scenes(), backbone, width).model,
            freeze: 2,
            ema: None,
            ..usual
        };
        let fresh = config
            .model
            .init::<burn_flex::Flex>(&Default::default(), config.seed);
        let before = weights(&fresh.expect("legal"));
        let trained = Run::new(&config).train(&config, &mut ()).expect("trained");
        let after = weights(&trained.network);
        let mut moved = 0;
        for key in before.keys() {
            let same = before.get(key) == after.get(key);
            if kept.iter().any(|kept| key.starts_with(kept)) {
                assert!(same, "{key} moved");
            } else {
                moved += usize::from(!same);
            }
        }
        assert!(moved > 30, "{moved}");
    }
}

#[test]
fn a_training_begins_from_another_ones_weights_and_says_what_it_took() {
    let first = tiny(2);
    let run = Run::new(&first);
    run.train(&first, &mut ()).expect("trained");
    let path = pyrograph_train::ssd::best_weights(&run.folder).expect("a checkpoint");
    let start = |transfer| SsdTraining {
        start: Some(StartFrom {
            path: path.clone(),
            transfer,
            part: None,
        }),
        learning_rate: 1e-12,
        weight_decay: 0.0,
        ema: None,
        ..tiny(1)
    };
    for (transfer, fresh) in [
        (Transfer::All, &[][..]),
        (Transfer::ReplaceHeads, &["conf."]),
        (Transfer::Backbone, &["conf.", "loc.", "extras.", "L2Norm."]),
    ] {
        let config = start(transfer);
        let mut notes = super::common::Notes::default();
        let trained = Run::new(&config)
            .train(&config, &mut notes)
            .expect("trained");
        assert!(
            notes.remarks[0].contains("begin afresh"),
            "{:?}",
            notes.remarks
        );
        let (theirs, ours) = (
            pyrograph_models::weights::StateDict::open(&path).expect("reads"),
            weights(&trained.network),
        );
        for key in ours.keys().filter(|key| key.ends_with(".weight")) {
            let (a, b) = (ours.get(key).expect(key), theirs.get(key).expect(key));
            let near = a
                .to_f32()
                .iter()
                .zip(&b.to_f32())
                .all(|(a, b)| (a - b).abs() < 1e-6);
            let is_fresh = fresh.iter().any(|prefix| key.starts_with(prefix));
            // Norms begin at 1 everywhere, and move little.
            if !key.contains("norm") && !key.starts_with("L2Norm") {
                assert_eq!(near, !is_fresh, "{transfer:?}: {key}");
            }
        }
    }
}

#[test]
fn a_run_in_memory_gives_the_network_of_its_best_evaluation() {
    let config = SsdTraining {
        evaluate_every: 2,
        ..tiny(4)
    };
    let validation = scenes();
    let train = |run: &RunFolder| {
        train_ssd::<A>(
            &config,
            &scenes(),
            Some(&validation),
            run,
            &mut (),
            &[Default::default()],
        )
        .expect("trained")
    };
    let on_disk = Run::new(&config);
    let (kept, trained) = (train(&on_disk.folder), train(&RunFolder::in_memory()));
    assert_eq!((trained.steps, trained.best), (4, kept.best));
    assert_same_weights(&trained.network, &kept.network);
    let path = best_weights(&on_disk.folder).expect("kept");
    let best = trained.best_network.expect("kept in memory");
    let weights = weights(&best);
    let stored = StateDict::open(path).expect("a model file");
    for key in weights.keys() {
        assert_eq!(weights.get(key), stored.get(key), "{key}");
    }
    assert!(kept.best_network.is_none());
}
