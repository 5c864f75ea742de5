//! Weights in int8 with a scale for each output: files, loading, and the UNet.

use std::{
    collections::HashMap,
    fs,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use burn::tensor::{DType, Tensor, TensorData};
use burn_flex::Flex;
use burn_ndarray::NdArray;
use pyrograph_backend::vision::{Int8Products, VisionBackend, set_exact_products};
use pyrograph_models::{
    ModelError,
    stable_diffusion::unet::{UNet2DConditionConfig, UNet2DConditionModel, is_int8_layer},
    weights::{
        Precision, StateDict, TensorEntry, build_model, build_model_with, random_weights,
        state_dict_of,
    },
};

use crate::formula;

type Unet<B> = UNet2DConditionModel<B>;

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
    let shapes = random_weights::<Flex, Unet<Flex>>(config, Precision::F32, &Default::default());
    let shapes = shapes.expect("allowed");
    let mut dict = StateDict::new();
    for key in shapes.keys() {
        let shape = shapes.get(key).expect(key).shape();
        dict.insert(key, formula::parameter(key, shape));
    }
    dict
}

/// The weights as int8 has them: named layers of the blocks, but no vectors; the others rounded to bf16.
fn quantised(dict: &StateDict) -> StateDict {
    let mut quantised = StateDict::new();
    for key in dict.keys() {
        let tensor = dict.get(key).expect(key);
        let tensor = match is_int8_layer(key) {
            true => tensor.to_int8().unwrap_or_else(|| tensor.cast(DType::BF16)),
            false => tensor.cast(DType::BF16),
        };
        quantised.insert(key, tensor);
    }
    quantised
}

/// The same numbers in f32.
fn widened(dict: &StateDict) -> StateDict {
    let mut wide = StateDict::new();
    for key in dict.keys() {
        wide.insert(key, dict.get(key).expect(key).cast(DType::F32));
    }
    wide
}

fn run<B: VisionBackend>(model: &Unet<B>, config: &UNet2DConditionConfig) -> Vec<f32> {
    let values = |count: usize, step: f32| (0..count).map(move |i| (i as f32 * step).sin());
    let tensor = |shape: [usize; 4], step| {
        let values: Vec<f32> = values(shape.iter().product(), step).collect();
        Tensor::<B, 4>::from_data(TensorData::new(values, shape), &Default::default())
    };
    let width = config.cross_attention_dim[0];
    let sample = tensor([2, config.in_channels, 16, 16], 0.37);
    let context = tensor([1, 2, 7, width], 0.61).reshape([2, 7, width]);
    let timestep = Tensor::from_floats([30.0, 700.0], &Default::default());
    let output = model.forward(sample, timestep, context);
    output.into_data().iter::<f32>().collect()
}

#[track_caller]
fn assert_near(ours: &[f32], theirs: &[f32], within: f32, what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let scale = theirs
        .iter()
        .fold(0.0_f32, |most, value| most.max(value.abs()));
    for (ours, theirs) in ours.iter().zip(theirs) {
        let off = (ours - theirs).abs();
        assert!(
            off <= within * scale,
            "{what}: {ours} is not {theirs}, of {scale}"
        );
    }
}

/// Held while a test relies on how products are computed, which is so for the whole process.
static PRODUCTS: Mutex<()> = Mutex::new(());

#[test]
fn a_unet_with_activations_in_int8_is_near_the_one_of_the_same_weights() {
    let _lock = PRODUCTS.lock().unwrap_or_else(PoisonError::into_inner);
    let device = Default::default();
    for case in ["v1", "v2"] {
        let config = config(case);
        let dict = weights(&config);
        let of_int8 = quantised(&dict);
        let exact: Unet<Flex> = build_model(&config, &widened(&of_int8), &device).expect(case);
        let exact = run(&exact, &config);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("int8.safetensors");
        let wanted = Precision::Int8Activations;
        let no_check = |_: &str, _: &TensorEntry| Ok(());
        of_int8
            .save_as(&path, &HashMap::new(), wanted, no_check)
            .expect("writable");
        let opened = StateDict::open(&path).expect("whole");
        let mut outputs = Vec::new();
        // As stored, of weights that are for themselves alone, and made on loading.
        for (dict, precision) in [
            (&opened, Precision::AsStored),
            (&of_int8, wanted),
            (&dict, wanted),
        ] {
            let model: Unet<Flex> =
                build_model_with(&config, dict, precision, &device).expect(case);
            let held = state_dict_of(&model).expect("readable");
            for key in held.keys() {
                let held = held.get(key).expect(key);
                let is_int8 = of_int8.get(key).expect(key).is_quantised();
                let products = is_int8.then_some(Int8Products::Activations);
                assert_eq!(held.int8_products(), products, "{case}: {key}");
            }
            set_exact_products(true);
            assert_near(&run(&model, &config), &exact, 1e-4, case);
            set_exact_products(false);
            let output = run(&model, &config);
            assert_near(&output, &exact, 8e-2, case);
            outputs.push(output);
        }
        let same = |pair: &[Vec<f32>]| pair[0] == pair[1];
        assert!(outputs.windows(2).all(same), "{case}");
        // The weights alone, though the file says otherwise.
        let model: Unet<Flex> =
            build_model_with(&config, &opened, Precision::Int8, &device).expect(case);
        let output = run(&model, &config);
        assert_near(&output, &exact, 2e-2, case);
        assert_ne!(output, outputs[0], "{case}");
    }
}

