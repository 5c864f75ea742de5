//! Modules: every trained parameter by its path.

use burn::backend::Autodiff;
use burn::module::{Module, ModuleMapper, Param};
use burn::nn::{
    BatchNorm, BatchNormConfig, Linear, LinearConfig,
    conv::{Conv2d, Conv2dConfig},
};
use burn::tensor::{Tensor, TensorData, activation, backend::AutodiffBackend, backend::Backend};
use burn_ndarray::NdArray;
use pyrograph_gradcheck::{
    Finding, GradCheck, GradCheckError, GradReport, HostTensor, Inputs, Kind, Oracle, Precision,
    Verdict, gradcheck_module,
};

use pyrograph_backend::rng::{NoiseKey, Purpose};

use crate::{Single, modes};

const SEED: u64 = 5;

#[derive(Module, Debug)]
struct Net<B: Backend> {
    conv: Conv2d<B>,
    norm: BatchNorm<B>,
    /// A parameter of one element beside large ones.
    gain: Param<Tensor<B, 1>>,
    head: Vec<Linear<B>>,
}

impl<B: Backend> Net<B> {
    fn new(device: &B::Device) -> Self {
        let gain = TensorData::from([1.5]);
        Self {
            conv: Conv2dConfig::new([2, 3], [3, 3]).init(device),
            norm: BatchNormConfig::new(3).init(device),
            gain: Param::from_data(gain, device),
            head: vec![
                LinearConfig::new(48, 5).init(device),
                LinearConfig::new(5, 4).init(device),
            ],
        }
    }

    fn forward(&self, x: Tensor<B, 4>, gain: Tensor<B, 1>) -> Tensor<B, 2> {
        let x = activation::tanh(self.norm.forward(self.conv.forward(x)));
        let x = self.head[0].forward(x.flatten::<2>(1, 3));
        self.head[1].forward(activation::tanh(x)) * gain.unsqueeze()
    }
}

/// Fills trained parameters with seeded noise: burn's own seed is one for all tests that run at the same time.
struct Seeded(u64);

impl<B: Backend> ModuleMapper<B> for Seeded {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let (id, mut tensor, mapper) = param.consume();
        if tensor.is_require_grad() {
            self.0 += 1;
            let key = NoiseKey::new(SEED, Purpose::Parameters, self.0);
            let noise = key.normal_tensor::<B, D>(0, tensor.dims(), &tensor.device());
            let deviation = 1.0 / (tensor.dims()[0] as f64).sqrt();
            tensor = (noise * deviation).require_grad();
        }
        Param::from_mapped_value(id, tensor, mapper)
    }
}

type Forward<A> = fn(&Net<A>, &Inputs<A>) -> Result<Tensor<A, 2>, GradCheckError>;

fn report<A: AutodiffBackend>(settings: &GradCheck, forward: Forward<A>) -> GradReport {
    let device = Default::default();
    let net = Net::<A>::new(&device).map(&mut Seeded(0));
    let inputs = [HostTensor::normal("x", &[2, 2, 6, 6], 3)];
    gradcheck_module(settings, &net, &inputs, &device, forward).expect("legal")
}

fn whole<A: AutodiffBackend>(
    net: &Net<A>,
    inputs: &Inputs<A>,
) -> Result<Tensor<A, 2>, GradCheckError> {
    Ok(net.forward(inputs.tensor("x")?, net.gain.val()))
}

#[test]
fn every_parameter_of_a_network_passes_by_its_path() {
    for settings in modes() {
        for report in [
            report::<Oracle>(&settings, whole),
            report::<Single>(&settings, whole),
        ] {
            assert!(report.passed(), "{report}");
            let trained: Vec<_> = report
                .tensors
                .iter()
                .filter(|t| t.kind == Kind::Parameter && t.verdict == Verdict::Passed)
                .map(|t| t.name.as_str())
                .collect();
            assert_eq!(
                trained,
                [
                    "conv.weight",
                    "conv.bias",
                    "norm.gamma",
                    "norm.beta",
                    "gain",
                    "head.0.weight",
                    "head.0.bias",
                    "head.1.weight",
                    "head.1.bias"
                ]
            );
        }
    }
}

