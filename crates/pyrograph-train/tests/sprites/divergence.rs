//! What becomes of a run whose numbers leave the finite ones.

use pyrograph_models::weights::StateDict;
use pyrograph_train::{TrainError, sprites::SpriteTraining};

use crate::common::{PER_EPOCH, Run, sprites, tiny};

#[test]
fn a_run_that_diverges_says_so_and_keeps_its_last_checkpoint() {
    let set = sprites();
    let calm = SpriteTraining {
        checkpoint_every: 1,
        ..tiny(&set, PER_EPOCH)
    };
    let run = Run::new(&calm);
    run.train(&calm, &set).expect("legal");
    // Norms keep the layers within bounds, but not the last one: its output's square leaves the range of f32.
    let wild = SpriteTraining {
        learning_rate: 1e25,
        clip_norm: None,
        steps: Some(20),
        ..calm
    };
    let error = run.train(&wild, &set).expect_err("a rate of 1e25");
    let TrainError::Diverged {
        step, loss, saved, ..
    } = error
    else {
        panic!("{error:?}")
    };
    assert!(
        step == PER_EPOCH + 2 && !loss.is_finite() && saved == Some(PER_EPOCH),
        "{loss} at step {step}"
    );
    let text = error.to_string();
    assert!(
        text.contains("step 5") && text.contains("begin a new run"),
        "{text}"
    );
    assert_eq!(run.checkpoints(), [PER_EPOCH]);
    assert_checkpoints_load(&run);
    // The step between is logged, and what is logged is finite.
    assert_eq!(run.log().len() as u64, PER_EPOCH + 1);
    assert!(run.losses().iter().all(|loss| loss.is_finite()));
}

#[test]
fn a_run_that_diverges_before_its_first_checkpoint_does_not_speak_of_one() {
    let set = sprites();
    let wild = SpriteTraining {
        learning_rate: 1e25,
        clip_norm: None,
        ..tiny(&set, 20)
    };
    let run = Run::new(&wild);
    let error = run.train(&wild, &set).expect_err("a rate of 1e25");
    let text = error.to_string();
    assert!(
        text.contains("nothing was saved") && !text.contains("whole"),
        "{text}"
    );
    assert!(run.checkpoints().is_empty() && !run.log().is_empty());
}

#[test]
fn a_rate_of_a_million_without_clipping_ends_with_an_error_and_a_whole_checkpoint() {
    // The norms keep the loss finite for long; a running variance leaves the range of f32 first.
    let set = sprites();
    let calm = SpriteTraining {
        checkpoint_every: 1,
        ..tiny(&set, PER_EPOCH)
    };
    let run = Run::new(&calm);
    run.train(&calm, &set).expect("legal");
    let wild = SpriteTraining {
        learning_rate: 1e6,
        clip_norm: None,
        steps: Some(60),
        ..calm.clone()
    };
    let error = run.train(&wild, &set).expect_err("a rate of a million");
    assert!(
        matches!(
            error,
            TrainError::Diverged { .. } | TrainError::DivergedWeights { .. }
        ),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("the last checkpoint is whole"),
        "{error}"
    );
    assert_checkpoints_load(&run);
    assert!(run.losses().iter().all(|loss| loss.is_finite()));
    // And what is left can be resumed, at a rate that is calm again.
    let (step, _) = run.folder.last_checkpoint().expect("one");
    if step == PER_EPOCH {
        let trained = run
            .train(
                &SpriteTraining {
                    steps: Some(PER_EPOCH + 1),
                    ..calm
                },
                &set,
            )
            .expect("whole");
        assert_eq!(trained.steps, PER_EPOCH + 1);
    }
}

#[track_caller]
fn assert_checkpoints_load(run: &Run) {
    let checkpoints = run.folder.checkpoints().expect("readable");
    assert!(!checkpoints.is_empty());
    for (step, folder) in checkpoints {
        for name in ["model.safetensors", "ema.safetensors"] {
            let dict = StateDict::open(folder.join(name)).expect(name);
            dict.check_finite()
                .unwrap_or_else(|error| panic!("step {step}: {error}"));
        }
    }
}

#[test]
fn weights_that_are_no_numbers_never_become_a_checkpoint() {
    // The first loss is finite, but the step after it leaves the range of f32; the run would end before a second loss.
    let set = sprites();
    let calm = tiny(&set, 1);
    let run = Run::new(&calm);
    run.train(&calm, &set).expect("legal");
    let wild = SpriteTraining {
        learning_rate: 1e300,
        steps: Some(2),
        ..calm
    };
    let error = run.train(&wild, &set).expect_err("a rate beyond f32");
    assert!(
        matches!(error, TrainError::DivergedWeights { step: 2, .. }),
        "{error:?}"
    );
    assert_eq!(run.checkpoints(), [1]);
    assert_checkpoints_load(&run);
}
