//! LoRA files, held to diffusers' and peft's merged weights.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use burn::tensor::DType;
use pyrograph_models::{
    stable_diffusion::lora::{Lora, apply_loras},
    weights::{StateDict, TensorEntry},
};

use super::{folder::write, formula};

const RANK: usize = 4;
const CONVOLUTION: &str = "down_blocks.0.resnets.0.conv1";
const QUERY: &str = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q";
/// The UNet's layers that the fixture changes, with their weights' shapes.
const UNET: [(&str, &[usize]); 5] = [
    (QUERY, &[32, 32]),
    (
        "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_out.0",
        &[32, 32],
    ),
    (
        "down_blocks.0.attentions.0.transformer_blocks.0.ff.net.2",
        &[32, 128],
    ),
    ("down_blocks.0.attentions.0.proj_in", &[32, 32, 1, 1]),
    (CONVOLUTION, &[32, 32, 3, 3]),
];
const TEXT: [(&str, &[usize]); 2] = [
    ("encoder.layers.0.self_attn.v_proj", &[32, 32]),
    ("encoder.layers.1.mlp.fc1", &[48, 32]),
];

fn unet() -> StateDict {
    let mut dict = StateDict::new();
    for (module, shape) in UNET {
        let key = format!("{module}.weight");
        dict.insert(&key, formula::parameter(&key, shape));
    }
    dict
}

fn text_encoder() -> StateDict {
    let mut dict = StateDict::new();
    for (module, shape) in TEXT {
        let key = format!("text_model.{module}.weight");
        dict.insert(&key, formula::parameter(&key, shape));
    }
    dict
}

/// Factors of a weight of the shape `shape`.
fn add(dict: &mut StateDict, shape: &[usize], down: &str, up: &str) {
    let kernel = &shape[2..];
    dict.insert(
        down,
        formula::parameter(down, &[&[RANK, shape[1]], kernel].concat()),
    );
    dict.insert(
        up,
        formula::parameter(up, &[vec![shape[0], RANK], vec![1; kernel.len()]].concat()),
    );
}

fn add_kohya(dict: &mut StateDict, prefix: &str, module: &str, shape: &[usize]) {
    let name = format!("{prefix}{}", module.replace('.', "_"));
    add(
        dict,
        shape,
        &format!("{name}.lora_down.weight"),
        &format!("{name}.lora_up.weight"),
    );
    dict.insert(
        format!("{name}.alpha"),
        TensorEntry::from_f32(vec![], vec![2.0]),
    );
}

fn saved(dict: &StateDict, metadata: &[(&str, String)]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("lora.safetensors");
    let metadata: HashMap<_, _> = metadata
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()))
        .collect();
    dict.save(&path, metadata).expect("writable");
    (folder, path)
}

fn open(dict: &StateDict) -> Lora {
    let (_folder, path) = saved(dict, &[]);
    Lora::open(path).expect("a LoRA")
}

#[track_caller]
fn refusal(dict: &StateDict) -> String {
    let (_folder, path) = saved(dict, &[]);
    let applied = Lora::open(path)
        .and_then(|lora| apply_loras(&[(lora, 1.0)], &mut unet(), &mut text_encoder()));
    applied.expect_err("refused").to_string()
}

/// That the weights of `dict` are those of the fixture under `case`; a fixture may hold the first rows only.
#[track_caller]
fn assert_merged(case: &str, dict: &StateDict) -> usize {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lora/merged.safetensors");
    let fixture = StateDict::open(path).expect("the fixture").part(case);
    for module in fixture.keys() {
        let theirs = fixture.get(module).expect("its tensor").to_f32();
        let ours = dict
            .get(&format!("{module}.weight"))
            .expect(module)
            .to_f32();
        for (at, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            assert!(
                (ours - theirs).abs() <= 1e-5 && ours.is_finite(),
                "{module}[{at}]: {ours} is not {theirs}"
            );
        }
    }
    fixture.keys().count()
}

/// A file as PEFT's state dict, under diffusers' prefix.
fn peft() -> StateDict {
    let mut file = StateDict::new();
    for (module, shape) in UNET {
        add(
            &mut file,
            shape,
            &format!("unet.{module}.lora_A.weight"),
            &format!("unet.{module}.lora_B.weight"),
        );
    }
    file
}

#[test]
fn a_file_of_diffusers_merges_as_diffusers_merges_it() {
    let metadata = r#"{"unet.r": 4, "unet.lora_alpha": 6.0}"#;
    let (_folder, path) = saved(&peft(), &[("lora_adapter_metadata", metadata.into())]);
    let lora = Lora::open(&path).expect("a LoRA");
    assert_eq!((lora.len(), lora.path()), (5, path.as_path()));
    let mut merged = unet();
    apply_loras(&[(lora, 1.0)], &mut merged, &mut text_encoder()).expect("fits");
    assert_eq!(assert_merged("peft.unet.", &merged), 5);
}

