//! Single files with CompVis key names, held to diffusers' converters.

use std::{collections::HashMap, fs, path::Path};

use burn_flex::Flex;
use pyrograph_models::{
    stable_diffusion::{
        checkpoint::{Checkpoint, CheckpointOptions, Part, Prediction, TokenizerFiles},
        clip::{ClipTextConfig, ClipTextModel},
        unet::{UNet2DConditionConfig, UNet2DConditionModel},
        vae::{AutoencoderKl, AutoencoderKlConfig},
    },
    weights::{StateDict, TensorEntry, build_model},
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::formula;

/// A key of the file, diffusers' keys of its rows, and its shape.
type Line = (String, Vec<String>, Vec<usize>);

#[derive(Deserialize)]
struct Fixture {
    configs: HashMap<String, Map<String, Value>>,
    tensors: Vec<Line>,
}

fn fixture(name: &str) -> Fixture {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/checkpoint")
        .join(name);
    serde_json::from_slice(&fs::read(path).expect("the fixture")).expect("its lines")
}

impl Fixture {
    /// The file: the rows of each tensor are the values of diffusers' keys.
    fn dict(&self) -> StateDict {
        let mut dict = StateDict::new();
        for (key, parts, shape) in &self.tensors {
            let count = shape.iter().product::<usize>() / parts.len();
            let values = parts
                .iter()
                .flat_map(|part| formula::uniform(part, count))
                .collect();
            dict.insert(key, TensorEntry::from_f32(shape.clone(), values));
        }
        dict.insert("betas", TensorEntry::from_f32(vec![1], vec![0.0]));
        dict
    }

    #[track_caller]
    fn assert_converted(&self, checkpoint: &Checkpoint) {
        let parts = [&checkpoint.unet, &checkpoint.vae, &checkpoint.text_encoder];
        let count: usize = parts.iter().map(|part| part.weights.keys().count()).sum();
        assert_eq!(
            count,
            self.tensors
                .iter()
                .map(|(_, keys, _)| keys.len())
                .sum::<usize>()
        );
        for (key, names, shape) in &self.tensors {
            let part = match key.split('.').next() {
                Some("model") => &checkpoint.unet,
                Some("first_stage_model") => &checkpoint.vae,
                _ => &checkpoint.text_encoder,
            };
            for name in names {
                let tensor = part
                    .weights
                    .get(name)
                    .unwrap_or_else(|| panic!("{key} did not become {name}"));
                let mut expected = shape.clone();
                expected[0] /= names.len();
                if key.contains("mid.attn_1") && expected.len() == 4 {
                    expected.truncate(2);
                }
                assert_eq!(tensor.shape(), expected, "{name}");
                assert_eq!(
                    tensor.to_f32(),
                    formula::uniform(name, tensor.count()),
                    "{name}"
                );
            }
        }
    }

    #[track_caller]
    fn assert_configs(&self, checkpoint: &Checkpoint) {
        let parts = [
            ("unet", &checkpoint.unet),
            ("vae", &checkpoint.vae),
            ("text_encoder", &checkpoint.text_encoder),
        ];
        for (name, Part { config, .. }) in parts {
            let ours: Map<String, Value> = serde_json::from_str(config).expect("an object");
            for (field, value) in &self.configs[name] {
                assert_eq!(ours.get(field), Some(value), "{name}: {field}");
            }
        }
    }
}

fn saved(dict: &StateDict) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    dict.save(&path, HashMap::new()).expect("writable");
    (folder, path)
}

fn open(dict: &StateDict, options: &CheckpointOptions) -> Result<Checkpoint, String> {
    let (_folder, path) = saved(dict);
    Checkpoint::open(&path, options).map_err(|error| error.to_string())
}

