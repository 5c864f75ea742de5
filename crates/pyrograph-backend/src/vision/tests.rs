//! The trait against plain burn operations, forward and backward, on the CPU.

use std::sync::atomic::{AtomicU64, Ordering};

use burn::{
    backend::Autodiff,
    tensor::{
        Tensor, module,
        ops::{ConvOptions, ConvTransposeOptions},
    },
};
use burn_flex::Flex;

use super::*;
use crate::rng::{NoiseKey, Purpose};

type A = Autodiff<Flex>;

/// Noise from a stream of its own; the streams are the same in every run of one thread.
fn random<const D: usize>(shape: [usize; D]) -> Tensor<A, D> {
    static STREAM: AtomicU64 = AtomicU64::new(0);
    let key = NoiseKey::new(7, Purpose::Other, STREAM.fetch_add(1, Ordering::Relaxed));
    key.normal_tensor(0, shape, &Default::default())
        .require_grad()
}

/// Weights so small that no bounded activation is held to the rounding of larger numbers than its own.
fn small<const D: usize>(shape: [usize; D]) -> Tensor<A, D> {
    (random(shape) * 0.05).detach().require_grad()
}

fn assert_close<B: burn::tensor::backend::Backend, const D: usize>(
    a: Tensor<B, D>,
    b: Tensor<B, D>,
    what: &str,
) {
    let a: Vec<f32> = a.into_data().to_vec().expect("f32");
    let b: Vec<f32> = b.into_data().to_vec().expect("f32");
    assert_eq!(a.len(), b.len(), "{what}: sizes");
    let scale = b.iter().fold(1.0_f32, |m, v| m.max(v.abs()));
    for (i, (a, b)) in a.iter().zip(&b).enumerate() {
        assert!(a.is_finite() && b.is_finite(), "{what}[{i}]: {a} {b}");
        assert!((a - b).abs() <= 1e-5 * scale, "{what}[{i}]: {a} is not {b}");
    }
}

/// A weighted sum, so that every output has a gradient of its own.
fn probe<const D: usize>(y: Tensor<A, D>) -> Tensor<A, 1> {
    let count = y.shape().num_elements();
    let weights = Tensor::<A, 1, burn::tensor::Int>::arange(0..count as i64, &Default::default())
        .float()
        .sin()
        .reshape(y.shape());
    (y * weights).sum()
}

#[test]
fn conv2d_and_its_gradients_agree_with_burn() {
    let options = ConvOptions::new([2, 1], [1, 2], [1, 1], 1);
    for act in Activation::ALL {
        let (x, w, b) = (random([2, 3, 7, 6]), small([4, 3, 3, 3]), random([4]));
        let run = |fused: bool| {
            let y = if fused {
                conv2d(x.clone(), w.clone(), Some(b.clone()), options.clone(), act)
            } else {
                let y = module::conv2d(x.clone(), w.clone(), Some(b.clone()), options.clone());
                plain::activate(y, act)
            };
            let grads = probe(y.clone()).backward();
            (
                y.inner(),
                x.grad(&grads).expect("x"),
                w.grad(&grads).expect("w"),
                b.grad(&grads).expect("b"),
            )
        };
        let (ours, theirs) = (run(true), run(false));
        assert_close(ours.0, theirs.0, "value");
        assert_close(ours.1, theirs.1, "grad x");
        assert_close(ours.2, theirs.2, "grad weight");
        assert_close(ours.3, theirs.3, "grad bias");
    }
}

/// Values and gradients of `ours` and of burn's autodiff through `plain`, for the same inputs.
fn assert_agree<const D: usize>(
    what: &str,
    inputs: &[(&str, Tensor<A, D>)],
    vectors: &[(&str, Tensor<A, 1>)],
    ours: impl Fn() -> Tensor<A, 4>,
    plain: impl Fn() -> Tensor<A, 4>,
) {
    let (y, expected) = (ours(), plain());
    assert_eq!(y.dims(), expected.dims(), "{what}");
    let (gradients, theirs) = (
        probe(y.clone()).backward(),
        probe(expected.clone()).backward(),
    );
    assert_close(y.inner(), expected.inner(), what);
    for (name, input) in inputs {
        let (a, b) = (input.grad(&gradients), input.grad(&theirs));
        assert_close(
            a.expect("ours"),
            b.expect("burn's"),
            &format!("{what}, {name}"),
        );
    }
    for (name, input) in vectors {
        let (a, b) = (input.grad(&gradients), input.grad(&theirs));
        assert_close(
            a.expect("ours"),
            b.expect("burn's"),
            &format!("{what}, {name}"),
        );
    }
}

