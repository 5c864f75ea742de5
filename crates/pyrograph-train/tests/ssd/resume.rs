//! A resumed run takes the steps of an unbroken one.

use pyrograph_models::ssd::DetectorCard;
use pyrograph_models::{
    ssd::Ssd,
    weights::{StateDict, load_model},
};
use pyrograph_train::ssd::{SsdTraining, best_weights};

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
