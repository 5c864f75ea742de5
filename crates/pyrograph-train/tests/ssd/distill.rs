//! A detector that learns from another one.

use std::path::{Path, PathBuf};

use burn_flex::Flex;
use pyrograph_data::detection::DetectionSet;
use pyrograph_losses::{DistillMethod, Objective, PriorMatcher, TruthBox};
use pyrograph_models::{
    ssd::{Detector, DetectorCard, DetectorInput, Ssd, SsdBackbone},
    weights::{StateDict, TensorEntry, load_model},
};
use pyrograph_train::ssd::{
    CacheOptions, DetectionSource, Distillation, SsdOptimizer, SsdTraining, Unlabelled,
    UnlabelledSource, WeightedMethod, best_weights, teacher_checksum,
};
use tempfile::TempDir;

use super::common::{Notes, Run, assert_same_weights, scenes, tiny};

/// A small detector that has learned next to nothing, in a file.
struct SmallTeacher {
    path: PathBuf,
    _folder: TempDir,
}

impl SmallTeacher {
    fn of(config: &SsdTraining) -> Self {
        let run = Run::new(config);
        run.train(config, &mut ()).expect("trained");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("teacher.safetensors");
        std::fs::copy(best_weights(&run.folder).expect("weights"), &path).expect("copied");
        Self {
            path,
            _folder: folder,
        }
    }

    /// Twice as wide as the student.
    fn new() -> Self {
        let mut config = tiny(2);
        config.model.width = 0.0625;
        config.seed = 5;
        Self::of(&config)
    }

    /// Its file with some tensors changed.
    fn change(&self, change: impl Fn(&str, &mut Vec<f32>)) {
        let mut dict = StateDict::open(&self.path).expect("reads");
        let keys: Vec<String> = dict.keys().map(str::to_owned).collect();
        for key in keys {
            let entry = dict.get(&key).expect("there");
            let (shape, mut values) = (entry.shape().to_vec(), entry.to_f32());
            change(&key, &mut values);
            dict.insert(key, TensorEntry::from_f32(shape, values));
        }
        let metadata = dict.metadata().clone();
        dict.save(&self.path, metadata).expect("written");
    }
}

fn learning(teacher: &Path, methods: &[(&str, f64)]) -> Distillation {
    let weighted = |&(name, weight): &(&str, f64)| WeightedMethod {
        method: name.parse::<DistillMethod>().expect("a method"),
        weight,
    };
    Distillation {
        teacher: teacher.into(),
        teacher_checksum: teacher_checksum(teacher).expect("reads"),
        teacher_classes: Vec::new(),
        methods: methods.iter().map(weighted).collect(),
        until: 1.0,
        every: 1,
        projector: Default::default(),
        cache: None,
        any_teacher: true,
        unlabelled: None,
    }
}

fn taught(steps: u64, distillation: Distillation) -> SsdTraining {
    SsdTraining {
        distillation: Some(distillation),
        ..tiny(steps)
    }
}

