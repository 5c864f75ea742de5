//! Attention with products of bf16: keys and values are rounded and packed once for each head, queries and weights by the block.
//! Scores, their softmax and all sums are f32.

use burn_std::bf16;
use rayon::prelude::*;

use super::{
    super::{
        buffers::Buffer,
        product::{Into, Target, product_by_distant_rows},
        scratch,
        words::{self, Panels, Rows},
    },
    Attention, KEYS, times,
    weights::weigh,
};

/// Queries that a thread takes at once: whole tiles of the kernels.
pub(super) const QUERIES: usize = 96;

/// The keys and values of all heads, packed block by block.
pub(super) struct Packed {
    keys: Buffer,
    values: Buffer,
    /// Keys, features of a key and of a value.
    sizes: [usize; 3],
    /// Keys of a block.
    at_once: usize,
}

impl Packed {
    pub(super) fn new(job: &Attention<'_>, batch: usize, heads: usize) -> Self {
        let (count, features, outputs) = (job.keys, job.key.columns, job.value.columns);
        let at_once = count.div_ceil(count.div_ceil(KEYS));
        let mut packed = Self {
            keys: Buffer::new(0),
            values: Buffer::new(0),
            sizes: [count, features, outputs],
            at_once,
        };
        let [of_keys, of_values] = packed.head();
        let mut keys = Buffer::new(batch * heads * of_keys);
        let mut values = Buffer::new(batch * heads * of_values);
        let words: &mut [u32] = bytemuck::cast_slice_mut(&mut keys);
        words
            .par_chunks_mut(of_keys)
            .zip(bytemuck::cast_slice_mut::<f32, u32>(&mut values).par_chunks_mut(of_values))
            .enumerate()
            .for_each(|(number, (keys, values))| {
                packed.pack(job, [number / heads, number % heads], keys, values);
            });
        (packed.keys, packed.values) = (keys, values);
        packed
    }

    /// Words of a head's keys and values.
    fn head(&self) -> [usize; 2] {
        let [count, ..] = self.sizes;
        let (whole, rest) = (count / self.at_once, count % self.at_once);
        let [keys, values] = self.words(self.at_once);
        let [last_keys, last_values] = self.words(rest);
        [whole * keys + last_keys, whole * values + last_values]
    }

    /// Words of a block of so many keys and their values.
    fn words(&self, keys: usize) -> [usize; 2] {
        let [_, features, outputs] = self.sizes;
        [
            Panels::<bf16>::words(features, keys),
            Panels::<bf16>::words(keys, outputs),
        ]
    }

    fn pack(&self, job: &Attention<'_>, head: [usize; 2], keys: &mut [u32], values: &mut [u32]) {
        let [count, features, outputs] = self.sizes;
        let [of_keys, of_values] = self.words(self.at_once);
        let blocks = keys.chunks_mut(of_keys).zip(values.chunks_mut(of_values));
        for (number, (keys, values)) in blocks.enumerate() {
            let first = number * self.at_once;
            let at_once = self.at_once.min(count - first);
            scratch::with_numbers(at_once * features, |rounded| {
                job.key.round(head, first, rounded);
                words::pack_columns(keys, rounded, features, [features, at_once]);
            });
            let (rows, step) = job.value.matrix(head, first, at_once).by_its_rows();
            words::pack_rows(values, rows, step, [at_once, outputs]);
        }
    }

    /// The keys and values of block `number` of head `head` of all, which has so many keys.
    fn block(&self, head: usize, number: usize, keys: usize) -> [Panels<'_, bf16>; 2] {
        let [_, features, outputs] = self.sizes;
        let ([of_keys, of_values], [a_block, of_block]) = (self.head(), self.words(self.at_once));
        let [keys_words, values_words] = self.words(keys);
        let words: &[u32] = bytemuck::cast_slice(&self.keys);
        let keys_words = &words[head * of_keys + number * a_block..][..keys_words];
        let words: &[u32] = bytemuck::cast_slice(&self.values);
        let values_words = &words[head * of_values + number * of_block..][..values_words];
        [
            Panels::new(keys_words, features, keys),
            Panels::new(values_words, keys, outputs),
        ]
    }

    /// The outputs of some queries of head `head` of all.
    pub(super) fn queries(
        &self,
        job: &Attention<'_>,
        [item, head, number]: [usize; 3],
        first: usize,
        queries: usize,
        mut out: Target<'_>,
    ) {
        let (at_once, features) = (self.at_once, job.query.columns);
        let steps = (
            words::spread::<f32>(at_once),
            words::spread::<bf16>(at_once),
        );
        let sizes = [queries * steps.0, queries, queries];
        scratch::with_pieces(sizes, |[scores, tops, totals]| {
            tops.fill(f32::NEG_INFINITY);
            totals.fill(0.0);
            scratch::with_numbers(queries * (features + steps.1), |memory: &mut [bf16]| {
                let (query, weights) = memory.split_at_mut(queries * features);
                job.query.round([item, head], first, query);
                let query = Rows::new(query, queries, features, features);
                for (block, from) in (0..job.keys).step_by(at_once).enumerate() {
                    let keys = at_once.min(job.keys - from);
                    let [key, value] = self.block(number, block, keys);
                    product_by_distant_rows(scores, steps.0, &(query, key), Into::Overwrite);
                    let place = ([item, head], first, from);
                    let scale = job.with_bias(place, [keys, steps.0], scores);
                    let sums = [&mut *tops, &mut *totals];
                    weigh(scores, weights, keys, steps, scale, sums, |row, factor| {
                        if from > 0 {
                            times(out.row(row), factor);
                        }
                    });
                    let weights = Rows::new(weights, queries, keys, steps.1);
                    out.product(&(weights, value), Into::after(from));
                }
            });
            for (row, total) in totals.iter().enumerate() {
                times(out.row(row), 1.0 / total);
            }
        });
    }
}
