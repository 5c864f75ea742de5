//! Scaled dot-product attention without a matrix of scores: blocks of queries meet blocks of keys, and each block's weights are
//! brought to the greatest score so far ([Dao et al., 2022](https://arxiv.org/abs/2205.14135)).

#![allow(unsafe_code)] // Threads write queries of heads that lie side by side.

mod backward;
mod paired;
#[cfg(target_arch = "x86_64")]
mod weights;
#[cfg(not(target_arch = "x86_64"))]
mod weights {
    use burn_std::bf16;

    /// Never called: other processors have no products of bf16.
    pub(super) fn weigh(
        _: &[f32],
        _: &mut [bf16],
        _: usize,
        _: (usize, usize),
        _: f32,
        _: [&mut [f32]; 2],
        _: impl FnMut(usize, f32),
    ) {
        unreachable!("this processor has no products of bf16");
    }
}

pub(super) use backward::attention_backward;
use burn::tensor::{DType, Shape, TensorMetadata};
use burn_flex::{Flex, FlexTensor, Layout};
use burn_std::bf16;
use paired::Packed;
use rayon::prelude::*;

use super::{
    super::{
        AttentionOptions, Products, plain,
        primitives::{into, tensor},
    },
    buffers::Buffer,
    features::vectorised,
    half::widened,
    math::{exp_below_zero, fused},
    product::{Into, Matrix, Shared, Target},
    scratch,
    softmax::greatest,
    words,
};

/// Queries that a thread takes at once.
const QUERIES: usize = 128;
/// Keys that they meet at once: the scores of both stay in a core's own cache.
const KEYS: usize = 512;

/// A tensor of rank 4 whose last axis is contiguous.
#[derive(Clone, Copy)]
struct Heads<'a> {
    values: &'a [f32],
    /// Values between items, between heads and between rows.
    steps: [usize; 3],
    columns: usize,
}

impl<'a> Heads<'a> {
    /// The tensor as it lies, where its last axis is contiguous and nothing runs backwards.
    fn of(x: &'a FlexTensor) -> Option<Self> {
        let layout = x.layout();
        let columns = layout.shape()[3];
        let mut steps = [0; 3];
        for (to, step) in steps.iter_mut().zip(layout.strides()) {
            *to = usize::try_from(*step).ok()?;
        }
        let is_whole = layout.strides()[3] == 1 || columns == 1;
        // A row step of 0 is one row for all; else rows must not overlap.
        let apart = steps[2] == 0 || steps[2] >= columns;
        let values = &x.storage::<f32>()[layout.start_offset()..];
        (is_whole && apart).then_some(Self {
            values,
            steps,
            columns,
        })
    }

    /// The values of some rows of a head, and those from one row to the next.
    fn rows(&self, [item, head]: [usize; 2], first: usize) -> &'a [f32] {
        let [items, heads, rows] = self.steps;
        &self.values[item * items + head * heads + first * rows..]
    }

    /// Rounds rows of a head to bf16, one after the other.
    fn round(&self, head: [usize; 2], first: usize, to: &mut [bf16]) {
        let rows = self.rows(head, first);
        for (row, to) in to.chunks_mut(self.columns).enumerate() {
            words::narrow(&rows[row * self.steps[2]..][..self.columns], to);
        }
    }

    fn matrix(&self, head: [usize; 2], first: usize, count: usize) -> Matrix<'a> {
        let step = self.steps[2].max(self.columns);
        Matrix::by_distant_rows(self.rows(head, first), count, self.columns, step)
    }
}

/// The tensor in a form that [`Heads`] reads: as it is, or copied. Rows that are one row are copied too.
fn readable(x: &FlexTensor) -> FlexTensor {
    let rows_are_apart = x.layout().strides()[2] != 0 || x.layout().shape()[2] == 1;
    if rows_are_apart && Heads::of(x).is_some() {
        x.clone()
    } else {
        x.to_contiguous()
    }
}

/// Whether the tensors are such as the kernels take: f32, of sizes that agree, with something in them.
fn are_fused([query, key, value]: [&FlexTensor; 3], bias: Option<&FlexTensor>) -> bool {
    let [batch, heads, n, d] = query.shape().dims();
    let (m, e) = (key.shape()[2], value.shape()[3]);
    let is_f32 = [query, key, value]
        .into_iter()
        .chain(bias)
        .all(|tensor| tensor.dtype() == DType::F32);
    let agree = key.shape().dims() == [batch, heads, m, d]
        && value.shape().dims() == [batch, heads, m, e]
        && bias.is_none_or(|bias| {
            let axes = bias.shape().dims::<4>().into_iter();
            axes.zip([batch, heads, n, m])
                .all(|(of, whole)| of == 1 || of == whole)
        });
    is_f32 && agree && ![batch, heads, n, m, d, e].contains(&0)
}

