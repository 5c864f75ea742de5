//! What knowledge distillation asks of the detectors: feature maps, thawing, projectors, cost.

use burn::{
    backend::Autodiff,
    module::{AutodiffModule, Module, ModuleVisitor, Param},
    tensor::{Tensor, TensorData, backend::Backend},
};
use burn_flex::Flex;
use burn_ndarray::NdArray;
use pyrograph_backend::{lock_autodiff, rng::host_tensor, vision::VisionBackend};
use pyrograph_models::{
    blocks::BatchStatistics,
    ssd::{ProjectorKind, Projectors, Ssd, SsdConfig, SsdOutput},
    weights::{StateDict, load_model, save_model, state_dict_of},
};

use crate::common::{Gradients, assert_close};
use crate::{common, formula};

type A = Autodiff<Flex>;

/// A narrow network of each kind: plain VGG16, VGG16 with batch norm, MobileNetV2.
fn configs() -> [SsdConfig; 3] {
    let vgg = SsdConfig {
        width: 0.03125,
        ..SsdConfig::vgg16(3)
    };
    let batch_norm = SsdConfig {
        batch_norm: true,
        ..vgg.clone()
    };
    let mobilenet = SsdConfig {
        width: 0.125,
        ..SsdConfig::mobilenet_v2(3)
    };
    [vgg, batch_norm, mobilenet]
}

fn images<B: Backend>(batch: usize) -> Tensor<B, 4> {
    let values = formula::images(batch, 300).to_f32();
    host_tensor(values, [batch, 3, 300, 300], &Default::default())
}

fn data<B: Backend>(output: &SsdOutput<B>) -> [TensorData; 2] {
    [output.loc.to_data(), output.conf.to_data()]
}

fn total<B: Backend>(output: SsdOutput<B>) -> Tensor<B, 1> {
    (output.loc.clone() * output.loc).sum() + (output.conf.clone() * output.conf).sum()
}

#[test]
fn feature_maps_have_the_sizes_of_the_config_and_leave_the_output_as_it_is() {
    for config in configs() {
        let model = config.init::<Flex>(&Default::default(), 1).expect("legal");
        let [mut plain, mut featured] = [BatchStatistics::new(), BatchStatistics::new()];
        let of_eval = model.forward_features(images(2));
        let of_training = model.forward_features_training(images(2), &mut featured);
        let training = model.forward_training(images(2), &mut plain);
        assert_eq!(data(&of_eval.output), data(&model.forward(images(2))));
        assert_eq!(data(&of_training.output), data(&training));
        let updated = [plain, featured].map(|seen| state_dict_of(&seen.update(model.clone())));
        let [plain, featured] = updated.map(|dict| dict.expect("readable"));
        assert!(plain.keys().all(|key| plain.get(key) == featured.get(key)));

        let (channels, sides) = (config.map_channels(), config.map_sides());
        let sizes: Vec<_> = channels
            .iter()
            .zip(&sides)
            .map(|(&c, &s)| [2, c, s, s])
            .collect();
        for maps in [&of_eval.maps, &of_training.maps] {
            assert_eq!(maps.iter().map(Tensor::dims).collect::<Vec<_>>(), sizes);
        }
        let priors = sides
            .iter()
            .zip(config.priors_per_cell())
            .map(|(side, k)| side * side * k);
        assert_eq!(priors.sum::<usize>(), of_eval.output.loc.dims()[1]);
    }
}

#[test]
fn the_first_map_of_vgg16_is_the_one_after_the_l2_norm() {
    let [config, ..] = configs();
    let model = config.init::<Flex>(&Default::default(), 1).expect("legal");
    let first = model.forward_features(images(1)).maps.swap_remove(0);
    let norms = (first.clone() * first).sum_dim(1).sqrt().into_data();
    let norms: Vec<f32> = norms.iter::<f32>().filter(|norm| *norm > 0.0).collect();
    assert!(norms.len() > 1000, "{} of 1444 pixels", norms.len());
    assert_close("norm", &norms, &vec![20.0; norms.len()], 1e-5);
}

