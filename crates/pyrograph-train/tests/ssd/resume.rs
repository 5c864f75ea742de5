//! A resumed run takes the steps of an unbroken one.

use std::{fs, panic};

use burn_flex::Flex;
use pyrograph_metrics::VocReport;
use pyrograph_models::ssd::DetectorCard;
use pyrograph_models::{
    ssd::Ssd,
    weights::{StateDict, load_model, save_model},
};
use pyrograph_train::ssd::{SsdHooks, SsdOptimizer, SsdTraining, best_weights};

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

/// Ends in the evaluation of this step, as a run that is killed in it.
struct Killed(u64);

impl SsdHooks<Flex> for Killed {
    fn evaluated(&mut self, step: u64, _: &VocReport) {
        assert_ne!(step, self.0, "killed");
    }
}

#[test]
fn a_run_that_is_killed_in_an_evaluation_has_its_checkpoint_and_owes_the_evaluation() {
    let config = SsdTraining {
        checkpoint_every: 2,
        evaluate_every: 2,
        ..tiny(5)
    };
    let validation = scenes().subset(&[0, 1]);
    let unbroken = Run::new(&config);
    let whole = unbroken
        .train_on(&config, &scenes(), Some(&validation), &mut ())
        .expect("trained");
    for killed_at in [4, 5] {
        let run = Run::new(&config);
        let mut killed = Killed(killed_at);
        let train = panic::AssertUnwindSafe(|| {
            run.train_on(&config, &scenes(), Some(&validation), &mut killed)
        });
        assert!(panic::catch_unwind(train).is_err());
        assert_eq!(run.folder.last_checkpoint().expect("saved").0, killed_at);
        assert_eq!(run.log().len() as u64, killed_at - 1);

        let mut notes = Notes::default();
        let resumed = run
            .train_on(&config, &scenes(), Some(&validation), &mut notes)
            .expect("goes on");
        assert_eq!(notes.evaluated[0], killed_at);
        assert_same_weights(&whole.network, &resumed.network);
        assert_eq!(unbroken.log(), run.log());
        assert_eq!(whole.best, resumed.best);
        // What is done is not owed.
        let mut notes = Notes::default();
        run.train_on(&config, &scenes(), Some(&validation), &mut notes)
            .expect("at its end");
        assert!(notes.evaluated.is_empty());
    }
}

#[test]
fn a_better_network_of_a_killed_run_is_not_overwritten_by_a_worse_one() {
    let config = SsdTraining {
        evaluate_every: 1,
        ..tiny(2)
    };
    let validation = scenes().subset(&[0, 1]);
    let run = Run::new(&config);
    let train = || run.train_on(&config, &scenes(), Some(&validation), &mut ());
    let first = train().expect("trained");
    // A run that was killed after its best evaluation, before the next checkpoint: its file says
    // how good it is.
    let path = best_weights(&run.folder).expect("evaluated");
    let (network, read) = load_model::<Flex, Ssd<_>>(&path, &Default::default()).expect("reads");
    let mut notes = StateDict::open(&path).expect("reads").metadata().clone();
    let note = notes.get("pyrograph.best").expect("in the header").clone();
    assert!(note.contains("\"step\""), "{note}");
    notes.insert("pyrograph.best".into(), r#"{"step":9,"map":0.99}"#.into());
    save_model(&network, &read, notes, &path).expect("written");
    fs::remove_dir_all(run.folder.path().join("checkpoints")).expect("removed");
    let before = fs::read(&path).expect("there");
    let again = train().expect("from its start");
    assert_eq!(again.best, Some(0.99));
    assert!(fs::read(&path).expect("there") == before);
    assert!(first.best.is_some_and(|best| best < 0.99));
    // Without the file there is no best network to keep.
    fs::remove_file(&path).expect("removed");
    fs::remove_dir_all(run.folder.path().join("checkpoints")).expect("removed");
    assert_eq!(train().expect("from its start").best, first.best);
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
