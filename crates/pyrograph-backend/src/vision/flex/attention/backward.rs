//! The gradients of attention without a matrix of scores. Blocks of keys meet blocks of queries, and each pair of
//! blocks computes its weights again, from the greatest score and the sum of exponentials of each query
//! ([Dao, 2023](https://arxiv.org/abs/2307.08691), algorithm 2).

#![allow(unsafe_code)] // Threads write gradients of heads that lie side by side.

use std::ops::Range;

use burn::tensor::{DType, TensorMetadata};
use burn_flex::{Flex, FlexTensor};
use rayon::prelude::*;

use super::{
    super::{
        super::{
            AttentionGradients, AttentionOptions, AttentionPass,
            primitives::plain_attention_backward,
        },
        buffers::Buffer,
        features::vectorised,
        half::{parameter, widened},
        math::{exp_below_zero, fused},
        planes::lane_sum,
        product::{Into, Matrix, Shared, Target, product},
        scratch,
        tensors::image,
    },
    Attention, Heads, Place, QUERIES, are_fused, broadcast, readable, times, weigh,
};

/// Keys that a block of queries meets at once: their weights and the gradients of these stay in a core's own cache.
const KEYS: usize = 256;
/// The number of tasks, where heads are fewer and keys are enough. It does not follow the number of threads, so that
/// sums have one order.
const TASKS: usize = 64;
/// Values that all parts of the query's gradient may have (64 MiB).
const PARTS: usize = 1 << 24;

/// [`by_blocks`] where it holds, else the plain body.
pub(in super::super) fn attention_backward(
    pass: AttentionPass<FlexTensor>,
    grad: FlexTensor,
    options: AttentionOptions,
) -> AttentionGradients<FlexTensor> {
    let type_of_bias = pass.bias.as_ref().map(|bias| bias.dtype());
    let pass = AttentionPass {
        bias: pass.bias.map(widened),
        ..pass
    };
    let AttentionPass {
        query, key, value, ..
    } = &pass;
    let are_f32 = [&grad, &pass.output]
        .iter()
        .all(|x| x.dtype() == DType::F32);
    let gradients = match are_f32 && are_fused([query, key, value], pass.bias.as_ref()) {
        true => by_blocks(&pass, &grad, options),
        false => plain_attention_backward::<Flex>(pass, grad, options),
    };
    let bias = gradients.bias.zip(type_of_bias);
    AttentionGradients {
        bias: bias.map(|(bias, dtype)| parameter(bias, dtype)),
        ..gradients
    }
}

/// The gradients of query, key and value lie in memory as their tensors do where those are [batch, rows, heads, columns].
fn by_blocks(
    pass: &AttentionPass<FlexTensor>,
    grad: &FlexTensor,
    options: AttentionOptions,
) -> AttentionGradients<FlexTensor> {
    let AttentionPass {
        query,
        key,
        value,
        bias,
        bias_is_learned,
        output,
    } = pass;
    let shapes = [query, key, value].map(|x| x.shape().dims::<4>());
    let [[batch, heads, n, d], [_, _, m, _], _] = shapes;
    let shape_of_bias = bias.as_ref().filter(|_| *bias_is_learned);
    let shape_of_bias = shape_of_bias.map(|bias| bias.shape().dims::<4>());
    let [query, key, value, output, grad] = [query, key, value, output, grad].map(readable);
    let bias = bias
        .as_ref()
        .map(|bias| broadcast(bias, [batch, heads, n, m]));
    let heads_of = |x| Heads::of(x).unwrap_or_else(|| unreachable!("made readable"));
    let job = Backward {
        pass: Attention {
            query: heads_of(&query),
            key: heads_of(&key),
            value: heads_of(&value),
            bias: bias.as_ref().map(heads_of),
            keys: m,
            scale: options.scale as f32,
        },
        output: heads_of(&output),
        grad: heads_of(&grad),
        queries: n,
        at_once: [
            n.div_ceil(n.div_ceil(QUERIES)),
            m.div_ceil(m.div_ceil(KEYS)),
        ],
    };
    let units = Units::new([batch, heads], shape_of_bias);
    let groups = Groups::new(&job, units.count(), batch * heads * n * d);
    let rows = job.rows(batch, heads);

    // 1. Memory. One task writes each gradient of a key and of a value. Each group of keys adds to the gradients of all
    // queries, so each has a part of its own; so has it of a bias that is one for all keys.
    let places = [job.pass.query, job.pass.key, job.pass.value];
    let places = [0, 1, 2].map(|i| Place::like(&places[i], shapes[i]));
    let sizes = shapes.map(|shape| shape.iter().product::<usize>());
    let mut buffers = [groups.count * sizes[0], sizes[1], sizes[2]].map(Buffer::new);
    let of_bias = shape_of_bias.map(|shape| BiasPlace::new(shape, groups.count));
    let mut bias_parts = Buffer::new(of_bias.as_ref().map_or(0, BiasPlace::len));
    bias_parts.fill(0.0);

    // 2. The tasks.
    {
        let [query, key, value] = buffers.each_mut().map(|buffer| Shared::new(buffer));
        let bias = Shared::new(&mut bias_parts);
        (0..units.count() * groups.count)
            .into_par_iter()
            .for_each(|task| {
                let (unit, group) = (task / groups.count, task % groups.count);
                let keys = groups.keys(group, m);
                // SAFETY: a task alone has these keys of this bias, or this part of its gradient.
                let mut of_bias = of_bias
                    .as_ref()
                    .map(|place| unsafe { place.block(&bias, unit, group, keys.clone()) });
                for head in units.heads(unit) {
                    let rows = &rows[(head[0] * heads + head[1]) * n * 3..][..n * 3];
                    let first = group * sizes[0] + places[0].of(head, 0);
                    // SAFETY: a task alone has this part of the query's gradient of this head.
                    let of_query = unsafe { query.block(first, places[0].of_row, [n, d]) };
                    // SAFETY: a task alone has these keys of this head.
                    let (of_key, of_value) = unsafe {
                        (
                            rows_of_head(&key, places[1], head, &keys),
                            rows_of_head(&value, places[2], head, &keys),
                        )
                    };
                    let targets = Targets {
                        query: of_query,
                        key: of_key,
                        value: of_value,
                    };
                    job.keys(head, keys.clone(), rows, targets, of_bias.as_mut());
                }
            });
    }

    // 3. The sums of the parts.
    let [parts, key, value] = buffers;
    AttentionGradients {
        query: places[0].tensor(summed(parts, groups.count)),
        key: places[1].tensor(key),
        value: places[2].tensor(value),
        bias: of_bias.map(|place| image(summed(bias_parts, place.parts), place.shape)),
    }
}

