//! The autoencoder against diffusers; see `fixtures/stable_diffusion/vae/make.py`.

use burn::tensor::Tensor;
use burn_flex::Flex;
use burn_ndarray::NdArray;
use pyrograph_backend::vision::{VisionBackend, set_exact_products};
use pyrograph_models::{
    stable_diffusion::vae::{AutoencoderKl, AutoencoderKlConfig, Tiling, one_at_a_time},
    weights::{Precision, StateDict, build_model, build_model_with, state_dict_of},
};

use crate::common::{BF16_PRODUCTS, F32_MODEL, values};
use crate::diffusers::Case;

fn case(name: &str) -> (Case, AutoencoderKlConfig) {
    let case = Case::open("vae", name);
    let config = AutoencoderKlConfig::from_diffusers(&case.config).expect(name);
    (case, config)
}

fn build<B: VisionBackend>(config: &AutoencoderKlConfig, weights: &StateDict) -> AutoencoderKl<B> {
    build_model(config, weights, &Default::default()).expect("the weights fit")
}

fn both_halves_agree<B: VisionBackend>(name: &str) {
    let (case, config) = case(name);
    let model = build::<B>(&config, &case.weights());
    let distribution = model.encode(case.tensor("image"));
    case.assert_output("mean", distribution.mean, F32_MODEL);
    case.assert_output("logvar", distribution.logvar, F32_MODEL);
    case.assert_output("decoded", model.decode(case.tensor("latents")), F32_MODEL);
}

#[test]
fn both_halves_agree_with_diffusers_on_oblong_and_odd_sizes() {
    for name in ["four_blocks", "odd"] {
        both_halves_agree::<Flex>(name);
        both_halves_agree::<NdArray<f32>>(name);
    }
}

#[test]
fn weights_in_bf16_give_what_diffusers_computes_from_the_rounded_weights() {
    let (case, config) = case("four_blocks");
    let device = Default::default();
    let model: AutoencoderKl<Flex> =
        build_model_with(&config, &case.weights(), Precision::Bf16, &device).expect("fits");
    for (exact, tolerance) in [(true, F32_MODEL), (false, BF16_PRODUCTS)] {
        set_exact_products(exact);
        let distribution = model.encode(case.tensor("image"));
        case.assert_output("bf16.mean", distribution.mean, tolerance);
        case.assert_output("bf16.logvar", distribution.logvar, tolerance);
        let decoded = model.decode(case.tensor("latents"));
        case.assert_output("bf16.decoded", decoded, tolerance);
    }
}

#[test]
fn both_halves_agree_with_diffusers_in_tiles() {
    let (case, config) = case("tiled");
    let model = build::<Flex>(&config, &case.weights());
    let distribution = model
        .encode_tiled(case.tensor("image"), model.tiling())
        .expect("allowed");
    case.assert_output("mean", distribution.mean, F32_MODEL);
    case.assert_output("logvar", distribution.logvar, F32_MODEL);
    let latents = || case.tensor::<Flex, 4>("latents");
    let decoded = model
        .decode_tiled(latents(), model.tiling())
        .expect("allowed");
    case.assert_output("decoded", decoded, F32_MODEL);

    // A tile that holds the whole image is no tile.
    let large = Tiling::with_sample_size(&config, 64);
    let whole = model.decode_tiled(latents(), large).expect("allowed");
    assert_eq!(values(whole), values(model.decode(latents())));
}

#[test]
fn tiles_without_a_step_and_sizes_that_leave_a_sliver_are_refused() {
    let (case, config) = case("tiled");
    let model = build::<Flex>(&config, &case.weights());
    let tiling = Tiling::with_sample_size(&config, 4);
    let error = model.decode_tiled(case.tensor("latents"), tiling);
    let error = error.expect_err("too small").to_string();
    assert!(error.contains("tile size is 1"), "{error}");
    let tiling = Tiling {
        overlap: 1.0,
        ..model.tiling()
    };
    let error = model.decode_tiled(case.tensor("latents"), tiling);
    let error = error.expect_err("no step").to_string();
    assert!(error.contains("tile overlap is 1"), "{error}");
    let image = Tensor::zeros([1, 3, 38, 24], &Default::default());
    let error = model.encode_tiled(image, model.tiling());
    let error = error.expect_err("a tile of two rows").to_string();
    assert!(error.contains("multiples of 4"), "{error}");
}

#[test]
fn one_image_at_a_time_gives_the_images_of_the_batch() {
    let (case, config) = case("odd");
    let model = build::<Flex>(&config, &case.weights());
    let decoded = one_at_a_time(case.tensor("latents"), |latents| model.decode(latents));
    case.assert_output("decoded", decoded, F32_MODEL);
}

