//! Softmax, alone and within attention.

use burn::tensor::TensorMetadata;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::{
    buffers::Buffer,
    features::vectorised,
    math::exp_below_zero,
    planes::{change, lane_sum},
    product::{Into, Matrix, product, product_by_distant_rows},
    scratch,
    tensors::{edited, floats, image},
};

/// Queries whose scores a thread holds at once.
const QUERIES: usize = 64;
/// Partial maxima that a loop keeps apart.
const LANES: usize = 16;

/// `e^(x − max x)/Σ`, in place.
#[inline(always)]
fn normalise<const FUSED: bool>(row: &mut [f32]) {
    let (whole, rest) = row.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for values in whole {
        for (lane, value) in lanes.iter_mut().zip(values) {
            *lane = if *value > *lane { *value } else { *lane };
        }
    }
    let greatest = lanes
        .iter()
        .chain(rest)
        .fold(f32::NEG_INFINITY, |a, b| a.max(*b));
    for value in row.iter_mut() {
        *value = exp_below_zero::<FUSED>(*value - greatest);
    }
    let [total] = lane_sum(row.len(), |i| [row[i]]);
    let share = 1.0 / total;
    row.iter_mut().for_each(|value| *value *= share);
}

vectorised! {
    /// Softmax over the last axis.
    pub(super) fn softmax(x: FlexTensor) -> FlexTensor {
        let length = last_axis(&x);
        edited(x, |from, values| change(from, values, length, |row| normalise::<FUSED>(row.in_place())))
    }
}

vectorised! {
    /// The gradient of [`softmax`] by its output y: `y·(g − Σ g·y)`.
    pub(super) fn softmax_backward(y: &FlexTensor, grad: FlexTensor) -> FlexTensor {
        let length = last_axis(y);
        let y = y.to_contiguous();
        let y = floats(&y);
        edited(grad, |from, grad| {
            change(from, grad, length, |row| {
                let y = &y[row.number * length..][..row.values.len()];
                let grad = row.in_place();
                let [dot] = lane_sum(grad.len(), |i| [grad[i] * y[i]]);
                grad.iter_mut().zip(y).for_each(|(grad, y)| *grad = y * (*grad - dot));
            });
        })
    }
}

fn last_axis(x: &FlexTensor) -> usize {
    x.shape().as_slice().last().copied().unwrap_or(1)
}

/// `softmax(q·kᵀ·scale + bias)·v`; `bias` is [batch, heads, n, m] as it stands in memory. The scores of a few queries at a time stay
/// in the cache.
pub(super) fn attention(
    query: &FlexTensor,
    key: &FlexTensor,
    value: &FlexTensor,
    bias: Option<&FlexTensor>,
    scale: f32,
) -> FlexTensor {
    let [batch, heads, n, d] = query.shape().dims();
    let ([_, _, m, _], [_, _, _, e]) = (key.shape().dims(), value.shape().dims());
    let [query, key, value] = [query, key, value].map(FlexTensor::to_contiguous);
    let bias = bias.map(FlexTensor::to_contiguous);
    let (query, key, value) = (floats(&query), floats(&key), floats(&value));
    let bias = bias.as_ref().map(floats);
    let mut out = Buffer::new(batch * heads * n * e);
    // Blocks of queries of one head: the last of a head is smaller.
    let blocks = n.div_ceil(QUERIES);
    let mut parts: Vec<(usize, usize, &mut [f32])> = Vec::with_capacity(batch * heads * blocks);
    for (head, out) in out.chunks_mut(n * e).enumerate() {
        let rows = out.chunks_mut(QUERIES * e).enumerate();
        parts.extend(rows.map(|(block, out)| (head, block * QUERIES, out)));
    }
    parts.into_par_iter().for_each(|(head, first, out)| {
        let queries = out.len() / e;
        let query = &query[(head * n + first) * d..][..queries * d];
        let (key, value) = (
            &key[head * m * d..][..m * d],
            &value[head * m * e..][..m * e],
        );
        let bias = bias.map(|bias| &bias[(head * n + first) * m..][..queries * m]);
        scratch::with(queries * m, |scores| {
            let keys = Matrix::by_rows(key, m, d).transposed();
            product(
                scores,
                Matrix::by_rows(query, queries, d),
                keys,
                Into::Overwrite,
            );
            weights(scores, bias, m, scale);
            let (scores, values) = (
                Matrix::by_rows(scores, queries, m),
                Matrix::by_rows(value, m, e),
            );
            product_by_distant_rows(out, e, scores, values, Into::Overwrite);
        });
    });
    image(out, [batch, heads, n, e])
}

vectorised! {
    /// Scores to weights, row by row.
    fn weights(scores: &mut [f32], bias: Option<&[f32]>, length: usize, scale: f32) {
        for (number, row) in scores.chunks_mut(length).enumerate() {
            match bias {
                Some(bias) => {
                    let bias = &bias[number * length..][..row.len()];
                    row.iter_mut().zip(bias).for_each(|(s, b)| *s = *s * scale + b);
                }
                None => row.iter_mut().for_each(|s| *s *= scale),
            }
            normalise::<FUSED>(row);
        }
    }
}
