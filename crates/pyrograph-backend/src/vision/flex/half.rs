//! Weights in half precision, widened to f32 piece by piece.

use std::ops::Range;

use burn::tensor::DType;
use burn_flex::{Flex, FlexTensor, Layout};
use burn_std::{bf16, f16};
use rayon::prelude::*;

use super::{
    super::primitives::in_type, buffers::Buffer, features::vectorised, scratch, tensors::floats,
};

/// Values that a thread widens at once.
const BLOCK: usize = 1 << 15;

/// The values of a contiguous tensor in one of the types that weights are held in.
#[derive(Clone, Copy)]
pub(super) enum Values<'a> {
    F32(&'a [f32]),
    F16(&'a [f16]),
    Bf16(&'a [bf16]),
}

impl<'a> Values<'a> {
    /// Whether weights may have this type.
    pub(super) fn hold(dtype: DType) -> bool {
        matches!(dtype, DType::F32 | DType::F16 | DType::BF16)
    }

    /// The values of a contiguous tensor whose type [`hold`](Self::hold) knows; f32 for others, which `floats` refuses.
    pub(super) fn of(x: &'a FlexTensor) -> Self {
        let (start, count) = (x.layout().start_offset(), x.layout().num_elements());
        match x.dtype() {
            DType::F16 => Self::F16(&x.storage::<f16>()[start..start + count]),
            DType::BF16 => Self::Bf16(&x.storage::<bf16>()[start..start + count]),
            _ => Self::F32(floats(x)),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F16(values) => values.len(),
            Self::Bf16(values) => values.len(),
        }
    }

    /// Some of the values.
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        match self {
            Self::F32(values) => Self::F32(&values[range]),
            Self::F16(values) => Self::F16(&values[range]),
            Self::Bf16(values) => Self::Bf16(&values[range]),
        }
    }

    /// The values as they are, where they are f32.
    pub(super) fn in_place(&self) -> Option<&'a [f32]> {
        match self {
            Self::F32(values) => Some(values),
            _ => None,
        }
    }

    /// The values as they are, where they are bf16 and products run in bf16.
    pub(super) fn pairs(&self) -> Option<&'a [bf16]> {
        match self {
            Self::Bf16(values) if super::words::bf16_is_in_force() => Some(values),
            _ => None,
        }
    }

    /// Writes the values as f32.
    pub(super) fn widen(&self, to: &mut [f32]) {
        match self {
            Self::F32(values) => to.copy_from_slice(values),
            Self::F16(values) => widen_f16(values, to),
            Self::Bf16(values) => widen_bf16(values, to),
        }
    }

    /// Runs `body` on the values as f32: in place, or widened into this thread's memory.
    pub(super) fn with<R>(&self, body: impl FnOnce(&[f32]) -> R) -> R {
        match self.in_place() {
            Some(values) => body(values),
            None => scratch::with(self.len(), |widened| {
                self.widen(widened);
                body(widened)
            }),
        }
    }
}

/// The tensor in f32, where it is of half precision; others are left as they are.
pub(super) fn widened(x: FlexTensor) -> FlexTensor {
    if !matches!(x.dtype(), DType::F16 | DType::BF16) {
        return x;
    }
    let x = x.to_contiguous();
    let values = Values::of(&x);
    let mut wide = Buffer::new(values.len());
    wide.par_chunks_mut(BLOCK)
        .enumerate()
        .for_each(|(block, to)| {
            values
                .part(block * BLOCK..block * BLOCK + to.len())
                .widen(to);
        });
    let layout = Layout::contiguous(x.layout().shape().clone());
    FlexTensor::new(wide.into_bytes(), layout, DType::F32)
}

vectorised! {
    fn widen_bf16(from: &[bf16], to: &mut [f32]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = f32::from_bits(u32::from(from.to_bits()) << 16);
        }
    }
}

vectorised! {
    fn widen_f16(from: &[f16], to: &mut [f32]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = f16_value(from.to_bits());
        }
    }
}

/// The exponents of f16 begin at 15 and those of f32 at 127: a product by 2¹¹² moves one to the other, subnormal numbers included.
#[inline(always)]
fn f16_value(bits: u16) -> f32 {
    const UP: f32 = f32::from_bits((112 + 127) << 23);
    const SPECIAL: u32 = 0x7f80_0000;
    let (sign, rest) = (u32::from(bits & 0x8000) << 16, u32::from(bits & 0x7fff));
    let value = (f32::from_bits(rest << 13) * UP).to_bits();
    // Infinity, and what is not a number.
    let special = if rest >= 0x7c00 { SPECIAL } else { 0 };
    f32::from_bits(sign | value | special)
}

/// A parameter in the type of the values that it meets.
pub(super) fn parameter(parameter: FlexTensor, dtype: DType) -> FlexTensor {
    match dtype {
        DType::F32 => in_type::<Flex>(widened(parameter), dtype),
        _ => in_type::<Flex>(parameter, dtype),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_half_precision_is_widened_exactly() {
        let bits: Vec<u16> = (0..=u16::MAX).collect();
        let halves: Vec<f16> = bits.iter().map(|bits| f16::from_bits(*bits)).collect();
        let brains: Vec<bf16> = bits.iter().map(|bits| bf16::from_bits(*bits)).collect();
        let mut wide = vec![0.0; bits.len()];
        let same = |a: f32, b: f32| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
        Values::F16(&halves).widen(&mut wide);
        for (wide, half) in wide.iter().zip(&halves) {
            assert!(same(*wide, half.to_f32()), "{half}: {wide}");
        }
        Values::Bf16(&brains).widen(&mut wide);
        for (wide, brain) in wide.iter().zip(&brains) {
            assert!(same(*wide, brain.to_f32()), "{brain}: {wide}");
        }
    }
}