#[test]
fn running_statistics_are_skipped_by_name() {
    let report = report::<Oracle>(&GradCheck::projected(1), whole);
    for name in ["norm.running_mean", "norm.running_var"] {
        let tensor = name.to_owned();
        assert!(
            report.findings.contains(&Finding::NotTrained { tensor }),
            "{report}"
        );
    }
}

#[test]
fn frozen_parameters_are_skipped_by_name() {
    let device = Default::default();
    let net = Net::<Oracle>::new(&device).map(&mut Seeded(0)).no_grad();
    let inputs = [HostTensor::normal("x", &[2, 2, 6, 6], 3)];
    let settings = GradCheck::projected(1);
    let report = gradcheck_module(&settings, &net, &inputs, &device, whole).expect("legal");
    assert!(report.passed(), "{report}");
    assert_eq!(
        report.tensor("gain").expect("listed").verdict,
        Verdict::Skipped
    );
}

/// Autodiff sees 1.01 of the gain's part, and all of the others'.
fn a_wrong_gain<A: AutodiffBackend>(
    net: &Net<A>,
    inputs: &Inputs<A>,
) -> Result<Tensor<A, 2>, GradCheckError> {
    let gain = net.gain.val();
    let wrong = gain.clone() * 1.01 - gain.detach() * 0.01;
    Ok(net.forward(inputs.tensor("x")?, wrong))
}

#[test]
fn a_wrong_gradient_of_the_smallest_parameter_is_found_beside_large_ones() {
    for settings in modes() {
        for report in [
            report::<Oracle>(&settings, a_wrong_gain),
            report::<Single>(&settings, a_wrong_gain),
        ] {
            assert_eq!(report.verdict, Verdict::Failed, "{report}");
            let failed = report
                .tensors
                .iter()
                .filter(|t| t.verdict == Verdict::Failed);
            let failed: Vec<_> = failed.map(|t| t.name.as_str()).collect();
            assert_eq!(failed, ["gain"], "{report}");
        }
    }
}

fn a_detached_gain<A: AutodiffBackend>(
    net: &Net<A>,
    inputs: &Inputs<A>,
) -> Result<Tensor<A, 2>, GradCheckError> {
    Ok(net.forward(inputs.tensor("x")?, net.gain.val().detach()))
}

#[test]
fn a_parameter_that_gets_no_gradient_is_named() {
    for settings in modes() {
        let report = report::<Oracle>(&settings, a_detached_gain);
        let named = |finding: &Finding| matches!(finding, Finding::MissingGradient { tensor, .. } if tensor == "gain");
        assert!(report.findings.iter().any(named), "{report}");
        assert_eq!(report.verdict, Verdict::Failed);
    }
}

#[derive(Module, Debug)]
struct Tied<B: Backend> {
    first: Linear<B>,
    second: Linear<B>,
}

#[test]
fn tied_parameters_move_together_and_are_listed_once() {
    let device = Default::default();
    let first = LinearConfig::new(3, 3)
        .with_bias(false)
        .init::<Oracle>(&device);
    // Reading a lazy parameter settles its values, so that the copy has the same.
    let _ = first.weight.val();
    let tied = Tied {
        second: first.clone(),
        first,
    };
    let inputs = [HostTensor::normal("x", &[2, 3], 1)];
    for settings in modes() {
        let report = gradcheck_module(&settings, &tied, &inputs, &device, |tied, inputs| {
            let hidden = tied.first.forward(inputs.tensor::<2>("x")?).tanh();
            Ok(tied.second.forward(hidden))
        })
        .expect("legal");
        assert!(report.passed(), "{report}");
        assert_eq!(report.tensors.len(), 2, "{report}");
    }
}

