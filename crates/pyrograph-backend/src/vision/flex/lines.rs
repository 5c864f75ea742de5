//! Activations over lines of numbers, in place.

use super::{super::Activation, math};

/// `act(x·scale + shift)`, in place. The activation is matched outside the loop, so that each is vectorised.
#[inline(always)]
pub(super) fn affine(values: &mut [f32], scale: f32, shift: f32, act: Activation) {
    macro_rules! each {
        ($act:expr) => {
            for value in values {
                *value = math::value(*value * scale + shift, $act);
            }
        };
    }
    match act {
        Activation::Identity => each!(Activation::Identity),
        Activation::Relu => each!(Activation::Relu),
        Activation::LeakyRelu(slope) => each!(Activation::LeakyRelu(slope)),
        Activation::Gelu => each!(Activation::Gelu),
        Activation::Silu => each!(Activation::Silu),
        Activation::Tanh => each!(Activation::Tanh),
    }
}

/// `act(x)`, in place.
#[inline(always)]
pub(super) fn apply(values: &mut [f32], act: Activation) {
    affine(values, 1.0, 0.0, act);
}

/// `grad · act′(before(x))`, in place.
#[inline(always)]
pub(super) fn times_slope(
    grad: &mut [f32],
    x: &[f32],
    act: Activation,
    before: impl Fn(f32) -> f32,
) {
    macro_rules! each {
        ($act:expr) => {
            for (grad, x) in grad.iter_mut().zip(x) {
                *grad *= math::slope(before(*x), $act);
            }
        };
    }
    match act {
        Activation::Identity => {}
        Activation::Relu => each!(Activation::Relu),
        Activation::LeakyRelu(slope) => each!(Activation::LeakyRelu(slope)),
        Activation::Gelu => each!(Activation::Gelu),
        Activation::Silu => each!(Activation::Silu),
        Activation::Tanh => each!(Activation::Tanh),
    }
}