#[test]
fn the_same_factors_under_other_names_give_the_same_weights() {
    let file = peft();
    let mut expected = unet();
    apply_loras(&[(open(&file), 0.5)], &mut expected, &mut text_encoder()).expect("fits");
    let attention = |key: &str| key.contains(".to_q.") || key.contains(".to_out.0.");
    let renames: [&dyn Fn(&str) -> String; 4] = [
        &|key| {
            key.replace(".lora_A.", ".lora.down.")
                .replace(".lora_B.", ".lora.up.")
        },
        &|key| {
            key.replace("unet.", "base_model.model.")
                .replace("lora_A.", "lora_A.default.")
        },
        &|key| {
            key.replace("lora_A", "lora_linear_layer.down")
                .replace("lora_B", "lora_linear_layer.up")
        },
        &|key| match attention(key) {
            true => key
                .replace(".to_q.", ".processor.to_q_")
                .replace(".to_out.0.", ".processor.to_out_")
                .replace("lora_A", "lora.down")
                .replace("lora_B", "lora.up"),
            false => key.to_owned(),
        },
    ];
    for rename in renames {
        let mut merged = unet();
        apply_loras(
            &[(open(&file.renamed(rename)), 0.5)],
            &mut merged,
            &mut text_encoder(),
        )
        .expect("fits");
        for key in expected.keys() {
            assert_eq!(
                merged.get(key).expect(key).to_f32(),
                expected.get(key).expect(key).to_f32(),
                "{key}"
            );
        }
    }
}

#[test]
fn a_file_of_kohya_merges_into_both_networks() {
    let mut file = StateDict::new();
    UNET.iter()
        .for_each(|(module, shape)| add_kohya(&mut file, "lora_unet_", module, shape));
    TEXT.iter()
        .for_each(|(module, shape)| add_kohya(&mut file, "lora_te_text_model_", module, shape));
    let (mut merged, mut text) = (unet(), text_encoder());
    apply_loras(&[(open(&file), 0.7)], &mut merged, &mut text).expect("fits");
    assert_eq!(assert_merged("kohya.unet.", &merged), 5);
    assert_eq!(
        assert_merged("kohya.text_encoder.", &text.part("text_model.")),
        2
    );
    // Files of transformers 5 leave the text encoder's prefix out.
    let mut short = text_encoder().part("text_model.");
    apply_loras(&[(open(&file), 0.7)], &mut unet(), &mut short).expect("fits");
    assert_merged("kohya.text_encoder.", &short);
}

#[test]
fn a_convolution_in_three_factors_merges() {
    let mut file = StateDict::new();
    add_kohya(&mut file, "lora_unet_", CONVOLUTION, &[32, 32, 1, 1]);
    let mid = format!(
        "lora_unet_{}.lora_mid.weight",
        CONVOLUTION.replace('.', "_")
    );
    file.insert(&mid, formula::parameter(&mid, &[RANK, RANK, 3, 3]));
    let mut merged = unet();
    apply_loras(&[(open(&file), 1.0)], &mut merged, &mut text_encoder()).expect("fits");
    assert_eq!(assert_merged("locon.unet.", &merged), 1);
}

#[test]
fn several_files_add_up_and_weights_keep_their_type() {
    let key = format!("{QUERY}.weight");
    let mut one = StateDict::new();
    add(
        &mut one,
        &[32, 32],
        &format!("unet.{QUERY}.lora_A.weight"),
        &format!("unet.{QUERY}.lora_B.weight"),
    );
    let twice = |scales: [f64; 2], dtype| {
        let mut dict = unet();
        dict.insert(&key, dict.get(&key).expect("the weight").cast(dtype));
        apply_loras(
            &scales.map(|scale| (open(&one), scale)),
            &mut dict,
            &mut text_encoder(),
        )
        .expect("fits");
        let merged = dict.get(&key).expect("the weight").clone();
        assert_eq!(merged.dtype(), dtype);
        merged.to_f32()
    };
    let (sum, together) = (
        twice([0.25, 0.5], DType::F32),
        twice([0.75, 0.0], DType::F32),
    );
    assert!(sum.iter().zip(&together).all(|(a, b)| (a - b).abs() < 1e-6));
    // Opposite scales leave the weight as it was.
    let before = unet()
        .get(&key)
        .expect("the weight")
        .cast(DType::BF16)
        .to_f32();
    assert_eq!(twice([1.0, -1.0], DType::BF16), before);
    assert_ne!(twice([1.0, 0.0], DType::BF16), before);
}