/// That the last map is what the last heads read: a head of one cell is a product that the test
/// computes itself.
#[test]
fn the_last_map_of_mobilenet_v2_gives_the_last_offsets() {
    let [.., config] = configs();
    let model = config.init::<Flex>(&Default::default(), 1).expect("legal");
    let features = model.forward_features(images(1));
    let map: Vec<f32> = features.maps[5].to_data().iter::<f32>().collect();
    let weights = state_dict_of(&model).expect("readable");
    let head = weights
        .get("regression_headers.5.weight")
        .expect("a head")
        .to_f32();
    let product = |row: &[f32]| row.iter().zip(&map).map(|(w, x)| w * x).sum::<f32>();
    let ours: Vec<f32> = head.chunks_exact(map.len()).map(product).collect();
    let loc: Vec<f32> = features.output.loc.into_data().iter::<f32>().collect();
    assert_close("loc", &ours, &loc[loc.len() - ours.len()..], 1e-5);
}

#[test]
fn a_gradient_flows_back_from_the_maps_of_a_training_pass() {
    for config in configs() {
        let model = config.init::<A>(&Default::default(), 1).expect("legal");
        let _turn = lock_autodiff();
        let features = model.forward_features_training(images(1), &mut BatchStatistics::new());
        let squares = features
            .maps
            .into_iter()
            .map(|map| (map.clone() * map).sum());
        let sum = squares.reduce(|a, b| a + b).expect("six maps");
        let found = Gradients::of(&model, &sum.backward()).dict;
        let first = ["vgg.0.weight", "base_net.0.0.weight"];
        let dict = state_dict_of(&model.valid()).expect("readable");
        let key = first
            .into_iter()
            .find(|key| dict.get(key).is_some())
            .expect("a layer");
        let gradient = found
            .get(&common::field_path(&model, key))
            .expect(key)
            .to_f32();
        assert!(gradient.iter().any(|v| *v != 0.0) && gradient.iter().all(|v| v.is_finite()));
    }
}

/// Whether each parameter requires a gradient, in the order of the fields.
#[derive(Default)]
struct Required(Vec<bool>);

impl<B: Backend> ModuleVisitor<B> for Required {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.0.push(param.val().is_require_grad());
    }
}

fn required(model: &Ssd<A>) -> Vec<bool> {
    let mut required = Required::default();
    model.visit(&mut required);
    required.0
}

#[test]
fn a_frozen_and_thawed_network_is_a_fresh_one() {
    for config in configs() {
        let fresh = config.init::<A>(&Default::default(), 4).expect("legal");
        let frozen = fresh.clone().freeze(4);
        assert_ne!(required(&frozen), required(&fresh));
        let thawed = frozen.thaw();
        assert_eq!(required(&thawed), required(&fresh));

        let _turn = lock_autodiff();
        let [mut of_fresh, mut of_thawed] = [BatchStatistics::new(), BatchStatistics::new()];
        let theirs = fresh.forward_training(images(2), &mut of_fresh);
        let ours = thawed.forward_training(images(2), &mut of_thawed);
        assert_eq!(data(&ours), data(&theirs));
        let dict = |model: Ssd<A>| state_dict_of(&model.valid()).expect("readable");
        let fresh = dict(of_fresh.update(fresh));
        let thawed = dict(of_thawed.update(thawed));
        for key in fresh.keys() {
            assert!(fresh.get(key) == thawed.get(key), "{key}");
        }
    }
}

#[test]
fn after_thawing_a_loaded_network_a_gradient_reaches_every_parameter_but_no_statistics() {
    let folder = tempfile::tempdir().expect("a folder");
    for (place, config) in configs().into_iter().enumerate() {
        let device = Default::default();
        let model = config.init::<Flex>(&device, 3).expect("legal");
        let path = folder.path().join(place.to_string());
        save_model(&model, &config, Default::default(), &path).expect("written");
        let (model, _) = load_model::<A, Ssd<_>>(&path, &device).expect("reads");
        let keys = state_dict_of(&model.valid()).expect("readable");
        let _turn = lock_autodiff();
        let gradients = |model: &Ssd<A>| {
            let output = model.forward_training(images(2), &mut BatchStatistics::new());
            Gradients::of(model, &total(output).backward()).dict
        };
        // All of the backbone.
        let frozen = model.freeze(usize::MAX);
        let with_frozen = gradients(&frozen).keys().count();
        let thawed = frozen.thaw();
        let found = gradients(&thawed);
        assert!(with_frozen < found.keys().count());
        for key in keys.keys() {
            let gradient = found.get(&common::field_path(&thawed, key));
            assert_eq!(gradient.is_some(), !key.contains("running_"), "{key}");
        }
    }
}

