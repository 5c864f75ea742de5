//! A detector that learns from another one.

use burn_flex::Flex;
use pyrograph_losses::{DistillMethod, Objective, PriorMatcher, TruthBox};
use pyrograph_models::{
    ssd::{Detector, DetectorCard, DetectorInput, Ssd},
    weights::{StateDict, load_model},
};
use pyrograph_train::ssd::{
    CacheOptions, DetectionSource, Distillation, SsdOptimizer, SsdTraining, Unlabelled,
    UnlabelledSource, best_weights,
};

use super::{
    common::{Notes, Run, assert_same_weights, scenes, tiny},
    teachers::{SmallTeacher, learning, taught},
};

#[test]
fn methods_of_weight_0_are_a_plain_training_to_the_bit() {
    let teacher = SmallTeacher::new();
    let methods: Vec<_> = DistillMethod::NAMES
        .iter()
        .map(|name| (*name, 0.0))
        .collect();
    let config = taught(4, learning(&teacher.path, &methods));
    let (plain_run, run) = (Run::new(&tiny(4)), Run::new(&config));
    let plain = plain_run.train(&tiny(4), &mut ()).expect("trained");
    let ours = run.train(&config, &mut ()).expect("trained");
    assert_same_weights(&plain.network, &ours.network);
    assert_eq!(plain_run.log(), run.log());
}

#[test]
fn every_method_logs_its_terms_with_their_ratios_and_moves_the_student() {
    let teacher = SmallTeacher::new();
    let plain_run = Run::new(&tiny(2));
    let plain = plain_run.train(&tiny(2), &mut ()).expect("trained");
    let plain_dict = StateDict::open(best_weights(&plain_run.folder).expect("weights"));
    let plain_keys: Vec<String> = plain_dict
        .expect("reads")
        .keys()
        .map(str::to_owned)
        .collect();
    let terms_of = |name: &str| match name {
        "chen" => vec!["bounded", "soft"],
        "cwd" => vec!["cwd"],
        "pkd" => vec!["pkd"],
        "score-l2" => vec!["score_l2"],
        "response" => vec!["response_cls", "response_loc"],
        _ => vec!["lad_conf", "lad_loc"],
    };
    for name in DistillMethod::NAMES {
        let config = taught(2, learning(&teacher.path, &[(name, 0.5)]));
        let run = Run::new(&config);
        let trained = run.train(&config, &mut ()).expect(name);
        for record in run.log() {
            let names: Vec<&str> = record.distillation.keys().map(String::as_str).collect();
            assert_eq!(names, terms_of(name), "{name}");
            for (name, term) in &record.distillation {
                let detection = record.loc_loss + record.conf_loss;
                // The class-weighted divergence can fall below 0.
                assert!(name == "soft" || term.loss >= 0.0);
                assert!((term.ratio - term.loss / detection).abs() < 1e-6);
            }
        }
        let path = best_weights(&run.folder).expect("weights");
        let dict = StateDict::open(&path).expect("reads");
        let keys: Vec<String> = dict.keys().map(str::to_owned).collect();
        assert_eq!(
            keys, plain_keys,
            "{name}: a student's file has a plain student's keys"
        );
        let (_, config_read) =
            load_model::<Flex, Ssd<Flex>>(&path, &Default::default()).expect("a detector");
        assert_eq!(config_read, config.model);
        let method: DistillMethod = name.parse().expect("a method");
        let projectors = run
            .folder
            .path()
            .join("checkpoints/step-2/projectors.safetensors");
        assert_eq!(projectors.is_file(), method.needs().maps, "{name}");
        let same = super::common::weights(&trained.network)
            .keys()
            .filter(|key| key.ends_with("conv1_2.weight") || key.ends_with("vgg.0.weight"))
            .all(|key| {
                let (a, b) = (
                    super::common::weights(&trained.network),
                    super::common::weights(&plain.network),
                );
                a.get(key) == b.get(key)
            });
        assert!(!same, "{name} moves nothing");
    }
}