/// Some rows of a head.
///
/// # Safety
/// No other block that exists at the same time has one of these rows.
unsafe fn rows_of_head<'a>(
    shared: &'a Shared<'_>,
    place: Place,
    head: [usize; 2],
    rows: &Range<usize>,
) -> Target<'a> {
    let size = [rows.len(), place.shape[3]];
    // SAFETY: as the caller promises.
    unsafe { shared.block(place.of(head, rows.start), place.of_row, size) }
}

struct Backward<'a> {
    pass: Attention<'a>,
    output: Heads<'a>,
    grad: Heads<'a>,
    queries: usize,
    /// Queries and keys of a block.
    at_once: [usize; 2],
}

/// Where a task writes: the gradients of all queries of a head, of some keys, and of their values.
struct Targets<'a> {
    query: Target<'a>,
    key: Target<'a>,
    value: Target<'a>,
}

impl Backward<'_> {
    /// Three lists for each head and block of queries, with a number for each query: the greatest score (0 where all
    /// are −∞), the reciprocal of the sum of the exponentials, and `Σ dO∘O`.
    fn rows(&self, batch: usize, heads: usize) -> Buffer {
        let (n, [at_once, _]) = (self.queries, self.at_once);
        let mut rows = Buffer::new(batch * heads * n * 3);
        rows.par_chunks_mut(3 * n)
            .enumerate()
            .for_each(|(number, rows)| {
                let head = [number / heads, number % heads];
                let blocks = rows.par_chunks_mut(3 * at_once).enumerate();
                blocks.for_each(|(block, rows)| self.rows_of_block(head, block * at_once, rows));
            });
        rows
    }

    fn rows_of_block(&self, head: [usize; 2], first: usize, rows: &mut [f32]) {
        let queries = rows.len() / 3;
        let (tops, rest) = rows.split_at_mut(queries);
        let (totals, dots) = rest.split_at_mut(queries);
        tops.fill(f32::NEG_INFINITY);
        totals.fill(0.0);
        let [_, at_once] = self.at_once;
        scratch::with(queries * at_once, |scores| {
            for from in (0..self.pass.keys).step_by(at_once) {
                let keys = at_once.min(self.pass.keys - from);
                let scores = &mut scores[..queries * keys];
                let scale = self.scores((head, first, from), [queries, keys], scores);
                weigh(scores, keys, scale, tops, totals, |_, _| {});
            }
        });
        for (top, total) in tops.iter_mut().zip(totals) {
            // As in the forward pass, a row of −∞ has no weights: 0/0.
            *top = if *top == f32::NEG_INFINITY { 0.0 } else { *top };
            *total = 1.0 / *total;
        }
        let (grad, output) = (self.grad.rows(head, first), self.output.rows(head, first));
        let steps = [self.grad.steps[2], self.output.steps[2]];
        dots_of_rows(dots, grad, output, steps, self.grad.columns);
    }

    /// Writes the scores of some queries and keys of a head with the bias, and yields the scale that they still lack.
    fn scores(
        &self,
        (head, first, from): ([usize; 2], usize, usize),
        [queries, keys]: [usize; 2],
        scores: &mut [f32],
    ) -> f32 {
        let query = self.pass.query.matrix(head, first, queries);
        let key = self.pass.key.matrix(head, from, keys).transposed();
        product(scores, query, key, Into::Overwrite);
        self.pass
            .with_bias((head, first, from), [keys, keys], scores)
    }

    /// Writes the gradients of some keys of a head and of their values. Adds the terms of these keys to the gradients
    /// of the queries and of the bias.
    fn keys(
        &self,
        head: [usize; 2],
        range: Range<usize>,
        rows: &[f32],
        mut to: Targets<'_>,
        mut bias: Option<&mut BiasBlock<'_>>,
    ) {
        let [queries_at_once, keys_at_once] = self.at_once;
        // The scale of the scores belongs to the gradients of queries and keys, not to that of the bias.
        let scale = self.pass.scale;
        let factor = if bias.is_some() { 1.0 } else { scale };
        let sizes = [queries_at_once * keys_at_once; 2];
        scratch::with_pieces(sizes, |[weights, slopes]| {
            for from in range.clone().step_by(keys_at_once) {
                let after = from - range.start;
                let keys = keys_at_once.min(range.end - from);
                let key = self.pass.key.matrix(head, from, keys);
                let value = self.pass.value.matrix(head, from, keys);
                let mut of_key = to.key.rows(after, keys);
                let mut of_value = to.value.rows(after, keys);
                for first in (0..self.queries).step_by(queries_at_once) {
                    let queries = queries_at_once.min(self.queries - first);
                    let (weights, slopes) = (
                        &mut weights[..queries * keys],
                        &mut slopes[..queries * keys],
                    );
                    let rows = &rows[3 * first..][..3 * queries];
                    let (query, grad) = (
                        self.pass.query.matrix(head, first, queries),
                        self.grad.matrix(head, first, queries),
                    );
                    // 1. The weights P, and ∂v += Pᵀ·dO.
                    let place = (head, first, from);
                    let remaining = self.scores(place, [queries, keys], weights);
                    weigh_again(weights, keys, remaining, rows);
                    let of_weights = Matrix::by_rows(weights, queries, keys).transposed();
                    of_value.product(&(of_weights, grad), Into::after(first));
                    // 2. dS = P∘(dO·vᵀ − Σ dO∘O), in place of dO·vᵀ.
                    product(slopes, grad, value.transposed(), Into::Overwrite);
                    slopes_of_scores(slopes, weights, keys, &rows[2 * queries..], factor);
                    if let Some(bias) = &mut bias {
                        bias.add(first, after, slopes, keys);
                        times(slopes, scale);
                    }
                    // 3. ∂k += dSᵀ·q and ∂q += dS·k, with the scale.
                    let slopes = Matrix::by_rows(slopes, queries, keys);
                    of_key.product(&(slopes.transposed(), query), Into::after(first));
                    let mut of_query = to.query.rows(first, queries);
                    of_query.product(&(slopes, key), Into::after(after));
                }
            }
        });
    }
}

