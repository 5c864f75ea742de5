//! The tiny autoencoder against diffusers; see `fixtures/stable_diffusion/tiny_vae/make.py`.

use burn_flex::Flex;
use burn_ndarray::NdArray;
use pyrograph_backend::vision::{VisionBackend, set_exact_products};
use pyrograph_models::{
    stable_diffusion::tiny_vae::{AutoencoderTiny, AutoencoderTinyConfig},
    weights::{Precision, StateDict, build_model, build_model_with, state_dict_of},
};

use crate::common::{BF16_PRODUCTS, F32_MODEL};
use crate::diffusers::Case;

fn case(name: &str) -> (Case, AutoencoderTinyConfig) {
    let case = Case::open("tiny_vae", name);
    let config = AutoencoderTinyConfig::from_diffusers(&case.config).expect(name);
    (case, config)
}

fn build<B: VisionBackend>(
    config: &AutoencoderTinyConfig,
    weights: &StateDict,
) -> AutoencoderTiny<B> {
    build_model(config, weights, &Default::default()).expect("the weights fit")
}

fn both_halves_agree<B: VisionBackend>(name: &str) {
    let (case, config) = case(name);
    let model = build::<B>(&config, &case.weights());
    case.assert_output("encoded", model.encode(case.tensor("image")), F32_MODEL);
    case.assert_output("decoded", model.decode(case.tensor("latents")), F32_MODEL);
}

#[test]
fn both_halves_agree_with_diffusers_on_oblong_and_odd_sizes() {
    for name in ["taesd", "odd"] {
        both_halves_agree::<Flex>(name);
        both_halves_agree::<NdArray<f32>>(name);
    }
}

#[test]
fn weights_in_bf16_give_what_diffusers_computes_from_the_rounded_weights() {
    let (case, config) = case("odd");
    let device = Default::default();
    let model: AutoencoderTiny<Flex> =
        build_model_with(&config, &case.weights(), Precision::Bf16, &device).expect("fits");
    for (exact, tolerance) in [(true, F32_MODEL), (false, BF16_PRODUCTS)] {
        set_exact_products(exact);
        let encoded = model.encode(case.tensor("image"));
        case.assert_output("bf16.encoded", encoded, tolerance);
        let decoded = model.decode(case.tensor("latents"));
        case.assert_output("bf16.decoded", decoded, tolerance);
    }
}

#[test]
fn the_keys_are_those_of_the_reference() {
    for name in ["taesd", "odd"] {
        let (case, config) = case(name);
        let model = config
            .init::<Flex>(&Default::default(), 0)
            .expect("allowed");
        let ours = state_dict_of(&model).expect("readable");
        let theirs = case.shapes();
        assert!(ours.keys().eq(theirs.keys().map(String::as_str)), "{name}");
    }
}

#[test]
fn the_published_model_has_the_published_number_of_parameters() {
    use burn::module::Module;
    let model = AutoencoderTinyConfig::taesd()
        .init::<Flex>(&Default::default(), 0)
        .expect("allowed");
    assert_eq!(model.num_params(), 1_222_532 + 1_222_531);
}

#[test]
fn configs_of_other_networks_are_refused_by_name() {
    for (json, words) in [
        (
            r#"{"act_fn": "mish"}"#,
            "act_fn is \"mish\", but must be one of relu",
        ),
        (
            r#"{"upsample_fn": "bilinear"}"#,
            "upsample_fn is \"bilinear\", but must be \"nearest\"",
        ),
        (
            r#"{"encoder_block_out_channels": [32, 64, 64, 64]}"#,
            "encoder_block_out_channels is [32, 64, 64, 64], but must be 1 to 8 equal widths",
        ),
        (
            r#"{"decoder_block_out_channels": []}"#,
            "decoder_block_out_channels is []",
        ),
        (
            r#"{"num_decoder_blocks": [1, 2]}"#,
            "num_decoder_blocks is [1, 2], but must be 4 numbers",
        ),
        (
            r#"{"num_encoder_blocks": [1, 2, 3, 1000]}"#,
            "num_encoder_blocks is [1, 2, 3, 1000]",
        ),
        (
            r#"{"block_out_channels": [32, 32, 32, 32]}"#,
            "block_out_channels is [32,32,32,32], but must be [64,64,64,64]",
        ),
        (
            r#"{"upsampling_scaling_factor": 0}"#,
            "upsampling_scaling_factor is 0",
        ),
        (
            r#"{"shift_factor": 0.5}"#,
            "shift_factor is 0.5, but must be null or 0.0",
        ),
        (r#"{"latent_magnitude": 0}"#, "latent_magnitude is 0"),
        (
            r#"{"midblock_gn": true}"#,
            "the field midblock_gn with the value true is not known",
        ),
    ] {
        let error = AutoencoderTinyConfig::from_diffusers(json)
            .expect_err(json)
            .to_string();
        assert!(error.contains(words), "{error}");
    }
    let empty = AutoencoderTinyConfig::from_diffusers("{}").expect("the class' defaults");
    assert_eq!(empty, AutoencoderTinyConfig::taesd());
}

#[test]
fn inputs_of_other_shapes_are_refused() {
    let config = AutoencoderTinyConfig::taesd();
    config.check_image(&[1, 3, 1, 9]).expect("any size");
    config.check_latents(&[2, 4, 1, 1]).expect("any size");
    for shape in [&[1, 4, 8, 8][..], &[1, 3, 0, 8], &[3, 8, 8]] {
        let error = config.check_image(shape).expect_err("refused").to_string();
        assert!(error.contains("input `image` has shape"), "{error}");
    }
    let error = config
        .check_latents(&[1, 3, 8, 8])
        .expect_err("refused")
        .to_string();
    assert!(
        error.contains("input `latents` has shape [1, 3, 8, 8]"),
        "{error}"
    );
}
