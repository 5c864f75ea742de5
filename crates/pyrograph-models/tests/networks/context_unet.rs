//! ContextUnet against PyTorch; see `fixtures/context_unet/make.py`.

use std::path::PathBuf;

use burn::backend::Autodiff;
use burn_flex::Flex;
use burn_ndarray::NdArray;
use pyrograph_backend::vision::VisionBackend;
use pyrograph_models::{
    ModelError,
    blocks::BatchStatistics,
    context_unet::{ContextUnet, ContextUnetConfig, Residual},
    weights::{
        StateDict, TensorEntry, build_model, load_model, load_weights, save_model, state_dict_of,
    },
};

use crate::common;
use crate::common::{
    F32_GRADIENT, F32_MODEL, Gradients, assert_close, assert_is, field_path, tensor, with_value,
};

/// The same weights in every way that PyTorch writes them.
const FORMATS: [&str; 4] = [
    "weights_zip.pth",
    "weights_legacy.pth",
    "weights_nested.pth",
    "weights_strided.pth",
];

fn fixture(name: &str) -> PathBuf {
    common::fixture("context_unet", name)
}

fn open(name: &str) -> StateDict {
    StateDict::open(fixture(name)).expect(name)
}

fn config(height: usize, in_channels: usize, n_cfeat: usize) -> ContextUnetConfig {
    ContextUnetConfig {
        in_channels,
        n_feat: 8,
        n_cfeat,
        height,
        residual: Residual::FirstConv,
    }
}

fn load<B: VisionBackend>(
    config: &ContextUnetConfig,
    dict: &StateDict,
) -> Result<ContextUnet<B>, ModelError> {
    load_weights(config.init(&Default::default(), 0)?, dict)
}

fn forward_agrees<B: VisionBackend>(height: usize, in_channels: usize, n_cfeat: usize) {
    let config = config(height, in_channels, n_cfeat);
    let cases = open(&format!("h{height}.safetensors"));
    let mut weights = open("weights.safetensors");
    for key in cases.keys().filter_map(|key| key.strip_prefix("weights.")) {
        weights.insert(
            key,
            cases.get(&format!("weights.{key}")).expect(key).clone(),
        );
    }
    let model: ContextUnet<B> = load(&config, &weights).expect("the weights fit");
    let x = || tensor::<B, 4>(&cases, "x");
    let t = || tensor::<B, 1>(&cases, "t");
    let c = || Some(tensor::<B, 2>(&cases, "c"));
    assert_is(&cases, "eps", model.forward(x(), t(), c()));
    assert_is(&cases, "eps_no_context", model.forward(x(), t(), None));
    if cases.get("eps_shared_t").is_some() {
        assert_is(
            &cases,
            "eps_shared_t",
            model.forward(x(), tensor(&cases, "t_shared"), c()),
        );
    }
}

#[test]
fn the_forward_pass_agrees_with_pytorch_at_every_legal_height() {
    for (height, in_channels, n_cfeat) in [(16, 1, 5), (20, 3, 2), (24, 1, 5), (28, 1, 2)] {
        forward_agrees::<Flex>(height, in_channels, n_cfeat);
        forward_agrees::<NdArray<f32>>(height, in_channels, n_cfeat);
        forward_agrees::<NdArray<f64>>(height, in_channels, n_cfeat);
    }
}

#[test]
fn every_format_of_a_state_dict_loads_the_same_weights() {
    let config = config(16, 1, 5);
    let cases = open("h16.safetensors");
    let mut compared = 0;
    for name in FORMATS {
        let model: ContextUnet<Flex> = load(&config, &open(name)).expect(name);
        let eps = model.forward(
            tensor(&cases, "x"),
            tensor(&cases, "t"),
            Some(tensor(&cases, "c")),
        );
        assert_is(&cases, "eps", eps);
        compared += 1;
    }
    assert_eq!(compared, FORMATS.len(), "no format is passed over");
}

