//! Correlations by blocks of matrix products, on every thread.
//!
//! Blocks depend on the sizes alone, so that results do not depend on the number of threads.

#![allow(unsafe_code)] // Blocks write their outputs side by side.

use std::{any::type_name, ops::Range, sync::Arc};

use rayon::prelude::*;

use super::{
    super::{
        buffers::Buffer,
        features::vectorised,
        half::Values,
        prepared::{self, Form, Key},
        product::{Into, Matrix, product_by_distant_rows},
        scratch,
    },
    correlation::Correlation,
    finish::Finish,
    gather::Source,
    method::{Block, Method},
    outputs::{Outputs, Places},
    tiles::Tiles,
};

/// Output channels whose products a thread holds at once.
const GROUP: usize = 128;
/// Groups of output channels where their weights need not be made: enough for the threads of one machine.
const TASKS: usize = 8;
/// Weights that a thread holds at once where it makes them for a group of output channels (2 MiB).
const WEIGHTS: usize = 1 << 19;
/// Input channels whose columns a thread makes at once where all threads make them.
const INPUTS: usize = 16;
/// Parts of the sum of a weight gradient, each with an accumulator of its own.
const PARTS: usize = 8;
/// Values of all those accumulators together (128 MiB).
const ACCUMULATED: usize = 1 << 25;

/// Writes the outputs of a correlation, all of which its lattices cover, to `out`.
pub(super) fn forward<M: Method>(
    c: &Correlation,
    x: &[f32],
    weight: Values<'_>,
    finish: Finish<'_>,
    out: &mut [f32],
) {
    let tiles = Tiles::new(c, M::OUT);
    let mut job = Forward::<M> {
        c,
        x: Source::inputs(c, x),
        weight,
        prepared: None,
        finish,
        out: Outputs::new(out, c.target, c.target_step),
        tiles: &tiles,
        method: std::marker::PhantomData,
    };
    job.prepared = job.prepared();
    if M::rows(c) == 0 {
        job.of_nothing();
    } else if has_few_tiles(c, &tiles) {
        job.by_channels();
    } else {
        job.by_tiles();
    }
}

/// Whether the weights outweigh the columns: then it is them that threads share out.
fn has_few_tiles(c: &Correlation, tiles: &Tiles) -> bool {
    tiles.count() <= c.target.channels
}

struct Forward<'a, M> {
    c: &'a Correlation,
    x: Source<'a>,
    weight: Values<'a>,
    /// The weights in the form of the products, where the layer's are prepared.
    prepared: Option<Arc<Form>>,
    finish: Finish<'a>,
    out: Outputs<'a>,
    tiles: &'a Tiles,
    method: std::marker::PhantomData<M>,
}

