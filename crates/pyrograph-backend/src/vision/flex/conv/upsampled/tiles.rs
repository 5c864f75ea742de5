//! The convolutions of the four parities in bf16 on tiles.

#![allow(unsafe_code)] // Tasks write outputs that lie side by side.

use burn_std::bf16;
use rayon::prelude::*;

use super::{
    super::{
        super::{
            buffers::Buffer,
            half::Values,
            prepared::{Key, Packed},
            product::{Into, Shared, Target, product_by_distant_rows},
            scratch,
            words::{self, Pieces},
        },
        channels_last::{Images, Layout},
        finish::Finish,
        interleaved::put_together,
        pixels::Tasks,
        shape::Shape,
    },
    FOLDED, PARITIES, Parity, TAPS, fold,
};

/// Writes the outputs [batch, out, 2·height, 2·width] of `x` [batch, in, height, width].
pub(super) fn forward(
    s: &Shape,
    x: &[f32],
    weight: Values<'_>,
    finish: Finish<'_>,
    out: &mut [f32],
) {
    let s = Shape {
        kernel: [2, 2],
        out: s.image,
        ..*s
    };
    let layout = Layout::new(&s);
    let images = layout.pixels.images();
    let mut memory = Buffer::new(images.div_ceil(2));
    let pixels: &mut [bf16] = bytemuck::cast_slice_mut(&mut memory);
    layout.round(Images::Plain(x), &mut pixels[..images]);
    let key = || {
        let channels = [s.channels_out, s.channels_in];
        Key::new("taps of an upsampled image", channels)
    };
    let words = PARITIES.len() * layout.count_panels() * layout.panel();
    let numbers = weight.pairs().expect("weights of bf16");
    let packed = Packed::of(numbers, key, words, |to| pack(&layout, weight, to));
    let job = Job {
        layout: &layout,
        pixels,
        starts: layout.starts(),
        words: packed.numbers(),
        finish,
        out: Shared::new(out),
    };
    let (blocks, panels) = (layout.pixels.blocks(), 0..layout.count_panels());
    match Tasks::of_images(images * size_of::<bf16>()) {
        Tasks::Panels => panels.into_par_iter().for_each(|panel| {
            blocks.clone().for_each(|block| job.outputs(block, panel));
        }),
        Tasks::Blocks => blocks.into_par_iter().for_each(|block| {
            panels.clone().for_each(|panel| job.outputs(block, panel));
        }),
    }
}

/// Packs the sums of the taps for all parities, one after the other.
fn pack(layout: &Layout<'_>, weight: Values<'_>, to: &mut [f32]) {
    let panels = layout.count_panels();
    let words: &mut [u32] = bytemuck::cast_slice_mut(to);
    words
        .par_chunks_mut(layout.panel())
        .enumerate()
        .for_each(|(number, words)| {
            let (parity, panel) = (PARITIES[number / panels], number % panels);
            let outputs = layout.of_panel(panel);
            let of_output = layout.s.channels_in * TAPS;
            let part = weight.part(outputs.start * of_output..outputs.end * of_output);
            let count = outputs.len() * layout.s.channels_in;
            let sums = |weight: &[f32]| {
                scratch::with(count * FOLDED, |sums| {
                    fold(weight, parity, sums);
                    scratch::with_numbers(count * FOLDED, |numbers| {
                        words::narrow(sums, numbers);
                        layout.pack_numbers(numbers, panel, words);
                    });
                });
            };
            part.with(sums);
        });
}

struct Job<'a> {
    layout: &'a Layout<'a>,
    pixels: &'a [bf16],
    starts: Vec<usize>,
    words: &'a [u32],
    finish: Finish<'a>,
    out: Shared<'a>,
}

impl Job<'_> {
    /// The outputs of a panel for the lines of a block of the small image.
    fn outputs(&self, block: usize, panel: usize) {
        let Layout { s, pixels, .. } = *self.layout;
        let (item, lines) = pixels.block(block);
        let (columns, width) = (self.layout.of_panel(panel).len(), s.image[1]);
        let [_, rows] = pixels.rows(lines.len());
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
                for (number, line) in lines.clone().enumerate() {
                    let first = number * pixels.size[1] * columns;
                    for (products, turned) in [(&even, &mut *of_even), (&odd, &mut *of_odd)] {
                        let mut turned = Target::of(turned, width, [columns, width]);
                        turned.turn_from(0, &products[first..], columns, [width, columns]);
                    }
                    self.write([item, 2 * line + down], panel, of_even, of_odd);
                }
            }
        });
    }

    /// The products of a parity from a line of an image on: as many as `to` holds.
    fn products(&self, [item, line]: [usize; 2], parity: Parity, panel: usize, to: &mut [f32]) {
        let pixels = &self.layout.pixels;
        let number = (2 * parity[0] + parity[1]) * self.layout.count_panels() + panel;
        let words = &self.words[number * self.layout.panel()..];
        let panels = self.layout.panels(panel, words);
        let columns = self.layout.of_panel(panel).len();
        let image = &self.pixels[item * pixels.image()..][..pixels.image()];
        let first = (line + parity[0]) * pixels.size[1] + parity[1];
        let rows = to.len() / columns;
        let seen = Pieces::new(
            &image[first * pixels.step..],
            rows,
            pixels.step,
            &self.starts,
        );
        product_by_distant_rows(to, columns, &(seen, panels), Into::Overwrite);
    }

    /// Writes a line of outputs, of which every second is in `even` and the others in `odd`.
    fn write(&self, [item, line]: [usize; 2], panel: usize, even: &[f32], odd: &[f32]) {
        let s = self.layout.s;
        let (outputs, width) = (self.layout.of_panel(panel), s.image[1]);
        let plane = 4 * s.image[0] * width;
        let first = (item * s.channels_out + outputs.start) * plane + line * 2 * width;
        // SAFETY: the lines of a panel's outputs are in one task, which one thread has.
        let mut target = unsafe { self.out.block(first, plane, [outputs.len(), 2 * width]) };
        let sources = even.chunks(width).zip(odd.chunks(width));
        for ((row, channel), (even, odd)) in outputs.enumerate().zip(sources) {
            put_together(even, odd, target.row(row));
            self.finish.channel(channel, target.row(row));
        }
    }
}
