//! SSD against PyTorch, torchvision and pytorch-ssd; see `fixtures/ssd/make.py`.

use burn::{
    backend::Autodiff,
    module::AutodiffModule,
    tensor::{Tensor, backend::Backend},
};
use burn_flex::Flex;
use burn_ndarray::NdArray;
use pyrograph_backend::{lock_autodiff, rng::host_tensor, vision::VisionBackend};
use pyrograph_models::{
    blocks::BatchStatistics,
    ssd::{Ssd, SsdConfig, SsdOutput, Transfer},
    weights::{StateDict, TensorEntry, build_model, load_model, save_model, state_dict_of},
};
use pyrograph_vision::{DetectOptions, postprocess};

use crate::common::{F32_MODEL, Gradients, assert_close};
use crate::{common, formula};

type A = Autodiff<Flex>;

fn open(name: &str) -> StateDict {
    StateDict::open(common::fixture("ssd", name)).expect(name)
}

/// The weights of the formula under the keys that `name` gives to ours.
fn weights(config: &SsdConfig, name: impl Fn(&str) -> String) -> StateDict {
    let model = config.init::<Flex>(&Default::default(), 0).expect("legal");
    let ours = state_dict_of(&model).expect("readable");
    let mut dict = StateDict::new();
    for key in ours.keys() {
        let published = name(key);
        let shape = ours.get(key).expect(key).shape();
        let tensor = formula::parameter(&published, shape);
        dict.insert(published, tensor);
    }
    dict
}

fn load<B: VisionBackend>(config: &SsdConfig, dict: &StateDict) -> Ssd<B> {
    build_model(config, dict, &Default::default()).expect("the weights fit")
}

fn images<B: Backend>(batch: usize) -> Tensor<B, 4> {
    let values = formula::images(batch, 300).to_f32();
    host_tensor(values, [batch, 3, 300, 300], &Default::default())
}

/// The sampled rows of one output.
fn rows<B: Backend>(output: &Tensor<B, 3>, priors: &[f32]) -> Vec<f32> {
    let [batch, count, width] = output.dims();
    let values: Vec<f32> = output.to_data().iter::<f32>().collect();
    let mut found = Vec::new();
    for item in 0..batch {
        for &prior in priors {
            let row = item * count + prior as usize;
            found.extend_from_slice(&values[row * width..][..width]);
        }
    }
    found
}

fn statistics<B: Backend>(output: &Tensor<B, 3>) -> Vec<f32> {
    let values: Vec<f64> = output.to_data().iter::<f32>().map(f64::from).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    [mean, variance.sqrt(), least, largest]
        .map(|v| v as f32)
        .to_vec()
}

/// `f32_model` of 53 layers with random norms: PyTorch's own f32 pass differs by 1.3e-4 from its f64 pass on these weights.
const F32_DEEP: f32 = 3e-4;

#[track_caller]
fn assert_outputs<B: Backend>(cases: &StateDict, output: &SsdOutput<B>, tolerance: f32) {
    let value = |key: &str| cases.get(key).expect(key).to_f32();
    for (name, ours) in [("loc", &output.loc), ("conf", &output.conf)] {
        assert_close(name, &rows(ours, &value("prior")), &value(name), tolerance);
        let name = format!("{name}_stats");
        assert_close(&name, &statistics(ours), &value(&name), tolerance);
    }
}

#[test]
fn the_whole_ssd300_agrees_with_the_reference() {
    let config = SsdConfig::vgg16(21);
    let model = load::<Flex>(&config, &weights(&config, str::to_owned));
    assert_outputs(
        &open("vgg16.safetensors"),
        &model.forward(images(1)),
        F32_MODEL,
    );
}

/// torchvision's name of one of ssd.pytorch's keys.
fn torchvision_name(key: &str) -> String {
    let mut parts = key.splitn(3, '.');
    let (field, number, name) = (parts.next(), parts.next(), parts.next().unwrap_or_default());
    let number = number.and_then(|number| number.parse::<usize>().ok());
    match (field, number) {
        (Some("vgg"), Some(31)) => format!("backbone.extra.0.7.1.{name}"),
        (Some("vgg"), Some(33)) => format!("backbone.extra.0.7.3.{name}"),
        (Some("vgg"), Some(n)) if n > 23 => format!("backbone.extra.0.{}.{name}", n - 23),
        (Some("vgg"), Some(n)) => format!("backbone.features.{n}.{name}"),
        (Some("extras"), Some(n)) => format!("backbone.extra.{}.{}.{name}", n / 2 + 1, n % 2 * 2),
        (Some("loc"), Some(n)) => format!("head.regression_head.module_list.{n}.{name}"),
        (Some("conf"), Some(n)) => format!("head.classification_head.module_list.{n}.{name}"),
        _ => "backbone.scale_weight".into(),
    }
}