impl<M: Method> Forward<'_, M> {
    /// Blocks of tiles on every thread; the weights of all channels are made before.
    fn by_tiles(&self) {
        let rows = M::rows(self.c);
        let made;
        let weights = match self.weights_in_place() {
            Some(weights) => weights,
            None => {
                let mut weights = Buffer::new(self.all_weights());
                self.write_all_weights(&mut weights);
                made = weights;
                &made[..]
            }
        };
        let blocks = self.tiles.blocks(M::block(self.c));
        blocks.into_par_iter().for_each(|range| {
            let block = Block::new(self.tiles, range);
            if let Some(columns) = M::columns_in_place(self.c, &self.x, &block) {
                let weights = Matrix::by_rows(weights, self.c.target.channels, rows);
                // SAFETY: a pixel is in one block, and a thread has it for itself.
                return unsafe {
                    let first = block.range.start;
                    self.out
                        .write_product(first, &(weights, columns), &self.finish)
                };
            }
            let row = M::row(block.len());
            scratch::with(rows * row, |columns| {
                M::columns(self.c, &self.x, 0..self.c.inputs(), &block, columns);
                let columns = |point: usize| {
                    let from = &columns[point * block.len()..];
                    Matrix::by_distant_rows(from, rows, block.len(), row)
                };
                let places = self.out.places(&block, M::OUT);
                self.products(&block, &places, columns, weights, 0);
            });
        });
    }

    /// Groups of output channels on every thread; the columns of all tiles are made before, the weights of a group by its thread.
    fn by_channels(&self) {
        let (rows, row) = (M::rows(self.c), M::row(self.tiles.count()));
        let block = Block::new(self.tiles, 0..self.tiles.count());
        let columns = columns_of::<M>(self.c, &self.x, &block);
        let columns = |point: usize| {
            let from = &columns[point * block.len()..];
            Matrix::by_distant_rows(from, rows, block.len(), row)
        };
        let places = self.out.places(&block, M::OUT);
        let an_output = M::POINTS * rows;
        let in_place = self.weights_in_place();
        let group = match in_place {
            Some(_) => (self.c.target.channels / TASKS).clamp(8, GROUP) / 8 * 8,
            None => group::<M>(self.c),
        };
        groups(self.c.target.channels, group).for_each(|outputs| {
            if let Some(weights) = in_place {
                let first = outputs.start;
                let weights = &weights[first * an_output..outputs.end * an_output];
                return self.products(&block, &places, columns, weights, first);
            }
            scratch::with(outputs.len() * an_output, |weights| {
                self.write_weights(outputs.clone(), weights);
                self.products(&block, &places, columns, weights, outputs.start);
            });
        });
    }

    /// The outputs that no tap reaches.
    fn of_nothing(&self) {
        for range in self.tiles.blocks(M::block(self.c)) {
            let block = Block::new(self.tiles, range);
            let places = self.out.places(&block, M::OUT);
            scratch::with(M::row(block.len()), |products| {
                for channel in 0..self.c.target.channels {
                    products.fill(0.0);
                    self.finish(block.len(), &places, channel, products);
                }
            });
        }
    }

    /// Values of the weights of all output channels [outputs, points, rows].
    fn all_weights(&self) -> usize {
        self.c.target.channels * M::POINTS * M::rows(self.c)
    }

    fn write_all_weights(&self, to: &mut [f32]) {
        let group = group::<M>(self.c);
        to.par_chunks_mut(group * M::POINTS * M::rows(self.c))
            .zip(groups(self.c.target.channels, group))
            .for_each(|(to, outputs)| self.write_weights(outputs, to));
    }

    /// The weights of a prepared layer, where they do not lie in this form anyway.
    fn prepared(&self) -> Option<Arc<Form>> {
        let weight = self.weight.in_place()?;
        if M::rows(self.c) == 0 || M::weights_in_place(self.c, weight).is_some() {
            return None;
        }
        let key = || Key::of_signed(type_name::<M>(), self.c.places_of_weights());
        prepared::form(weight, key, self.all_weights(), |form| {
            self.write_all_weights(form)
        })
    }

    /// The weights where they need not be made.
    fn weights_in_place(&self) -> Option<&[f32]> {
        match &self.prepared {
            Some(form) => Some(form),
            None => M::weights_in_place(self.c, self.weight.in_place()?),
        }
    }

    /// Writes the weights of some output channels; those of half precision are widened for these channels alone.
    fn write_weights(&self, outputs: Range<usize>, to: &mut [f32]) {
        let an_output = self.c.kernel.output;
        if an_output * self.c.target.channels != self.weight.len() {
            // Those of an output do not lie together.
            return self
                .weight
                .with(|weight| M::weights(self.c, weight, outputs, to));
        }
        let of_outputs = outputs.start * an_output..outputs.end * an_output;
        let part = self.weight.part(of_outputs);
        if self.c.has_plain_kernel() && part.len() == to.len() {
            return part.widen(to);
        }
        part.with(|weight| M::weights(self.c, weight, 0..outputs.len(), to));
    }

    /// The outputs of a block for the output channels from `first` on whose weights these are.
    fn products<'b>(
        &self,
        block: &Block<'_>,
        places: &Places,
        columns: impl Fn(usize) -> Matrix<'b>,
        weights: &[f32],
        first: usize,
    ) {
        let rows = M::rows(self.c);
        let (an_output, row) = (M::POINTS * rows, M::row(block.len()));
        for (group, weights) in weights.chunks(GROUP * an_output).enumerate() {
            let (first, outputs) = (first + group * GROUP, weights.len() / an_output);
            scratch::with(outputs * row, |products| {
                for point in 0..M::POINTS {
                    let weights = &weights[point * rows..];
                    product_by_distant_rows(
                        &mut products[point * block.len()..],
                        row,
                        &(
                            Matrix::by_distant_rows(weights, outputs, rows, an_output),
                            columns(point),
                        ),
                        Into::Overwrite,
                    );
                }
                for (place, products) in products.chunks_mut(row).enumerate() {
                    self.finish(block.len(), places, first + place, products);
                }
            });
        }
    }

    fn finish(&self, tiles: usize, places: &Places, channel: usize, products: &mut [f32]) {
        M::outputs(products, tiles, |values| {
            self.finish.channel(channel, values);
            // SAFETY: a tile is in one block and a channel in one group, and a thread has them for itself.
            unsafe { self.out.write(channel, places, values) };
        });
    }
}

