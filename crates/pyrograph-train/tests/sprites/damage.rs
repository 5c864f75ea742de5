//! Checkpoints whose files are not as they were written.

use std::{fs, path::Path};

use pyrograph_train::{TrainError, sprites::SpriteTraining, weights_path, whole_weights};

use crate::{
    common::{Notes, PER_EPOCH, Run, assert_same_weights, saved, sprites, tiny, unbroken},
    resume::{STEPS, assert_same_log},
};

/// The files of a checkpoint.
const FILES: [&str; 4] = [
    "model.safetensors",
    "ema.safetensors",
    "optimizer.bin",
    "state.json",
];

/// Changes one bit in the middle of a file, as a failing disk does.
fn flip_a_bit(path: &Path) {
    let mut bytes = fs::read(path).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).expect("writable");
}

#[test]
fn a_damaged_checkpoint_is_refused_by_the_name_of_its_file() {
    let set = sprites();
    let config = tiny(&set, 2);
    let (run, _) = unbroken(&config, &set);
    let (_, folder) = run.folder.last_checkpoint().expect("one");
    let longer = SpriteTraining {
        steps: Some(3),
        ..config
    };
    let damages: [fn(&Path); 3] = [
        flip_a_bit,
        |path| fs::write(path, "damaged").expect("writable"),
        |path| fs::remove_file(path).expect("there"),
    ];
    for name in FILES {
        let good = fs::read(folder.join(name)).expect("readable");
        for damage in damages {
            damage(&folder.join(name));
            let error = run.train(&longer, &set).expect_err(name);
            assert!(matches!(error, TrainError::Damaged { .. }), "{error:?}");
            let text = error.to_string();
            assert!(
                text.contains(name) && text.contains("begin a new run"),
                "{name}: {text}"
            );
        }
        fs::write(folder.join(name), good).expect("writable");
    }
    assert_eq!(run.train(&longer, &set).expect("mended").steps, 3);
}

#[test]
fn a_run_goes_on_from_the_older_checkpoint_where_the_last_is_damaged() {
    let set = sprites();
    let config = SpriteTraining {
        checkpoint_every: 1,
        ..tiny(&set, STEPS)
    };
    let (whole, _) = unbroken(&config, &set);
    for name in FILES {
        let run = Run::new(&config);
        run.train_for(5, &config, &set);
        assert_eq!(run.checkpoints(), [3, 5]);
        let (_, folder) = run.folder.last_checkpoint().expect("one");
        flip_a_bit(&folder.join(name));
        let mut hooks = Notes::default();
        run.train_with(&config, &set, &mut hooks)
            .expect("from step 3");
        assert_same_log(&run, &whole);
        assert_same_weights(
            &saved(&run, "model.safetensors"),
            &saved(&whole, "model.safetensors"),
        );
        let [remark] = hooks.remarks.as_slice() else {
            panic!("{:?}", hooks.remarks);
        };
        assert!(
            remark.contains(name) && remark.contains("step 3"),
            "{remark}"
        );
        // Not deleted: there may be something to save.
        assert!(
            folder
                .with_file_name("damaged-step-5")
                .join("model.safetensors")
                .is_file()
        );
    }
}

#[test]
fn damaged_weights_are_passed_over_for_the_older_checkpoint_and_nothing_else_is_sampled_from() {
    let set = sprites();
    let config = SpriteTraining {
        checkpoint_every: 1,
        ..tiny(&set, PER_EPOCH + 1)
    };
    let (run, _) = unbroken(&config, &set);
    let (_, folder) = run.folder.last_checkpoint().expect("one");
    let good = fs::read(folder.join("ema.safetensors")).expect("there");
    let damages: [fn(&Path); 2] = [flip_a_bit, |path| fs::remove_file(path).expect("there")];
    for damage in damages {
        fs::write(folder.join("ema.safetensors"), &good).expect("writable");
        damage(&folder.join("ema.safetensors"));
        let mut remarks = Vec::new();
        let older = whole_weights(&run.folder, [false], &mut |text| {
            remarks.push(text.to_owned());
        });
        let [older] = older.expect("the older one");
        assert!(
            older.ends_with(format!("step-{PER_EPOCH}/ema.safetensors")),
            "{older:?}"
        );
        let [remark] = remarks.as_slice() else {
            panic!("{remarks:?}");
        };
        assert!(
            remark.contains("ema.safetensors") && remark.contains("step 3 is taken"),
            "{remark}"
        );
    }
    assert!(
        weights_path(&run.folder, true)
            .expect("the raw model is whole")
            .ends_with(format!("step-{}/model.safetensors", PER_EPOCH + 1))
    );
    flip_a_bit(&older_average(&run));
    let error = weights_path(&run.folder, false)
        .expect_err("damaged")
        .to_string();
    assert!(
        error.contains("ema.safetensors") && error.contains("no whole checkpoint is left"),
        "{error}"
    );
}

fn older_average(run: &Run) -> std::path::PathBuf {
    let checkpoints = run.folder.checkpoints().expect("readable");
    checkpoints[0].1.join("ema.safetensors")
}
