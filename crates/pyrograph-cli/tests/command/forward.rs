//! `forward` with the networks of Stable Diffusion, on the fixtures of the models.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
};

use burn::tensor::TensorData;
use pyrograph::models::weights::{StateDict, TensorEntry};
use serde_json::Value;

use crate::{
    common::{folder, refuses, succeeds, text},
    formula,
};

/// A case of a fixture folder, its files written to a folder of the test.
struct Case {
    folder: PathBuf,
    config: PathBuf,
    tensors: StateDict,
}

impl Case {
    fn open(folder: &Path, unit: &str, name: &str) -> Self {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../pyrograph-models/tests/fixtures/stable_diffusion")
            .join(unit);
        let tensors = StateDict::open(fixtures.join(format!("{name}.safetensors")));
        let case = Self {
            folder: folder.into(),
            config: fixtures.join(format!("{name}.json")),
            tensors: tensors.expect("the fixture"),
        };
        let shapes = match case.tensors.metadata().get("shapes") {
            Some(json) => serde_json::from_str(json).expect("a map"),
            None => {
                listed(&fs::read_to_string(fixtures.join(format!("{name}.keys"))).expect("keys"))
            }
        };
        let mut weights = StateDict::new();
        for (key, shape) in shapes {
            weights.insert(key.clone(), formula::parameter(&key, &shape));
        }
        weights
            .save(case.file("weights"), HashMap::new())
            .expect("writable");
        case
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.safetensors"))
    }

    fn tensor(&self, key: &str) -> TensorEntry {
        self.tensors.get(key).expect(key).clone()
    }

    fn write_inputs(&self, inputs: &[(&str, TensorEntry)]) {
        let mut dict = StateDict::new();
        for (name, tensor) in inputs {
            dict.insert(*name, tensor.clone());
        }
        dict.save(self.file("in"), HashMap::new())
            .expect("writable");
    }

    fn arguments(&self, model: &str, more: &[&str]) -> Vec<String> {
        let (weights, input, output) = (self.file("weights"), self.file("in"), self.file("out"));
        let words = [
            "forward",
            model,
            "--device",
            "cpu",
            "--weights",
            text(&weights),
            "--config",
            text(&self.config),
            "--input",
            text(&input),
            "--output",
            text(&output),
        ];
        words
            .iter()
            .chain(more)
            .map(|word| (*word).to_owned())
            .collect()
    }