/// The message of a training that is refused.
#[track_caller]
fn refusal(config: &SsdTraining) -> String {
    let trained = Run::new(config).train(config, &mut ());
    trained.expect_err("refused").to_string()
}

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
fn every_method_logs_its_terms_with_their_ratios_and_moves_the_student_alone() {
    let teacher = SmallTeacher::new();
    let before = std::fs::read(&teacher.path).expect("reads");
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
    assert_eq!(std::fs::read(&teacher.path).expect("reads"), before);
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
fn a_cache_serves_the_next_run_and_refuses_another_one() {
    let teacher = SmallTeacher::new();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("answers.bin");
    let config = |seed| SsdTraining {
        seed,
        ..taught(
            7,
            Distillation {
                cache: Some(CacheOptions {
                    draws: 1,
                    file: Some(file.clone()),
                }),
                ..learning(&teacher.path, &[("pkd", 1.0), ("response", 1.0)])
            },
        )
    };
    let first = Run::new(&config(1))
        .train(&config(1), &mut ())
        .expect("trained");
    let size = std::fs::metadata(&file).expect("there").len();
    let second = Run::new(&config(1))
        .train(&config(1), &mut ())
        .expect("trained");
    assert_same_weights(&first.network, &second.network);
    assert_eq!(std::fs::metadata(&file).expect("there").len(), size);

    let refused = refusal(&config(2));
    assert!(refused.contains("another seed"), "{refused}");
    let other = SmallTeacher::of(&SsdTraining { seed: 9, ..tiny(1) });
    let mut of_other = config(1);
    if let Some(distillation) = &mut of_other.distillation {
        distillation.teacher = other.path.clone();
        distillation.teacher_checksum = teacher_checksum(&other.path).expect("reads");
    }
    let refused = refusal(&of_other);
    assert!(refused.contains("another teacher"), "{refused}");
    let others = DetectionSet::scenes(6, 48, 4).expect("a set");
    let refused = Run::new(&config(1)).train_on(&config(1), &others, None, &mut ());
    let refused = refused.expect_err("other data").to_string();
    assert!(refused.contains("other data"), "{refused}");
    std::fs::write(&file, vec![7; 9000]).expect("written");
    let refused = refusal(&config(1));
    assert!(refused.contains("no cache"), "{refused}");
}

#[test]
fn a_teacher_that_does_not_fit_is_refused_by_what_differs() {
    let teacher = SmallTeacher::new();
    let plain = || learning(&teacher.path, &[("chen", 1.0)]);

    let untrained = taught(
        1,
        Distillation {
            any_teacher: false,
            ..plain()
        },
    );
    let refused = refusal(&untrained);
    assert!(
        refused.contains("mAP@.5") && refused.contains("--any-teacher"),
        "{refused}"
    );

    let changed = taught(
        1,
        Distillation {
            teacher_checksum: 1,
            ..plain()
        },
    );
    assert!(refusal(&changed).contains("checksum"));

    let mut mapped = taught(1, plain());
    if let Some(distillation) = &mut mapped.distillation {
        distillation.teacher_classes = vec!["cat".into()];
    }
    let refused = refusal(&mapped);
    assert!(
        refused.contains("--teacher-classes") && refused.contains("ellipse"),
        "{refused}"
    );

    let mobile = SmallTeacher::of(&SsdTraining {
        model: SsdTraining::for_set(&scenes(), SsdBackbone::MobilenetV2, 0.0625).model,
        ..tiny(1)
    });
    let refused = refusal(&taught(1, learning(&mobile.path, &[("response", 1.0)])));
    assert!(
        refused.contains("priors") && refused.contains("mobilenet"),
        "{refused}"
    );
    // Maps of other sizes are resized, and scores are the teacher's own.
    for name in ["cwd", "pkd", "score-l2"] {
        let config = taught(1, learning(&mobile.path, &[(name, 1.0)]));
        Run::new(&config).train(&config, &mut ()).expect(name);
    }

    teacher.change(|key, values| {
        if key == "vgg.0.weight" {
            values[0] = f32::MAX;
        }
    });
    let broken = taught(1, plain());
    let refused = refusal(&SsdTraining {
        distillation: Some(plain()),
        ..broken
    });
    assert!(refused.contains("teacher's output"), "{refused}");
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
    let validation = DetectionSet::scenes(3, 48, 77)
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
    // Two labelled images a step: seven make four epochs' steps of 2, 2 and 2, the last of one is left out.
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
    let second = broken.train_on(&config, &scenes(), Some(&validation), &mut ());
    assert_same_weights(&trained.network, &second.expect("trained").network);

    let refused = Run::new(&config)
        .train(&config, &mut ())
        .expect_err("no validation");
    assert!(refused.to_string().contains("validation"), "{refused}");
}

#[test]
fn the_losses_on_the_validation_images_are_those_of_the_whole_set() {
    let validation = DetectionSet::scenes(5, 48, 77).expect("a set");
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

#[test]
fn numbers_out_of_range_are_refused_by_name() {
    let teacher = SmallTeacher::new();
    type Change = fn(&mut Distillation);
    let changes: [(&str, Change); 8] = [
        ("until is 0", |d| d.until = 0.0),
        ("until is 1.5", |d| d.until = 1.5),
        ("teacher_every is 0", |d| d.every = 0),
        ("chen:-1", |d| d.methods[0].weight = -1.0),
        ("chen:NaN", |d| d.methods[0].weight = f64::NAN),
        ("share of the hard losses", |d| d.methods[0].weight = 4.0),
        ("chen twice", |d| d.methods.push(d.methods[0].clone())),
        ("method is none", |d| d.methods.clear()),
    ];
    for (text, change) in changes {
        let mut distillation = learning(&teacher.path, &[("chen", 1.0)]);
        change(&mut distillation);
        let refused = refusal(&taught(1, distillation));
        assert!(refused.contains(text), "{text}: {refused}");
    }
}
