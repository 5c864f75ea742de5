//! CLIP's text encoder against transformers; see `fixtures/stable_diffusion/clip/make.py`.

use burn::tensor::{Int, Tensor};
use burn_flex::Flex;
use burn_ndarray::NdArray;
use pyrograph_backend::vision::{Activation, VisionBackend, set_exact_products};
use pyrograph_models::{
    stable_diffusion::clip::{ClipTextConfig, ClipTextModel},
    weights::{Precision, StateDict, build_model, build_model_with, state_dict_of},
};

use crate::common::{BF16_PRODUCTS, F32_MODEL};
use crate::diffusers::Case;
use crate::{common, formula};

fn case(name: &str) -> (Case, ClipTextConfig) {
    let case = Case::open("clip", name);
    let config = ClipTextConfig::from_diffusers(&case.config).expect(name);
    (case, config)
}

fn ids<B: VisionBackend>(case: &Case) -> Tensor<B, 2, Int> {
    case.tensor::<B, 2>("input_ids").int()
}

fn build<B: VisionBackend>(config: &ClipTextConfig, weights: &StateDict) -> ClipTextModel<B> {
    build_model(config, weights, &Default::default()).expect("the weights fit")
}

fn hidden_states_agree<B: VisionBackend>(name: &str) {
    let (case, config) = case(name);
    let model = build::<B>(&config, &case.weights());
    let hidden = model.forward(ids(&case));
    case.assert_output("last_hidden_state", hidden, F32_MODEL);
}

#[test]
fn hidden_states_agree_with_transformers_for_both_activations() {
    for name in ["open_clip", "clip_l"] {
        hidden_states_agree::<Flex>(name);
        hidden_states_agree::<NdArray<f32>>(name);
    }
}

#[test]
fn weights_in_bf16_give_what_transformers_computes_from_the_rounded_weights() {
    for name in ["open_clip", "clip_l"] {
        let (case, config) = case(name);
        let device = Default::default();
        let model: ClipTextModel<Flex> =
            build_model_with(&config, &case.weights(), Precision::Bf16, &device).expect("fits");
        for (exact, tolerance) in [(true, F32_MODEL), (false, BF16_PRODUCTS)] {
            set_exact_products(exact);
            let hidden = model.forward(ids(&case));
            case.assert_output("bf16.last_hidden_state", hidden, tolerance);
        }
    }
}

#[test]
fn the_configs_fields_are_those_of_the_file() {
    let (_, config) = case("open_clip");
    assert_eq!(config.hidden_act, Activation::Gelu);
    assert_eq!(
        (config.num_hidden_layers, config.num_attention_heads),
        (3, 4)
    );
    assert_eq!(
        (config.pad_token_id, config.eos_token_id),
        (Some(0), Some(119))
    );
    let (_, config) = case("clip_l");
    assert_eq!(config.hidden_act, Activation::QuickGelu);
    assert_eq!(config.layer_norm_eps, 1e-3);
    let nested =
        r#"{"text_config": {"hidden_size": 64}, "vision_config": {}, "model_type": "clip"}"#;
    let config = ClipTextConfig::from_diffusers(nested).expect("nested");
    assert_eq!((config.hidden_size, config.num_hidden_layers), (64, 12));
}

#[test]
fn the_keys_are_those_of_the_reference() {
    let (case, config) = case("open_clip");
    let model = config
        .init::<Flex>(&Default::default(), 0)
        .expect("allowed");
    let ours = state_dict_of(&model).expect("readable");
    let theirs = case.shapes();
    assert!(ours.keys().eq(theirs.keys().map(String::as_str)));
}

#[test]
fn a_token_does_not_see_those_that_come_later() {
    let (case, config) = case("clip_l");
    let model = build::<Flex>(&config, &case.weights());
    let whole = model.forward(ids(&case)).narrow(1, 0, 3);
    let start = model.forward(ids(&case).narrow(1, 0, 3));
    common::assert_close(
        "start",
        &common::values(start),
        &common::values(whole),
        F32_MODEL,
    );
}

