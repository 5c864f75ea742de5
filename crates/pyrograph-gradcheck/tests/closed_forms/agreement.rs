//! The closed forms beside burn's autodiff, on NdArray in f64 and on Flex in f32.

use burn::backend::Autodiff;
use burn::tensor::{
    Element, Shape, Tensor, TensorData, activation,
    backend::AutodiffBackend,
    module::{conv2d as burn_conv2d, max_pool2d as burn_max_pool2d},
    ops::ConvOptions,
};
use burn_flex::Flex;
use proptest::prelude::*;
use pyrograph_backend::rng::{NoiseKey, Purpose};
use pyrograph_gradcheck::{
    HostTensor, Oracle,
    closed_forms::{
        Array, ConvGeometry, PoolGeometry, conv2d, conv2d_bias_gradient, conv2d_input_gradient,
        conv2d_weight_gradient, dense, dense_gradients, max_pool2d, max_pool2d_gradient, relu,
        relu_gradient, softmax, softmax_cross_entropy, softmax_cross_entropy_gradient,
    },
};

pub(super) type Single = Autodiff<Flex>;

/// Both sides are exact but for the order of their sums.
const F64_ORDER: f64 = 1e-10;
/// The same in f32, of the largest value.
const F32_OP: f64 = 1e-5;

pub(super) fn array<const D: usize>(shape: [usize; D], seed: u64) -> Array<D> {
    let noise = NoiseKey::new(seed, Purpose::Other, 9).normal(0, shape.iter().product());
    Array::new(shape, noise.into_iter().map(f64::from).collect()).expect("filled")
}

fn leaf<A: AutodiffBackend, const D: usize>(values: &[f64], shape: [usize; D]) -> Tensor<A, D> {
    let data = TensorData::new(values.to_vec(), Shape::from(shape));
    Tensor::from_data(data, (&A::Device::default(), A::FloatElem::dtype())).require_grad()
}

pub(super) fn tensor<A: AutodiffBackend, const D: usize>(array: &Array<D>) -> Tensor<A, D> {
    leaf(array.values(), array.shape())
}

pub(super) fn close<B: burn::tensor::backend::Backend, const D: usize>(
    seen: Tensor<B, D>,
    hand: &[f64],
    what: &str,
) {
    let tolerance = match B::FloatElem::dtype() {
        burn::tensor::DType::F64 => F64_ORDER,
        _ => F32_OP,
    };
    let seen: Vec<f64> = seen.into_data().iter::<f64>().collect();
    assert_eq!(seen.len(), hand.len(), "{what}");
    let scale = hand
        .iter()
        .fold(1.0, |largest: f64, v| largest.max(v.abs()));
    for (at, (seen, hand)) in seen.iter().zip(hand).enumerate() {
        assert!(
            (seen - hand).abs() <= tolerance * scale,
            "{what}, value {at}: {seen} for {hand}"
        );
    }
}

#[derive(Clone, Debug)]
struct ConvCase {
    x: [usize; 4],
    w: [usize; 4],
    geometry: ConvGeometry,
}

fn convolution<A: AutodiffBackend>(case: &ConvCase) {
    let geometry = case.geometry;
    let (x, w) = (array(case.x, 1), array(case.w, 2));
    let b = array([case.w[0]], 3);
    let z = conv2d(&x, &w, b.values(), geometry).expect("legal");
    let delta = array(z.shape(), 4);

    let (tx, tw, tb) = (tensor::<A, 4>(&x), tensor::<A, 4>(&w), tensor::<A, 1>(&b));
    let options = ConvOptions::new(geometry.stride, geometry.padding, geometry.dilation, 1);
    let out = burn_conv2d(tx.clone(), tw.clone(), Some(tb.clone()), options);
    close(out.clone().inner(), z.values(), "z");
    let gradients = (out * tensor::<A, 4>(&delta).detach()).sum().backward();

    let size = [case.x[2], case.x[3]];
    let by_x = conv2d_input_gradient(&delta, &w, size, geometry).expect("legal");
    close(tx.grad(&gradients).expect("tracked"), by_x.values(), "by x");
    let kernel = [case.w[2], case.w[3]];
    let by_w = conv2d_weight_gradient(&x, &delta, kernel, geometry).expect("legal");
    close(tw.grad(&gradients).expect("tracked"), by_w.values(), "by w");
    let by_b = conv2d_bias_gradient(&delta);
    close(tb.grad(&gradients).expect("tracked"), &by_b, "by b");
}

