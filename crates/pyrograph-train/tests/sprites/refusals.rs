//! Configs that are not allowed.

use std::fs;

use pyrograph_data::{SpriteOptions, SpriteSet};
use pyrograph_diffusion::{BetaSchedule, LossWeighting, NoiseScheduleConfig};
use pyrograph_train::{
    DataFingerprint, TrainError,
    sprites::{DataSource, SpriteRun, SpriteTraining},
};

use crate::common::{Run, sprites, tiny};

/// Field, value and what is allowed, as `change` makes them refused.
fn refusal(change: impl FnOnce(&mut SpriteTraining)) -> (&'static str, String, String) {
    let set = sprites();
    let mut config = tiny(&set, 1);
    change(&mut config);
    match config.check(&set).expect_err("not allowed") {
        TrainError::Config {
            field,
            seen,
            allowed,
        } => (field, seen, allowed),
        error => panic!("{error:?}"),
    }
}

#[test]
fn numbers_that_are_not_allowed_are_refused_by_field_value_and_range() {
    type Change = fn(&mut SpriteTraining);
    let cases: [(Change, &str, &str, &str); 23] = [
        (|c| c.batch_size = 0, "batch_size", "0", "1 or more"),
        (|c| c.learning_rate = 0.0, "learning_rate", "0", "above 0"),
        (
            |c| c.learning_rate = -1e-3,
            "learning_rate",
            "-0.001",
            "above 0",
        ),
        (
            |c| c.learning_rate = f64::NAN,
            "learning_rate",
            "NaN",
            "above 0",
        ),
        (
            |c| c.learning_rate = f64::INFINITY,
            "learning_rate",
            "inf",
            "above 0",
        ),
        (|c| c.max_minutes = Some(0.0), "max_minutes", "0", "above 0"),
        (
            |c| c.max_minutes = Some(-1.0),
            "max_minutes",
            "-1",
            "above 0",
        ),
        (
            |c| c.max_minutes = Some(f64::NAN),
            "max_minutes",
            "NaN",
            "above 0",
        ),
        (
            |c| c.max_minutes = Some(1e6),
            "max_minutes",
            "1000000",
            "below a million",
        ),
        (|c| c.epochs = Some(0), "epochs", "0", "1 or more"),
        (|c| c.steps = Some(0), "steps", "0", "1 or more"),
        (|c| c.context_drop = -0.1, "context_drop", "-0.1", "0 to 1"),
        (|c| c.context_drop = 1.5, "context_drop", "1.5", "0 to 1"),
        (
            |c| c.context_drop = f64::NAN,
            "context_drop",
            "NaN",
            "0 to 1",
        ),
        (|c| c.ema = Some(1.0), "ema", "1", "at least 0 and below 1"),
        (
            |c| c.ema = Some(-0.5),
            "ema",
            "-0.5",
            "at least 0 and below 1",
        ),
        (
            |c| c.ema = Some(f64::NAN),
            "ema",
            "NaN",
            "at least 0 and below 1",
        ),
        (|c| c.clip_norm = Some(0.0), "clip_norm", "0", "above 0"),
        (
            |c| c.clip_norm = Some(f64::INFINITY),
            "clip_norm",
            "inf",
            "above 0",
        ),
        (
            |c| c.clip_norm = Some(f64::NAN),
            "clip_norm",
            "NaN",
            "above 0",
        ),
        (|c| c.model.n_cfeat = 4, "model", "[3, 16, 4]", "[3, 16, 5]"),
        (|c| c.model.height = 20, "model", "[3, 20, 5]", "[3, 16, 5]"),
        (
            |c| c.model.in_channels = 1,
            "model",
            "[1, 16, 5]",
            "[3, 16, 5]",
        ),
    ];
    for (change, field, seen, allowed) in cases {
        let (f, s, a) = refusal(change);
        assert_eq!((f, s.as_str()), (field, seen));
        assert!(a.contains(allowed), "{field}: {a}");
    }
}

#[test]
fn the_edges_of_every_range_are_allowed() {
    let set = sprites();
    let allowed = [
        SpriteTraining {
            context_drop: 0.0,
            ema: Some(0.0),
            ..tiny(&set, 1)
        },
        SpriteTraining {
            context_drop: 1.0,
            ema: None,
            clip_norm: None,
            ..tiny(&set, 1)
        },
        SpriteTraining {
            epochs: Some(1),
            steps: None,
            batch_size: 1,
            ..tiny(&set, 1)
        },
        SpriteTraining {
            max_minutes: Some(0.1),
            batch_size: 1000,
            ..tiny(&set, 1)
        },
    ];
    for config in allowed {
        config
            .check(&set)
            .unwrap_or_else(|error| panic!("{config:?}: {error}"));
    }
}

#[test]
fn an_empty_set_is_refused() {
    let set = sprites();
    let (empty, all) = set.split(1.0, 0).expect("legal");
    assert_eq!((empty.len(), all.len()), (0, set.len()));
    let error = tiny(&set, 1).check(&empty).expect_err("empty").to_string();
    assert_eq!(error, "data is empty, but must be at least one image");
}

#[test]
fn a_network_that_cannot_be_is_refused_by_the_model() {
    let set = sprites();
    let mut config = tiny(&set, 1);
    config.model.n_feat = 12;
    let error = config.check(&set).expect_err("12 features");
    assert!(
        matches!(error, TrainError::Model(_)) && error.to_string().contains("n_feat is 12"),
        "{error}"
    );
}

