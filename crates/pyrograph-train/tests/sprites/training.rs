//! What a run does, step by step.

use burn::tensor::Tensor;
use burn_flex::Flex;
use pyrograph_data::SpriteSet;
use pyrograph_diffusion::{
    DiffusionCard, ForwardNoise, LossWeighting, NoiseScheduleConfig, PredictionType,
};
use pyrograph_models::{context_unet::ContextUnet, weights::load_model};
use pyrograph_train::{
    run_folder::RunFolder,
    sprites::{SpriteTraining, StepRecord, train_sprites},
};

use crate::common::{
    A, BATCH, COUNT, Notes, PER_EPOCH, Run, assert_same_weights, mean, saved, sprites, tiny,
    unbroken, weights,
};

#[test]
fn the_loss_falls_on_a_small_set() {
    let set = sprites();
    let config = SpriteTraining {
        learning_rate: 3e-3,
        ..tiny(&set, 40)
    };
    let (run, trained) = unbroken(&config, &set);
    let losses = run.losses();
    assert_eq!(losses.len(), 40);
    assert!(losses.iter().all(|loss| loss.is_finite()));
    assert_eq!(trained.last_loss, losses.last().copied());
    let (start, end) = (mean(&losses[..5]), mean(&losses[30..]));
    assert!(end < start, "from {start} to {end}");
}

#[test]
fn the_learning_rate_in_the_log_falls_linearly_to_zero() {
    let set = sprites();
    let config = tiny(&set, 5);
    let (run, _) = unbroken(&config, &set);
    for (step, line) in run.log().iter().enumerate() {
        let expected = config.learning_rate * (1.0 - step as f64 / 5.0);
        // exact but for the last digit of the decimal text.
        assert!(
            (line.learning_rate - expected).abs() <= 1e-15,
            "{line:?} is not {expected}"
        );
        assert_eq!(
            (line.step, line.epoch),
            (step as u64 + 1, step as u64 / PER_EPOCH)
        );
    }
}

#[test]
fn the_nearer_of_steps_and_epochs_ends_the_run() {
    let set = sprites();
    for (epochs, steps, expected) in [
        (Some(1), None, PER_EPOCH),
        (Some(1), Some(2), 2),
        (Some(1), Some(9), PER_EPOCH),
        (None, Some(4), 4),
    ] {
        let config = SpriteTraining {
            epochs,
            steps,
            ..tiny(&set, 1)
        };
        let (run, trained) = unbroken(&config, &set);
        assert_eq!(trained.steps, expected, "{epochs:?} {steps:?}");
        assert_eq!(
            (run.log().len() as u64, run.checkpoints()),
            (expected, vec![expected])
        );
    }
    let limits = SpriteTraining {
        steps: None,
        ..tiny(&set, 1)
    }
    .limits(COUNT);
    assert_eq!(
        (limits.steps, limits.time),
        (Some(32 * PER_EPOCH), None),
        "the course's 32 epochs"
    );
    let limits = SpriteTraining {
        steps: None,
        max_minutes: Some(0.5),
        ..tiny(&set, 1)
    }
    .limits(COUNT);
    assert_eq!(
        (limits.steps, limits.time.map(|time| time.as_secs())),
        (None, Some(30))
    );
}

#[test]
fn a_run_ends_by_time_and_its_learning_rate_follows_the_clock() {
    let set = sprites();
    let config = SpriteTraining {
        steps: None,
        max_minutes: Some(1e-9),
        ..tiny(&set, 1)
    };
    let (run, trained) = unbroken(&config, &set);
    // A step takes longer than 60 ns: one is taken, at the full rate, and the run is done.
    assert_eq!(
        (trained.steps, trained.interrupted, run.checkpoints()),
        (1, false, vec![1])
    );
    assert_eq!(run.log()[0].learning_rate, config.learning_rate);
}

