//! What is refused, and what is left when a run breaks off.

use pyrograph_models::ssd::PriorTable;
use pyrograph_train::{
    TrainError,
    ssd::{RateSchedule, SsdTraining, Unfreeze, best_weights},
};

use super::common::{Run, scenes, tiny};

fn unfreeze(at: f64, learning_rate: Option<f64>) -> Unfreeze {
    Unfreeze { at, learning_rate }
}

#[test]
fn numbers_out_of_range_are_refused_by_name() {
    type Change = fn(&mut SsdTraining);
    let changes: [(&str, Change); 20] = [
        ("num_classes is 3", |c| c.model.num_classes = 3),
        ("width is 0", |c| c.model.width = 0.0),
        ("priors is mobilenet", |c| {
            c.model.priors = Some(PriorTable::Mobilenet)
        }),
        (
            "images a step (--batch-size) is 1, but must be 2 or more, which batch norm needs",
            |c| c.batch_size = 1,
        ),
        ("learning_rate is NaN", |c| c.learning_rate = f64::NAN),
        ("learning_rate is 0", |c| c.learning_rate = 0.0),
        ("momentum is 1", |c| c.momentum = 1.0),
        ("weight_decay is -1", |c| c.weight_decay = -1.0),
        ("schedule is [0.5, 0.5]", |c| {
            c.schedule = RateSchedule::Steps(vec![0.5, 0.5]);
        }),
        ("schedule is [1.5]", |c| {
            c.schedule = RateSchedule::Steps(vec![1.5])
        }),
        ("gamma is 1.5", |c| {
            c.schedule = RateSchedule::Exponential(1.5);
        }),
        ("unfreeze_at is 1", |c| {
            (c.freeze, c.unfreeze) = (1, Some(unfreeze(1.0, None)));
        }),
        ("unfreeze_at is 0.5", |c| {
            c.unfreeze = Some(unfreeze(0.5, None))
        }),
        ("clip_norm is 0", |c| c.clip_norm = Some(0.0)),
        ("ema is 1", |c| c.ema = Some(1.0)),
        ("loaders is 0", |c| c.loaders = 0),
        ("steps is 0", |c| c.steps = Some(0)),
        ("max_minutes is -1", |c| c.max_minutes = Some(-1.0)),
        ("IoU", |c| c.loss.iou_threshold = 0.0),
        ("deviation of a colour is 0", |c| {
            c.normalisation.std[1] = 0.0
        }),
    ];
    for (text, change) in changes {
        let mut config = tiny(1);
        change(&mut config);
        let message = config.check(&scenes()).expect_err(text).to_string();
        assert!(message.contains(text), "{text}: {message}");
    }
    let one = scenes().subset(&[0]);
    assert!(tiny(1).check(&one).is_err());
}

#[test]
fn a_run_that_diverges_names_the_images_and_leaves_the_last_checkpoint() {
    let calm = SsdTraining {
        checkpoint_every: 1,
        ..tiny(2)
    };
    let run = Run::new(&calm);
    run.train(&calm, &mut ()).expect("trained");
    let wild = SsdTraining {
        learning_rate: 1e30,
        clip_norm: None,
        ema: None,
        checkpoint_every: 0,
        ..tiny(60)
    };
    let before = best_weights(&run.folder).expect("a checkpoint");
    // Of the same seed and data, so that the run goes on; its average is not asked for.
    let error = run.train(&wild, &mut ()).expect_err("diverged");
    let TrainError::DivergedBatch {
        step,
        images,
        value,
        ..
    } = &error
    else {
        panic!("{error}");
    };
    assert!(*step > 2 && !value.is_finite());
    assert!(error.to_string().contains("whole, of step 2"), "{error}");
    let scenes = scenes();
    let names: Vec<&String> = scenes.samples().iter().map(|sample| &sample.name).collect();
    assert_eq!(images.len(), 2);
    assert!(images.iter().all(|image| names.contains(&image)));
    assert_eq!(best_weights(&run.folder).expect("still there"), before);
    run.train(&calm, &mut ()).expect("the checkpoint is whole");
}

#[test]
fn other_data_than_the_run_was_begun_with_are_refused() {
    let config = tiny(1);
    let run = Run::new(&config);
    run.train(&config, &mut ()).expect("trained");
    let other = pyrograph_art::scenes(7, 48, 4).expect("scenes");
    let longer = tiny(2);
    let error = run
        .train_on(&longer, &other, None, &mut ())
        .expect_err("other data");
    assert!(matches!(error, TrainError::DataChanged { .. }), "{error}");
}