/// Where a result of [batch, heads, rows, columns] lies: as [batch, rows, heads, columns] where a tensor that it goes with does.
#[derive(Clone, Copy)]
struct Place {
    shape: [usize; 4],
    of_head: usize,
    of_row: usize,
}

impl Place {
    fn like(tensor: &Heads<'_>, shape: [usize; 4]) -> Self {
        let [_, heads, rows, columns] = shape;
        let by_rows = tensor.steps[1] < tensor.steps[2];
        let (of_head, of_row) = match by_rows {
            true => (columns, heads * columns),
            false => (rows * columns, columns),
        };
        Self {
            shape,
            of_head,
            of_row,
        }
    }

    /// Where a row of a head begins.
    fn of(&self, [item, head]: [usize; 2], row: usize) -> usize {
        let [_, heads, rows, columns] = self.shape;
        item * heads * rows * columns + head * self.of_head + row * self.of_row
    }

    fn tensor(self, values: Buffer) -> FlexTensor {
        let [_, heads, rows, columns] = self.shape;
        let strides = [heads * rows * columns, self.of_head, self.of_row, 1];
        let strides = strides.map(|step| step as isize).to_vec();
        let layout = Layout::new(Shape::from(self.shape), strides, 0);
        FlexTensor::new(values.into_bytes(), layout, DType::F32)
    }
}

/// [`by_blocks`] where it holds, else the plain body.
pub(super) fn attention(
    query: FlexTensor,
    key: FlexTensor,
    value: FlexTensor,
    bias: Option<FlexTensor>,
    options: AttentionOptions,
) -> FlexTensor {
    let bias = bias.map(widened);
    if !are_fused([&query, &key, &value], bias.as_ref()) {
        let (q, k, v) = (tensor::<Flex, 4>(query), tensor(key), tensor(value));
        return into(plain::attention(q, k, v, bias.map(tensor), options.scale));
    }
    by_blocks(&query, &key, &value, bias.as_ref(), options)
}

/// `softmax(q·kᵀ·scale + bias)·v`; `bias` is broadcastable to [batch, heads, n, m]. The output lies in memory as the query does where
/// that is [batch, n, heads, d].
fn by_blocks(
    query: &FlexTensor,
    key: &FlexTensor,
    value: &FlexTensor,
    bias: Option<&FlexTensor>,
    options: AttentionOptions,
) -> FlexTensor {
    let [batch, heads, n, _] = query.shape().dims();
    let ([_, _, m, _], [_, _, _, e]) = (key.shape().dims(), value.shape().dims());
    let [query, key, value] = [query, key, value].map(readable);
    let bias = bias.map(|bias| broadcast(bias, [batch, heads, n, m]));
    let heads_of = |x| Heads::of(x).unwrap_or_else(|| unreachable!("made readable"));
    let job = Attention {
        query: heads_of(&query),
        key: heads_of(&key),
        value: heads_of(&value),
        bias: bias.as_ref().map(heads_of),
        keys: m,
        scale: options.scale as f32,
    };
    let in_pairs = options.products == Products::Bf16 && words::bf16_is_in_force();
    let packed = in_pairs.then(|| Packed::new(&job, batch, heads));
    let place = Place::like(&job.query, [batch, heads, n, e]);
    let mut out = Buffer::new(batch * heads * n * e);
    let target = Shared::new(&mut out);
    let blocks = n.div_ceil(if in_pairs { paired::QUERIES } else { QUERIES });
    let queries = n.div_ceil(blocks);
    (0..batch * heads * blocks)
        .into_par_iter()
        .for_each(|task| {
            let (number, first) = (task / blocks, task % blocks * queries);
            let (item, head) = (number / heads, number % heads);
            let queries = queries.min(n.saturating_sub(first));
            if queries == 0 {
                return;
            }
            let start = place.of([item, head], first);
            // SAFETY: the queries of a head are in one block, which one thread writes.
            let target = unsafe { target.block(start, place.of_row, [queries, e]) };
            match &packed {
                Some(packed) => {
                    packed.queries(&job, [item, head, number], first, queries, target);
                }
                None => job.queries([item, head], first, queries, target),
            }
        });
    place.tensor(out)
}

/// A bias as it lies in memory, seen as one of every head and query: the axes of size 1 have steps of 0.
fn broadcast(bias: &FlexTensor, shape: [usize; 4]) -> FlexTensor {
    let keys = bias.layout().shape()[3] == shape[3];
    let bias = match Heads::of(bias) {
        Some(_) if keys => bias.clone(),
        _ if keys => bias.to_contiguous(),
        // One number for all keys.
        _ => {
            let [batch, heads, n, _] = bias.shape().dims();
            let repeated = burn::tensor::Tensor::<burn_flex::Flex, 4>::from_primitive(
                burn::tensor::TensorPrimitive::Float(bias.clone()),
            );
            let repeated = repeated.expand([batch, heads, n, shape[3]]);
            repeated.into_primitive().tensor().to_contiguous()
        }
    };
    let (of, layout) = (bias.layout().shape(), bias.layout());
    let strides = (0..4).map(|axis| {
        if of[axis] == 1 && axis < 3 {
            0
        } else {
            layout.strides()[axis]
        }
    });
    let layout = Layout::new(Shape::from(shape), strides.collect(), layout.start_offset());
    FlexTensor::from_arc(bias.data_arc(), layout, DType::F32)
}

