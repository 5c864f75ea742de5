//! What a training does and writes down.

use pyrograph_data::{Jitter, LabelledImages};
use pyrograph_models::{
    dcgan::{Dcgan, Generator},
    weights::load_model,
};
use pyrograph_train::{TrainError, dcgan::train_dcgan, run_folder::RunFolder, weights_path};

use crate::common::{A, Notes, Run, digits, every_kind, tiny, weights};
use burn_flex::Flex;

#[test]
fn every_kind_of_training_moves_every_weight_and_logs_every_step() {
    for (name, config) in every_kind(6) {
        let run = Run::new(&config);
        let trained = run.train(&config, &mut ()).expect(name);
        assert_eq!((trained.steps, trained.interrupted), (6, false), "{name}");
        let log = run.log();
        assert!(log.iter().map(|line| line.step).eq(1..=6), "{name}");
        for line in &log {
            assert!(line.discriminator_loss.is_finite() && line.generator_loss.is_finite());
            assert!(
                (0.0..=1.0).contains(&line.real_accuracy),
                "{name}: {line:?}"
            );
            assert!(
                (0.0..=1.0).contains(&line.fake_accuracy),
                "{name}: {line:?}"
            );
            let due = (line.step - 1).is_multiple_of(config.penalty_every);
            assert_eq!(
                line.penalty.is_some_and(|penalty| penalty > 0.0),
                config.penalty.is_some() && due,
                "{name}: {line:?}"
            );
        }
        let begun = config
            .model
            .init::<Flex>(&Default::default(), config.seed)
            .expect("legal");
        let (before, after) = (
            weights(&begun.discriminator),
            weights(&trained.discriminator),
        );
        let before_generator = weights(&begun.generator);
        let after_generator = weights(&trained.generator);
        for (before, after) in [(before, after), (before_generator, after_generator)] {
            // The hinge within its margins, and the critic's difference, push its last bias up as much as down.
            let may_rest =
                |key: &str| key == "critic_network.bias" && ["hinge", "wgan-gp"].contains(&name);
            let same: Vec<_> = before
                .keys()
                .filter(|key| before.get(key) == after.get(key) && !may_rest(key))
                .collect();
            assert!(same.is_empty(), "{name}: {same:?} did not move");
        }
    }
}

#[test]
fn epochs_count_passes_and_pictures_and_checkpoints_fall_due_by_steps() {
    let mut config = tiny(7);
    (config.sample_every, config.checkpoint_every) = (3, 2);
    let run = Run::new(&config);
    let mut notes = Notes::default();
    run.train(&config, &mut notes).expect("legal");
    assert_eq!(notes.pictures, [3, 6, 7]);
    let saved = run.folder.checkpoints().expect("readable");
    assert!(saved.iter().map(|(step, _)| *step).eq([6, 7]));
    // Three batches an epoch.
    let epochs: Vec<_> = run.log().iter().map(|line| line.epoch).collect();
    assert_eq!(epochs, [0, 0, 0, 1, 1, 1, 2]);
}

#[test]
fn a_checkpoint_holds_both_networks_and_the_average_the_generator() {
    let config = tiny(4);
    let run = Run::new(&config);
    let trained = run.train(&config, &mut ()).expect("legal");
    let device = Default::default();
    let averaged = weights_path(&run.folder, false).expect("a checkpoint");
    let (generator, read) = load_model::<Flex, Generator<Flex>>(averaged, &device).expect("one");
    assert_eq!(read, config.model);
    crate::common::assert_same_weights(&generator, &trained.generator);
    let raw = weights_path(&run.folder, true).expect("a checkpoint");
    let (networks, _) = load_model::<Flex, Dcgan<Flex>>(raw, &device).expect("both");
    crate::common::assert_same_weights(&networks.discriminator, &trained.discriminator);
    let (raw, average) = (weights(&networks.generator), weights(&generator));
    assert!(
        raw.keys().any(|key| raw.get(key) != average.get(key)),
        "it lags behind"
    );
}

#[test]
fn a_loss_that_is_no_number_ends_the_run_and_keeps_the_last_checkpoint() {
    let config = tiny(3);
    let run = Run::new(&config);
    run.train(&config, &mut ()).expect("legal");
    let wild = pyrograph_train::dcgan::DcganTraining {
        steps: Some(40),
        generator_rate: 1e30,
        discriminator_rate: 1e30,
        ..config
    };
    let error = run.train(&wild, &mut ()).expect_err("diverged");
    assert!(
        matches!(
            error,
            TrainError::Diverged { .. } | TrainError::DivergedWeights { .. }
        ),
        "{error}"
    );
    assert_eq!(run.folder.last_checkpoint().expect("still there").0, 3);
}

#[test]
fn the_steps_before_a_divergence_are_logged_and_no_checkpoint_is_spoken_of() {
    let wild = pyrograph_train::dcgan::DcganTraining {
        generator_rate: 1e12,
        discriminator_rate: 1e12,
        ..tiny(60)
    };
    let run = Run::new(&wild);
    let error = run.train(&wild, &mut ()).expect_err("diverged");
    let TrainError::Diverged { step, saved, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(saved, None);
    let steps: Vec<u64> = run.log().iter().map(|line| line.step).collect();
    assert_eq!(steps, (1..step).collect::<Vec<_>>());
    let text = error.to_string();
    assert!(
        text.contains("generator_rate") && !text.contains("whole"),
        "{text}"
    );
}

#[test]
fn images_that_do_not_fit_are_refused_before_anything_is_done() {
    let config = tiny(3);
    let run = Run::new(&config);
    let device = Default::default();
    let train = |set: &LabelledImages, folder: &RunFolder| {
        train_dcgan::<A>(&config, set, folder, &mut (), &device)
            .expect_err("refused")
            .to_string()
    };
    let wide = digits().resized(16, 20).expect("resized");
    assert!(train(&wide, &run.folder).contains("[1, 1, 16, 20]"));
    let colour = digits().to_rgb();
    assert!(train(&colour, &run.folder).contains("[1, 3, 16, 16]"));
    let lone = digits().head(1).expect("one");
    assert!(train(&lone, &run.folder).contains("images a step is 1"));
    assert!(run.log().is_empty() && run.folder.checkpoints().expect("readable").is_empty());
}

#[test]
fn jitter_changes_the_images_and_its_absence_does_not() {
    let still = pyrograph_train::dcgan::DcganTraining {
        jitter: Jitter::default(),
        ..tiny(2)
    };
    let losses = |config: &pyrograph_train::dcgan::DcganTraining| {
        let run = Run::new(config);
        run.train(config, &mut ()).expect("legal");
        run.log()
            .iter()
            .map(|line| line.discriminator_loss)
            .collect::<Vec<_>>()
    };
    assert_ne!(losses(&tiny(2)), losses(&still));
    assert_eq!(losses(&still), losses(&still));
}
