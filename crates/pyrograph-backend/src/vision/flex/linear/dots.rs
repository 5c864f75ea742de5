//! A few rows meet a large weight: dot products, the weight being read once.

use rayon::prelude::*;

use super::super::{features::vectorised, half::Values, math::fused};

/// Multiplications that are worth a thread's while.
const LEAST: usize = 1 << 17;
/// Values of a weight's row that are widened at once.
const PIECE: usize = 1024;

/// `x·Wᵀ` as [outputs, rows]: each row of the weight with every row of `x`.
pub(super) fn products(x: &[f32], weight: Values<'_>, inner: usize) -> Vec<f32> {
    let count = x.len() / inner;
    let mut sums = vec![0.0; weight.len() / inner * count];
    let at_once = (LEAST / inner).max(1);
    sums.par_chunks_mut((at_once * count).max(1))
        .enumerate()
        .for_each(|(block, sums)| {
            let first = block * at_once;
            let outputs = sums.len() / count.max(1);
            let weight = weight.part(first * inner..(first + outputs) * inner);
            dots(x, weight, inner, sums);
        });
    sums
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