#[test]
fn gradients_and_statistics_of_a_training_step_agree_with_pytorch() {
    type A = Autodiff<Flex>;
    let (cases, inputs) = (open("train_h16.safetensors"), open("h16.safetensors"));
    let model: ContextUnet<A> =
        load(&config(16, 1, 5), &open("weights.safetensors")).expect("fits");
    let mut statistics = BatchStatistics::new();
    let eps = model.forward_training(
        tensor(&inputs, "x"),
        tensor(&inputs, "t"),
        Some(tensor(&inputs, "c")),
        &mut statistics,
    );
    let loss = eps.square().mean();
    assert_is(&cases, "loss", loss.clone());

    let gradients = loss.backward();
    let found = Gradients::<A>::of(&model, &gradients);
    let compared = found.assert_norms(&model, &cases, "grad_norm.");
    for key in cases.keys().filter_map(|key| key.strip_prefix("grad.")) {
        let ours = found.dict.get(&field_path(&model, key)).expect(key);
        let theirs = cases.get(&format!("grad.{key}")).expect(key);
        assert_close(key, &ours.to_f32(), &theirs.to_f32(), F32_GRADIENT);
    }
    assert_eq!(
        compared,
        found.dict.keys().count(),
        "a gradient for every parameter"
    );

    let model = statistics.update(model);
    let after = state_dict_of(&model).expect("readable");
    let mut compared = 0;
    for key in cases.keys().filter_map(|key| key.strip_prefix("stats.")) {
        let ours = after
            .get(key)
            .unwrap_or_else(|| panic!("the model has no {key}"));
        let theirs = &cases.get(&format!("stats.{key}")).expect(key).to_f32();
        assert_close(key, &ours.to_f32(), theirs, F32_MODEL);
        compared += 1;
    }
    assert_eq!(compared, 2, "mean and variance of the first norm");
}

#[test]
fn an_item_does_not_depend_on_its_neighbours_in_the_batch() {
    let cases = open("h16.safetensors");
    let model: ContextUnet<Flex> =
        load(&config(16, 1, 5), &open("weights.safetensors")).expect("fits");
    let (x, t, c) = (
        tensor(&cases, "x"),
        tensor(&cases, "t"),
        tensor(&cases, "c"),
    );
    let whole = model.forward(x.clone(), t.clone(), Some(c.clone()));
    let alone = model.forward(x.slice(1..2), t.slice(1..2), Some(c.slice(1..2)));
    let (whole, alone) = (whole.slice(1..2).into_data(), alone.into_data());
    let values = |data: burn::tensor::TensorData| data.iter::<f32>().collect::<Vec<_>>();
    assert_close("item 1", &values(alone), &values(whole), 1e-6);
}

#[test]
fn a_model_file_round_trips_with_its_config_and_pytorchs_names() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.safetensors");
    for residual in [Residual::FirstConv, Residual::Learned] {
        let config = ContextUnetConfig {
            residual,
            ..config(20, 3, 2)
        };
        let model = config.init::<Flex>(&Default::default(), 5).expect("legal");
        save_model(&model, &config, Default::default(), &path).expect("writable");
        let (again, read) =
            load_model::<Flex, ContextUnet<Flex>>(&path, &Default::default()).expect("readable");
        assert_eq!(read, config);
        let (a, b) = (
            state_dict_of(&model).expect("a"),
            state_dict_of(&again).expect("b"),
        );
        assert!(a.keys().eq(b.keys()) && a.keys().all(|key| a.get(key) == b.get(key)));
        assert!(a.get("down1.model.0.conv1.0.weight").is_some());
        assert_eq!(
            a.get("init_conv.shortcut.weight").is_some(),
            residual == Residual::Learned
        );
    }
}

#[test]
fn one_seed_gives_one_model() {
    let init = |seed| {
        state_dict_of(
            &config(16, 3, 5)
                .init::<Flex>(&Default::default(), seed)
                .expect("legal"),
        )
        .expect("readable")
    };
    let (a, b, other) = (init(3), init(3), init(4));
    assert!(a.keys().all(|key| a.get(key) == b.get(key)));
    assert_ne!(a.get("out.3.weight"), other.get("out.3.weight"));
}

#[test]
fn weights_of_another_architecture_are_refused_with_the_keys() {
    let dict = open("weights.safetensors");
    let message = load::<Flex>(&config(16, 3, 5), &dict)
        .expect_err("3 channels")
        .to_string();
    assert!(
        message.contains("out.3.weight is [1, 8, 3, 3], the model's is [3, 8, 3, 3]"),
        "{message}"
    );

    let partial = open("weights_partial.pth");
    let message = load::<Flex>(&config(16, 1, 5), &partial)
        .expect_err("partial")
        .to_string();
    assert!(
        message.contains("122 missing: down1.model.0.conv1.0.weight"),
        "{message}"
    );

    let mut more = dict.clone();
    more.insert("extra.weight", TensorEntry::from_f32(vec![1], vec![0.0]));
    let message = load::<Flex>(&config(16, 1, 5), &more)
        .expect_err("unused")
        .to_string();
    assert!(message.contains("1 unused: extra.weight"), "{message}");
}

#[test]
fn weights_that_are_not_finite_are_refused_by_name() {
    let mut dict = open("weights.safetensors");
    let tensor = with_value(dict.get("out.0.bias").expect("there"), 3, f32::NAN);
    dict.insert("out.0.bias", tensor);
    let message = load::<Flex>(&config(16, 1, 5), &dict)
        .expect_err("NaN")
        .to_string();
    assert!(
        message.contains("`out.0.bias` holds NaN at place 3"),
        "{message}"
    );
}

