//! Activations over lines of numbers.

use super::{
    super::Activation,
    math::{self, fused},
};

/// Calls the macro `$body` with the activation as a constant: the loop in it is compiled once for each
/// activation, and vectorised.
macro_rules! for_activation {
    ($act:expr, $body:ident) => {
        match $act {
            Activation::Identity => $body!(Activation::Identity),
            Activation::Relu => $body!(Activation::Relu),
            Activation::LeakyRelu(slope) => $body!(Activation::LeakyRelu(slope)),
            Activation::Relu6 => $body!(Activation::Relu6),
            Activation::Gelu => $body!(Activation::Gelu),
            Activation::QuickGelu => $body!(Activation::QuickGelu),
            Activation::Silu => $body!(Activation::Silu),
            Activation::Tanh => $body!(Activation::Tanh),
        }
    };
}

/// `act(x·scale + shift)` of `from`, or in place.
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
    for_activation!(act, each)
}

/// `act(x·scale + shift)` of rows in place, with a scale and a shift for each column.
#[inline(always)]
pub(super) fn affine_of_columns<const FUSED: bool>(
    values: &mut [f32],
    [scales, shifts]: [&[f32]; 2],
    act: Activation,
) {
    for row in values.chunks_exact_mut(scales.len()) {
        for ((value, scale), shift) in row.iter_mut().zip(scales).zip(shifts) {
            *value = fused::<FUSED>(*value, *scale, *shift);
        }
    }
    activate::<FUSED>(values, act);
}

/// `act(x)` in place. One loop over all values: a loop over a row of constant length was unrolled into
/// scalar code by rustc 1.95 in the release profile.
#[inline(always)]
pub(super) fn activate<const FUSED: bool>(values: &mut [f32], act: Activation) {
    macro_rules! each {
        ($act:expr) => {
            values
                .iter_mut()
                .for_each(|value| *value = math::value::<FUSED>(*value, $act))
        };
    }
    if act != Activation::Identity {
        for_activation!(act, each);
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
