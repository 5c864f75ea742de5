//! Stopping, dying and going on.

use std::{fs, io::Write};

use pyrograph_train::{
    TrainError, TrainState,
    run_folder::RunFolder,
    sprites::{SpriteTraining, StepRecord, train_sprites},
    weights_path,
};

use crate::common::{
    A, Notes, PER_EPOCH, Run, StopAfter, assert_same_weights, saved, sprites, tiny, unbroken,
    weights,
};

pub(crate) const STEPS: u64 = 7;

/// The log of `run` is that of `whole`, loss by loss to the bit.
#[track_caller]
pub(crate) fn assert_same_log(run: &Run, whole: &Run) {
    let (ours, theirs) = (run.log(), whole.log());
    let steps = |log: &[StepRecord]| {
        log.iter()
            .map(|line| (line.step, line.epoch))
            .collect::<Vec<_>>()
    };
    assert_eq!(steps(&ours), steps(&theirs));
    assert_eq!(steps(&ours).len() as u64, STEPS);
    for (a, b) in ours.iter().zip(&theirs) {
        assert_eq!(
            a.loss.to_bits(),
            b.loss.to_bits(),
            "the loss of step {}: {} and {}",
            a.step,
            a.loss,
            b.loss
        );
        // exact: the rate is a function of the step, but the log keeps it as decimal text, which is read and written again.
        assert!(
            (a.learning_rate - b.learning_rate).abs() <= 1e-15,
            "{a:?} and {b:?}"
        );
    }
}

#[test]
fn a_run_that_was_stopped_and_resumed_equals_an_unbroken_one_to_the_bit() {
    let set = sprites();
    let config = tiny(&set, STEPS);
    let (whole, trained) = unbroken(&config, &set);
    assert_eq!((trained.steps, trained.interrupted), (STEPS, false));
    // At the end of an epoch; within one; twice within one and once between.
    for stops in [&[3][..], &[4], &[1, 1, 2]] {
        let run = Run::new(&config);
        let mut step = 0;
        for stop in stops {
            run.train_for(*stop, &config, &set);
            step += stop;
            assert_eq!(run.log().len() as u64, step);
            assert_eq!(run.folder.last_checkpoint().expect("one").0, step);
        }
        let resumed = run.train(&config, &set).expect("legal");
        assert_eq!((resumed.steps, resumed.interrupted), (STEPS, false));
        assert_same_log(&run, &whole);
        assert_same_weights(&weights(&resumed.model), &weights(&trained.model));
        // The raw model as well, which the average alone would not show.
        assert_same_weights(
            &saved(&run, "model.safetensors"),
            &saved(&whole, "model.safetensors"),
        );
        assert_same_weights(&saved(&run, "ema.safetensors"), &weights(&trained.model));
    }
}

#[test]
fn a_resumed_run_goes_on_learning() {
    // A model whose parameters lost their gradients on the way through a file would stand still.
    let set = sprites();
    let config = tiny(&set, STEPS);
    let run = Run::new(&config);
    run.train_for(3, &config, &set);
    let before = saved(&run, "model.safetensors");
    run.train_for(1, &config, &set);
    let after = saved(&run, "model.safetensors");
    for key in before.keys() {
        assert_ne!(before.get(key), after.get(key), "{key} stands still");
    }
}

#[test]
fn leftovers_of_a_killed_run_change_nothing() {
    let set = sprites();
    let config = tiny(&set, STEPS);
    let (whole, _) = unbroken(&config, &set);
    let run = Run::new(&config);
    run.train_for(4, &config, &set);

    // Killed while it wrote the checkpoint of step 6: its files are half there, two steps more are in the log, and the
    // line of a third is torn.
    let partial = run.folder.path().join("checkpoints/.partial-6");
    fs::create_dir(&partial).expect("writable");
    fs::write(partial.join("model.safetensors"), "half").expect("writable");
    let beyond = |step| StepRecord {
        step,
        epoch: 1,
        loss: 99.0,
        learning_rate: 1.0,
    };
    run.folder
        .append_metrics(&[beyond(5), beyond(6)])
        .expect("writable");
    let log = fs::OpenOptions::new()
        .append(true)
        .open(run.folder.metrics_path());
    log.expect("there")
        .write_all(b"{\"step\":7,\"epo")
        .expect("writable");

    assert_eq!(run.folder.last_checkpoint().expect("one").0, 4);
    run.train(&config, &set).expect("legal");
    assert_same_log(&run, &whole);
    assert_same_weights(
        &saved(&run, "model.safetensors"),
        &saved(&whole, "model.safetensors"),
    );
}