/// The columns of all channels, by every thread.
fn columns_of<M: Method>(c: &Correlation, x: &Source<'_>, block: &Block<'_>) -> Buffer {
    let row = M::row(block.len());
    let mut columns = Buffer::new(M::rows(c) * row);
    let a_group = INPUTS * M::rows_a_channel(c) * row;
    columns
        .par_chunks_mut(a_group)
        .zip(groups(c.inputs(), INPUTS))
        .for_each(|(to, inputs)| M::columns(c, x, inputs, block, to));
    columns
}

/// Output channels that a thread takes at once where it makes their weights.
fn group<M: Method>(c: &Correlation) -> usize {
    (WEIGHTS / (M::POINTS * M::rows(c))).clamp(8, 64) / 8 * 8
}

/// Ranges of `group` channels, on every thread.
fn groups(channels: usize, group: usize) -> impl IndexedParallelIterator<Item = Range<usize>> {
    (0..channels.div_ceil(group))
        .into_par_iter()
        .map(move |g| g * group..((g + 1) * group).min(channels))
}

/// ∂weight of a convolution, `out` being [out, in, kh, kw].
pub(super) fn weight_gradient<M: Method>(
    c: &Correlation,
    x: &[f32],
    grad: &[f32],
    out: &mut [f32],
) {
    let tiles = Tiles::new(c, M::OUT);
    let job = Gradient::<M>::new(c, x, grad, &tiles);
    let weights = c.target.channels * M::POINTS * M::rows(c);
    if has_few_tiles(c, &tiles) || 2 * weights > ACCUMULATED {
        job.by_channels(ACCUMULATED, out);
    } else {
        job.by_tiles(out);
    }
}

/// [`weight_gradient`] by groups of output channels, with at most so many values of columns at once.
#[cfg(test)]
pub(super) fn gradient_by_channels<M: Method>(
    c: &Correlation,
    x: &[f32],
    grad: &[f32],
    at_once: usize,
    out: &mut [f32],
) {
    let tiles = Tiles::new(c, M::OUT);
    let job = Gradient::<M>::new(c, x, grad, &tiles);
    job.by_channels(at_once, out);
}

struct Gradient<'a, M> {
    c: &'a Correlation,
    x: Source<'a>,
    grad: Source<'a>,
    tiles: &'a Tiles,
    method: std::marker::PhantomData<M>,
}

impl<'a, M: Method> Gradient<'a, M> {
    fn new(c: &'a Correlation, x: &'a [f32], grad: &'a [f32], tiles: &'a Tiles) -> Self {
        Self {
            c,
            x: Source::inputs(c, x),
            grad: Source::outputs(c, grad),
            tiles,
            method: std::marker::PhantomData,
        }
    }