struct Attention<'a> {
    query: Heads<'a>,
    key: Heads<'a>,
    value: Heads<'a>,
    bias: Option<Heads<'a>>,
    keys: usize,
    scale: f32,
}

impl Attention<'_> {
    /// The outputs of some queries of a head.
    fn queries(&self, head: [usize; 2], first: usize, queries: usize, mut out: Target<'_>) {
        let blocks = self.keys.div_ceil(KEYS);
        let keys = self.keys.div_ceil(blocks);
        let sizes = [queries * keys, queries, queries];
        scratch::with_pieces(sizes, |[scores, tops, totals]| {
            tops.fill(f32::NEG_INFINITY);
            totals.fill(0.0);
            let query = self.query.matrix(head, first, queries);
            for from in (0..self.keys).step_by(keys) {
                let keys = keys.min(self.keys - from);
                let scores = &mut scores[..queries * keys];
                let key = self.key.matrix(head, from, keys).transposed();
                super::product::product(scores, query, key, Into::Overwrite);
                let scale = self.with_bias((head, first, from), [keys, keys], scores);
                weigh(scores, keys, scale, tops, totals, |row, factor| {
                    if from > 0 {
                        times(out.row(row), factor);
                    }
                });
                let scores = Matrix::by_rows(scores, queries, keys);
                let value = self.value.matrix(head, from, keys);
                out.product(&(scores, value), Into::after(from));
            }
            for (row, total) in totals.iter().enumerate() {
                times(out.row(row), 1.0 / total);
            }
        });
    }

    /// Adds the bias to the scores of the queries from `first` on of a head and of `keys` keys from `from` on, which
    /// lie `score_step` apart, and yields the scale that they still lack, which is above 0.
    fn with_bias(
        &self,
        (head, first, from): ([usize; 2], usize, usize),
        [keys, score_step]: [usize; 2],
        scores: &mut [f32],
    ) -> f32 {
        if let Some(bias) = &self.bias {
            let (rows, step) = (bias.rows(head, first), bias.steps[2]);
            for (number, row) in scores.chunks_mut(score_step).enumerate() {
                add_bias(&mut row[..keys], self.scale, &rows[from + number * step..]);
            }
        } else if self.scale <= 0.0 {
            times(scores, self.scale);
        } else {
            return self.scale;
        }
        1.0
    }
}

vectorised! {
    fn times(values: &mut [f32], factor: f32) {
        values.iter_mut().for_each(|value| *value *= factor);
    }
}

vectorised! {
    /// `scores·scale + bias`.
    fn add_bias(scores: &mut [f32], scale: f32, bias: &[f32]) {
        scores.iter_mut().zip(bias).for_each(|(score, bias)| *score = *score * scale + bias);
    }
}

vectorised! {
    /// Scores to `e^(score·scale − top)`, row by row, with the greatest such product so far for `top`. `rescale` gets the factor for
    /// what is summed up of a row so far. `scale` is above 0.
    fn weigh [F] [F: FnMut(usize, f32)] (
        scores: &mut [f32],
        keys: usize,
        scale: f32,
        tops: &mut [f32],
        totals: &mut [f32],
        rescale: F,
    ) {
        let mut rescale = rescale;
        let sums = tops.iter_mut().zip(totals);
        for (number, (row, (top, total))) in scores.chunks_mut(keys).zip(sums).enumerate() {
            let above = (greatest(row) * scale).max(*top);
            // A row of −∞ has no top yet.
            let shift = if above == f32::NEG_INFINITY { 0.0 } else { above };
            let sum = exponentials::<FUSED>(row, scale, shift);
            let factor = exp_below_zero::<FUSED>(*top - shift);
            *total = *total * factor + sum;
            *top = above;
            rescale(number, factor);
        }
    }
}

/// Partial sums that a loop keeps apart.
const LANES: usize = 64;

/// `e^(x·scale − shift)` in place, and the sum of them in a fixed order.
#[inline(always)]
fn exponentials<const FUSED: bool>(row: &mut [f32], scale: f32, shift: f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (whole, rest) = row.as_chunks_mut::<LANES>();
    for values in whole {
        for (value, lane) in values.iter_mut().zip(&mut lanes) {
            *value = exp_below_zero::<FUSED>(fused::<FUSED>(*value, scale, -shift));
            *lane += *value;
        }
    }
    let mut sum = lanes.iter().sum::<f32>();
    for value in rest {
        *value = exp_below_zero::<FUSED>(fused::<FUSED>(*value, scale, -shift));
        sum += *value;
    }
    sum
}