#[test]
fn depthwise_convolutions_and_their_gradients_agree_with_burn() {
    // 3×3 of either stride, an even kernel, a dilated one.
    let cases = [
        ([2, 6, 9, 8], [3, 3], [1, 1, 1]),
        ([3, 5, 10, 11], [3, 3], [2, 1, 1]),
        ([2, 4, 20, 21], [4, 2], [2, 1, 1]),
        ([1, 3, 9, 12], [3, 5], [1, 2, 2]),
    ];
    for (x, kernel, [stride, padding, dilation]) in cases {
        let channels = x[1];
        let (x, w, b) = (
            random(x),
            small([channels, 1, kernel[0], kernel[1]]),
            random([channels]),
        );
        let options = || ConvOptions::new([stride; 2], [padding; 2], [dilation; 2], channels);
        for act in Activation::ALL {
            let inputs = || (x.clone(), w.clone(), Some(b.clone()), options());
            assert_agree(
                &format!("{x:?} {w:?} {act:?}", x = x.dims(), w = w.dims()),
                &[("x", x.clone()), ("weight", w.clone())],
                &[("bias", b.clone())],
                || {
                    let (x, w, b, options) = inputs();
                    conv2d(x, w, b, options, act)
                },
                || {
                    let (x, w, b, options) = inputs();
                    plain::activate(module::conv2d(x, w, b, options), act)
                },
            );
        }
    }
}

#[test]
fn transposed_convolutions_and_their_gradients_agree_with_burn() {
    // Doubling without overlap, with overlap, from one pixel, with an output padding, dilated.
    let cases = [
        ([2, 3, 4, 5], [3, 4, 2, 2], [2, 0, 0, 1]),
        ([2, 3, 4, 5], [3, 4, 4, 4], [2, 1, 0, 1]),
        ([3, 6, 1, 1], [6, 2, 4, 4], [4, 0, 0, 1]),
        ([2, 9, 5, 4], [9, 8, 3, 3], [1, 1, 0, 1]),
        ([1, 3, 4, 3], [3, 2, 3, 3], [2, 1, 1, 1]),
        ([1, 2, 4, 3], [2, 3, 3, 2], [3, 1, 2, 2]),
    ];
    for (x, w, [stride, padding, padding_out, dilation]) in cases {
        let options = || {
            let (s, p, o, d) = ([stride; 2], [padding; 2], [padding_out; 2], [dilation; 2]);
            ConvTransposeOptions::new(s, p, o, d, 1)
        };
        let (x, b, w) = (random(x), random([w[1]]), small(w));
        for act in Activation::ALL {
            let inputs = || (x.clone(), w.clone(), Some(b.clone()), options(), act);
            assert_agree(
                &format!("{x:?} {w:?} {act:?}", x = x.dims(), w = w.dims()),
                &[("x", x.clone()), ("weight", w.clone())],
                &[("bias", b.clone())],
                || {
                    let (x, w, b, options, act) = inputs();
                    conv_transpose2d(x, w, b, options, act)
                },
                || {
                    let (x, w, b, options, act) = inputs();
                    plain::conv_transpose2d(x, w, b, options, act)
                },
            );
        }
    }
}

#[test]
fn modulation_and_its_gradients_agree_with_burn() {
    for batch in [1, 3] {
        let x = random([3, 4, 5, 6]);
        let (scale, shift) = (random([batch, 4, 1, 1]), random([batch, 4, 1, 1]));
        let inputs = || (x.clone(), scale.clone(), shift.clone());
        assert_agree(
            &format!("{batch} scales"),
            &[
                ("x", x.clone()),
                ("scale", scale.clone()),
                ("shift", shift.clone()),
            ],
            &[],
            || {
                let (x, scale, shift) = inputs();
                modulate(x, scale, shift)
            },
            || {
                let (x, scale, shift) = inputs();
                plain::modulate(x, scale, shift)
            },
        );
    }
}

#[test]
fn group_norm_and_its_gradients_agree_with_burn() {
    for act in Activation::ALL {
        for groups in [1, 2, 8] {
            let (x, w, b) = (random([3, 8, 5, 4]), random([8]), random([8]));
            assert_agree(
                &format!("{groups} groups, {act:?}"),
                &[("x", x.clone())],
                &[("weight", w.clone()), ("bias", b.clone())],
                || group_norm(x.clone(), w.clone(), b.clone(), groups, 1e-5, act),
                || plain::group_norm(x.clone(), w.clone(), b.clone(), groups, 1e-5, act),
            );
        }
    }
}

