//! What the tests of this crate share: the toy model of the published figures and a loop over a plan.

pub(crate) mod torch_rng;

use std::sync::Arc;

use burn::tensor::{DType, Tensor, TensorData};
use burn_flex::Flex;
use pyrograph_diffusion::{
    NoiseSchedule, NoiseScheduleConfig, PredictionType, SamplerConfig, SamplerPlan, Walk,
};

/// A batch of one-dimensional samples.
pub(crate) type Samples = Tensor<Flex, 2>;

/// Number of elements of the published toy sample.
pub(crate) const TOY_LEN: usize = 768;

/// A tensor in double precision, so that a comparison shows the plan's error and not the tensor's.
pub(crate) fn in_f64(values: Vec<f64>) -> Samples {
    let shape = [1, values.len()];
    Tensor::from_data(
        TensorData::new(values, shape),
        (&Default::default(), DType::F64),
    )
}

/// The published toy sample `arange(768)/768`.
pub(crate) fn toy_sample() -> Samples {
    in_f64((0..TOY_LEN).map(|i| i as f64 / TOY_LEN as f64).collect())
}

/// The toy sample backwards: the published deterministic noise.
pub(crate) fn toy_noise() -> Samples {
    in_f64(
        (0..TOY_LEN)
            .rev()
            .map(|i| i as f64 / TOY_LEN as f64)
            .collect(),
    )
}

/// The published toy model `x·t/(t + 1)`.
pub(crate) fn toy_model(x: Samples, t: f64) -> Samples {
    x.mul_scalar(t / (t + 1.0))
}

/// The plan of a configuration that the test knows to be right.
pub(crate) fn plan(schedule: &NoiseScheduleConfig, sampler: &SamplerConfig) -> SamplerPlan {
    let schedule = NoiseSchedule::new(schedule).expect("a valid schedule");
    SamplerPlan::new(&schedule, sampler).expect("a valid plan")
}

/// Walks `plan` with the toy model from a sample as it is; `noise` yields what stochastic calls add.
pub(crate) fn toy_loop(
    plan: &SamplerPlan,
    x: Samples,
    mut noise: impl FnMut() -> Samples,
) -> Samples {
    let mut walk = Walk::new(Arc::new(plan.clone()), x);
    while let Some((input, timestep)) = walk.input() {
        let noise = walk.needs_noise().then(&mut noise);
        walk.absorb(toy_model(input, timestep), noise)
            .expect("a legal call");
    }
    walk.into_sample()
}

/// The values of a tensor, on the host and in f64.
pub(crate) fn values<const D: usize>(tensor: Tensor<Flex, D>) -> Vec<f64> {
    tensor
        .into_data()
        .convert::<f64>()
        .to_vec()
        .expect("f64 values")
}

/// `Σ|x|`.
pub(crate) fn abs_sum(tensor: Samples) -> f64 {
    values(tensor).iter().map(|x| x.abs()).sum()
}

/// Fails, for NaN as well, unless the two agree.
#[track_caller]
pub(crate) fn assert_close(seen: f64, expected: f64, tolerance: f64, what: &str) {
    let error = (seen - expected).abs();
    assert!(
        error <= tolerance,
        "{what}: {seen} is not {expected} (off by {error:e}, allowed {tolerance:e})"
    );
}

/// A clean sample and a noise, four elements each.
pub(crate) fn clean_and_noise() -> (Samples, Samples) {
    (
        in_f64(vec![0.8, -0.3, 0.0, 1.0]),
        in_f64(vec![-1.1, 0.4, 2.0, 0.1]),
    )
}

/// Every prediction type.
pub(crate) const PREDICTIONS: [PredictionType; 3] = [
    PredictionType::Epsilon,
    PredictionType::Sample,
    PredictionType::VPrediction,
];