#[test]
fn a_refused_run_leaves_its_folder_as_it_was() {
    let set = sprites();
    let good = tiny(&set, 1);
    let no_noise = NoiseScheduleConfig {
        timesteps: 0,
        ..NoiseScheduleConfig::course()
    };
    let betas = BetaSchedule::ScaledLinear {
        beta_start: 0.5,
        beta_end: 0.1,
    };
    let bad = [
        SpriteTraining {
            batch_size: 0,
            ..good.clone()
        },
        SpriteTraining {
            schedule: no_noise,
            ..good.clone()
        },
        SpriteTraining {
            schedule: NoiseScheduleConfig::new(betas, 10),
            ..good.clone()
        },
        SpriteTraining {
            loss_weighting: LossWeighting::MinSnr { gamma: 0.0 },
            ..good.clone()
        },
    ];
    for config in bad {
        let run = Run::new(&good);
        run.train(&config, &set).expect_err("not allowed");
        assert!(
            run.checkpoints().is_empty() && run.log().is_empty(),
            "{config:?}"
        );
    }
}

#[test]
fn images_of_another_size_than_the_run_are_refused() {
    let set = sprites();
    let config = tiny(&set, 1);
    let grey = SpriteSet::new(
        vec![7; 2 * 16 * 16],
        16,
        1,
        vec![1.0; 10],
        set.class_names().to_vec(),
    )
    .expect("legal");
    let error = Run::new(&config)
        .train(&config, &grey)
        .expect_err("grey")
        .to_string();
    assert!(
        error.contains("[3, 16, 5]") && error.contains("[1, 16, 5]"),
        "{error}"
    );
}

#[test]
fn a_run_config_with_an_unknown_key_is_refused() {
    let set = sprites();
    let data = DataSource::Procedural { count: 20, seed: 1 };
    let run = SpriteRun {
        fingerprint: DataFingerprint::of(&data.load().expect("a set")),
        data,
        held_out: 0.25,
        training: tiny(&set, 1),
    };
    let mut text = serde_json::to_value(&run).expect("writable");
    assert_eq!(
        serde_json::from_value::<SpriteRun>(text.clone()).expect("the same"),
        run
    );
    text["training"]["learning_rat"] = 1.0.into();
    let error = serde_json::from_value::<SpriteRun>(text)
        .expect_err("a slip of the pen")
        .to_string();
    assert!(error.contains("learning_rat"), "{error}");
}

#[test]
fn the_held_out_part_has_its_share_and_shares_that_are_none_are_refused() {
    let set = sprites();
    let data = DataSource::Procedural { count: 20, seed: 1 };
    let fingerprint = DataFingerprint::of(&data.load().expect("a set"));
    let run = |held_out| SpriteRun {
        data: data.clone(),
        fingerprint,
        held_out,
        training: tiny(&set, 1),
    };
    let (training, held_out) = run(0.25).load_data().expect("legal");
    assert_eq!((training.len(), held_out.len()), (15, 5));
    assert_eq!(run(0.0).load_data().expect("legal").1.len(), 0);
    for share in [1.0, -0.1, f64::NAN] {
        let error = run(share).load_data().expect_err("no share").to_string();
        assert!(
            error.contains("held_out") && error.contains("below 1"),
            "{error}"
        );
    }
    let error = run(0.999).load_data().expect_err("none left").to_string();
    assert!(
        error.contains("held_out is 0.999") && error.contains("of 20 images none is left"),
        "{error}"
    );
    let other = DataFingerprint {
        images: 21,
        ..fingerprint
    };
    let changed = SpriteRun {
        fingerprint: other,
        ..run(0.25)
    };
    let error = changed.load_data().expect_err("other data");
    assert!(matches!(error, TrainError::DataChanged { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("20 images") && text.contains("21 images"),
        "{text}"
    );
}

#[test]
fn schedules_and_weightings_that_cannot_train_are_refused_before_anything_is_made() {
    let set = sprites();
    let refused = |change: fn(&mut SpriteTraining), words: &[&str]| {
        let mut config = tiny(&set, 1);
        change(&mut config);
        let error = config.check(&set).expect_err("not allowed").to_string();
        for word in words {
            assert!(error.contains(word), "{error} does not say {word}");
        }
    };
    refused(
        |c| c.schedule.timesteps = 0,
        &["timesteps is 0", "1 to 100000"],
    );
    refused(
        |c| c.schedule.timesteps = 1_000_000_000,
        &["timesteps is 1000000000", "1 to 100000"],
    );
    refused(
        |c| {
            c.schedule.kind = BetaSchedule::LinearBetween {
                beta_start: 0.5,
                beta_end: 0.1,
            }
        },
        &["0.5", "0.1"],
    );
    refused(
        |c| c.loss_weighting = LossWeighting::MinSnr { gamma: 0.0 },
        &["is 0", "above 0"],
    );
    refused(
        |c| c.loss_weighting = LossWeighting::MinSnr { gamma: -1.0 },
        &["-1", "above 0"],
    );
    refused(
        |c| c.loss_weighting = LossWeighting::MinSnr { gamma: f64::NAN },
        &["NaN", "above 0"],
    );
    refused(|c| c.context_drop = 1e300, &["is 1e300"]);
}

#[test]
fn a_folder_that_is_not_there_is_refused_by_its_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("sprites-of-nobody");
    let error = DataSource::Folder {
        path: path.clone(),
        side: None,
        options: SpriteOptions::default(),
    }
    .load()
    .expect_err("not there")
    .to_string();
    assert!(error.contains("sprites-of-nobody"), "{error}");
    fs::create_dir(&path).expect("writable");
    let empty = DataSource::Folder {
        path,
        side: None,
        options: SpriteOptions::default(),
    };
    assert!(empty.load().is_err(), "an empty folder");
}