/// A million and a half parameters.
#[test]
fn a_large_network_takes_a_few_passes_a_direction() {
    let device = Default::default();
    let layers: Vec<_> = (0..6)
        .map(|_| LinearConfig::new(500, 500).init::<Single>(&device))
        .collect();
    let layers = layers.map(&mut Seeded(0));
    let inputs = [HostTensor::normal("x", &[4, 500], 3)];
    // In f64: a step that crosses no kink of so many units is too small for f32.
    let settings = GradCheck::projected(1).with_precision(Precision::F64);
    let report = gradcheck_module(&settings, &layers, &inputs, &device, |layers, inputs| {
        let x = inputs.tensor::<2>("x")?;
        Ok(layers
            .iter()
            .fold(x, |x, layer| activation::relu(layer.forward(x * 2.0))))
    })
    .expect("legal");
    assert!(report.passed(), "{report}");
    // Thirteen tensors: two passes each, and more where kinks are crossed.
    assert!(report.calls < 4 + 13 * 12, "{report}");
}

fn without_the_gain<A: AutodiffBackend>(
    net: &Net<A>,
    inputs: &Inputs<A>,
) -> Result<Tensor<A, 2>, GradCheckError> {
    let one = net.gain.val().detach().zeros_like() + 1.0;
    Ok(net.forward(inputs.tensor("x")?, one))
}

fn with_nothing_of_the_gain<A: AutodiffBackend>(
    net: &Net<A>,
    inputs: &Inputs<A>,
) -> Result<Tensor<A, 2>, GradCheckError> {
    let gain = net.gain.val();
    Ok(net.forward(inputs.tensor("x")?, gain.clone() * 0.0 + 1.0))
}

#[test]
fn a_parameter_that_the_output_never_reaches_is_no_pass() {
    let unreached = |report: &GradReport| {
        let named = |finding: &Finding| matches!(finding, Finding::Unreached { tensor } if tensor == "gain");
        report.findings.iter().any(named)
    };
    for settings in modes() {
        for forward in [without_the_gain, with_nothing_of_the_gain] {
            let report = report::<Oracle>(&settings, forward);
            assert!(unreached(&report), "{report}");
            assert_eq!(report.verdict, Verdict::Inconclusive, "{report}");
        }
        let allowed = report::<Oracle>(&settings.allowing_unreached(), without_the_gain);
        assert!(allowed.passed() && !unreached(&allowed), "{allowed}");
    }
}

/// An ordinary block of burn's own layers.
#[derive(Module, Debug)]
struct Block<B: Backend> {
    conv: Conv2d<B>,
    head: Linear<B>,
}

fn block<A: AutodiffBackend>(settings: &GradCheck) -> GradReport {
    let device = Default::default();
    let block = Block::<A> {
        conv: Conv2dConfig::new([2, 4], [3, 3]).init(&device),
        head: LinearConfig::new(64, 3).init(&device),
    };
    let block = block.map(&mut Seeded(0));
    let inputs = [HostTensor::normal("x", &[2, 2, 6, 6], 3)];
    gradcheck_module(settings, &block, &inputs, &device, |block, inputs| {
        let x = activation::silu(block.conv.forward(inputs.tensor("x")?));
        Ok(block.head.forward(x.flatten::<2>(1, 3)))
    })
    .expect("legal")
}

#[test]
fn an_ordinary_module_passes_on_the_oracle_and_in_f64_on_flex() {
    for settings in modes() {
        let reports = [
            block::<Oracle>(&settings),
            block::<Single>(&settings.with_precision(Precision::F64)),
        ];
        for report in reports {
            assert!(report.passed(), "{report}");
            assert!(report.tensors.iter().all(|t| t.kinks == 0), "{report}");
            assert!(report.worst_error() < 1e-7, "{report}");
        }
    }
}

#[test]
fn the_operation_that_loses_f64s_digits_is_named() {
    for settings in modes() {
        let report = block::<Autodiff<NdArray<f64>>>(&settings);
        assert_eq!(report.verdict, Verdict::Inconclusive, "{report}");
        let named = report.findings.iter().any(|finding| {
            matches!(finding, Finding::LostPrecision { operations, noise }
                if operations[0].starts_with("sigmoid")
                    && (1e-10..1e-6).contains(noise))
        });
        assert!(named, "{report}");
    }
}
