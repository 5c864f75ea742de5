//! Activations over lines of numbers.

use super::{
    super::Activation,
    math::{self, fused},
};

/// `act(x·scale + shift)` of `from`, or in place. The activation is matched outside the loop, so that each is vectorised.
#[inline(always)]
pub(super) fn affine<const FUSED: bool>(
    from: Option<&[f32]>,
    values: &mut [f32],
    scale: f32,
    shift: f32,
    act: Activation,
) {
    macro_rules! each {
        ($act:expr) => {
            match from {
                Some(from) => values.iter_mut().zip(from).for_each(|(to, from)| {
                    let before = fused::<FUSED>(*from, scale, shift);
                    *to = math::value::<FUSED>(before, $act);
                }),
                None => values.iter_mut().for_each(|value| {
                    let before = fused::<FUSED>(*value, scale, shift);
                    *value = math::value::<FUSED>(before, $act);
                }),
            }
        };
    }
    match act {
        Activation::Identity => each!(Activation::Identity),
        Activation::Relu => each!(Activation::Relu),
        Activation::LeakyRelu(slope) => each!(Activation::LeakyRelu(slope)),
        Activation::Relu6 => each!(Activation::Relu6),
        Activation::Gelu => each!(Activation::Gelu),
        Activation::QuickGelu => each!(Activation::QuickGelu),
        Activation::Silu => each!(Activation::Silu),
        Activation::Tanh => each!(Activation::Tanh),
    }
}

/// `grad · act′(before(x))` of `from`, or in place.
#[inline(always)]
pub(super) fn times_slope<const FUSED: bool>(
    from: Option<&[f32]>,
    grad: &mut [f32],
    x: &[f32],
    act: Activation,
    before: impl Fn(f32) -> f32,
) {
    macro_rules! each {
        ($act:expr) => {
            match from {
                Some(from) => grad
                    .iter_mut()
                    .zip(from)
                    .zip(x)
                    .for_each(|((to, from), x)| {
                        *to = from * math::slope::<FUSED>(before(*x), $act);
                    }),
                None => grad.iter_mut().zip(x).for_each(|(grad, x)| {
                    *grad *= math::slope::<FUSED>(before(*x), $act);
                }),
            }
        };
    }
    match act {
        Activation::Identity => {
            if let Some(from) = from {
                grad.copy_from_slice(from);
            }
        }
        Activation::Relu => each!(Activation::Relu),
        Activation::LeakyRelu(slope) => each!(Activation::LeakyRelu(slope)),
        Activation::Relu6 => each!(Activation::Relu6),
        Activation::Gelu => each!(Activation::Gelu),
        Activation::QuickGelu => each!(Activation::QuickGelu),
        Activation::Silu => each!(Activation::Silu),
        Activation::Tanh => each!(Activation::Tanh),
    }
}