/// The heads that a task goes through: one, or those that share a bias that is learned.
struct Units {
    of: [usize; 2],
    /// Items and heads of the bias.
    distinct: [usize; 2],
}

impl Units {
    fn new(of: [usize; 2], shape_of_bias: Option<[usize; 4]>) -> Self {
        let distinct = shape_of_bias.map_or(of, |[items, heads, ..]| [items, heads]);
        Self { of, distinct }
    }

    fn count(&self) -> usize {
        self.distinct.iter().product()
    }

    /// Item and head of each of unit `unit`.
    fn heads(&self, unit: usize) -> impl Iterator<Item = [usize; 2]> + use<> {
        let [_, heads] = self.distinct;
        let at = [unit / heads, unit % heads];
        let [items, heads] = [0, 1].map(|axis| match self.distinct[axis] == self.of[axis] {
            true => at[axis]..at[axis] + 1,
            false => 0..self.of[axis],
        });
        items.flat_map(move |item| heads.clone().map(move |head| [item, head]))
    }
}

/// Groups of keys, a task each.
struct Groups {
    count: usize,
    /// Keys of each but the last.
    size: usize,
}

impl Groups {
    /// Groups for [`TASKS`] tasks of all `units`: fewer where the parts of the query's gradient, of `size` values each,
    /// would take too much memory.
    fn new(job: &Backward<'_>, units: usize, size: usize) -> Self {
        let [_, at_once] = job.at_once;
        let blocks = job.pass.keys.div_ceil(at_once);
        let wanted = TASKS.div_ceil(units).min(PARTS / size).clamp(1, blocks);
        let blocks_of_each = blocks.div_ceil(wanted);
        Self {
            count: blocks.div_ceil(blocks_of_each),
            size: blocks_of_each * at_once,
        }
    }