#[test]
fn a_file_of_torchvisions_gives_torchvisions_outputs_and_detections() {
    let config = SsdConfig::torchvision(21);
    let cases = open("torchvision.safetensors");
    let model = load::<Flex>(&config, &weights(&config, torchvision_name));
    let output = model.forward(images(1));
    assert_outputs(&cases, &output, F32_MODEL);

    let values = |tensor: Tensor<Flex, 3>| tensor.into_data().iter::<f32>().collect::<Vec<_>>();
    let (loc, conf) = (values(output.loc), values(output.conf));
    let priors = config.prior_boxes().expect("a table");
    let coder = config.prior_config().coder();
    let options = DetectOptions::default();
    let found = postprocess(&loc, &conf, &priors, &coder, &options).expect("legal");
    let theirs = |key: &str| cases.get(key).expect(key).to_f32();
    let count = theirs("scores").len();
    assert!(found.len() >= count);
    for (place, ours) in found.iter().take(count).enumerate() {
        let b = ours.bbox;
        let corners = [b.x1, b.y1, b.x2, b.y2];
        assert_close(
            "box",
            &corners,
            &theirs("boxes")[place * 4..][..4],
            F32_MODEL,
        );
        assert_close(
            "score",
            &[ours.score],
            &theirs("scores")[place..=place],
            F32_MODEL,
        );
        assert_eq!(ours.class as f32 + 1.0, theirs("labels")[place]);
    }
}

#[test]
fn mobilenet_v2_agrees_with_pytorch_ssd() {
    let config = SsdConfig::mobilenet_v2(21);
    let model = load::<Flex>(&config, &weights(&config, str::to_owned));
    assert_outputs(
        &open("mobilenet_v2.safetensors"),
        &model.forward(images(1)),
        F32_DEEP,
    );
}

/// The functional of the fixtures: both outputs times numbers of the formula.
fn functional<B: VisionBackend>(output: SsdOutput<B>) -> Tensor<B, 1> {
    let weighed = |key: &str, output: Tensor<B, 3>| {
        let shape = output.dims();
        let numbers = formula::uniform(key, shape.iter().product());
        (output * host_tensor::<B, 3>(numbers, shape, &Default::default())).sum()
    };
    weighed("grad_loc", output.loc) + weighed("grad_conf", output.conf)
}

#[test]
fn a_narrow_ssd300_agrees_with_the_reference_in_values_and_gradients() {
    let config = SsdConfig {
        width: 0.125,
        ..SsdConfig::vgg16(4)
    };
    let cases = open("narrow.safetensors");
    let model = load::<A>(&config, &weights(&config, str::to_owned));
    let _turn = lock_autodiff();
    let output = model.forward(images(2));
    assert_outputs(&cases, &output, F32_MODEL);
    let gradients = functional(output).backward();
    let found = Gradients::of(&model, &gradients);
    let parameters = state_dict_of(&model.valid())
        .expect("readable")
        .keys()
        .count();
    assert_eq!(found.assert_norms(&model, &cases, "grad_norm."), parameters);
}

#[test]
fn a_training_pass_of_mobilenet_v2_agrees_with_pytorch() {
    // In f64: which side of a corner of ReLU6 a value falls on decides, and PyTorch's own f32 gradients differ by 0.8 %.
    type A = Autodiff<NdArray<f64>>;
    let config = SsdConfig {
        width: 0.25,
        ..SsdConfig::mobilenet_v2(3)
    };
    let cases = open("mobilenet_v2_train.safetensors");
    let model = load::<A>(&config, &weights(&config, str::to_owned));
    let turn = lock_autodiff();
    let mut seen = BatchStatistics::new();
    let output = model.forward_training(images(2), &mut seen);
    assert_outputs(&cases, &output, F32_MODEL);
    let gradients = functional(output).backward();
    drop(turn);
    let found = Gradients::of(&model, &gradients);
    assert!(found.assert_norms(&model, &cases, "grad_norm.") > 150);

    let updated = state_dict_of(&seen.update(model).valid()).expect("readable");
    let mut compared = 0;
    for key in cases.keys().filter(|key| key.contains(".running_")) {
        let ours = &updated.get(key).expect(key).to_f32();
        assert_close(key, ours, &cases.get(key).expect(key).to_f32(), F32_MODEL);
        compared += 1;
    }
    assert_eq!(compared, 6);
}

