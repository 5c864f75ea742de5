//! The U-Net of Stable Diffusion against diffusers; see `fixtures/stable_diffusion/unet/make.py`.

use std::{collections::BTreeMap, fs, path::PathBuf};

use burn::tensor::{Tensor, backend::Backend};
use burn_flex::Flex;
use burn_ndarray::NdArray;
use burn_store::ModuleSnapshot;
use pyrograph_backend::vision::VisionBackend;
use pyrograph_models::{
    ModelError,
    stable_diffusion::unet::{UNet2DConditionConfig, UNet2DConditionModel},
    weights::{NamedModel, Precision, StateDict, build_model, build_model_with},
};
use serde_json::{Value, json};

use crate::formula;

const CASES: [&str; 7] = [
    "v2",
    "v1",
    "odd",
    "padding",
    "inpainting",
    "distilled",
    "lists",
];
/// `f32_model`, of the output's greatest value.
const F32_MODEL: f32 = 1e-4;
/// f64 on both sides, with outputs stored as f32.
const F64_MODEL: f32 = 1e-6;
/// Weights of 8 bits, on both sides of the comparison.
const HALF: f32 = 3e-2;

fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/stable_diffusion/unet")
        .join(file)
}

fn read(file: &str) -> String {
    fs::read_to_string(path(file)).expect(file)
}

fn config(case: &str) -> UNet2DConditionConfig {
    UNet2DConditionConfig::from_diffusers(&read(&format!("{case}.json"))).expect(case)
}

/// The keys and shapes of diffusers' state dict.
fn keys(case: &str) -> BTreeMap<String, Vec<usize>> {
    let text = read(&format!("{case}.keys"));
    let lines = text.lines().map(|line| {
        let (key, shape) = line.split_once(' ').expect("key and shape");
        let sides = shape.split('x').map(|side| side.parse().expect("a side"));
        (key.to_owned(), sides.collect())
    });
    lines.collect()
}

fn weights(case: &str) -> StateDict {
    let mut dict = StateDict::new();
    for (key, shape) in keys(case) {
        dict.insert(key.clone(), formula::parameter(&key, &shape));
    }
    dict
}

fn model<B: VisionBackend>(case: &str) -> UNet2DConditionModel<B> {
    build_model(&config(case), &weights(case), &Default::default()).expect(case)
}

/// A tensor of a case's safetensors file: its shape and values.
fn stored(case: &str, key: &str) -> (Vec<usize>, Vec<f32>) {
    let bytes = fs::read(path(&format!("{case}.safetensors"))).expect(case);
    let file = safetensors::SafeTensors::deserialize(&bytes).expect(case);
    let tensor = file.tensor(key).expect(key);
    let values = tensor.data().chunks_exact(4);
    let values = values.map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four")));
    (tensor.shape().to_vec(), values.collect())
}

fn tensor<B: Backend, const D: usize>(case: &str, key: &str) -> Tensor<B, D> {
    let (shape, values) = stored(case, key);
    let shape = <[usize; D]>::try_from(shape).expect("the rank");
    pyrograph_backend::rng::host_tensor(values, shape, &Default::default())
}

fn run<B: VisionBackend>(model: &UNet2DConditionModel<B>, case: &str) -> Vec<f32> {
    let output = model.forward(
        tensor(case, "sample"),
        tensor(case, "timestep"),
        tensor(case, "context"),
    );
    assert_eq!(output.dims().to_vec(), stored(case, "output").0, "{case}");
    output.into_data().iter::<f32>().collect()
}

/// The greatest difference is at most `tolerance` of the greatest value.
#[track_caller]
fn assert_near(case: &str, ours: &[f32], theirs: &[f32], tolerance: f32) {
    assert!(ours.iter().all(|value| value.is_finite()), "{case}: finite");
    let most = |values: &mut dyn Iterator<Item = f32>| values.fold(0.0, f32::max);
    let scale = most(&mut theirs.iter().map(|value| value.abs()));
    let error = most(&mut ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()));
    assert!(scale > 1.0, "{case}: the fixture says something");
    assert!(
        error <= tolerance * scale,
        "{case}: {error} of {scale} is {}, above {tolerance}",
        error / scale
    );
}

#[test]
fn the_forward_pass_agrees_with_diffusers() {
    for case in CASES {
        let output = stored(case, "output").1;
        let ours = run::<Flex>(&model(case), case);
        assert_near(case, &ours, &output, F32_MODEL);
    }
}

#[test]
fn the_forward_pass_in_f64_agrees_with_diffusers() {
    for case in ["v2", "odd", "lists"] {
        let output = stored(case, "output").1;
        let ours = run::<NdArray<f64>>(&model(case), case);
        assert_near(case, &ours, &output, F64_MODEL);
    }
}

#[test]
fn the_keys_and_shapes_are_those_of_diffusers() {
    for case in CASES {
        let model: UNet2DConditionModel<Flex> =
            config(case).init(&Default::default(), 0).expect(case);
        let places = model.collect(None, None, false);
        let ours: BTreeMap<_, _> = places
            .iter()
            .map(|place| {
                let path = place.full_path();
                let key = <UNet2DConditionModel<Flex> as NamedModel<Flex>>::published_key(&path);
                (key, place.shape.to_vec())
            })
            .collect();
        assert_eq!(ours.len(), places.len(), "{case}: no key twice");
        let theirs = keys(case);
        assert_eq!(ours, theirs, "{case}");
    }
}

