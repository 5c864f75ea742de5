//! Activations as whole numbers from −127 to 127 with a scale.

use super::super::features::vectorised;

/// Added to a number of at most 2²², it leaves the nearest whole number, ties to even, in the lowest bits: 1.5 · 2²³.
pub(super) const ROUNDING: f32 = 12_582_912.0;
/// The largest number.
const MOST: f32 = 127.0;
/// All bits but that of the sign: ordered as absolute values are, with infinity and NaN above all others.
const ABSOLUTE: u32 = 0x7fff_ffff;

/// The scale of some activations, and the factor that takes them to whole numbers.
#[derive(Clone, Copy)]
pub(in super::super) struct Scale {
    pub(in super::super) scale: f32,
    pub(in super::super) inverse: f32,
}

impl Scale {
    /// By the bits of the largest absolute value. Zeros, and values of which the largest is below 4e-37, have the scale
    /// 1 and the number 0; where a value is not finite, the scale is NaN, and so is everything that is multiplied by
    /// it.
    pub(in super::super) fn of(largest: u32) -> Self {
        let largest = f32::from_bits(largest);
        let inverse = MOST / largest;
        match (largest.is_finite(), inverse.is_finite()) {
            (true, true) => Self {
                scale: largest / MOST,
                inverse,
            },
            (true, false) => Self {
                scale: 1.0,
                inverse: 0.0,
            },
            (false, _) => Self {
                scale: f32::NAN,
                inverse: 0.0,
            },
        }
    }
}

vectorised! {
    /// The bits of the largest absolute value; larger than those of all finite values where one is not finite.
    pub(in super::super) fn largest(values: &[f32]) -> u32 {
        values
            .iter()
            .fold(0, |most, value| most.max(value.to_bits() & ABSOLUTE))
    }
}

vectorised! {
    /// [`largest`] of each of the first pixels of planes, `step` apart, which are copied to `copy`, one plane after the
    /// other.
    pub(super) fn largest_of_pixels(planes: &[f32], step: usize, copy: &mut [f32], to: &mut [u32]) {
        to.fill(0);
        for (plane, copy) in planes.chunks(step).zip(copy.chunks_mut(to.len())) {
            for ((most, value), copy) in to.iter_mut().zip(plane).zip(copy) {
                *most = (*most).max(value.to_bits() & ABSOLUTE);
                *copy = *value;
            }
        }
    }
}

vectorised! {
    /// Rounds values times `inverse` to whole numbers, exclusive or `zero`.
    pub(in super::super) fn quantise(values: &[f32], inverse: f32, zero: u8, to: &mut [u8]) {
        for (to, value) in to.iter_mut().zip(values) {
            *to = byte(*value, inverse) ^ zero;
        }
    }
}

/// The byte of the nearest whole number to `value · inverse`, which is at most 127 in size.
#[inline(always)]
pub(super) fn byte(value: f32, inverse: f32) -> u8 {
    (value * inverse + ROUNDING).to_bits() as u8
}