    #[track_caller]
    fn run(&self, model: &str, more: &[&str]) -> String {
        let arguments = self.arguments(model, more);
        succeeds(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    #[track_caller]
    fn refuses(&self, model: &str, more: &[&str], words: &[&str]) {
        let arguments = self.arguments(model, more);
        refuses(
            &arguments.iter().map(String::as_str).collect::<Vec<_>>(),
            words,
        );
    }

    /// That the output file holds `outputs` (its name, the fixture's) and nothing else.
    #[track_caller]
    fn assert_outputs(&self, outputs: &[(&str, &str)]) {
        let found = StateDict::open(self.file("out")).expect("written");
        assert_eq!(found.keys().count(), outputs.len());
        for (name, key) in outputs {
            let (ours, theirs) = (found.get(name).expect(name), self.tensor(key));
            assert_eq!(
                (ours.shape(), ours.type_name()),
                (theirs.shape(), "f32"),
                "{name}"
            );
            let (ours, theirs) = (ours.to_f32(), theirs.to_f32());
            let scale = theirs.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
            let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-4 * scale;
            assert!(ours.iter().zip(&theirs).all(close), "{name} is not {key}");
        }
    }
}

/// The shapes of a list with a line `key shape` for each tensor, as in `conv.weight 8x3x3x3`.
fn listed(text: &str) -> BTreeMap<String, Vec<usize>> {
    let lines = text.lines().map(|line| {
        let (key, shape) = line.split_once(' ').expect("key and shape");
        let sides = shape.split('x').map(|side| side.parse().expect("a side"));
        (key.to_owned(), sides.collect())
    });
    lines.collect()
}

#[test]
fn the_u_net_gives_what_diffusers_gives() {
    let (_guard, path) = folder();
    let case = Case::open(&path, "unet", "v1");
    let inputs = |timestep: TensorEntry| {
        [
            ("sample", case.tensor("sample")),
            ("timestep", timestep),
            ("encoder_hidden_states", case.tensor("context")),
        ]
    };
    case.write_inputs(&inputs(case.tensor("timestep")));
    case.run("sd-unet", &[]);
    case.assert_outputs(&[("sample", "output")]);

    // A whole timestep as integer and as float, for the whole batch.
    let whole = [
        TensorEntry::from_data(TensorData::new(vec![500_i64], [1])),
        TensorEntry::from_f32(vec![1], vec![500.0]),
    ];
    let samples = whole.map(|timestep| {
        case.write_inputs(&inputs(timestep));
        case.run("sd-unet", &[]);
        let out = StateDict::open(case.file("out")).expect("written");
        out.get("sample").expect("there").to_f32()
    });
    assert_eq!(samples[0], samples[1]);
    case.write_inputs(&inputs(TensorEntry::from_f32(vec![3], vec![1.0; 3])));
    case.refuses("sd-unet", &[], &["input `timestep` has shape [3]"]);
}

#[test]
fn autoencoders_give_what_diffusers_gives() {
    let (_guard, path) = folder();
    for (unit, name, model, input, outputs) in [
        (
            "vae",
            "four_blocks",
            "sd-vae-encoder",
            ("image", "image"),
            &[("mean", "mean"), ("logvar", "logvar")][..],
        ),
        (
            "vae",
            "four_blocks",
            "sd-vae-decoder",
            ("latents", "latents"),
            &[("image", "decoded")],
        ),
        (
            "tiny_vae",
            "odd",
            "sd-tiny-vae-encoder",
            ("image", "image"),
            &[("latents", "encoded")],
        ),
        (
            "tiny_vae",
            "odd",
            "sd-tiny-vae-decoder",
            ("latents", "latents"),
            &[("image", "decoded")],
        ),
    ] {
        let case = Case::open(&path, unit, name);
        case.write_inputs(&[(input.0, case.tensor(input.1))]);
        case.run(model, &[]);
        case.assert_outputs(outputs);

        case.run(model, &["--dtype", "bf16", "--exact-products"]);
        let rounded: Vec<_> = outputs
            .iter()
            .map(|(_, key)| format!("bf16.{key}"))
            .collect();
        let rounded: Vec<_> = outputs
            .iter()
            .zip(&rounded)
            .map(|((name, _), key)| (*name, key.as_str()))
            .collect();
        case.assert_outputs(&rounded);
    }
}

#[test]
fn the_text_encoder_takes_ids_of_any_integer_type() {
    let (_guard, path) = folder();
    let case = Case::open(&path, "clip", "open_clip");
    let ids = case.tensor("input_ids");
    let shape = ids.shape().to_vec();
    let values: Vec<i64> = ids.to_f32().iter().map(|id| *id as i64).collect();
    let i32s = TensorData::new(values.iter().map(|id| *id as i32).collect(), shape.clone());
    let u8s = TensorData::new(values.iter().map(|id| *id as u8).collect(), shape.clone());
    for data in [
        ids.clone(),
        TensorEntry::from_data(i32s),
        TensorEntry::from_data(u8s),
    ] {
        case.write_inputs(&[("input_ids", data)]);
        case.run("sd-text-encoder", &[]);
        case.assert_outputs(&[("last_hidden_state", "last_hidden_state")]);
    }
    case.run("sd-text-encoder", &["--dtype", "bf16", "--exact-products"]);
    case.assert_outputs(&[("last_hidden_state", "bf16.last_hidden_state")]);

    let floats = TensorEntry::from_f32(shape.clone(), ids.to_f32());
    case.write_inputs(&[("input_ids", floats)]);
    case.refuses(
        "sd-text-encoder",
        &[],
        &["`input_ids` is of type f32", "an integer type"],
    );
    let beyond = TensorData::new(vec![3_i64, 120], [1, 2]);
    case.write_inputs(&[("input_ids", TensorEntry::from_data(beyond))]);
    case.refuses(
        "sd-text-encoder",
        &[],
        &["`input_ids` holds 120 at place 1", "0 to 119"],
    );
    let long = TensorData::new(vec![3_i64; 14], [1, 14]);
    case.write_inputs(&[("input_ids", TensorEntry::from_data(long))]);
    case.refuses("sd-text-encoder", &[], &["[1, 14]", "1 to 13 tokens"]);
}

#[test]
fn repeated_passes_are_timed() {
    let (_guard, path) = folder();
    let case = Case::open(&path, "tiny_vae", "odd");
    case.write_inputs(&[("latents", case.tensor("latents"))]);
    let json = |more: &[&str]| -> Value {
        let output = case.run("sd-tiny-vae-decoder", &[&["--json"], more].concat());
        serde_json::from_str(&output).expect("JSON")
    };
    let once = json(&[]);
    assert_eq!(once["tensors"]["image"], Value::from(vec![2, 3, 12, 8]));
    assert_eq!(once.get("median_ms"), None);
    let timed = json(&["--repeat", "3"]);
    assert!(timed["median_ms"].as_f64().is_some_and(|ms| ms > 0.0));
    // Only Linux says the peak.
    let peak = timed["peak_memory_bytes"].as_u64();
    assert!(
        peak.is_none_or(|bytes| bytes > 1 << 20) && peak.is_some() == cfg!(target_os = "linux")
    );
    case.refuses("sd-tiny-vae-decoder", &["--repeat", "0"], &["--repeat"]);
    case.refuses(
        "sd-tiny-vae-decoder",
        &["--dtype", "int4"],
        &["int4", "bf16"],
    );
}

#[test]
fn configs_weights_and_inputs_that_do_not_fit_are_refused() {
    let (_guard, path) = folder();
    let mut case = Case::open(&path, "vae", "odd");
    let latents = || case.tensor("latents");
    case.write_inputs(&[("latents", latents()), ("image", case.tensor("image"))]);
    case.refuses(
        "sd-vae-decoder",
        &[],
        &["unknown tensor `image`", "expected latents"],
    );
    case.write_inputs(&[(
        "latents",
        TensorEntry::from_f32(vec![1, 2, 1, 1], vec![0.0; 2]),
    )]);
    case.refuses(
        "sd-vae-decoder",
        &[],
        &["input `latents` has shape [1, 2, 1, 1]"],
    );
    case.write_inputs(&[]);
    case.refuses("sd-vae-encoder", &[], &["tensor `image` is missing"]);

    case.write_inputs(&[("latents", latents())]);
    let config = path.join("config.json");
    let given = fs::read_to_string(&case.config).expect("there");
    case.config = config.clone();
    for (from, to, words) in [
        (
            "\"silu\"",
            "\"mish\"",
            &["config.json", "act_fn is \"mish\""][..],
        ),
        (
            "\"use_quant_conv\": false",
            "\"use_quant_conv\": true",
            &["2 missing", "quant_conv.weight"],
        ),
        (
            "\"latent_channels\": 3",
            "\"latent_channels\": 4",
            &["of another shape", "decoder.conv_in.weight"],
        ),
        (
            "\"scaling_factor\"",
            "\"scaling\"",
            &["the field scaling with the value 0.5 is not known"],
        ),
    ] {
        fs::write(&config, given.replace(from, to)).expect("writable");
        case.refuses("sd-vae-decoder", &[], words);
    }
}
