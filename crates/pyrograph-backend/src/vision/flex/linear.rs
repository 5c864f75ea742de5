//! Linear layers: blocks of rows and outputs, each a matrix product.

#![allow(unsafe_code)] // Threads write blocks of the output that lie side by side.

use burn::tensor::TensorMetadata;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::{
    buffers::Buffer,
    features::vectorised,
    half::Values,
    math::fused,
    product::{Into, Matrix, Shared},
    tensors::{floats, rows},
};

/// Rows of a block: enough that a weight's way into the cache is paid for.
const ROWS: usize = 512;
/// Values of the weight that a block takes (1 MiB of f32).
const WEIGHTS: usize = 1 << 18;
/// Multiplications that are worth a thread's while.
const LEAST: usize = 1 << 20;
/// Rows up to which the time goes into reading a large weight, so that a product of matrices, which copies it, does not pay.
const FEW: usize = 4;
/// Values of a weight's row that are widened at once.
const PIECE: usize = 1024;

/// `x·Wᵀ + b`: `x` [rows, in] and `bias` in f32, `weight` [out, in] in a type that [`Values`] holds.
pub(super) fn linear(x: &FlexTensor, weight: &FlexTensor, bias: Option<&FlexTensor>) -> FlexTensor {
    let [count, inner] = x.shape().dims();
    let [outputs, of_weight] = weight.shape().dims();
    assert_eq!(inner, of_weight, "the features of a linear layer");
    let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
    let bias = bias.map(FlexTensor::to_contiguous);
    let job = Linear {
        x: floats(&x),
        weight: Values::of(&weight),
        bias: bias.as_ref().map(floats),
        inner,
        outputs,
    };
    let mut out = Buffer::new(count * outputs);
    if outputs > 0 && inner == 0 {
        out.chunks_mut(outputs).for_each(|row| match job.bias {
            Some(bias) => row.copy_from_slice(bias),
            None => row.fill(0.0),
        });
    } else if count <= FEW && inner * outputs >= WEIGHTS {
        job.few_rows(&mut out);
    } else {
        job.blocks(count, &mut out);
    }
    rows(out, [count, outputs])
}

struct Linear<'a> {
    x: &'a [f32],
    weight: Values<'a>,
    bias: Option<&'a [f32]>,
    inner: usize,
    outputs: usize,
}

impl Linear<'_> {
    /// Blocks by the sizes alone, so that results do not depend on the number of threads.
    fn blocks(&self, count: usize, out: &mut [f32]) {
        let down = count.div_ceil(ROWS);
        let rows = count.div_ceil(down);
        let wide = (WEIGHTS / self.inner).clamp(16, 1024);
        // Smaller ones where there would be few.
        let worth = (LEAST / (rows * self.inner)).max(16);
        let fair = (self.outputs * down / 16).max(worth);
        let across = self.outputs.div_ceil(wide.min(fair));
        let columns = self.outputs.div_ceil(across).next_multiple_of(16);
        let across = self.outputs.div_ceil(columns);
        let target = Shared::new(out);
        (0..down * across).into_par_iter().for_each(|block| {
            let (row, output) = (block / across * rows, block % across * columns);
            let rows = rows.min(count - row);
            let columns = columns.min(self.outputs - output);
            let x = Matrix::by_rows(
                &self.x[row * self.inner..][..rows * self.inner],
                rows,
                self.inner,
            );
            let weight = self
                .weight
                .part(output * self.inner..(output + columns) * self.inner);
            // SAFETY: blocks have no common place, and each is written by one thread.
            let mut target =
                unsafe { target.block(row * self.outputs + output, self.outputs, [rows, columns]) };
            weight.with(|weight| {
                let weight = Matrix::by_rows(weight, columns, self.inner).transposed();
                match self.bias {
                    Some(bias) => {
                        let bias = &bias[output..][..columns];
                        (0..rows).for_each(|row| target.row(row).copy_from_slice(bias));
                        target.product(x, weight, Into::Add);
                    }
                    None => target.product(x, weight, Into::Overwrite),
                }
            });
        });
    }

    /// Dot products, the weight being read once.
    fn few_rows(&self, out: &mut [f32]) {
        let count = self.x.len() / self.inner;
        let mut turned = vec![0.0; out.len()];
        let at_once = (LEAST / 8 / self.inner).max(1);
        turned
            .par_chunks_mut((at_once * count).max(1))
            .enumerate()
            .for_each(|(block, sums)| {
                let first = block * at_once;
                let outputs = sums.len() / count.max(1);
                let weight = self
                    .weight
                    .part(first * self.inner..(first + outputs) * self.inner);
                dots(self.x, weight, self.inner, sums);
            });
        for (place, sum) in turned.iter().enumerate() {
            let (output, row) = (place / count, place % count);
            out[row * self.outputs + output] = sum + self.bias.map_or(0.0, |bias| bias[output]);
        }
    }
}

/// Partial sums that a dot product keeps apart.
const LANES: usize = 64;

/// Σ xᵢ·yᵢ in a fixed order. The partial sums are added up pairwise, which vectors do.
#[inline(always)]
fn dot<const FUSED: bool>(x: &[f32], y: &[f32]) -> f32 {
    let (xs, x_rest) = x.as_chunks::<LANES>();
    let (ys, y_rest) = y.as_chunks::<LANES>();
    let mut lanes = [0.0_f32; LANES];
    for (x, y) in xs.iter().zip(ys) {
        for lane in 0..LANES {
            lanes[lane] = fused::<FUSED>(x[lane], y[lane], lanes[lane]);
        }
    }
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    let rest = x_rest.iter().zip(y_rest);
    rest.fold(lanes[0], |sum, (x, y)| fused::<FUSED>(*x, *y, sum))
}

vectorised! {
    /// The products of every row of a weight with every row of `x`, as [outputs, rows].
    fn dots(x: &[f32], weight: Values<'_>, inner: usize, sums: &mut [f32]) {
        let count = x.len() / inner;
        let mut wide = [0.0_f32; PIECE];
        for (output, sums) in sums.chunks_mut(count.max(1)).enumerate() {
            sums.fill(0.0);
            for first in (0..inner).step_by(PIECE) {
                let size = PIECE.min(inner - first);
                let part = weight.part(output * inner + first..output * inner + first + size);
                let weight = match part {
                    Values::F32(values) => values,
                    _ => {
                        part.widen(&mut wide[..size]);
                        &wide[..size]
                    }
                };
                for (row, sum) in sums.iter_mut().enumerate() {
                    let x = &x[row * inner + first..][..size];
                    *sum += dot::<FUSED>(x, weight);
                }
            }
        }
    }
}