const STUDENT: [usize; 6] = [3, 5, 2, 4, 1, 6];
const TEACHER: [usize; 6] = [4, 7, 3, 4, 2, 5];
const KINDS: [ProjectorKind; 2] = [ProjectorKind::Linear, ProjectorKind::Mlp];

fn projectors<B: Backend>(kind: ProjectorKind) -> Projectors<B> {
    Projectors::new(&Default::default(), 9, kind, &STUDENT, &TEACHER).expect("legal")
}

fn maps<B: Backend>() -> Vec<Tensor<B, 4>> {
    let map = |(level, channels): (usize, usize)| {
        let shape = [2, channels, 6 - level, 6 - level];
        let values = formula::uniform(&format!("map.{level}"), shape.iter().product());
        host_tensor(values, shape, &Default::default())
    };
    STUDENT.into_iter().enumerate().map(map).collect()
}

fn values<B: VisionBackend>(projectors: &Projectors<B>) -> Vec<TensorData> {
    let projected = projectors.forward(&maps());
    projected.into_iter().map(Tensor::into_data).collect()
}

#[test]
fn projectors_give_maps_the_channels_of_the_teacher_alike_on_every_backend() {
    for kind in KINDS {
        let (flex, ndarray) = (projectors::<Flex>(kind), projectors::<NdArray>(kind));
        assert!(!flex.is_empty());
        let (flex, ndarray) = (values(&flex), values(&ndarray));
        for (level, (ours, theirs)) in flex.iter().zip(&ndarray).enumerate() {
            assert_eq!(ours.shape[..], [2, TEACHER[level], 6 - level, 6 - level]);
            let [ours, theirs] = [ours, theirs].map(|data| data.iter::<f32>().collect::<Vec<_>>());
            assert_close("map", &ours, &theirs, 1e-5);
        }
    }
    assert!(Projectors::<Flex>::none().is_empty());
    assert!(Projectors::<Flex>::none().forward(&maps()).is_empty());
}

#[test]
fn an_mlp_projector_is_two_products_with_relu_between() {
    let projectors = projectors::<Flex>(ProjectorKind::Mlp);
    let weights = state_dict_of(&projectors).expect("readable");
    let map = maps::<Flex>().swap_remove(3);
    // The first pixel of the first image; the biases begin at 0.
    let pixel = map.slice([0..1, 0..STUDENT[3], 0..1, 0..1]).into_data();
    let mut x: Vec<f32> = pixel.iter::<f32>().collect();
    for (place, key) in ["projectors.3.0.weight", "projectors.3.2.weight"]
        .iter()
        .enumerate()
    {
        if place == 1 {
            x.iter_mut().for_each(|v| *v = v.max(0.0));
        }
        let weight = weights.get(key).expect(key).to_f32();
        let rows = weight.chunks_exact(x.len());
        x = rows
            .map(|row| row.iter().zip(&x).map(|(w, x)| w * x).sum())
            .collect();
    }
    let out = projectors.forward(&maps()).swap_remove(3);
    let out = out.slice([0..1, 0..TEACHER[3], 0..1, 0..1]).into_data();
    assert_close("pixel", &out.iter::<f32>().collect::<Vec<_>>(), &x, 1e-5);
}

#[test]
fn a_gradient_reaches_every_parameter_of_projectors() {
    for kind in KINDS {
        let projectors = projectors::<A>(kind);
        let _turn = lock_autodiff();
        let squares = projectors.forward(&maps()).into_iter();
        let squares = squares.map(|map| ((map.clone() + 1.0) * map).sum());
        let sum = squares.reduce(|a, b| a + b).expect("six maps");
        let found = Gradients::of(&projectors, &sum.backward()).dict;
        let keys = state_dict_of(&projectors.valid()).expect("readable");
        assert_eq!(found.keys().count(), keys.keys().count());
        for key in found.keys() {
            let gradient = found.get(key).expect(key).to_f32();
            assert!(gradient.iter().any(|v| *v != 0.0), "{key}");
        }
    }
}