#[test]
fn a_half_written_checkpoint_of_the_very_step_is_replaced() {
    let set = sprites();
    let config = tiny(&set, STEPS);
    let run = Run::new(&config);
    let partial = run.folder.path().join("checkpoints/.partial-2");
    fs::create_dir(&partial).expect("writable");
    fs::write(partial.join("stray"), "half").expect("writable");
    run.train_for(2, &config, &set);
    let (step, folder) = run.folder.last_checkpoint().expect("one");
    assert!(step == 2 && !folder.join("stray").exists() && !partial.exists());
}

#[test]
fn a_run_killed_before_its_first_checkpoint_starts_from_step_0() {
    let set = sprites();
    let config = tiny(&set, STEPS);
    let (whole, _) = unbroken(&config, &set);
    let run = Run::new(&config);
    // An epoch's losses are in the log and a line is torn, but no checkpoint was due.
    let early = |step| StepRecord {
        step,
        epoch: 0,
        loss: 99.0,
        learning_rate: 1.0,
    };
    run.folder
        .append_metrics(&[early(1), early(2), early(3)])
        .expect("writable");
    let log = fs::OpenOptions::new()
        .append(true)
        .open(run.folder.metrics_path());
    log.expect("there")
        .write_all(b"{\"step\":4")
        .expect("writable");
    run.train(&config, &set).expect("legal");
    assert_same_log(&run, &whole);
}

#[test]
fn a_run_stopped_before_its_first_step_leaves_nothing() {
    let set = sprites();
    let config = tiny(&set, STEPS);
    let run = Run::new(&config);
    let trained = run
        .train_with(&config, &set, &mut StopAfter::new(0))
        .expect("legal");
    assert!(trained.interrupted && trained.steps == 0 && trained.last_loss.is_none());
    assert!(run.checkpoints().is_empty() && run.log().is_empty());
}

#[test]
fn a_finished_run_takes_no_further_step() {
    let set = sprites();
    let config = tiny(&set, 2);
    let (run, trained) = unbroken(&config, &set);
    let again = run.train(&config, &set).expect("legal");
    assert_eq!(
        (again.steps, again.interrupted, again.last_loss),
        (2, false, None)
    );
    assert_same_weights(&weights(&again.model), &weights(&trained.model));
    assert_eq!(run.log().len(), 2);
    // Time is summed over the resumes.
    assert!(again.seconds >= trained.seconds && trained.seconds > 0.0);
}

#[test]
fn checkpoints_fall_due_by_epochs_and_only_the_last_two_stay() {
    let set = sprites();
    let config = SpriteTraining {
        checkpoint_every: 1,
        ..tiny(&set, 4 * PER_EPOCH - 1)
    };
    let (run, _) = unbroken(&config, &set);
    assert_eq!(run.checkpoints(), [3 * PER_EPOCH, 4 * PER_EPOCH - 1]);
}