#[test]
fn weights_load_without_the_prefix_and_with_tensors_that_the_encoder_does_not_use() {
    let (case, config) = case("clip_l");
    let weights = case.weights();
    let mut bare = weights.renamed(|key| key.replacen("text_model.", "", 1));
    for prefix in ["", "text_model."] {
        bare.insert(
            format!("{prefix}embeddings.position_ids"),
            formula::parameter("position_ids", &[1, 13]),
        );
    }
    bare.insert(
        "text_projection.weight",
        formula::parameter("p.weight", &[24, 24]),
    );
    let hidden = build::<Flex>(&config, &bare).forward(ids(&case));
    case.assert_output("last_hidden_state", hidden, F32_MODEL);

    let mut strange = weights.clone();
    strange.insert(
        "text_model.extra.weight",
        formula::parameter("p.weight", &[2, 2]),
    );
    let error = build_model::<Flex, ClipTextModel<Flex>>(&config, &strange, &Default::default())
        .expect_err("unused")
        .to_string();
    assert!(
        error.contains("1 unused: text_model.extra.weight"),
        "{error}"
    );
}

#[test]
fn configs_of_other_networks_are_refused_by_name() {
    for (json, words) in [
        (
            r#"{"hidden_act": "gelu_new"}"#,
            "hidden_act is \"gelu_new\", but must be one of gelu, quick_gelu",
        ),
        (
            r#"{"num_attention_heads": 7}"#,
            "num_attention_heads is 7, but must be a divisor of hidden_size",
        ),
        (
            r#"{"hidden_size": 0}"#,
            "hidden_size is 0, but must be 1 to",
        ),
        (
            r#"{"hidden_size": -1}"#,
            "hidden_size is -1, but must be a value of the field's type",
        ),
        (
            r#"{"num_hidden_layers": 1000000000}"#,
            "num_hidden_layers is 1000000000, but must be 1 to",
        ),
        (r#"{"layer_norm_eps": null}"#, "layer_norm_eps is null"),
        (
            r#"{"layer_norm_eps": 0}"#,
            "layer_norm_eps is 0, but must be between",
        ),
        (
            r#"{"is_decoder": true}"#,
            "is_decoder is true, but must be false",
        ),
        (
            r#"{"rope_theta": 1.0}"#,
            "the field rope_theta with the value 1.0 is not known",
        ),
        (
            r#"{"text_config": 3}"#,
            "text_config is 3, but must be an object",
        ),
        ("[]", "it is [], but must be an object"),
        ("{", "it is not JSON"),
    ] {
        let error = ClipTextConfig::from_diffusers(json)
            .expect_err(json)
            .to_string();
        assert!(error.contains(words), "{error}");
    }
    let neutral =
        r#"{"_name_or_path": "x", "torch_dtype": "float16", "dropout": 0.5, "projection_dim": 3}"#;
    ClipTextConfig::from_diffusers(neutral).expect("neutral fields");
}

#[test]
fn ids_outside_the_vocabulary_and_long_sequences_are_refused() {
    let (_, config) = case("open_clip");
    assert_eq!(
        config.check_ids(&[1, 3], &[0, 5, 119]).expect("fine"),
        [1, 3]
    );
    for (shape, ids, words) in [
        (
            vec![1, 2],
            vec![0, 120],
            "holds 120 at place 1, but must hold ids from 0 to 119",
        ),
        (vec![1, 2], vec![-1, 0], "holds -1 at place 0"),
        (
            vec![1, 14],
            vec![0; 14],
            "has shape [1, 14], but must be [batch, length] with a length of 1 to 13 tokens",
        ),
        (vec![0, 3], vec![], "has shape [0, 3]"),
        (vec![3], vec![0; 3], "has shape [3]"),
    ] {
        let error = config.check_ids(&shape, &ids).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
}