#[test]
fn projectors_read_back_to_the_bit_under_the_keys_of_pytorch() {
    let folder = tempfile::tempdir().expect("a folder");
    let device = Default::default();
    for (kind, names) in KINDS.into_iter().zip([&["0"][..], &["0.0", "0.2"]]) {
        let path = folder.path().join(kind.to_string());
        let projectors = projectors::<Flex>(kind);
        projectors.save(&path).expect("written");
        let read = Projectors::load(&path, kind, &STUDENT, &TEACHER, &device).expect("reads");
        assert_eq!(values::<Flex>(&read), values(&projectors));

        let dict = StateDict::open(&path).expect("safetensors");
        let first: Vec<_> = dict
            .keys()
            .filter(|key| key.starts_with("projectors.0."))
            .collect();
        let of_layer = |name| ["bias", "weight"].map(|end| format!("projectors.{name}.{end}"));
        assert_eq!(first, names.iter().flat_map(of_layer).collect::<Vec<_>>());
        assert_eq!(dict.keys().count(), 6 * first.len());
    }
}

#[test]
fn projectors_of_other_maps_are_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("linear");
    projectors::<Flex>(ProjectorKind::Linear)
        .save(&path)
        .expect("written");
    let load = |kind, student: &[usize], teacher: &[usize]| {
        let read = Projectors::<Flex>::load(&path, kind, student, teacher, &Default::default());
        read.expect_err("refused").to_string()
    };
    let message = load(ProjectorKind::Linear, &STUDENT, &[9, 7, 3, 4, 2, 5]);
    let shapes = "projectors.0.weight is [4, 3, 1, 1], the model's is [9, 3, 1, 1]";
    assert!(message.contains(shapes), "{message}");
    let message = load(ProjectorKind::Mlp, &STUDENT, &TEACHER);
    assert!(
        message.contains("24 missing: projectors.0.0.weight"),
        "{message}"
    );
    let message = load(ProjectorKind::Linear, &STUDENT[..5], &TEACHER[..5]);
    assert!(message.contains("unused: projectors.5.bias"), "{message}");
    let message = load(ProjectorKind::Linear, &STUDENT, &TEACHER[..5]);
    assert!(
        message.contains("teacher_channels is [4, 7, 3, 4, 2]"),
        "{message}"
    );
    let message = load(ProjectorKind::Linear, &[0, 5, 2, 4, 1, 6], &TEACHER);
    assert!(message.contains("student_channels is [0, 5"), "{message}");
    let message = "conv"
        .parse::<ProjectorKind>()
        .expect_err("unknown")
        .to_string();
    assert!(
        message.contains("projector is conv, but must be linear or mlp"),
        "{message}"
    );
}

/// A count by PyTorch; see `fixtures/ssd/make_cost.py`.
#[derive(serde::Deserialize)]
struct Counted {
    config: SsdConfig,
    parameters: u64,
    flops: u64,
}

#[test]
fn parameters_and_flops_are_those_that_pytorch_counts() {
    let text = std::fs::read_to_string(common::fixture("ssd", "cost.json")).expect("a fixture");
    let cases: Vec<Counted> = serde_json::from_str(&text).expect("cases");
    assert!(cases.len() >= 20);
    for case in cases {
        let ours = case.config.cost().expect("legal");
        assert_eq!(ours.parameters, case.parameters, "{:?}", case.config);
        assert_eq!(ours.flops, case.flops, "{:?}", case.config);
    }
}

#[test]
fn the_cost_has_as_many_parameters_as_the_network() {
    let wider = SsdConfig {
        width: 0.1,
        num_classes: 5,
        ..SsdConfig::vgg16(5)
    };
    let uneven = SsdConfig {
        width: 0.3,
        ..SsdConfig::mobilenet_v2(2)
    };
    for config in configs().into_iter().chain([wider, uneven]) {
        let model = config.init::<Flex>(&Default::default(), 0).expect("legal");
        let dict = state_dict_of(&model).expect("readable");
        let trained = dict.keys().filter(|key| !key.contains("running_"));
        let sizes = trained.map(|key| dict.get(key).expect(key).shape().iter().product::<usize>());
        let cost = config.cost().expect("legal");
        assert_eq!(cost.parameters, sizes.sum::<usize>() as u64, "{config:?}");
    }
    let refused = SsdConfig::vgg16(1)
        .cost()
        .expect_err("one class")
        .to_string();
    assert!(refused.contains("num_classes is 1"), "{refused}");
}