    fn keys(&self, group: usize, keys: usize) -> Range<usize> {
        group * self.size..keys.min((group + 1) * self.size)
    }
}

/// Where the gradient of a bias is summed up. A bias that is one for all keys has a part for each group of keys.
struct BiasPlace {
    shape: [usize; 4],
    parts: usize,
}

impl BiasPlace {
    fn new(shape: [usize; 4], groups: usize) -> Self {
        let parts = if shape[3] == 1 { groups } else { 1 };
        Self { shape, parts }
    }

    fn len(&self) -> usize {
        self.parts * self.shape.iter().product::<usize>()
    }

    /// The values that a task adds to: its keys of bias `unit`, or its part.
    ///
    /// # Safety
    /// No other task has the same bias and a common key, or the same bias and group.
    unsafe fn block<'a>(
        &self,
        shared: &'a Shared<'_>,
        unit: usize,
        group: usize,
        keys: Range<usize>,
    ) -> BiasBlock<'a> {
        let [items, heads, rows, columns] = self.shape;
        let (part, column, count) = match columns {
            1 => (group % self.parts, 0, 1),
            _ => (0, keys.start, keys.len()),
        };
        let first = ((part * items * heads + unit) * rows) * columns + column;
        // SAFETY: as the caller promises.
        let values = unsafe { shared.block(first, columns, [rows, count]) };
        BiasBlock { values }
    }
}

/// Some keys of the gradient of a bias, or their sum.
struct BiasBlock<'a> {
    values: Target<'a>,
}

impl BiasBlock<'_> {
    /// Adds the gradients of scores of queries from `first` on and of `keys` keys from `after` on.
    fn add(&mut self, first: usize, after: usize, slopes: &[f32], keys: usize) {
        let [rows, columns] = self.values.size();
        for (number, slopes) in slopes.chunks(keys).enumerate() {
            let row = if rows == 1 { 0 } else { first + number };
            let row = self.values.row(row);
            match columns {
                1 => row[0] += slopes.iter().sum::<f32>(),
                _ => add(&mut row[after..][..keys], slopes),
            }
        }
    }
}

/// The sum of `parts` parts that lie one after the other.
fn summed(values: Buffer, parts: usize) -> Buffer {
    const BLOCK: usize = 1 << 14;
    if parts == 1 {
        return values;
    }
    let size = values.len() / parts;
    let mut sum = Buffer::new(size);
    sum.par_chunks_mut(BLOCK)
        .enumerate()
        .for_each(|(block, sum)| {
            let part = |part: usize| &values[part * size + block * BLOCK..][..sum.len()];
            let first = part(0);
            let others: Vec<_> = (1..parts).map(part).collect();
            sum.copy_from_slice(first);
            for part in others {
                add(sum, part);
            }
        });
    sum
}

vectorised! {
    fn add(to: &mut [f32], values: &[f32]) {
        to.iter_mut().zip(values).for_each(|(to, value)| *to += value);
    }
}

vectorised! {
    /// Scores to `e^(score·scale − top)·share`, with the lists of tops and shares in `rows`.
    fn weigh_again(scores: &mut [f32], keys: usize, scale: f32, rows: &[f32]) {
        let (tops, shares) = rows.split_at(rows.len() / 3);
        let rows = scores.chunks_mut(keys).zip(tops).zip(shares);
        for ((row, top), share) in rows {
            for score in row {
                *score = exp_below_zero::<FUSED>(fused::<FUSED>(*score, scale, -top)) * share;
            }
        }
    }
}

vectorised! {
    /// Gradients of weights to gradients of scores times `factor`: `weight·(gradient − dot)·factor`.
    fn slopes_of_scores(
        slopes: &mut [f32],
        weights: &[f32],
        keys: usize,
        dots: &[f32],
        factor: f32,
    ) {
        let rows = slopes.chunks_mut(keys).zip(weights.chunks(keys));
        for ((slopes, weights), dot) in rows.zip(dots) {
            for (slope, weight) in slopes.iter_mut().zip(weights) {
                *slope = (weight * factor) * (*slope - dot);
            }
        }
    }
}

vectorised! {
    /// The dot product of each row of `a` with that of `b`; their rows are `steps` apart.
    fn dots_of_rows(dots: &mut [f32], a: &[f32], b: &[f32], steps: [usize; 2], columns: usize) {
        for (row, dot) in dots.iter_mut().enumerate() {
            let a = &a[row * steps[0]..][..columns];
            let b = &b[row * steps[1]..][..columns];
            [*dot] = lane_sum(columns, |i| [a[i] * b[i]]);
        }
    }
}
