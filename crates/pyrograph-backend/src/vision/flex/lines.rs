//! Activations over lines of numbers, in place.

use super::{super::Activation, features::vectorised, math};

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

vectorised! {
    /// `act(x + bias)` over the planes of one image, a bias for each, in place.
    pub(super) fn affine_planes(image: &mut [f32], plane: usize, bias: Option<&[f32]>, act: Activation) {
        if bias.is_none() && act == Activation::Identity {
            return;
        }
        for (channel, values) in image.chunks_mut(plane).enumerate() {
            affine(values, 1.0, bias.map_or(0.0, |bias| bias[channel]), act);
        }
    }
}