#[test]
fn a_convolution_without_bias_still_passes_the_gradient_to_its_input() {
    let (x, w) = (random([1, 2, 4, 4]), random([3, 2, 3, 3]));
    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    let grads = probe(conv2d(
        x.clone(),
        w.clone(),
        None,
        options.clone(),
        Activation::Relu,
    ))
    .backward();
    let ours = x.grad(&grads).expect("x");
    let y = plain::activate(
        module::conv2d(x.clone(), w, None, options),
        Activation::Relu,
    );
    let grads = probe(y).backward();
    assert_close(ours, x.grad(&grads).expect("x"), "grad x");
}

#[test]
fn training_batch_norm_and_its_gradients_agree_with_autodiff_of_the_plain_form() {
    for act in Activation::ALL {
        let (x, w, b) = (random([3, 4, 5, 5]), random([4]), random([4]));
        let run = |fused: bool| {
            let y = if fused {
                batch_norm_training(x.clone(), w.clone(), b.clone(), 1e-5, act).output
            } else {
                let (mean, variance) = plain::channel_statistics(x.clone());
                plain::batch_norm(x.clone(), w.clone(), b.clone(), mean, variance, 1e-5, act)
            };
            let grads = probe(y.clone()).backward();
            (
                y.inner(),
                x.grad(&grads).expect("x"),
                w.grad(&grads).expect("w"),
                b.grad(&grads).expect("b"),
            )
        };
        let (ours, theirs) = (run(true), run(false));
        assert_close(ours.0, theirs.0, "value");
        assert_close(ours.1, theirs.1, "grad x");
        assert_close(ours.2, theirs.2, "grad weight");
        assert_close(ours.3, theirs.3, "grad bias");
    }
}

#[test]
fn activations_and_their_slopes_have_known_values() {
    // x, then gelu, gelu′, silu, silu′ at x = 1, computed in f64 from the definitions.
    let x = Tensor::<A, 1>::from_floats([1.0], &Default::default()).require_grad();
    for (act, value, slope) in [
        (Activation::Gelu, 0.841_344_8, 1.083_315_4),
        (Activation::Silu, 0.731_058_6, 0.927_670_5),
        (Activation::QuickGelu, 0.845_795_8, 1.067_779_6),
        (Activation::Relu, 1.0, 1.0),
        (Activation::LeakyRelu(0.2), 1.0, 1.0),
        (Activation::Relu6, 1.0, 1.0),
        (Activation::Tanh, 0.761_594_2, 0.419_974_3),
        (Activation::Identity, 1.0, 1.0),
    ] {
        let y = activate(x.clone(), act);
        let grads = y.clone().sum().backward();
        let (y, g) = (y.into_scalar(), x.grad(&grads).expect("grad").into_scalar());
        assert!((y - value).abs() < 1e-6, "{act:?}: {y}");
        assert!((g - slope).abs() < 1e-6, "{act:?}′: {g}");
    }
}

#[test]
fn group_norm_has_zero_mean_and_unit_variance_in_each_group() {
    let x = random([2, 8, 3, 3]) * 3.0 + 5.0;
    let (ones, zeros) = (
        Tensor::ones([8], &Default::default()),
        Tensor::zeros([8], &Default::default()),
    );
    let y = group_norm(x, ones, zeros, 4, 1e-5, Activation::Identity);
    let y = y.reshape([2, 4, 18]).inner();
    let mean = y.clone().mean_dim(2);
    assert_close(mean.clone(), mean.zeros_like(), "mean");
    let variance = y.square().mean_dim(2);
    assert_close(variance.clone(), variance.ones_like(), "variance");
}

#[test]
fn attention_with_equal_scores_averages_the_values() {
    let device = Default::default();
    let query = Tensor::<A, 4>::zeros([1, 1, 2, 3], &device);
    let (key, value) = (random([1, 1, 4, 3]), random([1, 1, 4, 2]));
    let out = attention(query.clone(), key.clone(), value.clone(), None, 0.5);
    assert_close(out, value.clone().mean_dim(2).repeat_dim(2, 2), "mean");
    // A bias of −∞ on all but one key picks that key's value.
    let far = f32::NEG_INFINITY;
    let bias = Tensor::from_floats([[[[far, 0.0, far, far]]]], &device);
    let out = attention(query, key, value.clone(), Some(bias), 0.5);
    assert_close(
        out,
        value.slice([0..1, 0..1, 1..2]).repeat_dim(2, 2),
        "pick",
    );
}

mod attention_backward;
mod distances;
mod half;
mod overflow;
mod prepared;
mod quantised;
mod sequence;
