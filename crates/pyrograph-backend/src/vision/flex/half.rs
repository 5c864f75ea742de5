//! Weights in half precision and in int8, widened to f32 piece by piece.

use std::ops::{Deref, Range};

use burn::tensor::DType;
use burn_flex::{Flex, FlexTensor, Layout};
use burn_std::{bf16, f16};
use rayon::prelude::*;

use super::{
    super::{Int8Products, exact_products, primitives::in_type},
    buffers::Buffer,
    bytes,
    features::vectorised,
    scratch,
    tensors::floats,
};

/// Values that a thread widens at once.
const BLOCK: usize = 1 << 15;

/// The values of a contiguous tensor in one of the types that weights are held in.
#[derive(Clone, Copy)]
pub(super) enum Values<'a> {
    F32(&'a [f32]),
    F16(&'a [f16]),
    Bf16(&'a [bf16]),
    Int8(Int8<'a>),
}

/// Some of the numbers of a weight in int8, whose rows have a scale each.
#[derive(Clone, Copy)]
pub(super) struct Int8<'a> {
    numbers: &'a [i8],
    /// The scales of all rows.
    scales: &'a [f32],
    /// Numbers of a row.
    row: usize,
    /// The place of the first number in the whole weight.
    first: usize,
    products: Int8Products,
}

impl<'a> Int8<'a> {
    /// All numbers of a weight, as many rows as there are scales.
    pub(super) fn new(numbers: &'a [i8], scales: &'a [f32], products: Int8Products) -> Self {
        let row = numbers.len() / scales.len().max(1);
        assert_eq!(row * scales.len(), numbers.len(), "rows of a weight");
        Self {
            numbers,
            scales,
            row,
            first: 0,
            products,
        }
    }

    /// The numbers, and the scales of all rows.
    pub(super) fn parts(&self) -> (&'a [i8], &'a [f32]) {
        (self.numbers, self.scales)
    }

    fn part(&self, range: Range<usize>) -> Self {
        Self {
            numbers: &self.numbers[range.clone()],
            first: self.first + range.start,
            ..*self
        }
    }

    /// Writes the numbers times their scales.
    fn widen(&self, to: &mut [f32]) {
        let mut next = 0;
        while next < self.numbers.len() {
            let place = self.first + next;
            let end = self.numbers.len().min(next + self.row - place % self.row);
            let scale = self.scales[place / self.row];
            widen_int8(&self.numbers[next..end], scale, &mut to[next..end]);
            next = end;
        }
    }
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
            Self::Int8(values) => values.numbers.len(),
        }
    }

    /// Some of the values.
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        match self {
            Self::F32(values) => Self::F32(&values[range]),
            Self::F16(values) => Self::F16(&values[range]),
            Self::Bf16(values) => Self::Bf16(&values[range]),
            Self::Int8(values) => Self::Int8(values.part(range)),
        }
    }

    /// The values as they are, where they are f32.
    pub(super) fn in_place(&self) -> Option<&'a [f32]> {
        match self {
            Self::F32(values) => Some(values),
            _ => None,
        }
    }

    /// The numbers of int8, where products with them are those of whole numbers: where an output sees neither too few
    /// nor too many.
    pub(super) fn bytes(&self) -> Option<Int8<'a>> {
        match self {
            Self::Int8(values)
                if values.products == Int8Products::Activations
                    && bytes::INNER.contains(&values.row)
                    && !exact_products() =>
            {
                Some(*values)
            }
            _ => None,
        }
    }

    /// Whether products with these values run in bf16.
    pub(super) fn is_paired(&self) -> bool {
        matches!(self, Self::Bf16(_) | Self::Int8(_)) && super::words::bf16_is_in_force()
    }

    /// The values as they are, where they are bf16 and products run in bf16.
    pub(super) fn pairs(&self) -> Option<&'a [bf16]> {
        match self {
            Self::Bf16(values) if self.is_paired() => Some(values),
            _ => None,
        }
    }

    /// Runs `body` on bf16 for products in bf16: the values in place, or the numbers of int8 without their
    /// [scales](Self::scales_of_sums), which this thread's memory takes.
    pub(super) fn with_pairs<R>(&self, body: impl FnOnce(&[bf16]) -> R) -> R {
        match self.pairs() {
            Some(values) => body(values),
            None => scratch::with_numbers(self.len(), |pairs: &mut [bf16]| {
                self.narrow(pairs);
                body(pairs)
            }),
        }
    }

    /// What [`with_pairs`](Self::with_pairs) hands on, for every thread: numbers of int8 are widened by all of them.
    pub(super) fn all_pairs(&self) -> Pairs<'a> {
        if let Some(values) = self.pairs() {
            return Pairs::InPlace(values);
        }
        let mut made = Buffer::new(self.len().div_ceil(2));
        let pairs: &mut [bf16] = &mut bytemuck::cast_slice_mut(&mut made)[..self.len()];
        pairs
            .par_chunks_mut(BLOCK)
            .enumerate()
            .for_each(|(block, to)| {
                let first = block * BLOCK;
                self.part(first..first + to.len()).narrow(to);
            });
        Pairs::Made(made, self.len())
    }

    /// The scales of the rows, by which sums of products in bf16 are yet to be multiplied: those of int8.
    pub(super) fn scales_of_sums(&self) -> Option<&'a [f32]> {
        match self {
            Self::Int8(values) if self.is_paired() => Some(values.scales),
            _ => None,
        }
    }

    /// Writes the values as bf16; numbers of int8 without their scales, which is exact.
    fn narrow(&self, to: &mut [bf16]) {
        match self {
            Self::Int8(values) => numbers_of_int8(values.numbers, to),
            _ => self.with(|values| super::words::narrow(values, to)),
        }
    }

    /// Writes the values as f32.
    pub(super) fn widen(&self, to: &mut [f32]) {
        match self {
            Self::F32(values) => to.copy_from_slice(values),
            Self::F16(values) => widen_f16(values, to),
            Self::Bf16(values) => widen_bf16(values, to),
            Self::Int8(values) => values.widen(to),
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

/// Numbers of bf16 in place, or in memory of their own.
pub(super) enum Pairs<'a> {
    InPlace(&'a [bf16]),
    /// The memory, and how many there are.
    Made(Buffer, usize),
}

impl Deref for Pairs<'_> {
    type Target = [bf16];

    fn deref(&self) -> &[bf16] {
        match self {
            Self::InPlace(values) => values,
            Self::Made(memory, count) => &bytemuck::cast_slice(memory)[..*count],
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
    fn widen_int8(from: &[i8], scale: f32, to: &mut [f32]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = scale * f32::from(*from);
        }
    }
}

vectorised! {
    /// A number of 8 bits is one of bf16: the lower half of its f32 is 0.
    fn numbers_of_int8(from: &[i8], to: &mut [bf16]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = bf16::from_bits((f32::from(*from).to_bits() >> 16) as u16);
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
    fn every_number_of_int8_is_one_of_bf16_and_widens_by_the_scale_of_its_row() {
        let numbers: Vec<i8> = (i8::MIN..=i8::MAX).collect();
        let scales: Vec<f32> = (1..=64).map(|row| 0.01 * row as f32).collect();
        let values = Values::Int8(Int8::new(&numbers, &scales, Int8Products::default()));
        let mut pairs = vec![bf16::ZERO; numbers.len()];
        values.narrow(&mut pairs);
        for (pair, number) in pairs.iter().zip(&numbers) {
            assert_eq!(pair.to_f32(), f32::from(*number));
        }
        // Parts that begin and end within a row.
        for range in [0..256, 3..9, 5..6, 250..256, 7..7] {
            let mut wide = vec![f32::NAN; range.len()];
            values.part(range.clone()).widen(&mut wide);
            for (wide, place) in wide.iter().zip(range) {
                assert_eq!(*wide, scales[place / 4] * f32::from(numbers[place]));
            }
        }
        let mut wide = [0.0; 3];
        values.part(10..100).part(1..4).widen(&mut wide);
        assert_eq!(wide[1], scales[3] * f32::from(numbers[12]));
    }

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