#[test]
fn a_unet_in_int8_computes_what_its_numbers_stand_for() {
    let _lock = PRODUCTS.lock().unwrap_or_else(PoisonError::into_inner);
    let device = Default::default();
    for case in ["v1", "v2"] {
        let config = config(case);
        let dict = weights(&config);
        let (of_int8, exact) = (quantised(&dict), widened(&quantised(&dict)));
        let exact: Unet<Flex> = build_model(&config, &exact, &device).expect(case);
        let exact = run(&exact, &config);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("int8.safetensors");
        of_int8.save(&path, HashMap::new()).expect("writable");
        let opened = StateDict::open(&path).expect("whole");
        // As stored, and made on loading: the same numbers.
        for (dict, precision) in [(&opened, Precision::AsStored), (&dict, Precision::Int8)] {
            let what = format!("{case}, {precision}");
            let model: Unet<Flex> =
                build_model_with(&config, dict, precision, &device).expect(case);
            set_exact_products(true);
            assert_near(&run(&model, &config), &exact, 1e-4, &what);
            set_exact_products(false);
            assert_near(&run(&model, &config), &exact, 2e-2, &what);
            let held = state_dict_of(&model).expect("readable");
            assert!(held.keys().eq(of_int8.keys()), "{what}");
            for key in held.keys() {
                let (held, wanted) = (held.get(key).expect(key), of_int8.get(key).expect(key));
                assert_eq!(held, wanted, "{what}: {key}");
            }
        }
        // In another type, and on a backend that does not keep such weights, the same numbers.
        let model: Unet<Flex> = build_model(&config, &opened, &device).expect(case);
        assert_near(&run(&model, &config), &exact, 1e-4, case);
        let model: Unet<NdArray> =
            build_model_with(&config, &opened, Precision::F32, &Default::default()).expect(case);
        assert_near(&run(&model, &config), &exact, 1e-4, case);
    }
}

#[test]
fn named_layers_alone_are_int8() {
    let dict = quantised(&weights(&config("v2")));
    let is_int8 = |key: &str| dict.get(key).expect(key).is_quantised();
    for key in [
        "down_blocks.0.resnets.0.conv1.weight",
        "down_blocks.0.resnets.0.time_emb_proj.weight",
        "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight",
        "mid_block.resnets.0.conv2.weight",
        "up_blocks.1.resnets.0.conv_shortcut.weight",
    ] {
        assert!(is_int8(key), "{key}");
    }
    for key in [
        "conv_in.weight",
        "conv_out.weight",
        "time_embedding.linear_1.weight",
        "down_blocks.0.resnets.0.norm1.weight",
        "down_blocks.0.resnets.0.conv1.bias",
    ] {
        assert!(!is_int8(key), "{key}");
    }
}

/// A file of one weight and what stands beside it.
fn file(numbers: TensorEntry, scales: Option<TensorEntry>) -> Result<StateDict, ModelError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("file.safetensors");
    let mut dict = StateDict::new();
    dict.insert("x.weight", numbers);
    if let Some(scales) = scales {
        dict.insert("x.weight_scale", scales);
    }
    dict.save(&path, HashMap::new()).expect("writable");
    StateDict::open(&path)
}

fn numbers() -> TensorEntry {
    TensorEntry::from_data(TensorData::new(vec![1_i8, -2, 3, 127, -127, 0], [2, 3]))
}