#[test]
fn weights_in_bf16_give_the_same_picture_to_half_precision() {
    for case in ["v2", "v1"] {
        let (config, dict) = (config(case), weights(case));
        let model: UNet2DConditionModel<Flex> =
            build_model_with(&config, &dict, Precision::Bf16, &Default::default()).expect(case);
        let output = stored(case, "output").1;
        let ours = run(&model, case);
        assert_near(case, &ours, &output, HALF);
        let unlike = ours.iter().zip(&output).any(|(a, b)| (a - b).abs() > 1e-4);
        assert!(unlike, "{case}: the weights were converted");
    }
}

#[test]
fn an_item_does_not_depend_on_its_neighbours_in_the_batch() {
    let model = model::<Flex>("v1");
    let whole = run(&model, "v1");
    let alone = model.forward(
        tensor::<Flex, 4>("v1", "sample").slice(1..2),
        tensor::<Flex, 1>("v1", "timestep").slice(1..2),
        tensor::<Flex, 3>("v1", "context").slice(1..2),
    );
    let alone: Vec<f32> = alone.into_data().iter::<f32>().collect();
    assert_near("item 1", &alone, &whole[alone.len()..], 1e-5);
}

#[test]
fn a_config_survives_its_own_file() {
    for case in CASES {
        let config = config(case);
        let text = serde_json::to_string(&config).expect("JSON");
        let again = UNet2DConditionConfig::from_diffusers(&text).expect(case);
        assert_eq!(again, config);
        let again: UNet2DConditionConfig = serde_json::from_str(&text).expect(case);
        assert_eq!(again, config);
    }
}

