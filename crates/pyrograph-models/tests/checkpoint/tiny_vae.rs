//! Files of TAESD.

use std::{collections::HashMap, path::Path};

use burn::tensor::DType;
use burn_flex::Flex;
use pyrograph_models::{
    stable_diffusion::{
        checkpoint::{Part, open_tiny_vae},
        tiny_vae::{AutoencoderTiny, AutoencoderTinyConfig},
    },
    weights::{StateDict, TensorEntry, build_model, state_dict_of},
};

use super::folder::{weights, write};

/// A few keys of each half under the authors' names, and under diffusers'.
const ENCODER: [(&str, &str); 2] = [
    ("0.weight", "encoder.layers.0.weight"),
    ("1.conv.2.weight", "encoder.layers.1.conv.2.weight"),
];
const DECODER: [(&str, &str); 2] = [
    ("1.weight", "decoder.layers.0.weight"),
    ("3.conv.0.bias", "decoder.layers.2.conv.0.bias"),
];

fn half(prefix: &str, keys: &[(&str, &str)]) -> StateDict {
    let mut dict = StateDict::new();
    for (key, _) in keys {
        dict.insert(
            format!("{prefix}{key}"),
            TensorEntry::from_f32(vec![2, 16, 1, 1], vec![1.0; 32]),
        );
    }
    dict
}

fn save(dict: &StateDict, path: &Path) {
    dict.save(path, HashMap::new()).expect("writable");
}

#[track_caller]
fn assert_both(part: Part) {
    let expected: Vec<_> = DECODER
        .iter()
        .chain(&ENCODER)
        .map(|(_, key)| *key)
        .collect();
    assert_eq!(part.weights.keys().collect::<Vec<_>>(), expected);
    assert!(
        part.config.contains(r#""latent_channels":16"#),
        "{}",
        part.config
    );
}

#[test]
fn two_files_of_the_authors_open_from_either_and_from_their_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let (encoder, decoder) = (
        folder.path().join("taesd_encoder.pth"),
        folder.path().join("taesd_decoder.pth"),
    );
    save(&half("", &ENCODER), &encoder);
    let error = open_tiny_vae(&encoder).expect_err("no decoder").to_string();
    assert!(error.contains("taesd_decoder.pth"), "{error}");
    save(&half("", &DECODER), &decoder);
    for path in [&encoder, &decoder, &folder.path().to_owned()] {
        assert_both(open_tiny_vae(path).expect("both halves"));
    }
}

#[test]
fn the_files_of_the_authors_build_the_model() {
    let device = Default::default();
    let model = AutoencoderTinyConfig::taesd()
        .init::<Flex>(&device, 3)
        .expect("a model");
    let dict = state_dict_of(&model).expect("its weights");
    let folder = tempfile::tempdir().expect("a folder");
    for (half, first) in [("encoder", 0), ("decoder", 1)] {
        let authors = dict.part(&format!("{half}.layers.")).renamed(|key| {
            let (number, rest) = key.split_once('.').expect("a layer");
            format!(
                "{}.{rest}",
                number.parse::<usize>().expect("a number") + first
            )
        });
        save(
            &authors,
            &folder.path().join(format!("taesd_{half}.safetensors")),
        );
    }
    let part = open_tiny_vae(folder.path()).expect("both halves");
    let config = AutoencoderTinyConfig::from_diffusers(&part.config).expect("a config");
    let built: AutoencoderTiny<Flex> =
        build_model(&config, &part.weights, &device).expect("every key");
    let built = state_dict_of(&built).expect("its weights");
    assert!(dict.keys().all(
        |key| built.get(key).map(TensorEntry::to_f32) == dict.get(key).map(TensorEntry::to_f32)
    ));
}

#[test]
fn one_file_of_both_halves_opens() {
    let folder = tempfile::tempdir().expect("a folder");
    for (encoder, decoder) in [
        ("encoder.", "decoder."),
        ("taesd_encoder.", "taesd_decoder."),
    ] {
        let mut both = half(encoder, &ENCODER);
        let other = half(decoder, &DECODER);
        other
            .keys()
            .for_each(|key| both.insert(key, other.get(key).expect("its tensor").clone()));
        let path = folder.path().join("taesd.safetensors");
        save(&both, &path);
        assert_both(open_tiny_vae(&path).expect("both halves"));
    }
}

#[test]
fn a_folder_of_diffusers_opens() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = r#"{"_class_name": "AutoencoderTiny"}"#;
    write(&folder.path().join("config.json"), config);
    let file = folder.path().join("diffusion_pytorch_model.safetensors");
    weights(&file, "encoder.layers.0.weight", DType::F32);
    assert_eq!(open_tiny_vae(folder.path()).expect("a part").config, config);
    assert_eq!(open_tiny_vae(&file).expect("a part").config, config);
}

#[test]
fn other_files_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    weights(&path, "conv.weight", DType::F32);
    assert!(
        open_tiny_vae(&path)
            .expect_err("no halves")
            .to_string()
            .contains("it holds no tiny VAE")
    );
    let wrong = folder.path().join("taesd_decoder.safetensors");
    weights(&wrong, "0.weight", DType::F32);
    weights(
        &folder.path().join("taesd_encoder.safetensors"),
        "0.weight",
        DType::F32,
    );
    let error = open_tiny_vae(&wrong)
        .expect_err("the decoder's first layer is 1")
        .to_string();
    assert!(
        error.contains("`0.weight` is no key of TAESD's decoder"),
        "{error}"
    );
}