#[test]
fn a_checkpoint_of_another_seed_is_refused() {
    let set = sprites();
    let config = tiny(&set, 2);
    let (run, _) = unbroken(&config, &set);
    let other = SpriteTraining {
        seed: 12,
        steps: Some(3),
        ..config
    };
    let error = run.train(&other, &set).expect_err("another seed");
    assert!(matches!(error, TrainError::Run { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("seed 11") && text.contains("12") && text.contains("step-2"),
        "{text}"
    );
}

#[test]
fn a_checkpoint_of_another_width_is_refused() {
    let set = sprites();
    let config = tiny(&set, 2);
    let (run, _) = unbroken(&config, &set);
    let mut other = SpriteTraining {
        steps: Some(3),
        ..config
    };
    other.model.n_feat = 16;
    let error = run
        .train(&other, &set)
        .expect_err("another width")
        .to_string();
    assert!(
        error.contains("n_feat: 8") && error.contains("n_feat: 16"),
        "{error}"
    );
    assert_eq!((run.log().len(), run.checkpoints()), (2, vec![2]));
}

#[test]
fn other_data_than_the_run_was_begun_with_are_refused() {
    let set = sprites();
    let config = tiny(&set, STEPS);
    let run = Run::new(&config);
    run.train_for(2, &config, &set);
    let reversed: Vec<_> = (0..set.len()).rev().collect();
    let error = run
        .train(&config, &set.subset(&reversed))
        .expect_err("other data");
    assert!(matches!(error, TrainError::DataChanged { .. }), "{error:?}");
    assert!(
        error.to_string().contains("50 images of 16×16×3"),
        "{error}"
    );
    run.train(&config, &set).expect("the old data");
}

#[test]
fn two_processes_do_not_train_in_one_folder() {
    let set = sprites();
    let config = tiny(&set, STEPS);
    let run = Run::new(&config);
    // Another opening of the folder, as another process has it.
    let other = RunFolder::open(run.folder.path()).expect("a run");
    let error = train_sprites::<A>(&config, &set, &other, &mut (), &Default::default());
    let error = error.expect_err("locked");
    assert!(matches!(error, TrainError::Locked { .. }), "{error:?}");
    assert!(run.log().is_empty() && run.checkpoints().is_empty());
    run.train(&config, &set).expect("its own lock");
}

#[test]
fn a_picture_that_a_kill_prevented_is_made_on_resume() {
    let set = sprites();
    let config = SpriteTraining {
        sample_every: 1,
        checkpoint_every: 1,
        ..tiny(&set, STEPS)
    };
    let run = Run::new(&config);
    run.train_for(PER_EPOCH, &config, &set);
    let lost = || Notes {
        lost_samples: true,
        ..Notes::default()
    };
    let mut hooks = lost();
    run.train_with(&config, &set, &mut hooks).expect("legal");
    assert_eq!(hooks.samples, [1, 2, 2], "owed, after epoch 2, at the end");
    // A finished run takes no step, but its last picture is made again where it is gone.
    let mut hooks = lost();
    run.train_with(&config, &set, &mut hooks).expect("legal");
    assert_eq!((hooks.samples, hooks.logged.len()), (vec![2], 0));
    let mut hooks = Notes::default();
    run.train_with(&config, &set, &mut hooks).expect("legal");
    assert!(hooks.samples.is_empty(), "{:?}", hooks.samples);
}

#[test]
fn the_run_folder_gives_back_the_config_and_the_state_exactly() {
    let set = sprites();
    let config = SpriteTraining {
        learning_rate: 0.000_123_456_789_012_345_68,
        ema: Some(0.1 + 0.2),
        ..tiny(&set, 2)
    };
    let (run, trained) = unbroken(&config, &set);
    let run_again = RunFolder::open(run.folder.path()).expect("a run");
    // A resumed run takes its numbers from here: one bit off, and its losses differ.
    assert_eq!(
        run_again.config::<SpriteTraining>().expect("readable"),
        config
    );
    let (_, folder) = run.folder.last_checkpoint().expect("one");
    let text = fs::read(folder.join("state.json")).expect("there");
    let file: serde_json::Value = serde_json::from_slice(&text).expect("readable");
    let state = file["content"]["state"].clone();
    let state: TrainState = serde_json::from_value(state).expect("readable");
    assert_eq!((state.step, state.seed), (2, 11));
    // exact but for the last digit of the decimal text.
    assert!((state.seconds - trained.seconds).abs() < 1e-9 && state.elapsed().as_secs_f64() > 0.0);
}

#[test]
fn the_path_to_sample_from_is_the_average_unless_there_is_none() {
    let set = sprites();
    for (ema, raw, name) in [
        (Some(0.9), false, "ema.safetensors"),
        (Some(0.9), true, "model.safetensors"),
        (None, false, "model.safetensors"),
    ] {
        let (run, _) = unbroken(
            &SpriteTraining {
                ema,
                ..tiny(&set, 1)
            },
            &set,
        );
        assert!(
            weights_path(&run.folder, raw).expect("one").ends_with(name),
            "{ema:?} {raw}"
        );
    }
    let error = weights_path(&Run::new(&tiny(&set, 1)).folder, false)
        .expect_err("none")
        .to_string();
    assert!(error.contains("no whole checkpoint"), "{error}");
}

#[test]
fn a_hook_that_fails_ends_the_run_after_a_checkpoint() {
    let set = sprites();
    let config = SpriteTraining {
        sample_every: 1,
        ..tiny(&set, STEPS)
    };
    let (whole, _) = unbroken(&config, &set);
    let run = Run::new(&config);
    let mut hooks = Notes {
        refuse: true,
        ..Notes::default()
    };
    let error = run
        .train_with(&config, &set, &mut hooks)
        .expect_err("no paper");
    assert!(
        matches!(&error, TrainError::Hook(_)) && error.to_string().contains("no more paper"),
        "{error:?}"
    );
    assert_eq!(
        (run.checkpoints(), hooks.samples),
        (vec![PER_EPOCH], vec![1])
    );
    run.train(&config, &set).expect("legal");
    assert_same_log(&run, &whole);
}
