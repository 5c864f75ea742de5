//! The error of each layer of a UNet in each type, and the types that follow from it.

use std::{cell::Cell, fs, path::PathBuf, rc::Rc};

use burn::tensor::{DType, Tensor, TensorData};
use burn_flex::Flex;
use burn_ndarray::NdArray;
use pyrograph_backend::vision::VisionBackend;
use pyrograph_models::{
    ModelError,
    stable_diffusion::unet::{
        Calibration, UNet2DConditionConfig, UNet2DConditionModel, is_int8_layer,
    },
    weights::{
        LAYER_TYPES, LayerFigures, LayerType, Precision, StateDict, TensorEntry, parameter_shapes,
        random_weights,
    },
};

use crate::formula;

type Unet = UNet2DConditionModel<Flex>;

/// Latents of the tests.
const SMALL: Calibration = Calibration { side: 16, seed: 5 };

/// The numbers of a network with convolutions for projections (`v1`), or linear layers (`v2`).
fn config(case: &str) -> UNet2DConditionConfig {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/stable_diffusion/unet")
        .join(format!("{case}.json"));
    let text = fs::read_to_string(path).expect(case);
    UNet2DConditionConfig::from_diffusers(&text).expect(case)
}

/// Weights by the formula of the fixtures, which keep outputs near 1.
fn weights(config: &UNet2DConditionConfig) -> StateDict {
    let shapes = parameter_shapes::<Flex, Unet>(config, &Default::default()).expect("allowed");
    let mut dict = StateDict::new();
    for (key, shape) in shapes {
        let entry = formula::parameter(&key, &shape);
        dict.insert(key, entry);
    }
    dict
}

fn measure<B: VisionBackend>(
    calibration: Calibration,
    config: &UNet2DConditionConfig,
    dict: &StateDict,
) -> Result<Vec<LayerFigures>, ModelError> {
    calibration.measure::<B>(config, dict, None, &Default::default(), |_, _| ())
}

/// The keys of the layers that may be int8.
fn layers(dict: &StateDict) -> Vec<&str> {
    let is_layer = |key: &&str| is_int8_layer(key) && dict.get(key).expect(key).shape().len() > 1;
    dict.keys().filter(is_layer).collect()
}

#[test]
fn every_layer_of_the_blocks_is_measured_in_every_type() {
    let [int8, bf16] = [LayerType::INT8, LayerType::BF16];
    for case in ["v1", "v2"] {
        let config = config(case);
        let dict = weights(&config);
        let figures = measure::<Flex>(SMALL, &config, &dict).expect(case);
        let mut keys: Vec<_> = figures.iter().map(|layer| layer.key.as_str()).collect();
        keys.sort_unstable();
        assert_eq!(keys, layers(&dict), "{case}");
        for layer in &figures {
            let error = |of| layer.of(of).and_then(|of| of.error).expect(&layer.key);
            let (in_int8, in_bf16) = (error(int8), error(bf16));
            // Half a scale of 127 to the largest weight, and half of bf16's epsilon; products in bf16 round inputs too.
            assert!(in_int8 > 1e-4 && in_int8 < 0.04, "{}: {in_int8}", layer.key);
            assert!(
                in_bf16 > 1e-5 && in_bf16 < 0.008,
                "{}: {in_bf16}",
                layer.key
            );
            assert!(layer.seconds.is_some_and(|seconds| seconds > 0.0));
            let count: usize = layer.shape.iter().product();
            let bytes = [int8, bf16].map(|of| layer.of(of).map(|of| of.bytes));
            let scales = 4 * layer.shape[0];
            assert_eq!(layer.types.len(), LAYER_TYPES.len());
            assert_eq!(bytes, [Some(count + scales), Some(2 * count)]);
            assert_eq!(layer.choice(1e-12), bf16);
            assert_eq!(layer.choice(10.0), LayerType::INT8_ACTIVATIONS);
            let of_activations = layer
                .of(LayerType::INT8_ACTIVATIONS)
                .and_then(|of| of.error);
            let of_activations = of_activations.expect(&layer.key);
            assert!(of_activations < 0.08, "{}: {of_activations}", layer.key);
        }
    }
}