#[test]
fn the_last_smaller_batch_is_used() {
    // The first 40 items of an epoch fill two batches. If the ten left over were dropped, or filled up, changing one of
    // them would change nothing, or the wrong step.
    let set = sprites();
    let config = SpriteTraining {
        learning_rate: 1e-30,
        context_drop: 0.0,
        ..tiny(&set, PER_EPOCH)
    };
    assert_eq!(config.steps_per_epoch(COUNT), PER_EPOCH);
    let order = pyrograph_data::epoch_order(COUNT, config.seed, 0);
    let (plain, _) = unbroken(&config, &set);
    for place in [0, BATCH, 2 * BATCH, COUNT - 1] {
        let mut pixels: Vec<u8> = (0..COUNT)
            .flat_map(|item| set.pixels(item))
            .copied()
            .collect();
        let size = set.values_per_image();
        pixels[order[place] as usize * size..][..size]
            .iter_mut()
            .for_each(|byte| *byte = 255 - *byte);
        let contexts = (0..COUNT)
            .flat_map(|item| set.context(item))
            .copied()
            .collect();
        let changed = SpriteSet::new(
            pixels,
            set.side(),
            set.channels(),
            contexts,
            set.class_names().to_vec(),
        );
        let (run, _) = unbroken(&config, &changed.expect("legal"));
        let differ: Vec<_> = run
            .losses()
            .iter()
            .zip(plain.losses())
            .map(|(a, b)| *a != b)
            .collect();
        let expected: Vec<_> = (0..PER_EPOCH as usize)
            .map(|step| step == place / BATCH)
            .collect();
        assert_eq!(differ, expected, "item {place} of the order");
    }
}

#[test]
fn batches_depend_on_the_seed_and_the_step_alone() {
    let set = sprites();
    let config = SpriteTraining {
        horizontal_flip: true,
        ..tiny(&set, 4)
    };
    let (first, second) = (unbroken(&config, &set).0, unbroken(&config, &set).0);
    assert_eq!(first.losses(), second.losses());
    let other = unbroken(&SpriteTraining { seed: 12, ..config }, &set).0;
    for (step, (a, b)) in first.losses().iter().zip(other.losses()).enumerate() {
        assert_ne!(*a, b, "step {step} under another seed");
    }
}

#[test]
fn how_often_it_is_logged_saved_and_sampled_does_not_change_a_loss() {
    let set = sprites();
    let config = tiny(&set, 4);
    let often = SpriteTraining {
        checkpoint_every: 1,
        sample_every: 1,
        ..config.clone()
    };
    assert_eq!(
        unbroken(&config, &set).0.losses(),
        unbroken(&often, &set).0.losses()
    );
}

#[test]
fn hooks_see_every_loss_once_and_are_asked_for_pictures_when_they_are_due() {
    let set = sprites();
    let config = SpriteTraining {
        sample_every: 2,
        ..tiny(&set, 5 * PER_EPOCH)
    };
    let run = Run::new(&config);
    let mut notes = Notes::default();
    run.train_with(&config, &set, &mut notes).expect("legal");
    let seen: Vec<_> = notes.logged.iter().map(|(record, _)| record.loss).collect();
    assert_eq!(seen, run.losses());
    assert!(
        notes
            .logged
            .iter()
            .all(|(_, progress)| (0.0..=1.0).contains(progress))
    );
    // After epochs 2 and 4, and at the end.
    assert_eq!(notes.samples, [2, 4, 5]);
}

#[test]
fn without_an_average_the_model_to_sample_from_is_the_raw_one() {
    let set = sprites();
    let config = tiny(&set, 4);
    let (with, averaged) = unbroken(&config, &set);
    let (without, raw) = unbroken(
        &SpriteTraining {
            ema: None,
            ..config
        },
        &set,
    );
    // The average follows the training and does not touch it.
    assert_eq!(with.losses(), without.losses());
    assert_same_weights(&weights(&raw.model), &saved(&without, "model.safetensors"));
    assert_same_weights(&weights(&raw.model), &saved(&with, "model.safetensors"));
    assert_same_weights(&weights(&averaged.model), &saved(&with, "ema.safetensors"));
    assert_ne!(
        weights(&averaged.model).get("out.3.bias"),
        weights(&raw.model).get("out.3.bias")
    );
    let (_, folder) = without.folder.last_checkpoint().expect("one");
    assert!(!folder.join("ema.safetensors").exists());
}

#[test]
fn an_average_of_decay_zero_is_the_raw_model() {
    let set = sprites();
    let (run, trained) = unbroken(
        &SpriteTraining {
            ema: Some(0.0),
            ..tiny(&set, 2)
        },
        &set,
    );
    assert_same_weights(&weights(&trained.model), &saved(&run, "model.safetensors"));
}

#[test]
fn running_statistics_are_trained_and_averaged() {
    let set = sprites();
    let (run, _) = unbroken(&tiny(&set, 2), &set);
    for name in ["model.safetensors", "ema.safetensors"] {
        let dict = saved(&run, name);
        let mean = dict
            .get("init_conv.conv1.1.running_mean")
            .expect("a running mean");
        assert!(
            mean.to_f32().iter().any(|v| *v != 0.0) && mean.to_f32().iter().all(|v| v.is_finite()),
            "{name}"
        );
    }
}

