//! Outputs of twice the height and width of their input, in bf16 on tiles: a convolution of the
//! input for each parity of an output's row and column.

#![allow(unsafe_code)] // Tasks write outputs that lie side by side.

use std::ops::Range;

use burn_std::bf16;
use rayon::prelude::*;

use super::{
    super::{
        prepared::{Key, Packed},
        product::{Into, Target, product_by_distant_rows},
        scratch,
        words::Pieces,
    },
    channels_last::Layout,
    finish::{Finish, FinishOfChannels},
    interleaved::put_together,
    pixel_images::PixelImages,
    pixel_target::{LinePart, Outputs},
    pixels::Tasks,
    shape::Shape,
};

/// Row and column of an output, modulo 2.
pub(super) type Parity = [usize; 2];

pub(super) const PARITIES: [Parity; 4] = [[0, 0], [0, 1], [1, 0], [1, 1]];

/// The convolutions of the parities.
pub(super) struct Phases {
    /// The sizes of each convolution, of stride 1; `out` is half the height and width of the output.
    pub(super) s: Shape,
    /// For each axis and parity, the first row or column that the first output reads, counted with the
    /// padding.
    pub(super) firsts: [[usize; 2]; 2],
}

impl Phases {
    /// Packs the weights of all parities, one after the other. `write` writes the weights
    /// [outputs, in, taps] of a range of outputs. `name` and `sizes` identify this packing of `numbers`
    /// among prepared weights, beside the sizes of `self`.
    pub(super) fn packed(
        &self,
        numbers: &[bf16],
        (name, sizes): (&'static str, &[usize]),
        write: impl Fn(Parity, Range<usize>, &mut [bf16]) + Sync,
    ) -> Packed {
        let layout = Layout::new(&self.s);
        let panels = layout.count_panels();
        let an_output = self.s.channels_in * layout.pixels.taps();
        let pack = |to: &mut [f32]| {
            let words: &mut [u32] = bytemuck::cast_slice_mut(to);
            let parts = words.par_chunks_mut(layout.panel()).enumerate();
            parts.for_each(|(number, words)| {
                let (parity, panel) = (PARITIES[number / panels], number % panels);
                let outputs = layout.of_panel(panel);
                scratch::with_numbers(outputs.len() * an_output, |numbers| {
                    write(parity, outputs, numbers);
                    layout.pack_numbers(numbers, panel, words);
                });
            });
        };
        let key = || {
            let channels = [self.s.channels_out, self.s.channels_in];
            let own = channels.iter().chain(&self.s.kernel);
            Key::new(name, own.chain(sizes).copied())
        };
        let words = PARITIES.len() * panels * layout.panel();
        Packed::of(numbers, key, words, pack)
    }

    /// Computes the outputs of images that are laid out.
    pub(super) fn forward(
        &self,
        x: &PixelImages,
        packed: &Packed,
        finish: Finish<'_>,
        out: Outputs<'_>,
    ) {
        let layout = Layout::new(&self.s);
        let pixels = x.read_by(&self.s);
        let job = Job {
            phases: self,
            layout: &layout,
            pixels,
            starts: layout.starts(),
            words: packed.numbers(),
            finish,
            out,
        };
        let (blocks, panels) = (layout.pixels.blocks(), 0..layout.count_panels());
        match Tasks::of_images(size_of_val(pixels)) {
            Tasks::Panels => panels.into_par_iter().for_each(|panel| {
                blocks.clone().for_each(|block| job.outputs(block, panel));
            }),
            Tasks::Blocks => blocks.into_par_iter().for_each(|block| {
                panels.clone().for_each(|panel| job.outputs(block, panel));
            }),
        }
    }
}

struct Job<'a> {
    phases: &'a Phases,
    layout: &'a Layout<'a>,
    pixels: &'a [bf16],
    starts: Vec<usize>,
    words: &'a [u32],
    finish: Finish<'a>,
    out: Outputs<'a>,
}

