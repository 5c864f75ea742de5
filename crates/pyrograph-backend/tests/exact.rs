//! The mode for the whole process, in a process of its own.
#![cfg(feature = "flex")]

use burn::tensor::{Tensor, ops::ConvOptions};
use burn_flex::Flex;
use pyrograph_backend::{
    rng::{NoiseKey, Purpose},
    vision::{self, Activation, exact_convolutions, set_exact_convolutions},
};

#[test]
fn exact_convolutions_round_less_than_the_fast_ones() {
    let noise = |stream, shape| -> Tensor<Flex, 4> {
        NoiseKey::new(0, Purpose::Other, stream).normal_tensor(0, shape, &Default::default())
    };
    let (x, weight) = (noise(0, [2, 64, 16, 16]), noise(1, [64, 64, 3, 3]));
    let options = || ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    let convolved = || {
        let y = vision::conv2d(
            x.clone(),
            weight.clone(),
            None,
            options(),
            Activation::Identity,
        );
        y.into_data().iter::<f64>().collect::<Vec<_>>()
    };
    // burn-flex's own convolution, in f64.
    let wide = |tensor: &Tensor<Flex, 4>| tensor.clone().cast(burn::tensor::DType::F64);
    let y = burn::tensor::module::conv2d(wide(&x), wide(&weight), None, options());
    let truth: Vec<f64> = y.into_data().iter::<f64>().collect();
    let scale = truth.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    let error = |ours: Vec<f64>| {
        assert_eq!(ours.len(), truth.len());
        let errors = ours.iter().zip(&truth).map(|(a, b)| (a - b).abs());
        errors.fold(0.0_f64, f64::max) / scale
    };
    assert!(!exact_convolutions());
    let fast = error(convolved());
    set_exact_convolutions(true);
    let exact = error(convolved());
    set_exact_convolutions(false);
    assert!(
        exact < 1e-6 && exact < fast && fast < 2e-5,
        "{exact:e}, {fast:e}"
    );
}
