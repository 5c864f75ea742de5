//! Models that are found.

use std::collections::HashMap;

use burn_flex::Flex;
use pyrograph_models::{
    context_unet::{ContextUnet, ContextUnetConfig},
    dcgan::{AnoGan, Dcgan},
    ssd::Ssd,
    weights::{NamedModel, TensorEntry, save_model},
};

use super::*;

/// A file whose header says that it holds the model `name`.
fn write(path: &Path, name: &str) {
    let mut dict = StateDict::new();
    dict.insert("a", TensorEntry::from_f32(vec![1], vec![0.0]));
    let header = format!(r#"{{"model": "{name}", "config": {{}}}}"#);
    let metadata = HashMap::from([("pyrograph".to_owned(), header)]);
    dict.save(path, metadata).expect("writable");
}

#[test]
fn the_names_are_those_of_the_models() {
    assert_eq!(SPRITES, <ContextUnet<Flex> as NamedModel<Flex>>::NAME);
    assert_eq!(ANOMALY, <AnoGan<Flex> as NamedModel<Flex>>::NAME);
    assert_eq!(DETECTOR, <Ssd<Flex> as NamedModel<Flex>>::NAME);
    assert_eq!(GENERATOR, <Dcgan<Flex> as NamedModel<Flex>>::NAME);
}

#[test]
fn a_file_is_known_by_its_header() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    let config = ContextUnetConfig {
        n_feat: 8,
        ..ContextUnetConfig::default()
    };
    let model: ContextUnet<Flex> = config.init(&Default::default(), 0).expect("legal");
    save_model(&model, &config, HashMap::new(), &path).expect("writable");
    assert_eq!(TaskKind::of(&path).expect("known"), TaskKind::Sprites);
    // A folder that holds this file alone is this model.
    assert_eq!(locate(folder.path()).expect("known").path, path);

    write(&folder.path().join("other.safetensors"), ANOMALY);
    let error = TaskKind::of(folder.path()).expect_err("two").to_string();
    assert!(
        error.contains("model.safetensors, ") && error.contains("--task"),
        "{error}"
    );
    write(&folder.path().join("third.safetensors"), DETECTOR);
    std::fs::create_dir(folder.path().join("more")).expect("writable");
    for name in ["one", "two"] {
        let path = folder
            .path()
            .join("more")
            .join(format!("{name}.safetensors"));
        write(&path, SPRITES);
    }
    let more = TaskKind::of(&folder.path().join("more")).expect_err("two");
    assert!(
        more.to_string().contains("one of the models in it"),
        "{more}"
    );
    let anomaly = model_path(TaskKind::Anomaly, folder.path()).expect("one of this task");
    assert_eq!(anomaly, folder.path().join("other.safetensors"));
}

#[test]
fn a_run_is_its_best_weights() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = folder.path().join("run");
    for step in [9, 10] {
        let checkpoint = run.join(CHECKPOINTS).join(format!("{STEP}{step}"));
        fs::create_dir_all(&checkpoint).expect("writable");
        write(&checkpoint.join("model.safetensors"), SPRITES);
        write(&checkpoint.join("ema.safetensors"), SPRITES);
    }
    fs::create_dir_all(run.join(CHECKPOINTS).join(".partial-11")).expect("writable");
    let found = locate(&run).expect("a run");
    let last = run.join("checkpoints/step-10/ema.safetensors");
    assert_eq!((found.kind, &found.path), (TaskKind::Sprites, &last));
    assert_eq!(locate(folder.path()).expect("its folder").path, last);
    let other = model_path(TaskKind::Detect, &run)
        .expect_err("sprites")
        .to_string();
    assert!(
        other.contains("is detect, but must be sprites") && other.contains("leave --task out"),
        "{other}"
    );
    write(&run.join(BEST), DETECTOR);
    assert_eq!(TaskKind::of(&run).expect("a run"), TaskKind::Detect);
    write(&run.join(FITTED), ANOMALY);
    assert_eq!(TaskKind::of(&run).expect("a run"), TaskKind::Anomaly);
    assert_eq!(
        model_path(TaskKind::Detect, &run).expect("its best"),
        run.join(BEST)
    );
}

#[test]
fn what_is_no_model_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = |path: &Path| TaskKind::of(path).expect_err("no model").to_string();
    assert!(refused(folder.path()).contains("must be a diffusers folder"));
    assert!(refused(&folder.path().join("nowhere")).contains("nowhere"));
    let text = folder.path().join("notes.txt");
    fs::write(&text, "hello").expect("writable");
    assert!(refused(&text).contains("does not read"));
    let path = folder.path().join("gan.safetensors");
    write(&path, GENERATOR);
    assert!(refused(&path).contains("pyrograph anomaly fit"));
    let diffusers = folder.path().join("sd");
    fs::create_dir(&diffusers).expect("writable");
    fs::write(diffusers.join(INDEX), "{}").expect("writable");
    assert_eq!(TaskKind::of(folder.path()).expect("one"), TaskKind::Txt2img);
}
