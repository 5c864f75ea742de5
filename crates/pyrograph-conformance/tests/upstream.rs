//! Defects of burn 0.21 that pyrograph steers around, each in its smallest case (docs/upstream.md). A test here fails when burn
//! mends its defect: then the page and the way around it can go.

use std::f64::consts::{PI, SQRT_2};

use burn::{
    backend::Autodiff,
    tensor::{Tensor, activation, backend::AutodiffBackend},
};
use burn_ndarray::NdArray;
use pyrograph_backend::{
    lock_autodiff,
    vision::{self, Activation},
};

/// −6 to 6.
fn points() -> Vec<f64> {
    (-60..=60).map(|i| f64::from(i) / 10.0).collect()
}

/// Φ(x) + x·φ(x).
#[cfg(feature = "flex")]
fn gelu_slope(x: f64) -> f64 {
    0.5 * erfc(-x / SQRT_2) + x * (-0.5 * x * x).exp() / (2.0 * PI).sqrt()
}

/// 1 − erf(z): the series 7.1.5 of Abramowitz and Stegun near zero, their continued fraction 7.1.14 far out.
#[cfg(feature = "flex")]
fn erfc(z: f64) -> f64 {
    if z < 0.0 {
        return 2.0 - erfc(-z);
    }
    if z > 2.0 {
        let tail = (1..=60)
            .rev()
            .fold(z, |tail, n| z + 0.5 * f64::from(n) / tail);
        return (-z * z).exp() / (PI.sqrt() * tail);
    }
    let (mut term, mut sum) = (z, z);
    for n in 1..100 {
        term *= -z * z / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    1.0 - sum * 2.0 / PI.sqrt()
}

/// The largest error of GELU's gradient as a share of its own value, which is zero at −0.7518.
#[cfg(feature = "flex")]
fn gelu_error<A: AutodiffBackend>(gelu: impl Fn(Tensor<A, 1>) -> Tensor<A, 1>) -> f64 {
    let device = Default::default();
    let _turn = lock_autodiff();
    let x = Tensor::<A, 1>::from_data(points().as_slice(), &device).require_grad();
    let gradients = gelu(x.clone()).sum().backward();
    let slopes = x.grad(&gradients).expect("tracked").into_data();
    let points = points().into_iter();
    let errors = slopes
        .iter::<f64>()
        .zip(points)
        .filter(|(_, x)| (x + 0.75).abs() > 0.1)
        .map(|(slope, x)| (slope / gelu_slope(x) - 1.0).abs());
    errors.fold(0.0, f64::max)
}

#[cfg(feature = "flex")]
#[test]
fn the_gradient_of_burns_gelu_on_flex_has_no_digits_far_out_and_ours_has() {
    type A = Autodiff<burn_flex::Flex>;
    let burns = gelu_error::<A>(activation::gelu);
    assert!(burns > 1e-3, "burn's GELU is right to {burns:.1e}");
    let ours = gelu_error::<A>(|x| vision::activate(x, Activation::Gelu));
    assert!(ours < 1e-5, "{ours:.1e}");
}

#[test]
fn burns_sigmoid_is_computed_in_f32_for_f64_tensors_and_ours_is_not() {
    type A = NdArray<f64>;
    let error = |values: Tensor<A, 1>, exact: fn(f64) -> f64| {
        let values = values.into_data();
        let errors = values.iter::<f64>().zip(points());
        errors.fold(0.0, |worst: f64, (v, x)| worst.max((v - exact(x)).abs()))
    };
    let x = || Tensor::<A, 1>::from_data(points().as_slice(), &Default::default());
    let burns = error(activation::sigmoid(x()), |x| 1.0 / (1.0 + (-x).exp()));
    assert!(burns > 1e-9, "burn's sigmoid is right to {burns:.1e}");
    let silu = vision::activate(x(), Activation::Silu);
    let ours = error(silu, |x| x / (1.0 + (-x).exp()));
    assert!(ours < 1e-14, "{ours:.1e}");
}
