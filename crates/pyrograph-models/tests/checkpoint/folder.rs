//! Diffusers folders.

use std::{collections::HashMap, fs, path::Path};

use burn::tensor::DType;
use pyrograph_models::{
    stable_diffusion::checkpoint::{Checkpoint, CheckpointOptions, Prediction, TokenizerFiles},
    weights::{StateDict, TensorEntry},
};
use serde_json::json;

pub(crate) fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
    fs::write(path, text).expect("writable");
}

/// A file of one tensor of the type `dtype`.
pub(crate) fn weights(path: &Path, key: &str, dtype: DType) {
    let mut dict = StateDict::new();
    dict.insert(
        key,
        TensorEntry::from_f32(vec![2, 2], vec![1.0, 2.0, 3.0, 4.0]).cast(dtype),
    );
    dict.save(path, HashMap::new()).expect("writable");
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    write(
        &path.join("model_index.json"),
        &json!({
            "_class_name": "StableDiffusionPipeline",
            "feature_extractor": [null, null],
            "scheduler": ["diffusers", "PNDMScheduler"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        })
        .to_string(),
    );
    for (part, file) in [
        ("text_encoder", "model.safetensors"),
        ("unet", "diffusion_pytorch_model.safetensors"),
        ("vae", "diffusion_pytorch_model.safetensors"),
    ] {
        write(
            &path.join(part).join("config.json"),
            &json!({"part": part}).to_string(),
        );
        weights(&path.join(part).join(file), part, DType::F32);
    }
    write(
        &path.join("scheduler/scheduler_config.json"),
        r#"{"prediction_type": "epsilon"}"#,
    );
    write(&path.join("tokenizer/vocab.json"), "{}");
    folder
}

fn open(path: &Path) -> Checkpoint {
    Checkpoint::open(path, &CheckpointOptions::default()).expect("opens")
}

#[track_caller]
fn refusal(path: &Path, options: &CheckpointOptions) -> String {
    Checkpoint::open(path, options)
        .expect_err("refused")
        .to_string()
}

#[test]
fn a_folder_opens_by_part() {
    let folder = folder();
    let checkpoint = open(folder.path());
    for (part, name) in [
        (&checkpoint.unet, "unet"),
        (&checkpoint.vae, "vae"),
        (&checkpoint.text_encoder, "text_encoder"),
    ] {
        assert_eq!(part.config, json!({"part": name}).to_string());
        assert_eq!(part.weights.keys().collect::<Vec<_>>(), [name]);
    }
    assert_eq!(
        checkpoint.tokenizer,
        TokenizerFiles::Folder(folder.path().join("tokenizer"))
    );
    assert_eq!(
        checkpoint.scheduler.as_deref(),
        Some(r#"{"prediction_type": "epsilon"}"#)
    );
    assert!(
        checkpoint.tiny_vae.is_none() && checkpoint.notes.is_empty(),
        "{:?}",
        checkpoint.notes
    );

    let options = CheckpointOptions {
        prediction: Some(Prediction::Velocity),
        ..Default::default()
    };
    let checkpoint = Checkpoint::open(folder.path(), &options).expect("opens");
    assert_eq!(
        checkpoint.scheduler.as_deref(),
        Some("{\n  \"prediction_type\": \"v_prediction\"\n}")
    );
}

#[test]
fn a_folder_of_a_compiled_deployment_opens_and_names_what_is_not_used() {
    let folder = folder();
    let path = folder.path();
    write(&path.join("compiled_models/unet.pt"), "traced");
    write(
        &path.join("feature_extractor/preprocessor_config.json"),
        "{}",
    );
    write(&path.join("v2-1.ckpt"), "weights");
    weights(
        &path.join("unet/diffusion_pytorch_model.bin"),
        "unet",
        DType::BF16,
    );
    assert_eq!(
        open(path).notes,
        [
            "unet/diffusion_pytorch_model.bin is not used",
            "compiled_models/ is not used",
            "feature_extractor/ is not used",
            "v2-1.ckpt is not used",
        ]
    );
}

#[test]
fn a_variant_is_taken_where_it_is_asked_for_or_alone() {
    let folder = folder();
    let unet = folder.path().join("unet");
    weights(
        &unet.join("diffusion_pytorch_model.fp16.safetensors"),
        "unet",
        DType::F16,
    );
    let dtype = |checkpoint: &Checkpoint| {
        checkpoint
            .unet
            .weights
            .get("unet")
            .expect("the tensor")
            .dtype()
    };
    assert_eq!(dtype(&open(folder.path())), DType::F32);
    let named = |variant: &str| CheckpointOptions {
        variant: Some(variant.into()),
        ..Default::default()
    };
    let checkpoint = Checkpoint::open(folder.path(), &named("fp16")).expect("opens");
    assert_eq!(dtype(&checkpoint), DType::F16);
    assert!(
        checkpoint.notes[0].contains("text_encoder/ holds no variant `fp16`"),
        "{:?}",
        checkpoint.notes
    );
    let reason = refusal(folder.path(), &named("int8"));
    assert!(
        reason.contains("no part holds weights of the variant `int8`"),
        "{reason}"
    );
    fs::remove_file(unet.join("diffusion_pytorch_model.safetensors")).expect("removable");
    assert_eq!(dtype(&open(folder.path())), DType::F16);
}

#[test]
fn a_vae_that_is_a_tiny_one_is_told() {
    let folder = folder();
    write(
        &folder.path().join("vae/config.json"),
        r#"{"_class_name": "AutoencoderTiny"}"#,
    );
    assert!(open(folder.path()).tiny_vae.is_some());
}

#[test]
fn what_is_missing_or_damaged_is_named() {
    let none = CheckpointOptions::default();
    let folder = folder();
    let path = folder.path();
    assert!(refusal(&path.join("nowhere"), &none).contains("nowhere: the file cannot be read"));
    fs::remove_file(path.join("vae/config.json")).expect("removable");
    assert!(refusal(path, &none).contains("vae/config.json"));
    fs::remove_dir_all(path.join("vae")).expect("removable");
    let reason = refusal(path, &none);
    assert!(reason.contains("the part `vae` is missing"), "{reason}");

    let unet = path.join("unet/diffusion_pytorch_model.safetensors");
    write(
        &unet,
        "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n",
    );
    let reason = refusal(path, &none);
    assert!(
        reason.contains("git-lfs pointer") && reason.contains("unet"),
        "{reason}"
    );
    weights(&unet, "unet", DType::F32);
    let bytes = fs::read(&unet).expect("readable");
    fs::write(&unet, &bytes[..bytes.len() - 4]).expect("writable");
    assert!(refusal(path, &none).contains("unet"));

    write(
        &path.join("model_index.json"),
        r#"{"_class_name": "StableDiffusionXLPipeline", "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"]}"#,
    );
    let reason = refusal(path, &none);
    assert!(
        reason.contains("StableDiffusionXLPipeline") && reason.contains("`text_encoder_2`"),
        "{reason}"
    );
    write(
        &path.join("model_index.json"),
        r#"{"unet": ["diffusers", "UNet2DModel"]}"#,
    );
    assert!(
        refusal(path, &none).contains("of the class UNet2DModel, but must be UNet2DConditionModel")
    );
}

#[test]
fn a_folder_without_tokenizer_takes_the_built_in_one() {
    let folder = folder();
    fs::remove_dir_all(folder.path().join("tokenizer")).expect("removable");
    write(
        &folder.path().join("text_encoder/config.json"),
        r#"{"hidden_size": 1024}"#,
    );
    let checkpoint = open(folder.path());
    assert_eq!(
        checkpoint.tokenizer,
        TokenizerFiles::BuiltIn {
            padding: "!".into()
        }
    );
    assert!(
        checkpoint.notes[0].contains("tokenizer/"),
        "{:?}",
        checkpoint.notes
    );
}