#[test]
fn the_config_beside_a_file_of_peft_scales_it() {
    let mut file = StateDict::new();
    let module = format!("base_model.model.{QUERY}");
    add(
        &mut file,
        &[32, 32],
        &format!("{module}.lora_A.weight"),
        &format!("{module}.lora_B.weight"),
    );
    let folder = tempfile::tempdir().expect("a folder");
    file.save(
        folder.path().join("adapter_model.safetensors"),
        HashMap::new(),
    )
    .expect("writable");
    let merged = |config: &str| {
        write(&folder.path().join("adapter_config.json"), config);
        let mut dict = unet();
        apply_loras(
            &[(Lora::open(folder.path()).expect("a LoRA"), 1.0)],
            &mut dict,
            &mut text_encoder(),
        )
        .expect("fits");
        dict.get(&format!("{QUERY}.weight"))
            .expect("the weight")
            .to_f32()[0]
    };
    let base = unet()
        .get(&format!("{QUERY}.weight"))
        .expect("the weight")
        .to_f32()[0];
    let one = merged("{}") - base;
    for (config, factor) in [
        (r#"{"r": 4, "lora_alpha": 8}"#, 2.0),
        (r#"{"lora_alpha": 8, "use_rslora": true}"#, 4.0),
        (
            r#"{"lora_alpha": 8, "alpha_pattern": {"attn1.to_q": 12}}"#,
            3.0,
        ),
    ] {
        assert!(
            (merged(config) - base - factor * one).abs() < 1e-5,
            "{config}"
        );
    }
    write(
        &folder.path().join("adapter_config.json"),
        r#"{"use_dora": true}"#,
    );
    let error = Lora::open(folder.path()).expect_err("DoRA").to_string();
    assert!(
        error.contains("it holds DoRA, which is not supported"),
        "{error}"
    );
}

#[test]
fn files_that_do_not_fit_are_refused_by_their_layers() {
    let mut other = peft();
    add_kohya(
        &mut other,
        "lora_te2_",
        "text_model.encoder.layers.0.mlp.fc1",
        &[48, 32],
    );
    add_kohya(
        &mut other,
        "lora_unet_",
        "input_blocks.4.1.proj_in",
        &[32, 32],
    );
    let reason = refusal(&other);
    assert!(
        reason.contains("2 of its 7 layers are not in this checkpoint"),
        "{reason}"
    );
    assert!(
        reason.contains("input_blocks_4_1_proj_in") && reason.contains("lora_te2_text_model"),
        "{reason}"
    );

    let mut wide = StateDict::new();
    add_kohya(&mut wide, "lora_unet_", QUERY, &[32, 48]);
    let reason = refusal(&wide);
    assert!(
        reason.contains("of another shape") && reason.contains("down [4, 48]"),
        "{reason}"
    );

    let mut half = peft();
    half.remove(&format!("unet.{QUERY}.lora_B.weight"))
        .expect("a factor");
    assert!(
        refusal(&half).contains("1 layers lack their up or down weight"),
        "{}",
        refusal(&half)
    );

    for (key, method) in [
        ("x.hada_w1_a", "LoHa"),
        ("x.dora_scale", "DoRA"),
        ("x.lokr_w1", "LoKr"),
    ] {
        let mut file = peft();
        file.insert(key, TensorEntry::from_f32(vec![1], vec![0.0]));
        assert!(
            refusal(&file).contains(&format!("it holds {method}")),
            "{}",
            refusal(&file)
        );
    }
    let mut file = peft();
    file.insert(
        "unet.conv_in.weight",
        TensorEntry::from_f32(vec![1], vec![0.0]),
    );
    assert!(
        refusal(&file).contains("1 keys are of no LoRA: unet.conv_in.weight"),
        "{}",
        refusal(&file)
    );
}

#[test]
fn a_file_or_a_scale_that_would_damage_the_weights_is_refused() {
    let mut file = peft();
    let key = format!("unet.{QUERY}.lora_A.weight");
    let shape = file.get(&key).expect("a factor").shape().to_vec();
    let count = shape.iter().product();
    file.insert(&key, TensorEntry::from_f32(shape, vec![f32::NAN; count]));
    let (_folder, path) = saved(&file, &[]);
    let error = Lora::open(&path).expect_err("not finite").to_string();
    assert!(
        error.contains(&key)
            && error.contains("NaN")
            && error.contains(&path.display().to_string()),
        "{error}"
    );
    let (_folder, path) = saved(&StateDict::new(), &[]);
    let error = Lora::open(&path).expect_err("no layer").to_string();
    assert!(error.contains("no layer of a LoRA"), "{error}");
    for scale in [f64::NAN, f64::INFINITY, 1e39] {
        let loras = [(open(&peft()), scale)];
        let error = apply_loras(&loras, &mut unet(), &mut text_encoder()).expect_err("no number");
        assert!(error.to_string().contains("its scale is"), "{error}");
    }
}