#[test]
fn the_keys_are_those_of_the_reference() {
    for name in ["four_blocks", "odd"] {
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
fn weights_load_under_the_deprecated_names_of_the_attention_as_linear_layers_and_as_convolutions() {
    let (case, config) = case("four_blocks");
    let weights = case.weights();
    let names = [
        ("to_q", "query"),
        ("to_k", "key"),
        ("to_v", "value"),
        ("to_out.0", "proj_attn"),
    ];
    let old = weights.renamed(|key| {
        names.iter().fold(key.to_owned(), |key, (new, old)| {
            key.replace(&format!(".{new}."), &format!(".{old}."))
        })
    });
    assert!(
        old.get("encoder.mid_block.attentions.0.proj_attn.weight")
            .is_some()
    );
    let mut convolutions = StateDict::new();
    for key in old.keys() {
        let mut tensor = old.get(key).expect(key).clone();
        if let (true, &[out, d_in]) = (key.contains("attentions"), tensor.shape()) {
            tensor = tensor.reshaped(vec![out, d_in, 1, 1]);
        }
        convolutions.insert(key, tensor);
    }
    for weights in [old, convolutions] {
        let model = build::<Flex>(&config, &weights);
        case.assert_output("decoded", model.decode(case.tensor("latents")), F32_MODEL);
        case.assert_output("mean", model.encode(case.tensor("image")).mean, F32_MODEL);
    }
}

#[test]
fn configs_of_other_networks_are_refused_by_name() {
    let four = "\"DownEncoderBlock2D\"".to_owned() + &", \"DownEncoderBlock2D\"".repeat(3);
    let wrong_types = format!(r#"{{"down_block_types": [{four}]}}"#);
    for (json, words) in [
        (wrong_types.as_str(), "down_block_types is"),
        (
            r#"{"up_block_types": ["AttnUpDecoderBlock2D"]}"#,
            "but must be 1 times UpDecoderBlock2D",
        ),
        (
            r#"{"act_fn": "mish"}"#,
            "act_fn is \"mish\", but must be one of silu",
        ),
        (
            r#"{"shift_factor": 0.1}"#,
            "shift_factor is 0.1, but must be null or 0.0",
        ),
        (
            r#"{"latents_mean": [0.0]}"#,
            "latents_mean is [0.0], but must be null",
        ),
        (
            r#"{"norm_num_groups": 48}"#,
            "block_out_channels is [64], but must be multiples of norm_num_groups, which is 48",
        ),
        (
            r#"{"block_out_channels": []}"#,
            "block_out_channels is [], but must be 1 to 8 widths",
        ),
        (r#"{"block_out_channels": 64}"#, "block_out_channels is 64"),
        (r#"{"layers_per_block": 0}"#, "layers_per_block is 0"),
        (
            r#"{"latent_channels": 100000}"#,
            "latent_channels is 100000",
        ),
        (r#"{"scaling_factor": 0}"#, "scaling_factor is 0"),
        (r#"{"sample_size": [64, 32]}"#, "sample_size is [64,32]"),
        (
            r#"{"temporal_compression": 4}"#,
            "the field temporal_compression with the value 4 is not known",
        ),
    ] {
        let error = AutoencoderKlConfig::from_diffusers(json)
            .expect_err(json)
            .to_string();
        assert!(error.contains(words), "{error}");
    }
    let empty = AutoencoderKlConfig::from_diffusers("{}").expect("the class' defaults");
    assert_eq!(
        (empty.block_out_channels, empty.sample_size),
        (vec![64], 32)
    );
}

#[test]
fn inputs_of_other_shapes_are_refused() {
    let config = AutoencoderKlConfig::stable_diffusion();
    config.check_image(&[1, 3, 8, 9]).expect("the smallest");
    config.check_latents(&[2, 4, 1, 1]).expect("the smallest");
    for shape in [
        &[1, 3, 7, 64][..],
        &[1, 4, 64, 64],
        &[0, 3, 64, 64],
        &[3, 64, 64],
    ] {
        let error = config.check_image(shape).expect_err("refused").to_string();
        assert!(error.contains("input `image` has shape"), "{error}");
    }
    for shape in [&[1, 3, 8, 8][..], &[1, 4, 0, 8], &[4, 8, 8]] {
        let error = config
            .check_latents(shape)
            .expect_err("refused")
            .to_string();
        assert!(error.contains("input `latents` has shape"), "{error}");
    }
}

#[test]
fn samples_of_a_distribution_are_its_mean_and_noise_by_its_deviation() {
    let (case, config) = case("odd");
    let model = build::<Flex>(&config, &case.weights());
    let distribution = model.encode(case.tensor("image"));
    let noise = Tensor::ones_like(&distribution.mean);
    let sample = values(distribution.sample(noise));
    let (mean, logvar) = (values(distribution.mean), values(distribution.logvar));
    for ((sample, mean), logvar) in sample.iter().zip(mean).zip(logvar) {
        assert!((sample - mean - (logvar / 2.0).exp()).abs() < F32_MODEL);
    }
}
