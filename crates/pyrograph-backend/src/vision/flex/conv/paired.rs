//! Correlations by their definition, as products of bf16: weights where they lie, columns rounded and packed.
//!
//! Blocks depend on the sizes alone, so that results do not depend on the number of threads.

#![allow(unsafe_code)] // Blocks write their outputs side by side.

use std::ops::Range;

use burn_std::bf16;
use rayon::prelude::*;

use super::{
    super::{
        buffers::Buffer,
        half::Values,
        product::{Into, product_by_distant_rows},
        scratch,
        words::{self, Panels, Rows, WIDE, wide},
    },
    correlation::Correlation,
    finish::Finish,
    gather::Source,
    method::{Block, Method},
    outputs::Outputs,
    tiles::Tiles,
    unfolded::Unfolded,
};

/// Words of the columns of a block that stay in a core's own cache (512 KiB).
const WORDS: usize = 1 << 17;
/// Output channels whose products a thread holds at once.
const GROUP: usize = 96;
/// Groups of output channels where columns are made before: enough for the threads of one machine.
const TASKS: usize = 16;
/// Values of columns in f32 that a thread holds at once, before they are packed (64 KiB).
const UNPACKED: usize = 1 << 14;

/// Whether the weights lie as the product takes them.
pub(super) fn holds(c: &Correlation) -> bool {
    c.has_plain_kernel()
}

/// Writes the outputs of a correlation, all of which its lattices cover, to `out`. The weights [`holds`].
pub(super) fn forward(
    c: &Correlation,
    x: &[f32],
    weight: Values<'_>,
    finish: Finish<'_>,
    out: &mut [f32],
) {
    let scales = finish.scales_of(&weight);
    let finish = Finish {
        scale: scales.as_deref().or(finish.scale),
        ..finish
    };
    let tiles = Tiles::new(c, Unfolded::OUT);
    let job = Forward {
        c,
        x: Source::inputs(c, x),
        weight,
        finish,
        out: Outputs::new(out, c.target, c.target_step),
        tiles: &tiles,
        rows: Unfolded::rows(c),
    };
    if tiles.count() <= c.target.channels {
        job.by_channels();
    } else {
        job.by_tiles();
    }
}

struct Forward<'a> {
    c: &'a Correlation,
    x: Source<'a>,
    weight: Values<'a>,
    finish: Finish<'a>,
    out: Outputs<'a>,
    tiles: &'a Tiles,
    /// Numbers that an output sees.
    rows: usize,
}

impl Forward<'_> {
    /// Blocks of tiles on every thread, each with the weights of all channels.
    fn by_tiles(&self) {
        let weight = &*self.weight.all_pairs();
        let pairs = self.rows.div_ceil(2);
        let at_once = (WORDS / pairs.max(1) / WIDE).clamp(1, 8) * WIDE;
        self.blocks(at_once).into_par_iter().for_each(|range| {
            let block = Block::new(self.tiles, range);
            scratch::with_numbers(Panels::<bf16>::words(self.rows, block.len()), |words| {
                let in_place = Unfolded::columns_in_place(self.c, &self.x, &block);
                self.pack(&block, words);
                let panels = Panels::new(words, self.rows, block.len());
                let channels = self.c.target.channels;
                if in_place.is_some() {
                    let factors = (self.rows(weight), panels);
                    // SAFETY: a pixel is in one block, and a thread has it for itself.
                    return unsafe {
                        let first = block.range.start;
                        self.out.write_product(first, &factors, &self.finish);
                    };
                }
                for first in (0..channels).step_by(GROUP) {
                    let channels = first..channels.min(first + GROUP);
                    let weight = &weight[channels.start * self.rows..channels.end * self.rows];
                    self.products(&block, panels, channels, weight);
                }
            });
        });
    }

    /// Ranges of whole panels, within an image where it has some.
    fn blocks(&self, at_once: usize) -> Vec<Range<usize>> {
        let of_all = self.tiles.count();
        let of_image = of_all / self.c.batch;
        let each = if of_image < WIDE { of_all } else { of_image };
        let parts = (0..of_all).step_by(each).flat_map(|begin| {
            let end = begin + each;
            (begin..end)
                .step_by(at_once)
                .map(move |first| first..end.min(first + at_once))
        });
        parts.collect()
    }

    /// The columns of all tiles first, then groups of output channels on every thread.
    fn by_channels(&self) {
        let (tiles, wide) = (self.tiles.count(), wide::<bf16>());
        let mut columns = Buffer::new(Panels::<bf16>::words(self.rows, tiles));
        let words: &mut [u32] = bytemuck::cast_slice_mut(&mut columns);
        words
            .par_chunks_mut(Panels::<bf16>::words(self.rows, wide).max(1))
            .enumerate()
            .for_each(|(panel, words)| {
                let first = panel * wide;
                let block = Block::new(self.tiles, first..tiles.min(first + wide));
                self.pack(&block, words);
            });
        let panels = Panels::new(words, self.rows, tiles);
        let block = Block::new(self.tiles, 0..tiles);
        let channels = self.c.target.channels;
        let group = (channels / TASKS).clamp(12, GROUP) / 12 * 12;
        (0..channels.div_ceil(group))
            .into_par_iter()
            .for_each(|number| {
                let first = number * group;
                let channels = first..channels.min(first + group);
                let of_channels = channels.start * self.rows..channels.end * self.rows;
                self.weight.part(of_channels).with_pairs(|weight| {
                    self.products(&block, panels, channels, weight);
                });
            });
    }

    /// Writes the columns of a block, some input channels at a time.
    fn pack(&self, block: &Block<'_>, words: &mut [u32]) {
        let count = block.len();
        if let Some(columns) = Unfolded::columns_in_place(self.c, &self.x, block) {
            let (values, step) = columns.by_its_rows();
            return words::pack_rows(words, values, step, [self.rows, count]);
        }
        let (a_channel, row) = (Unfolded::rows_a_channel(self.c), Unfolded::row(count));
        // An even number of channels, so that no pair is torn.
        let at_once = (UNPACKED / (a_channel * row)).max(1).next_multiple_of(2);
        let inputs = self.c.inputs();
        for first in (0..inputs).step_by(at_once) {
            let inputs = first..inputs.min(first + at_once);
            let rows = inputs.len() * a_channel;
            scratch::with(rows * row, |columns| {
                Unfolded::columns(self.c, &self.x, inputs, block, columns);
                let place = [first * a_channel, self.rows];
                words::pack_some_rows(words, place, columns, row, [rows, count]);
            });
        }
    }

    /// The weights of some output channels as rows of a product.
    fn rows<'w>(&self, weight: &'w [bf16]) -> Rows<'w, bf16> {
        let channels = weight.len() / self.rows.max(1);
        Rows::new(weight, channels, self.rows, self.rows)
    }

    /// The outputs of a block for some output channels, whose weights these are.
    fn products(
        &self,
        block: &Block<'_>,
        panels: Panels<'_, bf16>,
        channels: Range<usize>,
        weight: &[bf16],
    ) {
        let (row, count) = (Unfolded::row(block.len()), channels.len());
        let places = self.out.places(block, Unfolded::OUT);
        scratch::with(count * row, |products| {
            let factors = (self.rows(weight), panels);
            product_by_distant_rows(products, row, &factors, Into::Overwrite);
            for (channel, products) in channels.zip(products.chunks_mut(row)) {
                let values = &mut products[..block.len()];
                self.finish.channel(channel, values);
                // SAFETY: a tile is in one block and a channel in one group, and a thread has them for itself.
                unsafe { self.out.write(channel, &places, values) };
            }
        });
    }
}