fn tiny(num_classes: usize) -> SsdConfig {
    SsdConfig {
        width: 0.03125,
        ..SsdConfig::vgg16(num_classes)
    }
}

#[test]
fn a_model_file_carries_its_config_and_reads_back() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, config) in [
        ("vgg", tiny(3)),
        (
            "norm",
            SsdConfig {
                batch_norm: true,
                ..tiny(3)
            },
        ),
        (
            "mobilenet",
            SsdConfig {
                width: 0.125,
                ..SsdConfig::mobilenet_v2(3)
            },
        ),
    ] {
        let device = Default::default();
        let model = config.init::<Flex>(&device, 7).expect("legal");
        let path = folder.path().join(name);
        save_model(&model, &config, Default::default(), &path).expect("written");
        let (read, read_config) = load_model::<Flex, Ssd<_>>(&path, &device).expect("reads");
        assert_eq!(read_config, config);
        let (a, b) = (model.forward(images(1)), read.forward(images(1)));
        assert_eq!(a.conf.to_data(), b.conf.to_data());
        assert_eq!(a.loc.to_data(), b.loc.to_data());
    }
}

#[test]
fn another_number_of_classes_is_refused_and_an_option_replaces_the_heads() {
    let dict = weights(&tiny(3), str::to_owned);
    let device = Default::default();
    let error = build_model::<Flex, Ssd<_>>(&tiny(5), &dict, &device).expect_err("classes");
    let message = error.to_string();
    assert!(
        message.contains("conf.0.weight is [12, 16, 3, 3], the model's is [20, 16, 3, 3]"),
        "{message}"
    );
    let start = tiny(5)
        .init_from::<Flex>(&dict, None, Transfer::ReplaceHeads, &device, 1)
        .expect("the rest fits");
    let ours = state_dict_of(&start.model).expect("readable");
    assert_eq!(start.fresh, 12);
    assert_eq!(start.taken + start.fresh, ours.keys().count());
    for key in ours.keys() {
        let same = ours.get(key) == dict.get(key);
        assert_eq!(same, !key.starts_with("conf."), "{key}");
    }
}

#[test]
fn a_detector_begins_from_the_part_of_a_file_that_is_named() {
    let device = Default::default();
    let one = weights(&tiny(3), str::to_owned);
    let mut both = one.renamed(|key| format!("one.{key}"));
    let bias = "conf.0.bias";
    let changed = common::with_value(one.get(bias).expect("a head"), 0, 7.0);
    for key in one.keys() {
        let tensor = if key == bias {
            &changed
        } else {
            one.get(key).expect("it")
        };
        both.insert(format!("two.{key}"), tensor.clone());
    }
    for (part, taken, value) in [(None, "one.", &one), (Some("two"), "two.", &both)] {
        let start = tiny(3)
            .init_from::<Flex>(&both, part, Transfer::All, &device, 1)
            .expect("fits");
        let ours = state_dict_of(&start.model).expect("readable");
        let prefix = if part.is_some() { "two." } else { "" };
        assert_eq!(ours.get(bias), value.get(&format!("{prefix}{bias}")));
        assert_eq!(start.source.taken(), taken);
        assert_eq!(start.source.left().len(), usize::from(part.is_none()));
    }
    // Its numbers are those of the part, too.
    let narrow = tiny(3).width;
    let wide = SsdConfig {
        width: 2.0 * narrow,
        ..tiny(4)
    };
    let wide = weights(&wide, |key| format!("wide.{key}"));
    for key in wide.keys() {
        both.insert(key, wide.get(key).expect("it").clone());
    }
    for (part, classes, width) in [(Some("two"), 3, narrow), (Some("wide"), 4, 2.0 * narrow)] {
        let found = SsdConfig::inferred(&both, part).expect("a detector");
        assert_eq!(found.num_classes, classes);
        assert!((found.width - width).abs() < 1e-3, "{}", found.width);
    }
    assert_eq!(SsdConfig::inferred(&both, Some("three")), None);
    // torchvision's names of a plain VGG16, too.
    let plain = one.renamed(|key| match key.strip_prefix("vgg.") {
        Some(rest) => format!("net.features.{rest}"),
        None => format!("rest.{key}"),
    });
    let start = tiny(3)
        .init_from::<Flex>(&plain, Some("net"), Transfer::Backbone, &device, 1)
        .expect("fits");
    assert!(start.taken > 0);
    for part in ["three", "rest"] {
        let refused = tiny(3).init_from::<Flex>(&both, Some(part), Transfer::All, &device, 1);
        let message = refused.expect_err(part).to_string();
        assert!(
            message.contains(part) && message.contains("`one`"),
            "{message}"
        );
    }
}