impl Job<'_> {
    /// The outputs of a panel for the lines of a block of a parity.
    fn outputs(&self, block: usize, panel: usize) {
        let Layout { s, pixels, .. } = *self.layout;
        let (item, lines) = pixels.block(block);
        let (columns, width) = (self.layout.of_panel(panel).len(), s.out[1]);
        let [line, rows] = pixels.rows(lines.len());
        let finish = self.finish.of_channels(&self.layout.of_panel(panel));
        let sizes = [
            rows * columns,
            rows * columns,
            width * columns,
            width * columns,
        ];
        scratch::with_pieces(sizes, |[even, odd, of_even, of_odd]| {
            for down in [0, 1] {
                self.products([item, lines.start], [down, 0], panel, even);
                self.products([item, lines.start], [down, 1], panel, odd);
                for (number, row) in lines.clone().enumerate() {
                    let products =
                        number * line * columns..number * line * columns + width * columns;
                    let (even, odd) = (&mut even[products.clone()], &mut odd[products]);
                    if let Outputs::Planes(_) = self.out {
                        for (products, turned) in [(even, &mut *of_even), (odd, &mut *of_odd)] {
                            let mut turned = Target::of(turned, width, [columns, width]);
                            turned.turn_from(0, products, columns, [width, columns]);
                        }
                        self.write_planes([item, 2 * row + down], panel, of_even, of_odd);
                    } else {
                        self.write_pixels([item, 2 * row + down], [even, odd], &finish);
                    }
                }
            }
        });
    }

    /// The products of a parity from a line of outputs on: as many as `to` holds.
    fn products(&self, [item, line]: [usize; 2], parity: Parity, panel: usize, to: &mut [f32]) {
        let pixels = &self.layout.pixels;
        let number = (2 * parity[0] + parity[1]) * self.layout.count_panels() + panel;
        let words = &self.words[number * self.layout.panel()..];
        let panels = self.layout.panels(panel, words);
        let columns = self.layout.of_panel(panel).len();
        let image = &self.pixels[item * pixels.image()..][..pixels.image()];
        let [down, across] = self.phases.firsts;
        let first = (line + down[parity[0]]) * pixels.size[1] + across[parity[1]];
        let rows = to.len() / columns;
        let seen = Pieces::new(
            &image[first * pixels.step..],
            rows,
            pixels.step,
            &self.starts,
        );
        product_by_distant_rows(to, columns, &(seen, panels), Into::Overwrite);
    }

    /// Writes a line of outputs, of which every second is in `even` and the others in `odd`, channel by channel.
    fn write_planes(&self, [item, line]: [usize; 2], panel: usize, even: &[f32], odd: &[f32]) {
        let Outputs::Planes(out) = &self.out else {
            return;
        };
        let s = self.layout.s;
        let (outputs, [height, width]) = (self.layout.of_panel(panel), s.out);
        let plane = 4 * height * width;
        let first = (item * s.channels_out + outputs.start) * plane + line * 2 * width;
        // SAFETY: the lines of a panel's outputs are in one task, which one thread has.
        let mut target = unsafe { out.block(first, plane, [outputs.len(), 2 * width]) };
        let sources = even.chunks(width).zip(odd.chunks(width));
        for ((row, channel), (even, odd)) in outputs.enumerate().zip(sources) {
            put_together(even, odd, target.row(row));
            self.finish.channel(channel, target.row(row));
        }
    }

    /// The same for outputs that lie pixel by pixel.
    fn write_pixels(
        &self,
        [item, row]: [usize; 2],
        products: [&mut [f32]; 2],
        finish: &FinishOfChannels,
    ) {
        for (column, products) in products.into_iter().enumerate() {
            let part = LinePart {
                item,
                row,
                column,
                apart: 2,
            };
            // SAFETY: the lines of a panel's outputs are in one task, which one thread has.
            unsafe { self.out.write_pixels(part, products, finish) };
        }
    }
}