#[test]
fn a_file_of_the_first_version_gets_the_names_that_diffusers_gives() {
    let fixture = fixture("sd1.json");
    let checkpoint = open(&fixture.dict(), &CheckpointOptions::default()).expect("opens");
    fixture.assert_converted(&checkpoint);
    fixture.assert_configs(&checkpoint);
    assert_eq!(
        checkpoint.tokenizer,
        TokenizerFiles::BuiltIn {
            padding: "<|endoftext|>".into()
        }
    );
    let scheduler = checkpoint.scheduler.expect("a scheduler");
    assert!(
        scheduler.contains(r#""prediction_type":"epsilon""#),
        "{scheduler}"
    );
    assert_eq!(checkpoint.notes, ["1 tensors are not used: betas"]);
}

#[test]
fn a_file_of_the_second_version_gets_the_names_that_diffusers_gives() {
    let fixture = fixture("sd2.json");
    let mut dict = fixture.dict();
    let one = TensorEntry::from_f32(vec![1], vec![0.0]);
    let last = "cond_stage_model.model.transformer.resblocks.23.ln_1.weight";
    for unused in [
        last,
        "cond_stage_model.model.logit_scale",
        "cond_stage_model.model.text_projection",
    ] {
        dict.insert(unused, one.clone());
    }
    let checkpoint = open(&dict, &CheckpointOptions::default()).expect("opens");
    fixture.assert_converted(&checkpoint);
    fixture.assert_configs(&checkpoint);
    assert!(
        checkpoint
            .notes
            .iter()
            .any(|note| note.contains("3 tensors are not used: logit_scale")),
        "{:?}",
        checkpoint.notes
    );
}

#[test]
fn the_parts_of_a_single_file_build_their_models() {
    let device = Default::default();
    for name in ["sd1.json", "sd2.json"] {
        let checkpoint = open(&fixture(name).dict(), &CheckpointOptions::default()).expect("opens");
        let Checkpoint {
            unet,
            vae,
            text_encoder,
            ..
        } = checkpoint;
        let config = UNet2DConditionConfig::from_diffusers(&unet.config).expect("a config");
        build_model::<Flex, UNet2DConditionModel<Flex>>(&config, &unet.weights, &device)
            .expect("every key");
        let config = AutoencoderKlConfig::from_diffusers(&vae.config).expect("a config");
        build_model::<Flex, AutoencoderKl<Flex>>(&config, &vae.weights, &device)
            .expect("every key");
        let config = ClipTextConfig::from_diffusers(&text_encoder.config).expect("a config");
        build_model::<Flex, ClipTextModel<Flex>>(&config, &text_encoder.weights, &device)
            .expect("every key");
    }
}

#[test]
fn the_prediction_of_a_second_version_is_assumed_and_can_be_named() {
    let fixture = fixture("sd2.json");
    let mut dict = fixture.dict();
    // Not for inpainting: four channels.
    dict.insert(
        "model.diffusion_model.input_blocks.0.0.weight",
        formula::parameter("w", &[32, 4, 3, 3]),
    );
    let checkpoint = open(&dict, &CheckpointOptions::default()).expect("opens");
    assert!(
        checkpoint
            .scheduler
            .expect("a scheduler")
            .contains("v_prediction")
    );
    assert!(
        checkpoint.notes[0].contains("v_prediction is assumed"),
        "{:?}",
        checkpoint.notes
    );
    assert!(
        checkpoint.unet.config.contains(r#""sample_size":96"#),
        "{}",
        checkpoint.unet.config
    );
    let options = CheckpointOptions {
        prediction: Some(Prediction::Epsilon),
        ..Default::default()
    };
    let checkpoint = open(&dict, &options).expect("opens");
    assert!(
        checkpoint
            .scheduler
            .expect("a scheduler")
            .contains("epsilon")
    );
    assert!(
        checkpoint.unet.config.contains(r#""sample_size":64"#),
        "{}",
        checkpoint.unet.config
    );
}

#[test]
fn moving_averages_are_taken_when_they_are_asked_for() {
    let fixture = fixture("sd1.json");
    let trained = fixture.dict();
    let options = CheckpointOptions {
        averages: true,
        ..Default::default()
    };
    let error = open(&trained, &options).expect_err("no averages");
    assert!(
        error.contains("no moving average `model_ema.diffusion_model"),
        "{error}"
    );
    let mut dict = StateDict::new();
    for key in trained.keys() {
        let tensor = trained.get(key).expect("its tensor");
        // As `torch.save({"state_dict": …})` wraps them.
        dict.insert(format!("state_dict.{key}"), tensor.clone());
        if let Some(rest) = key.strip_prefix("model.") {
            let name = format!("state_dict.model_ema.{}", rest.replace('.', ""));
            let doubled = tensor.to_f32().iter().map(|value| 2.0 * value).collect();
            dict.insert(
                name,
                TensorEntry::from_f32(tensor.shape().to_vec(), doubled),
            );
        }
    }
    let first = |options: &CheckpointOptions| {
        let checkpoint = open(&dict, options).expect("opens");
        let bias = checkpoint.unet.weights.get("conv_in.bias").expect("a bias");
        (bias.to_f32()[0], checkpoint.notes)
    };
    let (value, notes) = first(&CheckpointOptions::default());
    assert!(
        notes
            .iter()
            .any(|note| note.contains("`model_ema.` are not used")),
        "{notes:?}"
    );
    let (average, _) = first(&options);
    assert_eq!(average, 2.0 * value);
}

#[test]
fn files_of_other_architectures_and_parts_are_refused() {
    let tensor = TensorEntry::from_f32(vec![1], vec![0.0]);
    let refusal = |keys: &[&str]| {
        let mut dict = StateDict::new();
        keys.iter()
            .for_each(|key| dict.insert(*key, tensor.clone()));
        open(&dict, &CheckpointOptions::default()).expect_err("refused")
    };
    let unet = "model.diffusion_model.input_blocks.0.0.weight";
    assert!(refusal(&["double_blocks.0.img_mlp.0.weight"]).contains("it is of Flux"));
    assert!(refusal(&[unet, "conditioner.embedders.0.x"]).contains("Stable Diffusion XL"));
    assert!(
        refusal(&["encoder.conv_in.weight"])
            .contains("no keys under `model.diffusion_model.`, but encoder.conv_in.weight")
    );
    let missing = refusal(&[unet]);
    assert!(
        missing.contains("the part `vae` is missing: it holds no keys under `first_stage_model.`"),
        "{missing}"
    );
    assert!(refusal(&[unet, "first_stage_model.x"]).contains("the part `text_encoder` is missing"));
}