#[test]
fn a_plain_vgg16_is_a_backbone() {
    let device = Default::default();
    // vgg16_reducedfc.pth holds the Sequential alone.
    let whole = weights(&tiny(3), str::to_owned);
    let sequential = whole.part("vgg.");
    let start = tiny(5)
        .init_from::<Flex>(&sequential, None, Transfer::Backbone, &device, 1)
        .expect("fits");
    assert_eq!(start.taken, 30);
    let ours = state_dict_of(&start.model).expect("readable");
    assert_eq!(ours.get("vgg.33.weight"), whole.get("vgg.33.weight"));

    // torchvision's vgg16, whose dense layers are four times as wide, fc6 over 7×7.
    let mut classifier = sequential.renamed(|key| format!("features.{key}"));
    let fc = ours.get("vgg.31.weight").expect("fc6").shape().to_vec();
    for (layer, shape) in [
        ("classifier.0", [4 * fc[0], 49 * fc[1]]),
        ("classifier.3", [4 * fc[0], 4 * fc[0]]),
    ] {
        classifier.insert(format!("{layer}.weight"), formula::parameter(layer, &shape));
        let bias = formula::parameter(&format!("{layer}.bias"), &shape[..1]);
        classifier.insert(format!("{layer}.bias"), bias);
    }
    let start = tiny(5)
        .init_from::<Flex>(&classifier, None, Transfer::Backbone, &device, 1)
        .expect("fits");
    let ours = state_dict_of(&start.model).expect("readable");
    let dense = &classifier.get("classifier.3.weight").expect("fc7");
    let taken = &ours.get("vgg.33.weight").expect("fc7").to_f32();
    // Feature 4·2, input 4·3.
    assert_eq!(
        taken[2 * fc[0] + 3],
        dense.to_f32()[8 * dense.shape()[1] + 12]
    );

    // Its convolutions alone, and with dense layers that have no values, as torchvision's file for SSD: fc6 and fc7 begin afresh.
    let mut features = sequential.renamed(|key| format!("features.{key}"));
    features = features.renamed(|key| match key.split('.').nth(1) {
        Some("31" | "33") => format!("elsewhere.{key}"),
        _ => key.to_owned(),
    });
    let mut no_values = classifier.clone();
    let bias = no_values.get("classifier.3.bias").expect("fc7");
    let bias = common::with_value(bias, 0, f32::NAN);
    no_values.insert("classifier.3.bias", bias);
    for (file, taken) in [(&features, 26), (&no_values, 28)] {
        let start = tiny(5)
            .init_from::<Flex>(file, None, Transfer::Backbone, &device, 1)
            .expect("fits");
        assert_eq!(start.taken, taken);
    }
    let all = tiny(5).init_from::<Flex>(&features, None, Transfer::All, &device, 1);
    assert!(all.is_err(), "heads are not there");

    let mut broken = whole.part("vgg.");
    broken.insert(
        "0.weight",
        TensorEntry::from_f32(vec![8, 3, 3, 3], vec![f32::NAN; 216]),
    );
    let error = tiny(5)
        .init_from::<Flex>(&broken, None, Transfer::Backbone, &device, 1)
        .expect_err("NaN");
    assert!(error.to_string().contains("holds NaN"), "{error}");
}

#[test]
fn a_gradient_reaches_every_parameter() {
    for config in [
        SsdConfig {
            batch_norm: true,
            ..tiny(3)
        },
        SsdConfig {
            width: 0.125,
            ..SsdConfig::mobilenet_v2(3)
        },
    ] {
        let model = config.init::<A>(&Default::default(), 3).expect("legal");
        let _turn = lock_autodiff();
        let output = model.forward_training(images(2), &mut BatchStatistics::new());
        let gradients = functional(output).backward();
        let found = Gradients::of(&model, &gradients).dict;
        for key in state_dict_of(&model.valid()).expect("readable").keys() {
            let path = common::field_path(&model, key);
            if !key.contains("running_") {
                let gradient = found.get(&path).unwrap_or_else(|| panic!("{key}: none"));
                assert!(gradient.to_f32().iter().all(|v| v.is_finite()), "{key}");
            }
        }
    }
}