fn conv_cases() -> impl Strategy<Value = ConvCase> {
    let sizes = (1..=3usize, 1..=3usize, 1..=3usize, [1..=3usize, 1..=3usize]);
    let walk = (
        [1..=3usize, 1..=3],
        [0..=2usize, 0..=2],
        [1..=3usize, 1..=3],
    );
    let extra = [0..=4usize, 0..=4];
    (sizes, walk, extra).prop_map(|((n, c, o, k), (stride, padding, dilation), extra)| {
        // The smallest input that the kernel fits in, and some more.
        let side = |at: usize| {
            let reach = (k[at] - 1) * dilation[at] + 1;
            reach.saturating_sub(2 * padding[at]).max(1) + extra[at]
        };
        ConvCase {
            x: [n, c, side(0), side(1)],
            w: [o, c, k[0], k[1]],
            geometry: ConvGeometry {
                stride,
                padding,
                dilation,
            },
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn convolutions_agree_with_autodiff(case in conv_cases()) {
        convolution::<Oracle>(&case);
        convolution::<Single>(&case);
    }
}

fn pooling<A: AutodiffBackend>(shape: [usize; 4], geometry: PoolGeometry, x: &Array<4>) {
    let pooled = max_pool2d(x, geometry).expect("legal");
    let delta = array(pooled.shape(), 5);
    let tx = tensor::<A, 4>(x);
    let out = burn_max_pool2d(
        tx.clone(),
        geometry.window,
        geometry.stride,
        [0, 0],
        [1, 1],
        false,
    );
    close(out.clone().inner(), pooled.values(), "pooled");
    let gradients = (out * tensor::<A, 4>(&delta).detach()).sum().backward();
    let by_x = max_pool2d_gradient(x, &delta, geometry).expect("legal");
    let what = format!("{shape:?} {geometry:?}");
    close(tx.grad(&gradients).expect("tracked"), by_x.values(), &what);
}

#[test]
fn max_pooling_agrees_with_autodiff_ties_included() {
    for (window, stride) in [
        ([2, 2], [2, 2]),
        ([3, 2], [1, 2]),
        ([2, 3], [1, 1]),
        ([1, 1], [2, 3]),
    ] {
        let geometry = PoolGeometry { window, stride };
        let shape = [2, 2, 5, 6];
        let x = array(shape, 6);
        // Rounded to halves, so that most windows have ties.
        let halves = x.values().iter().map(|v| v.round() / 2.0).collect();
        let tied = Array::new(shape, halves).expect("filled");
        for x in [&x, &tied] {
            pooling::<Oracle>(shape, geometry, x);
            pooling::<Single>(shape, geometry, x);
        }
    }
}

fn rectifier<A: AutodiffBackend>(z: &Array<2>) {
    let delta = array(z.shape(), 7);
    let tz = tensor::<A, 2>(z);
    let out = activation::relu(tz.clone());
    close(out.clone().inner(), relu(z).values(), "a");
    let gradients = (out * tensor::<A, 2>(&delta).detach()).sum().backward();
    let by_z = relu_gradient(z, &delta).expect("legal");
    close(tz.grad(&gradients).expect("tracked"), by_z.values(), "by z");
}

#[test]
fn the_rectifier_agrees_with_autodiff_zero_included() {
    let rounded = array([4, 7], 8)
        .values()
        .iter()
        .map(|v| v.round())
        .collect();
    let with_zeros = Array::new([4, 7], rounded).expect("filled");
    for z in [array([4, 7], 8), with_zeros] {
        rectifier::<Oracle>(&z);
        rectifier::<Single>(&z);
    }
}

fn dense_layer<A: AutodiffBackend>([batch, inward, out]: [usize; 3]) {
    let (x, w) = (array([batch, inward], 1), array([inward, out], 2));
    let (b, delta) = (array([out], 3), array([batch, out], 4));
    let (tx, tw, tb) = (tensor::<A, 2>(&x), tensor::<A, 2>(&w), tensor::<A, 1>(&b));
    let z = tx.clone().matmul(tw.clone()) + tb.clone().unsqueeze();
    let hand = dense(&x, &w, b.values()).expect("legal");
    close(z.clone().inner(), hand.values(), "z");
    let gradients = (z * tensor::<A, 2>(&delta).detach()).sum().backward();
    let hand = dense_gradients(&x, &w, &delta).expect("legal");
    close(
        tx.grad(&gradients).expect("tracked"),
        hand.x.values(),
        "by x",
    );
    close(
        tw.grad(&gradients).expect("tracked"),
        hand.weight.values(),
        "by w",
    );
    close(tb.grad(&gradients).expect("tracked"), &hand.bias, "by b");
}

#[test]
fn the_dense_layer_agrees_with_autodiff() {
    for sizes in [[1, 1, 1], [1, 4, 3], [5, 3, 7], [4, 20, 10]] {
        dense_layer::<Oracle>(sizes);
        dense_layer::<Single>(sizes);
    }
}

fn classification<A: AutodiffBackend>(z: &Array<2>) {
    let target = softmax(&array(z.shape(), 2));
    let tz = tensor::<A, 2>(z);
    let losses =
        (activation::log_softmax(tz.clone(), 1) * -tensor::<A, 2>(&target).detach()).sum_dim(1);
    let hand = softmax_cross_entropy(z, &target).expect("legal");
    close(losses.clone().inner(), &hand, "losses");
    let gradients = losses.sum().backward();
    let by_z = softmax_cross_entropy_gradient(z, &target).expect("legal");
    close(tz.grad(&gradients).expect("tracked"), by_z.values(), "by z");
}

#[test]
fn softmax_cross_entropy_agrees_with_autodiff_extremes_included() {
    let wide = array([3, 5], 1)
        .values()
        .iter()
        .map(|v| v * 300.0)
        .collect();
    for z in [
        array([1, 2], 1),
        array([6, 10], 1),
        Array::new([3, 5], wide).expect("filled"),
    ] {
        classification::<Oracle>(&z);
        classification::<Single>(&z);
    }
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let (x, w) = (array([1, 2, 4, 4], 1), array([1, 3, 3, 3], 2));
    let plain = ConvGeometry::default();
    let message = conv2d(&x, &w, &[0.0], plain)
        .expect_err("refused")
        .to_string();
    assert_eq!(message, "the kernel's input channels is 3; it must be 2");
    let large = array([1, 2, 5, 5], 2);
    assert!(conv2d(&x, &large, &[0.0], plain).is_err());
    let still = ConvGeometry {
        stride: [0, 1],
        ..plain
    };
    assert!(conv2d(&x, &array([1, 2, 3, 3], 2), &[0.0], still).is_err());
    assert!(conv2d_input_gradient(&x, &w, [4, 4], plain).is_err());
    assert!(max_pool2d(&x, PoolGeometry::square(5)).is_err());
    assert!(dense(&array([1, 2], 1), &array([3, 2], 1), &[0.0; 2]).is_err());
    let no_distribution = array([1, 2], 1);
    assert!(softmax_cross_entropy(&array([1, 2], 2), &no_distribution).is_err());
    assert!(HostTensor::new("x", &[2, 2], vec![0.0]).is_err());
}
