//! What the extra noise of an ancestral step is for, measured with the exact denoiser of a known set.
//!
//! For `x_0` drawn evenly from patterns `p_k`, the best prediction is `E[x_0 | x_t] = Σ w_k p_k` with
//! `w_k ∝ exp(−‖x_t − √ᾱ p_k‖² / (2 (1 − ᾱ)))`: no training, and no error of a network.

use std::sync::Arc;

use burn::tensor::{DType, Tensor, TensorData, activation::softmax};
use burn_flex::Flex;
use pyrograph_diffusion::{NoiseSchedule, NoiseScheduleConfig, SamplerPlan, SchedulerName, Walk};

use crate::support::torch_rng::TorchRng;

type Items = Tensor<Flex, 2>;

/// Patterns of −1 and 1.
const PATTERNS: usize = 32;
const WIDTH: usize = 64;
const SAMPLES: usize = 64;

fn items(values: Vec<f64>, width: usize) -> Items {
    let shape = [values.len() / width, width];
    Tensor::from_data(
        TensorData::new(values, shape),
        (&Default::default(), DType::F64),
    )
}

/// `E[x_0 | x_t]` for each row of `x`.
fn denoised(x: Items, patterns: Items, alpha_cumprod: f64) -> Items {
    // All patterns are equally long, so the distance differs by the product alone.
    let products = x.matmul(patterns.clone().transpose());
    let scale = alpha_cumprod.sqrt() / (1.0 - alpha_cumprod);
    softmax(products.mul_scalar(scale), 1).matmul(patterns)
}

/// Deviation and kurtosis of all values.
fn moments(x: &Items) -> (f64, f64) {
    let values: Vec<f64> = x.clone().into_data().iter::<f64>().collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let power = |n: i32| values.iter().map(|v| (v - mean).powi(n)).sum::<f64>() / count;
    (power(2).sqrt(), power(4) / power(2).powi(2))
}

/// `√ᾱ`, deviation and kurtosis at every timestep of a walk.
fn walk(name: SchedulerName) -> Vec<(f64, f64, f64)> {
    let schedule = NoiseSchedule::new(&NoiseScheduleConfig::course()).expect("legal");
    let plan = SamplerPlan::new(&schedule, &name.config(schedule.timesteps())).expect("legal");
    let mut rng = TorchRng::new(7);
    let mut draw = |count: usize, width: usize| items(rng.randn(count * width), width);
    let patterns = draw(PATTERNS, WIDTH).sign();
    let mut walk = Walk::from_noise(Arc::new(plan), draw(SAMPLES, WIDTH));
    let mut seen = Vec::new();
    while let Some((x, t)) = walk.input() {
        let alpha_cumprod = schedule.alpha_cumprod(t as usize).expect("in the table");
        let (signal, spread) = (alpha_cumprod.sqrt(), (1.0 - alpha_cumprod).sqrt());
        let (deviation, kurtosis) = moments(&x);
        seen.push((signal, deviation, kurtosis));
        let x0 = denoised(x.clone(), patterns.clone(), alpha_cumprod);
        let epsilon = (x - x0.mul_scalar(signal)).div_scalar(spread);
        let noise = walk.needs_noise().then(|| draw(SAMPLES, WIDTH));
        walk.absorb(epsilon, noise).expect("a legal call");
    }
    seen
}

#[test]
fn with_its_noise_a_walk_keeps_the_moments_of_the_forward_process() {
    for (signal, deviation, kurtosis) in walk(SchedulerName::Ddpm) {
        // Signal and noise both have a variance of 1; the fourth moments are 1 and 3.
        let alpha_cumprod = signal * signal;
        let expected = alpha_cumprod.powi(2)
            + 6.0 * alpha_cumprod * (1.0 - alpha_cumprod)
            + 3.0 * (1.0 - alpha_cumprod).powi(2);
        assert!((deviation - 1.0).abs() < 0.05, "{deviation} at {signal}");
        assert!((kurtosis - expected).abs() < 0.25, "{kurtosis} at {signal}");
    }
}

#[test]
fn without_its_noise_a_walk_leaves_the_normal_distribution() {
    let seen = walk(SchedulerName::DdpmNoNoise);
    // Half way down a quarter of the deviation is left, where a network was trained on 1.
    let least = seen.iter().map(|row| row.1).fold(f64::INFINITY, f64::min);
    assert!(least < 0.35, "{least}");
    let half = seen[250];
    assert!((half.0 - 0.528).abs() < 1e-3, "√ᾱ at t = 250");
    assert!(half.1 < 0.5 && half.2 < 2.4, "{half:?}");
}