#[test]
fn a_resumed_distillation_ends_as_an_unbroken_one() {
    let teacher = SmallTeacher::new();
    let distillation = || Distillation {
        cache: Some(CacheOptions {
            draws: 2,
            file: None,
        }),
        until: 0.9,
        every: 2,
        ..learning(&teacher.path, &[("cwd", 1.0), ("chen", 0.5)])
    };
    let config = SsdTraining {
        optimizer: SsdOptimizer::AdamW,
        learning_rate: 1e-3,
        ..taught(8, distillation())
    };
    let unbroken = Run::new(&config);
    let whole = unbroken.train(&config, &mut ()).expect("trained");
    let broken = Run::new(&config);
    let mut notes = Notes {
        stop_after: Some(5),
        ..Notes::default()
    };
    let first = broken.train(&config, &mut notes).expect("stopped");
    assert!(first.interrupted && first.steps == 5);
    let cache = broken.folder.path().join("teacher-cache.bin");
    assert!(cache.is_file());
    let second = broken.train(&config, &mut ()).expect("trained");
    assert!(!cache.exists(), "a finished run needs its answers no more");
    assert_same_weights(&whole.network, &second.network);
    assert_eq!(unbroken.log(), broken.log());
    // Steps 1, 3, 5, 7 ask the teacher; the last of the eight is past the share.
    let asked: Vec<u64> = unbroken
        .log()
        .iter()
        .filter(|record| !record.distillation.is_empty())
        .map(|record| record.step)
        .collect();
    assert_eq!(asked, [1, 3, 5, 7]);
}

#[test]
fn classes_by_other_names_are_mapped() {
    let teacher = SmallTeacher::new();
    let names = scenes().class_names().to_vec();
    let mut turned = names.clone();
    turned.rotate_left(1);
    let ours = |classes: Vec<String>| {
        let config = taught(
            1,
            Distillation {
                teacher_classes: classes,
                ..learning(&teacher.path, &[("response", 1.0)])
            },
        );
        let run = Run::new(&config);
        run.train(&config, &mut ()).expect("trained");
        run.log()[0].distillation["response_cls"].loss
    };
    assert_eq!(ours(Vec::new()).to_bits(), ours(names).to_bits());
    assert_ne!(ours(Vec::new()).to_bits(), ours(turned).to_bits());
}

#[test]
fn a_term_that_teaches_nothing_ends_the_run_after_a_hundred_steps() {
    let teacher = SmallTeacher::new();
    // A teacher that is sure of the background everywhere: its scores vanish.
    teacher.change(|key, values| {
        if key.starts_with("conf.") && key.ends_with(".bias") {
            for (place, value) in values.iter_mut().enumerate() {
                *value = if place % 6 == 0 { 500.0 } else { -500.0 };
            }
        }
    });
    let mut config = taught(101, learning(&teacher.path, &[("score-l2", 1.0)]));
    config.augment = pyrograph_data::detection::SsdAugment::none();
    let run = Run::new(&config);
    let error = run.train(&config, &mut ()).expect_err("silent").to_string();
    assert!(
        error.contains("score_l2") && error.contains("100 steps"),
        "{error}"
    );
    assert_eq!(run.log().len(), 100);
}

