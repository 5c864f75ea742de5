//! Teachers, caches and numbers that are refused.

use pyrograph_models::ssd::SsdBackbone;
use pyrograph_train::ssd::{CacheOptions, Distillation, SsdTraining, teacher_checksum};

use super::{
    common::{Run, assert_same_weights, scenes, tiny},
    teachers::{SmallTeacher, learning, refusal, taught},
};

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
    let others = pyrograph_art::scenes(6, 48, 4).expect("a set");
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
        refused.contains("mAP@.5") && refused.contains("`any_teacher`"),
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