#[test]
fn a_negative_variance_is_refused_by_name() {
    let mut dict = open("weights.safetensors");
    let key = "init_conv.conv1.1.running_var";
    let tensor = with_value(dict.get(key).expect("there"), 2, -0.3);
    dict.insert(key, tensor);
    let message = load::<Flex>(&config(16, 1, 5), &dict)
        .expect_err("negative")
        .to_string();
    assert!(
        message.contains("`init_conv.conv1.1.running_var` holds -0.3; a variance is at least 0"),
        "{message}"
    );
}

/// The fixture's weights under each of these prefixes.
fn wrapped(prefixes: &[&str]) -> StateDict {
    let (plain, mut dict) = (open("weights.safetensors"), StateDict::new());
    for prefix in prefixes {
        for key in plain.keys() {
            dict.insert(format!("{prefix}{key}"), plain.get(key).expect(key).clone());
        }
    }
    dict
}

#[test]
fn weights_load_from_under_what_training_scripts_put_around_them() {
    let plain = state_dict_of(
        &load::<Flex>(&config(16, 1, 5), &open("weights.safetensors")).expect("plain"),
    )
    .expect("readable");
    for prefix in [
        "state_dict.module.",
        "model_state_dict.module.",
        "_orig_mod.",
        "model.",
        "unet.",
        "ema_model.",
    ] {
        let model = load::<Flex>(&config(16, 1, 5), &wrapped(&[prefix])).expect(prefix);
        let dict = state_dict_of(&model).expect("readable");
        assert!(plain.keys().all(|key| plain.get(key) == dict.get(key)));
    }
}

#[test]
fn the_model_beside_its_average_is_taken_and_a_part_takes_the_average() {
    let mut dict = wrapped(&["model.", "ema."]);
    let bias = dict.get("ema.out.3.bias").expect("there");
    let bias = with_value(bias, 0, bias.to_f32()[0] + 1.0);
    dict.insert("ema.out.3.bias", bias.clone());
    let taken = |dict: &StateDict| {
        let model = load::<Flex>(&config(16, 1, 5), dict).expect("fits");
        let dict = state_dict_of(&model).expect("readable");
        dict.get("out.3.bias").expect("there").to_f32()
    };
    let trained = dict.get("model.out.3.bias").expect("there");
    assert_eq!(taken(&dict), trained.to_f32());
    assert_eq!(taken(&dict.part("ema.")), bias.to_f32());
}

#[test]
fn a_config_that_is_not_the_files_is_refused_before_a_model_is_made() {
    let dict = wrapped(&["model.module."]);
    let build = |config: &ContextUnetConfig| {
        build_model::<Flex, ContextUnet<Flex>>(config, &dict, &Default::default())
    };
    assert!(build(&config(16, 1, 5)).is_ok());
    // Half a billion parameters: making them would take minutes.
    let wide = ContextUnetConfig {
        n_feat: 1024,
        ..config(28, 1, 5)
    };
    let message = build(&wide).expect_err("too wide").to_string();
    assert!(
        message.contains(
            "model.module.init_conv.conv1.0.weight is [8, 1, 3, 3], the model's is [1024, 1, 3, 3]"
        ),
        "{message}"
    );
    let endless = ContextUnetConfig {
        n_feat: usize::MAX - 7,
        ..config(16, 1, 5)
    };
    let message = build(&endless).expect_err("endless").to_string();
    assert!(
        message.contains("n_feat is 18446744073709551608"),
        "{message}"
    );
}

#[test]
fn a_file_that_does_not_open_is_named_once_with_its_cause() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let error = StateDict::open(folder.path()).expect_err("a folder");
    let cause = std::error::Error::source(&error).expect("kept").to_string();
    assert!(!error.to_string().contains(&cause), "{error}: {cause}");
    assert!(
        error
            .to_string()
            .contains(&folder.path().display().to_string())
    );
}

#[test]
fn a_file_cut_anywhere_is_refused_and_never_panics() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut refused = 0;
    for name in FORMATS {
        let bytes = std::fs::read(fixture(name)).expect(name);
        let path = folder.path().join(name);
        for cut in (0..bytes.len())
            .step_by(bytes.len() / 40)
            .chain([1, 4, 8, 9, bytes.len() - 1])
        {
            std::fs::write(&path, &bytes[..cut]).expect("writable");
            let opened =
                StateDict::open(&path).and_then(|dict| load::<Flex>(&config(16, 1, 5), &dict));
            let message = opened
                .expect_err(&format!("{name} cut at {cut}"))
                .to_string();
            assert!(message.contains(name), "{message}");
            refused += 1;
        }
    }
    assert!(
        refused > 40 * FORMATS.len(),
        "{refused} cuts of every format"
    );
}