/// The refusal of the config `v2` with one field changed.
fn refusal(field: &str, value: &Value) -> String {
    let mut config: Value = serde_json::from_str(&read("v2.json")).expect("JSON");
    config[field] = value.clone();
    match UNet2DConditionConfig::from_diffusers(&config.to_string()) {
        Ok(_) => panic!("{field}: {value} is accepted"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn fields_of_other_models_are_refused_by_name_with_their_value() {
    for (field, value) in [
        ("class_embed_type", json!("timestep")),
        ("addition_embed_type", json!("text_time")),
        ("addition_time_embed_dim", json!(256)),
        ("num_class_embeds", json!(1000)),
        ("projection_class_embeddings_input_dim", json!(2816)),
        ("encoder_hid_dim", json!(512)),
        ("encoder_hid_dim_type", json!("ip_image_proj")),
        ("time_embedding_type", json!("fourier")),
        ("time_embedding_act_fn", json!("silu")),
        ("timestep_post_act", json!("silu")),
        ("resnet_time_scale_shift", json!("scale_shift")),
        ("resnet_skip_time_act", json!(true)),
        ("resnet_out_scale_factor", json!(1.5)),
        ("mid_block_scale_factor", json!(0.5)),
        ("mid_block_only_cross_attention", json!(true)),
        ("mid_block_type", json!("UNetMidBlock2DSimpleCrossAttn")),
        ("dual_cross_attention", json!(true)),
        ("class_embeddings_concat", json!(true)),
        ("attention_type", json!("gated")),
        ("cross_attention_norm", json!("layer_norm")),
        ("addition_embed_type_num_heads", json!(32)),
        ("reverse_transformer_layers_per_block", json!([[1]])),
        ("num_attention_heads", json!(7)),
        ("act_fn", json!("mish")),
        ("a_field_of_tomorrow", json!([1, 2])),
    ] {
        let message = refusal(field, &value);
        let named = message.contains(field) && message.contains(&value.to_string());
        assert!(named, "{message}");
    }
    for (field, value, part) in [
        (
            "down_block_types",
            json!(["ResnetDownsampleBlock2D"]),
            "`DownBlock2D`",
        ),
        (
            "up_block_types",
            json!(["SimpleCrossAttnUpBlock2D"]),
            "`UpBlock2D`",
        ),
    ] {
        let message = refusal(field, &value);
        assert!(
            message.contains(field) && message.contains(part),
            "{message}"
        );
    }
}

#[test]
fn neutral_and_ignored_fields_are_accepted() {
    let mut full: Value = serde_json::from_str(&read("v2.json")).expect("JSON");
    for (field, value) in [
        ("_class_name", json!("UNet2DConditionModel")),
        ("_diffusers_version", json!("0.42.1")),
        ("dropout", json!(0.1)),
        ("dual_cross_attention", json!(false)),
        ("class_embed_type", Value::Null),
        ("num_attention_heads", Value::Null),
        ("mid_block_only_cross_attention", Value::Null),
        ("resnet_out_scale_factor", json!(1.0)),
        ("mid_block_scale_factor", json!(1)),
        ("addition_embed_type_num_heads", json!(64)),
        ("attention_type", json!("default")),
        ("act_fn", json!("swish")),
    ] {
        full[field] = value;
    }
    let read = UNet2DConditionConfig::from_diffusers(&full.to_string()).expect("neutral");
    assert_eq!(read, config("v2"));
    let defaults = UNet2DConditionConfig::from_diffusers("{}").expect("diffusers' defaults");
    assert_eq!(defaults, UNet2DConditionConfig::default());
}

#[test]
fn numbers_that_do_not_fit_together_are_refused_by_name() {
    for (field, value) in [
        ("block_out_channels", json!([16, 24])),
        ("block_out_channels", json!([16, 24, 30])),
        ("block_out_channels", json!([16, 24, 1_000_000])),
        ("block_out_channels", json!([16.5, 24, 32])),
        ("layers_per_block", json!([1, 2])),
        ("layers_per_block", json!(0)),
        ("layers_per_block", json!(-1)),
        ("attention_head_dim", json!(5)),
        ("attention_head_dim", json!([2, 3])),
        ("cross_attention_dim", json!([12, 16, 12])),
        ("transformer_layers_per_block", json!([[1], 2, 3])),
        ("norm_num_groups", Value::Null),
        ("norm_num_groups", json!(0)),
        ("norm_eps", json!(0)),
        ("downsample_padding", json!(2)),
        ("time_cond_proj_dim", json!(3)),
        ("conv_in_kernel", json!(4)),
        ("conv_out_kernel", json!(0)),
        ("freq_shift", json!(8)),
        ("up_block_types", json!(["UpBlock2D"])),
        ("in_channels", json!(0)),
        ("in_channels", json!(u64::MAX)),
        ("sample_size", json!("large")),
    ] {
        let message = refusal(field, &value);
        assert!(message.contains(field), "{value}: {message}");
    }
    for text in ["", "[]", "{", "null"] {
        let refused = UNet2DConditionConfig::from_diffusers(text).expect_err(text);
        assert!(refused.to_string().contains("config.json"), "{refused}");
    }
}

#[test]
fn a_list_of_lists_is_refused_in_words_of_the_file() {
    for field in ["layers_per_block", "sample_size"] {
        let json = json!({ field: [[1], [2]] }).to_string();
        let error = UNet2DConditionConfig::from_diffusers(&json).expect_err(field);
        let error = error.to_string();
        assert!(
            error.contains(field) && error.contains("expected") && !error.contains("enum"),
            "{error}"
        );
    }
}

#[test]
fn inputs_of_other_shapes_are_refused_by_name() {
    let config = config("v2");
    let check = |sample: &[usize], timestep: &[usize], context: &[usize]| {
        config.check_input(sample, timestep, context)
    };
    assert!(check(&[2, 4, 8, 8], &[1], &[2, 5, 12]).is_ok());
    assert!(check(&[2, 4, 1, 3], &[2], &[2, 77, 12]).is_ok());
    for (sample, timestep, context, name) in [
        (&[2, 9, 8, 8][..], &[1][..], &[2, 5, 12][..], "`sample`"),
        (&[0, 4, 8, 8], &[1], &[0, 5, 12], "`sample`"),
        (&[2, 4, 0, 8], &[1], &[2, 5, 12], "`sample`"),
        (&[4, 8, 8], &[1], &[2, 5, 12], "`sample`"),
        (&[2, 4, 8, 8], &[3], &[2, 5, 12], "`timestep`"),
        (&[2, 4, 8, 8], &[1, 1], &[2, 5, 12], "`timestep`"),
        (&[2, 4, 8, 8], &[1], &[2, 5, 16], "`context`"),
        (&[2, 4, 8, 8], &[1], &[1, 5, 12], "`context`"),
        (&[2, 4, 8, 8], &[1], &[2, 0, 12], "`context`"),
    ] {
        let message = check(sample, timestep, context)
            .expect_err(name)
            .to_string();
        assert!(message.contains(name), "{message}");
    }
    // Without padding, a side of 1 cannot be halved.
    let bare = UNet2DConditionConfig {
        downsample_padding: 0,
        ..config.clone()
    };
    assert!(bare.check_input(&[1, 4, 4, 4], &[1], &[1, 5, 12]).is_ok());
    assert!(bare.check_input(&[1, 4, 3, 4], &[1], &[1, 5, 12]).is_err());
}

#[test]
fn weights_of_another_architecture_are_refused_with_the_keys() {
    let dict = weights("v1");
    let build = |config: &UNet2DConditionConfig| {
        build_model::<Flex, UNet2DConditionModel<Flex>>(config, &dict, &Default::default())
    };
    let linear = UNet2DConditionConfig {
        use_linear_projection: true,
        ..config("v1")
    };
    let refused = build(&linear).expect_err("linear projections");
    assert!(matches!(refused, ModelError::Architecture { .. }));
    let message = refused.to_string();
    assert!(message.contains("proj_in.weight"), "{message}");
    let large = UNet2DConditionConfig::stable_diffusion_2_1_base();
    let message = build(&large).expect_err("too large").to_string();
    assert!(
        message.contains("conv_in.weight is [16, 4, 3, 3]"),
        "{message}"
    );
}
