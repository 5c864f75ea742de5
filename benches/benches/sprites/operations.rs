//! The operations that fill a training step of 100 images, without their gradients.

use burn::tensor::{Tensor, ops::ConvOptions};
use pyrograph::backend::{
    Device,
    rng::{NoiseKey, Purpose},
    vision::{self, Activation, VisionAutodiff},
};

use super::Bench;

/// A batch at full resolution: 1.6 million values.
const SHAPE: [usize; 4] = [100, 64, 16, 16];
const NAME: &str = "100x64x16x16";
const CHANNELS: usize = SHAPE[1];
const EPSILON: f64 = 1e-5;

pub(super) fn all<A: VisionAutodiff>(bench: &mut Bench<'_>, device: &Device<A>) {
    let noise = |step| NoiseKey::new(0, Purpose::Other, step);
    let x: Tensor<A::InnerBackend, 4> = noise(0).normal_tensor(0, SHAPE, device);
    let vector = |step| noise(step).normal_tensor::<A::InnerBackend, 1>(0, [CHANNELS], device);

    let weight = noise(1).normal_tensor(0, [CHANNELS, CHANNELS, 3, 3], device);
    let bias = vector(2);
    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    bench.time::<A, _>("ops/conv3x3", NAME, device, || {
        vision::conv2d(
            x.clone(),
            weight.clone(),
            Some(bias.clone()),
            options.clone(),
            Activation::Identity,
        )
    });

    let (weight, bias) = (vector(3), vector(4));
    bench.time::<A, _>("ops/batch_norm_training_gelu", NAME, device, || {
        vision::batch_norm_training(
            x.clone(),
            weight.clone(),
            bias.clone(),
            EPSILON,
            Activation::Gelu,
        )
        .output
    });

    bench.time::<A, _>("ops/gelu", NAME, device, || {
        vision::activate(x.clone(), Activation::Gelu)
    });
}