#[test]
fn a_checkpoint_carries_what_sampling_must_know() {
    let set = sprites();
    let config = SpriteTraining {
        prediction_type: PredictionType::VPrediction,
        ..tiny(&set, 1)
    };
    let (run, trained) = unbroken(&config, &set);
    let dict = saved(&run, "ema.safetensors");
    let card: DiffusionCard =
        serde_json::from_str(&dict.metadata()[DiffusionCard::KEY]).expect("a card");
    assert_eq!(card, config.card());
    assert_eq!(card.context_names, set.class_names());
    let (model, shape) =
        load_model::<Flex, ContextUnet<Flex>>(dict.path(), &Default::default()).expect("whole");
    assert_eq!(shape, config.model);
    let output = |model: &ContextUnet<Flex>| {
        let device = Default::default();
        model
            .forward(
                Tensor::ones([1, 3, 16, 16], &device),
                Tensor::from_floats([0.5], &device),
                None,
            )
            .into_data()
    };
    output(&model).assert_eq(&output(&trained.model), true);
}

#[test]
fn every_prediction_noise_and_weighting_trains_with_finite_losses_of_its_own() {
    let set = sprites();
    let base = tiny(&set, 4);
    let min_snr = LossWeighting::MinSnr { gamma: 5.0 };
    let variants = [
        base.clone(),
        SpriteTraining {
            forward_noise: ForwardNoise::Course,
            ..base.clone()
        },
        SpriteTraining {
            prediction_type: PredictionType::VPrediction,
            ..base.clone()
        },
        SpriteTraining {
            prediction_type: PredictionType::Sample,
            ..base.clone()
        },
        SpriteTraining {
            loss_weighting: min_snr,
            ..base.clone()
        },
        SpriteTraining {
            loss_weighting: min_snr,
            prediction_type: PredictionType::VPrediction,
            ..base.clone()
        },
        SpriteTraining {
            loss_weighting: min_snr,
            prediction_type: PredictionType::Sample,
            ..base.clone()
        },
        SpriteTraining {
            schedule: NoiseScheduleConfig::ddpm(),
            ..base.clone()
        },
        SpriteTraining {
            context_drop: 1.0,
            ..base.clone()
        },
        SpriteTraining {
            horizontal_flip: true,
            ..base.clone()
        },
    ];
    let mut seen: Vec<Vec<f32>> = Vec::new();
    for config in &variants {
        let (run, trained) = unbroken(config, &set);
        let losses = run.losses();
        assert!(
            losses.iter().all(|loss| loss.is_finite() && *loss > 0.0),
            "{config:?}: {losses:?}"
        );
        weights(&trained.model)
            .check_finite()
            .expect("finite weights");
        assert!(
            !seen.contains(&losses),
            "the losses of another variant: {config:?}"
        );
        seen.push(losses);
    }
}

#[test]
fn clipping_changes_the_run_only_where_it_bites() {
    let set = sprites();
    let losses = |clip_norm| {
        unbroken(
            &SpriteTraining {
                clip_norm,
                ..tiny(&set, 4)
            },
            &set,
        )
        .0
        .losses()
    };
    let free = losses(None);
    assert_eq!(losses(Some(1e9)), free);
    // Adam forgives a constant scale but for its ε; a norm of 1e-8 brings the gradients down to that.
    let clipped = losses(Some(1e-8));
    assert!(
        clipped[0] == free[0] && clipped[3] != free[3],
        "{clipped:?} {free:?}"
    );
}

#[test]
fn a_run_in_memory_takes_the_steps_of_one_on_disk_and_leaves_nothing() {
    let set = sprites();
    let config = tiny(&set, 4);
    let on_disk = Run::new(&config).train(&config, &set).expect("trained");
    let run = RunFolder::in_memory();
    let trained = train_sprites::<A>(&config, &set, &run, &mut (), &Default::default());
    let trained = trained.expect("trained");
    assert_eq!((trained.steps, trained.last_loss), (4, on_disk.last_loss));
    assert_same_weights(&weights(&trained.model), &weights(&on_disk.model));
    assert!(run.is_in_memory() && run.checkpoints().expect("none").is_empty());
    let lines: Vec<StepRecord> = run.metrics().expect("none");
    assert!(lines.is_empty());
    // Nothing is written beside the program either: an empty path is its own folder.
    assert!(!run.metrics_path().exists() && !run.path().join("config.json").exists());
}
