//! A resumed run takes the steps of an unbroken one.

use pyrograph_models::ssd::DetectorCard;
use pyrograph_models::{
    ssd::Ssd,
    weights::{StateDict, load_model},
};
use pyrograph_train::ssd::{SsdOptimizer, SsdTraining, best_weights};

use super::common::{Notes, Run, assert_same_weights, scenes, tiny};

#[test]
fn a_resumed_run_ends_with_the_weights_and_losses_of_an_unbroken_one() {
    let config = SsdTraining {
        evaluate_every: 2,
        ..tiny(5)
    };
    let validation = scenes().subset(&[0, 1]);
    let unbroken = Run::new(&config);
    let whole = unbroken
        .train_on(&config, &scenes(), Some(&validation), &mut ())
        .expect("trained");

    let broken = Run::new(&config);
    let mut notes = Notes {
        stop_after: Some(3),
        ..Notes::default()
    };
    let first = broken
        .train_on(&config, &scenes(), Some(&validation), &mut notes)
        .expect("stopped");
    assert!(first.interrupted && first.steps == 3);
    let mut notes = Notes::default();
    let second = broken
        .train_on(&config, &scenes(), Some(&validation), &mut notes)
        .expect("trained");
    assert_same_weights(&whole.network, &second.network);
    assert_eq!(unbroken.log(), broken.log());
    assert_eq!(whole.best, second.best);
    assert_eq!(notes.evaluated, [4, 5]);

    // Nothing is left to do.
    let again = broken
        .train_on(&config, &scenes(), Some(&validation), &mut ())
        .expect("at its end");
    assert_eq!((again.steps, again.last), (5, None));
}

#[test]
fn a_run_that_is_broken_within_an_epoch_goes_on_with_its_loaders_its_adam_and_its_frozen_layers() {
    let config = SsdTraining {
        optimizer: SsdOptimizer::AdamW,
        learning_rate: 1e-3,
        loaders: 2,
        freeze: 2,
        ..tiny(5)
    };
    let whole = Run::new(&config).train(&config, &mut ()).expect("trained");
    let broken = Run::new(&config);
    let mut notes = Notes {
        stop_after: Some(2),
        ..Notes::default()
    };
    // An epoch is three steps.
    let first = broken.train(&config, &mut notes).expect("stopped");
    assert!(first.interrupted && first.steps == 2);
    let second = broken.train(&config, &mut ()).expect("trained");
    assert_same_weights(&whole.network, &second.network);
}

#[test]
fn a_run_that_ends_by_the_clock_is_judged_and_saved() {
    let config = SsdTraining {
        steps: None,
        max_minutes: Some(1e-9),
        ..tiny(1)
    };
    let run = Run::new(&config);
    let mut notes = Notes::default();
    let trained = run
        .train_on(
            &config,
            &scenes(),
            Some(&scenes().subset(&[0, 1])),
            &mut notes,
        )
        .expect("trained");
    // The time is over after any step.
    assert_eq!((trained.steps, notes.evaluated.as_slice()), (1, &[1][..]));
    assert!(trained.best.is_some() && run.folder.path().join("checkpoints/step-1").is_dir());
}

#[test]
fn the_best_network_is_kept_with_its_card() {
    let config = SsdTraining {
        evaluate_every: 1,
        ..tiny(3)
    };
    let validation = scenes().subset(&[0, 1]);
    let run = Run::new(&config);
    let trained = run
        .train_on(&config, &scenes(), Some(&validation), &mut ())
        .expect("trained");
    let maps: Vec<f64> = run.log().iter().filter_map(|record| record.map).collect();
    assert_eq!(maps.len(), 3);
    let best = maps.iter().copied().fold(0.0, f64::max);
    assert_eq!(trained.best, Some(best));

    let path = best_weights(&run.folder).expect("evaluated");
    assert!(path.ends_with("best.safetensors"));
    let (_, read) =
        load_model::<burn_flex::Flex, Ssd<_>>(&path, &Default::default()).expect("reads");
    assert_eq!(read, config.model);
    let dict = StateDict::open(&path).expect("reads");
    let card = DetectorCard::of(&dict, &read)
        .expect("reads")
        .expect("there");
    assert_eq!(card.classes, scenes().class_names());
}
