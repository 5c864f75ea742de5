//! Weighted distances between rows with their gradients. The rows are many and short, as the outputs of a detector's
//! priors are: a thread takes a block of them at once.

use burn::tensor::{DType, TensorMetadata};
use burn_flex::{Flex, FlexTensor};
use rayon::prelude::*;

use super::{
    super::{
        super::{
            Distance, plain,
            primitives::{distance as plain_distance, tensor},
        },
        buffers::Buffer,
        features::vectorised,
        math::exp_below_zero,
        scratch,
        softmax::greatest,
        tensors::{floats, rows, vector},
    },
    are_fused,
};

/// Values that a thread takes at once.
const BLOCK: usize = 1 << 12;
/// Partial sums that a loop over a row keeps apart: rows are short.
const LANES: usize = 4;

/// Whether the kernels take these rows.
fn are_fused_rows(x: &FlexTensor, target: &FlexTensor, weights: &FlexTensor) -> bool {
    let has_a_weight_each = weights.shape().num_elements() == x.shape()[0];
    are_fused(x, target) && weights.dtype() == DType::F32 && has_a_weight_each
}

/// The weighted divergence of rows.
pub(in super::super) fn row_divergence(
    x: FlexTensor,
    target: FlexTensor,
    weights: FlexTensor,
    temperature: f64,
) -> Distance<FlexTensor> {
    if are_fused_rows(&x, &target, &weights) {
        return divergence_of_rows(&x, &target, &weights, temperature as f32);
    }
    let (x, target, weights) = (tensor::<Flex, 2>(x), tensor(target), tensor(weights));
    plain_distance(plain::row_divergence(x, target, weights, temperature))
}

/// The weighted smooth L1 distance of rows.
pub(in super::super) fn row_smooth_l1(
    x: FlexTensor,
    target: FlexTensor,
    weights: FlexTensor,
) -> Distance<FlexTensor> {
    if are_fused_rows(&x, &target, &weights) {
        return smooth_l1_of_rows(&x, &target, &weights);
    }
    let (x, target, weights) = (tensor::<Flex, 2>(x), tensor(target), tensor(weights));
    plain_distance(plain::row_smooth_l1(x, target, weights))
}

/// Some rows of both tensors, and the memory of their gradient.
struct Block<'a> {
    gradient: &'a mut [f32],
    x: &'a [f32],
    target: &'a [f32],
    weights: &'a [f32],
    columns: usize,
}

/// The distance of all rows: the sum of the blocks' distances, in their order.
#[inline(always)]
fn by_blocks(
    x: &FlexTensor,
    target: &FlexTensor,
    weights: &FlexTensor,
    body: impl Fn(Block<'_>) -> f64 + Sync,
) -> Distance<FlexTensor> {
    let shape: [usize; 2] = x.shape().dims();
    let columns = shape[1];
    let (x, target) = (x.to_contiguous(), target.to_contiguous());
    let weights = weights.to_contiguous();
    let (x, target, weights) = (floats(&x), floats(&target), floats(&weights));
    let at_once = (BLOCK / columns).max(1);
    let mut gradient = Buffer::new(x.len());
    let mut parts = vec![0.0; weights.len().div_ceil(at_once)];
    let blocks = gradient.par_chunks_mut(at_once * columns).zip(&mut parts);
    blocks.enumerate().for_each(|(block, (gradient, part))| {
        let (first, count) = (block * at_once, gradient.len() / columns);
        let values = first * columns..(first + count) * columns;
        *part = body(Block {
            x: &x[values.clone()],
            target: &target[values],
            weights: &weights[first..first + count],
            gradient,
            columns,
        });
    });
    Distance {
        value: vector(vec![parts.iter().sum::<f64>() as f32]),
        gradient: rows(gradient, shape),
    }
}

/// Σ `of(i)` over `0..count` in a fixed order.
#[inline(always)]
fn row_sum(count: usize, of: impl Fn(usize) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let whole = count / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += of(start + lane);
        }
    }
    let rest = (whole..count).map(of).sum::<f32>();
    lanes.iter().sum::<f32>() + rest
}

vectorised! {
    fn divergence_of_rows(
        x: &FlexTensor,
        target: &FlexTensor,
        weights: &FlexTensor,
        temperature: f32,
    ) -> Distance<FlexTensor> {
        let inverse = 1.0 / temperature;
        by_blocks(x, target, weights, |block| {
            let Block { gradient, x, target, weights, columns } = block;
            scratch::with(gradient.len(), |wanted| {
                // 1. The exponentials: rows less their maxima, then all rows as one.
                for (to, from) in [(&mut *gradient, x), (&mut *wanted, target)] {
                    let each = to.chunks_mut(columns).zip(from.chunks(columns));
                    for (to, from) in each {
                        let top = greatest(from) * inverse;
                        to.iter_mut().zip(from).for_each(|(to, from)| *to = from * inverse - top);
                    }
                    to.iter_mut().for_each(|value| *value = exp_below_zero::<FUSED>(*value));
                }
                let mut sum_of_rows = 0.0;
                for (row, weight) in weights.iter().enumerate() {
                    let range = row * columns..(row + 1) * columns;
                    let (out, wanted) = (&mut gradient[range.clone()], &wanted[range.clone()]);
                    let (x, t) = (&x[range.clone()], &target[range]);
                    // 2. The divergence, from logarithms; the largest exponential is 1, and so is no
                    // sum below 1.
                    let (top, top_t) = (greatest(x) * inverse, greatest(t) * inverse);
                    let (sum, sum_t) = (row_sum(columns, |i| out[i]), row_sum(columns, |i| wanted[i]));
                    let (log, log_t) = (sum.ln(), sum_t.ln());
                    let (share, share_t) = (1.0 / sum, 1.0 / sum_t);
                    let divergence = row_sum(columns, |i| {
                        let of_x = (x[i] * inverse - top) - log;
                        let of_t = (t[i] * inverse - top_t) - log_t;
                        wanted[i] * share_t * (of_t - of_x)
                    });
                    sum_of_rows += f64::from(*weight) * f64::from(divergence);
                    // 3. The gradient.
                    let factor = weight * inverse;
                    for (out, wanted) in out.iter_mut().zip(wanted) {
                        *out = (*out * share - wanted * share_t) * factor;
                    }
                }
                sum_of_rows
            })
        })
    }
}

vectorised! {
    fn smooth_l1_of_rows(
        x: &FlexTensor,
        target: &FlexTensor,
        weights: &FlexTensor,
    ) -> Distance<FlexTensor> {
        by_blocks(x, target, weights, |block| {
            let Block { gradient, x, target, weights, columns } = block;
            let mut sum_of_rows = 0.0;
            for (row, weight) in weights.iter().enumerate() {
                let range = row * columns..(row + 1) * columns;
                let (x, t) = (&x[range.clone()], &target[range.clone()]);
                let out = &mut gradient[range];
                // Comparisons that a NaN fails.
                let near = |i: usize| {
                    let difference = x[i] - t[i];
                    let below = if difference > 1.0 { 1.0 } else { difference };
                    if below < -1.0 { -1.0 } else { below }
                };
                let distance = row_sum(columns, |i| near(i) * ((x[i] - t[i]) - 0.5 * near(i)));
                sum_of_rows += f64::from(*weight) * f64::from(distance);
                for (i, out) in out.iter_mut().enumerate() {
                    *out = near(i) * weight;
                }
            }
            sum_of_rows
        })
    }
}