#[test]
fn unlabelled_images_join_with_the_teachers_detections() {
    let teacher = SmallTeacher::new();
    // A teacher that is sure of an object everywhere.
    teacher.change(|key, values| {
        if key.starts_with("conf.") && key.ends_with(".bias") {
            for (place, value) in values.iter_mut().enumerate() {
                *value = if place % 6 == 1 { 9.0 } else { 0.0 };
            }
        }
    });
    let source = DetectionSource::Scenes {
        count: 5,
        side: 48,
        seed: 3,
    };
    let unlabelled = Unlabelled {
        images: UnlabelledSource::Source(source.part("unlabelled").expect("a part")),
        share: 0.5,
        labelling: Default::default(),
    };
    let config = SsdTraining {
        batch_size: 4,
        evaluate_every: 0,
        ..taught(
            3,
            Distillation {
                unlabelled: Some(unlabelled),
                ..learning(&teacher.path, &[])
            },
        )
    };
    // Without objects, every threshold is the floor.
    let validation = pyrograph_art::scenes(3, 48, 77)
        .expect("a set")
        .without_objects();
    let run = Run::new(&config);
    let mut notes = Notes::default();
    let trained = run.train_on(&config, &scenes(), Some(&validation), &mut notes);
    let trained = trained.expect("trained");
    let said = notes.remarks.join("\n");
    assert!(
        said.contains("unlabelled images") && said.contains("mAP@.5"),
        "{said}"
    );
    let json = std::fs::read(run.folder.path().join("pseudo-labels.json")).expect("written");
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    assert!(!json["annotations"].as_array().expect("a list").is_empty());
    // Two labelled images a step: seven make four epochs' steps of 2, 2 and 2, the last of one is
    // left out.
    assert_eq!(
        run.log()
            .iter()
            .map(|record| record.epoch)
            .collect::<Vec<_>>(),
        [0, 0, 0]
    );

    let broken = Run::new(&config);
    let mut notes = Notes {
        stop_after: Some(2),
        ..Notes::default()
    };
    broken
        .train_on(&config, &scenes(), Some(&validation), &mut notes)
        .expect("stopped");
    let mut other = config.clone();
    if let Some(distillation) = &mut other.distillation
        && let Some(unlabelled) = &mut distillation.unlabelled
        && let UnlabelledSource::Source(DetectionSource::Scenes { count, .. }) =
            &mut unlabelled.images
    {
        *count = 4;
    }
    let refused = broken.train_on(&other, &scenes(), Some(&validation), &mut ());
    let refused = refused.expect_err("other images").to_string();
    assert!(refused.contains("unlabelled images"), "{refused}");
    let second = broken.train_on(&config, &scenes(), Some(&validation), &mut ());
    assert_same_weights(&trained.network, &second.expect("trained").network);

    let refused = Run::new(&config)
        .train(&config, &mut ())
        .expect_err("no validation");
    assert!(refused.to_string().contains("validation"), "{refused}");
}

#[test]
fn the_losses_on_the_validation_images_are_those_of_the_whole_set() {
    let validation = pyrograph_art::scenes(5, 48, 77).expect("a set");
    let config = SsdTraining {
        ema: None,
        ..tiny(2)
    };
    let run = Run::new(&config);
    let trained = run
        .train_on(&config, &scenes(), Some(&validation), &mut ())
        .expect("trained");
    let record = run.log().pop().expect("logged");
    let card = DetectorCard {
        classes: validation.class_names().to_vec(),
        normalisation: config.normalisation,
    };
    let detector = Detector::new(
        trained.network,
        config.model.clone(),
        card.clone(),
        Default::default(),
    );
    let detector = detector.expect("fits");
    let coder = config.model.prior_config().coder();
    let matcher = PriorMatcher::new(config.model.prior_boxes().expect("priors"), coder);
    let (mut loc, mut conf, mut positives) = (0.0, 0.0, 0);
    for (place, sample) in validation.samples().iter().enumerate() {
        let image = validation.image(place).expect("drawn");
        let input = DetectorInput::new(&image, &config.model, &card).expect("fits");
        let output = detector.forward(&[&input]).expect("numbers");
        let truth = |object: &pyrograph_data::detection::BoxObject| TruthBox {
            bbox: object.bbox.scaled(1.0 / 48.0, 1.0 / 48.0),
            class: object.class,
        };
        let truths = [sample.objects.iter().map(truth).collect::<Vec<_>>()];
        let terms = config
            .loss
            .forward(output.loc, output.conf, &matcher, &truths);
        let terms = terms.expect("fits");
        let count = terms.positives as f32;
        loc += terms.loc.into_scalar() * count;
        conf += terms.conf.into_scalar() * count;
        positives += terms.positives;
    }
    let near = |ours: Option<f32>, sum: f32| {
        let (ours, theirs) = (ours.expect("measured"), sum / positives as f32);
        assert!(
            (ours - theirs).abs() < 1e-3 * theirs,
            "{ours} is not {theirs}"
        );
    };
    near(record.val_loc_loss, loc);
    near(record.val_conf_loss, conf);
}