#[test]
fn a_weight_and_its_scales_are_one_entry_of_an_open_file() {
    let scales = TensorEntry::from_f32(vec![2], vec![0.5, 2.0]);
    let dict = file(numbers(), Some(scales)).expect("whole");
    assert_eq!(dict.keys().collect::<Vec<_>>(), ["x.weight"]);
    let weight = dict.get("x.weight").expect("there");
    assert!(weight.is_quantised() && weight.is_mapped());
    assert_eq!(
        (weight.type_name(), weight.scales()),
        ("int8", Some(&[0.5, 2.0][..]))
    );
    let values = [0.5, -1.0, 1.5, 254.0, -254.0, 0.0];
    assert_eq!(weight.to_f32(), values);
    assert_eq!(weight.cast(DType::F32).to_f32(), values);
    assert_eq!(
        weight.to_data(Precision::F32).to_vec::<f32>().expect("f32"),
        values
    );
}

#[test]
fn the_name_of_the_scales_says_what_the_weight_is_for() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("file.safetensors");
    let mut dict = StateDict::new();
    let scales = || TensorEntry::from_f32(vec![2], vec![0.5, 2.0]);
    dict.insert("x.weight", numbers());
    dict.insert("x.weight_scale_w8a8", scales());
    dict.save(&path, HashMap::new()).expect("writable");
    let opened = StateDict::open(&path).expect("whole");
    assert_eq!(opened.keys().collect::<Vec<_>>(), ["x.weight"]);
    let weight = opened.get("x.weight").expect("there");
    let products = Some(Int8Products::Activations);
    let of_rows = weight.rows(1..2).int8_products();
    assert_eq!([weight.int8_products(), of_rows], [products; 2]);
    assert_eq!(weight.type_name(), "int8-activations");
    // It is written as it is.
    let again = folder.path().join("again.safetensors");
    opened.save(&again, HashMap::new()).expect("writable");
    assert_eq!(
        fs::read(&again).expect("there"),
        fs::read(&path).expect("there")
    );
    dict.insert("x.weight_scale", scales());
    dict.save(&path, HashMap::new()).expect("writable");
    let error = StateDict::open(&path).expect_err("two").to_string();
    for words in ["`x.weight_scale`", "`x.weight_scale_w8a8`"] {
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn scales_that_do_not_fit_are_refused() {
    let of =
        |shape: &[usize], values: &[f32]| TensorEntry::from_f32(shape.to_vec(), values.to_vec());
    let wrong = [
        (
            of(&[3], &[1.0; 3]),
            "shape [3], but must be f32 of shape [2]",
        ),
        (of(&[2, 1], &[1.0; 2]), "shape [2, 1]"),
        (of(&[2], &[1.0, f32::NAN]), "its scale 1 is NaN"),
        (of(&[2], &[f32::INFINITY, 1.0]), "its scale 0 is inf"),
        (of(&[2], &[1.0; 2]).cast(DType::F16), "f16"),
    ];
    for (scales, words) in wrong {
        let error = file(numbers(), Some(scales)).expect_err(words);
        assert!(matches!(error, ModelError::Quantised { .. }), "{error}");
        let message = error.to_string();
        for words in ["`x.weight`", words, "`x.weight_scale`"] {
            assert!(message.contains(words), "{message}");
        }
    }
}

#[test]
fn a_weight_of_int8_without_scales_is_refused_when_a_layer_takes_it() {
    let config = config("v2");
    let mut dict = weights(&config);
    let key = "mid_block.resnets.0.conv2.weight";
    let shape = dict.get(key).expect(key).shape().to_vec();
    let zeros = vec![0_i8; shape.iter().product()];
    dict.insert(key, TensorEntry::from_data(TensorData::new(zeros, shape)));
    for precision in [Precision::AsStored, Precision::F32, Precision::Int8] {
        let built =
            build_model_with::<Flex, Unet<Flex>>(&config, &dict, precision, &Default::default());
        let message = built.expect_err("refused").to_string();
        assert!(
            message.contains(key) && message.contains("no scales"),
            "{message}"
        );
    }
}

#[test]
fn a_value_that_is_not_finite_is_refused_before_it_is_rounded() {
    let config = config("v2");
    let mut dict = weights(&config);
    let key = "mid_block.resnets.0.conv2.weight";
    let shape = dict.get(key).expect(key).shape().to_vec();
    let mut values = vec![0.0; shape.iter().product()];
    values[5] = f32::NAN;
    dict.insert(key, TensorEntry::from_f32(shape, values));
    let built =
        build_model_with::<Flex, Unet<Flex>>(&config, &dict, Precision::Int8, &Default::default());
    let error = built.expect_err("refused");
    assert!(
        matches!(error, ModelError::NonFinite { index: 5, .. }),
        "{error}"
    );
}