#[test]
fn an_error_is_that_of_the_layer_in_f64() {
    // The first layer reads what no other layer's rounding changes: a context.
    let config = config("v2");
    let dict = weights(&config);
    let width = config.context_width().expect("one width");
    let context: Vec<f32> = (0..2 * 7 * width)
        .map(|i| (i as f32 * 0.37).sin())
        .collect();
    let device = Default::default();
    let contexts = TensorData::new(context.clone(), [2, 7, width]);
    let contexts = Tensor::<NdArray, 3>::from_data(contexts, &device);
    let figures = SMALL.measure::<NdArray>(&config, &dict, Some(contexts), &device, |_, _| ());
    let figures = figures.expect("measured");
    let key = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight";
    let layer = figures.iter().find(|layer| layer.key == key).expect(key);
    let exact = dict.get(key).expect(key);
    for figures in &layer.types {
        let rounded = match figures.layer_type {
            // This backend keeps no int8: the numbers of both are the same.
            LayerType::INT8 | LayerType::INT8_ACTIVATIONS => exact.to_int8().expect("a weight"),
            _ => exact.cast(DType::BF16),
        };
        let (exact, rounded) = (exact.to_f32(), rounded.to_f32());
        let (mut difference, mut whole) = (0.0, 0.0);
        for token in context.chunks(width) {
            for (row, rounded) in exact.chunks(width).zip(rounded.chunks(width)) {
                let dot = |row: &[f32]| {
                    let pairs = row.iter().zip(token);
                    pairs
                        .map(|(w, x)| f64::from(*w) * f64::from(*x))
                        .sum::<f64>()
                };
                whole += dot(row).powi(2);
                difference += (dot(row) - dot(rounded)).powi(2);
            }
        }
        let expected = (difference / whole).sqrt();
        let error = figures.error.expect("run");
        assert!(
            (error - expected).abs() <= 1e-3 * expected + 1e-6,
            "{}: {error} is not {expected}",
            figures.layer_type.name
        );
    }
}

#[test]
fn a_layer_with_outliers_alone_is_not_int8() {
    let config = config("v2");
    let mut dict = weights(&config);
    let key = "mid_block.resnets.0.conv2.weight";
    let exact = dict.get(key).expect(key);
    let (shape, mut values) = (exact.shape().to_vec(), exact.to_f32());
    let most = values
        .iter()
        .fold(0.0_f32, |most, value| most.max(value.abs()));
    // One weight of each output is far larger than the others.
    let channel = shape[1..].iter().product::<usize>();
    for (output, values) in values.chunks_mut(channel).enumerate() {
        values[output % channel] = 8.0 * most;
    }
    dict.insert(key, TensorEntry::from_f32(shape, values));
    let [int8, bf16] = [LayerType::INT8, LayerType::BF16];
    let figures = measure::<Flex>(SMALL, &config, &dict).expect("measured");
    let error = |layer: &LayerFigures| layer.of(int8).and_then(|of| of.error).expect("run");
    let (with, without): (Vec<_>, Vec<_>) = figures.iter().partition(|layer| layer.key == key);
    let usual = without.iter().map(|layer| error(layer)).fold(0.0, f64::max);
    assert!(error(with[0]) > usual, "{} {usual}", error(with[0]));
    let limit = (error(with[0]) + usual) / 2.0;
    for layer in &figures {
        let choice = layer.choice(limit);
        assert_eq!(choice == bf16, layer.key == key, "{}", layer.key);
    }
}

#[test]
fn figures_depend_on_the_seed_alone() {
    let config = config("v1");
    let dict = weights(&config);
    let errors = |calibration| -> Vec<_> {
        let figures = measure::<Flex>(calibration, &config, &dict).expect("measured");
        let types = figures.into_iter().flat_map(|layer| layer.types);
        types.map(|of| of.error).collect()
    };
    let first = errors(SMALL);
    assert_eq!(first, errors(SMALL));
    assert_ne!(first, errors(Calibration { seed: 6, ..SMALL }));
}

#[test]
fn progress_ends_with_all_layers() {
    let config = config("v1");
    let dict = weights(&config);
    let last = Rc::new(Cell::new((0, 0)));
    let heard = Rc::clone(&last);
    let seen = move |done, all| heard.set((done, all));
    let figures = SMALL
        .measure::<Flex>(&config, &dict, None, &Default::default(), seen)
        .expect("measured");
    assert_eq!(last.get(), (figures.len(), figures.len()));
}

#[test]
fn weights_in_int8_and_sides_that_do_not_fit_are_refused() {
    let config = config("v2");
    let int8 =
        random_weights::<Flex, Unet>(&config, Precision::Int8, &Default::default()).expect("legal");
    let error = measure::<Flex>(SMALL, &config, &int8).expect_err("refused");
    assert!(matches!(error, ModelError::AlreadyInt8 { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("int8 already") && message.contains("--dtype stored"));

    let dict = weights(&config);
    let odd = Calibration { side: 0, ..SMALL };
    let error = measure::<Flex>(odd, &config, &dict).expect_err("refused");
    assert!(matches!(error, ModelError::Input { .. }), "{error}");
}

#[test]
fn a_unet_for_inpainting_is_measured_too() {
    let config = UNet2DConditionConfig {
        in_channels: 9,
        ..config("v1")
    };
    let dict = weights(&config);
    let figures = measure::<Flex>(SMALL, &config, &dict).expect("measured");
    assert_eq!(figures.len(), layers(&dict).len());
}