    /// Parts of the tiles on every thread, each with a sum of its own; they are added up in order.
    fn by_tiles(&self, out: &mut [f32]) {
        let (rows, channels) = (M::rows(self.c), self.c.target.channels);
        let an_output = M::POINTS * rows;
        let blocks = self.tiles.blocks(M::block(self.c));
        let parts = PARTS.min(ACCUMULATED / (channels * an_output)).max(1);
        let sums: Vec<Buffer> = blocks
            .par_chunks(blocks.len().div_ceil(parts).max(1))
            .map(|blocks| {
                let mut sum = Buffer::new(channels * an_output);
                for (place, range) in blocks.iter().enumerate() {
                    let block = Block::new(self.tiles, range.clone());
                    let row = M::row(block.len());
                    scratch::with(rows * row, |columns| {
                        M::columns(self.c, &self.x, 0..self.c.inputs(), &block, columns);
                        let into = if place == 0 {
                            Into::Overwrite
                        } else {
                            Into::Add
                        };
                        self.products(&block, columns, 0..channels, &mut sum, into);
                    });
                }
                sum
            })
            .collect();
        let Some((first, others)) = sums.split_first() else {
            return out.fill(0.0);
        };
        out.par_chunks_mut(out.len() / channels)
            .enumerate()
            .for_each(|(output, out)| {
                scratch::with(an_output, |total| {
                    let of_output = output * an_output..(output + 1) * an_output;
                    total.copy_from_slice(&first[of_output.clone()]);
                    for sum in others {
                        add(total, &sum[of_output.clone()]);
                    }
                    M::weight_gradients(self.c, total, out);
                });
            });
    }

    /// Groups of output channels on every thread; the columns of all tiles, or of as many as fit into `at_once` values, are made before.
    fn by_channels(&self, at_once: usize, out: &mut [f32]) {
        let an_output = M::POINTS * M::rows(self.c);
        let a_channel = out.len() / self.c.target.channels;
        let group = group::<M>(self.c);
        let blocks = self.tiles.blocks((at_once / an_output).max(1));
        let mut sums = Buffer::new(self.c.target.channels * an_output);
        for (place, range) in blocks.into_iter().enumerate() {
            let block = Block::new(self.tiles, range);
            let columns = columns_of::<M>(self.c, &self.x, &block);
            let into = if place == 0 {
                Into::Overwrite
            } else {
                Into::Add
            };
            let each = groups(self.c.target.channels, group);
            each.zip(sums.par_chunks_mut(group * an_output))
                .for_each(|(channels, sums)| self.products(&block, &columns, channels, sums, into));
        }
        out.par_chunks_mut(a_channel)
            .zip(sums.par_chunks(an_output))
            .for_each(|(out, sums)| M::weight_gradients(self.c, sums, out));
    }

    /// The sums over a block `[outputs, points, rows]` for some output channels.
    fn products(
        &self,
        block: &Block<'_>,
        columns: &[f32],
        outputs: Range<usize>,
        sums: &mut [f32],
        into: Into,
    ) {
        let (rows, row, count) = (M::rows(self.c), M::row(block.len()), block.len());
        scratch::with(outputs.len() * row, |grads| {
            M::gradients(&self.grad, outputs.clone(), block, grads);
            for point in 0..M::POINTS {
                let (grads, columns) = (&grads[point * count..], &columns[point * count..]);
                product_by_distant_rows(
                    &mut sums[point * rows..],
                    M::POINTS * rows,
                    &(
                        Matrix::by_distant_rows(grads, outputs.len(), count, row),
                        Matrix::by_distant_rows(columns, rows, count, row).transposed(),
                    ),
                    into,
                );
            }
        });
    }
}

vectorised! {
    /// Adds `values` to `total`.
    fn add(total: &mut [f32], values: &[f32]) {
        total.iter_mut().zip(values).for_each(|(total, v)| *total += v);
    }
}
