//! Convolutions with weights of bf16 or int8 on tiles, without unfolding: pixels are rounded and laid out as
//! [`Pixels`].

#![allow(unsafe_code)] // Tasks write outputs that lie side by side.

use std::{ops::Range, sync::Arc};

use burn_std::bf16;
use rayon::prelude::*;

use super::{
    super::{
        half::Values,
        prepared::{self, Form, Key, Packed},
        product::{Into, Shared, product_by_distant_rows},
        scratch,
        words::{self, PIECE, Panels, Pieces, wide},
    },
    finish::Finish,
    pixel_images::{self, Images, PixelImages},
    pixel_target::{LinePart, Outputs},
    pixels::{LEAST_CHANNELS, Pixels, Tasks},
    shape::Shape,
};

/// Whether tiles are in force and a piece of a pixel's channels is not mostly zeros.
pub(super) fn pays(s: &Shape) -> bool {
    let has_taps = s.kernel != [1, 1] && !s.is_depthwise;
    has_taps && s.channels_in >= LEAST_CHANNELS && words::tiles_are_in_force()
}

/// Writes the outputs [batch, out, height, width] of `x`.
pub(super) fn forward(
    s: &Shape,
    x: Images<'_>,
    weight: Values<'_>,
    finish: Finish<'_>,
    out: &mut [f32],
) {
    let images = PixelImages::rounded(x, s.input(), s.padding);
    of_pixels(
        s,
        &images,
        weight,
        finish,
        Outputs::Planes(Shared::new(out)),
    );
}

/// The outputs of images that are laid out.
pub(super) fn of_pixels(
    s: &Shape,
    x: &PixelImages,
    weight: Values<'_>,
    finish: Finish<'_>,
    out: Outputs<'_>,
) {
    let tasks = Tasks::of_images(Layout::new(s).pixels.images() * size_of::<bf16>());
    forward_by(tasks, s, x, weight, finish, out);
}

fn forward_by(
    tasks: Tasks,
    s: &Shape,
    x: &PixelImages,
    weight: Values<'_>,
    finish: Finish<'_>,
    out: Outputs<'_>,
) {
    let layout = Layout::new(s);
    let scales = finish.scales_of(&weight);
    let finish = Finish {
        scale: scales.as_deref().or(finish.scale),
        ..finish
    };
    let job = Job {
        layout: &layout,
        pixels: x.read_by(s),
        starts: layout.starts(),
        finish,
        out,
    };
    let blocks = layout.pixels.blocks();
    if tasks == Tasks::Panels {
        let prepared = layout.prepared(weight);
        (0..layout.count_panels())
            .into_par_iter()
            .for_each(|panel| {
                let all_blocks = |weights: Panels<'_, bf16>| {
                    for block in blocks.clone() {
                        job.outputs(block, panel, weights);
                    }
                };
                match &prepared {
                    Some(form) => {
                        let words = &form.numbers()[panel * layout.panel()..];
                        all_blocks(layout.panels(panel, words));
                    }
                    None => scratch::with_numbers(layout.panel(), |words| {
                        all_blocks(layout.pack(weight, panel, words));
                    }),
                }
            });
        return;
    }
    let packed = layout.packed(weight);
    let words: &[u32] = packed.numbers();
    blocks.into_par_iter().for_each(|block| {
        for (panel, words) in words.chunks(layout.panel()).enumerate() {
            job.outputs(block, panel, layout.panels(panel, words));
        }
    });
}

/// Where pixels and weights lie.
pub(super) struct Layout<'a> {
    pub(super) s: &'a Shape,
    pub(super) pixels: Pixels<'a>,
    /// Numbers of a pixel: its channels, and zeros up to a whole number of pieces.
    pixel: usize,
}

impl<'a> Layout<'a> {
    pub(super) fn new(s: &'a Shape) -> Self {
        let channels = s.channels_in;
        Self {
            s,
            pixels: Pixels::new(s, pixel_images::step(channels)),
            pixel: pixel_images::pixel(channels),
        }
    }

    /// Numbers that an output sees, zeros included.
    fn inner(&self) -> usize {
        self.pixels.taps() * self.pixel
    }

    /// Where the pieces that an output sees begin.
    pub(super) fn starts(&self) -> Vec<usize> {
        self.pixels.starts((0..self.pixel).step_by(PIECE))
    }

    /// The outputs of a panel.
    pub(super) fn of_panel(&self, panel: usize) -> Range<usize> {
        let wide = wide::<bf16>();
        panel * wide..self.s.channels_out.min((panel + 1) * wide)
    }

    /// Words of a panel, at most.
    pub(super) fn panel(&self) -> usize {
        Panels::<bf16>::words(self.inner(), wide::<bf16>())
    }

    pub(super) fn count_panels(&self) -> usize {
        self.s.channels_out.div_ceil(wide::<bf16>())
    }

    /// All panels of a prepared weight of bf16.
    fn prepared(&self, weight: Values<'_>) -> Option<Arc<Form>> {
        let make = |form: &mut [f32]| self.pack_all(weight, form);
        prepared::form(weight.pairs()?, || self.key(), self.words(), make)
    }

    /// All panels of a weight.
    fn packed(&self, weight: Values<'_>) -> Packed {
        let numbers = weight.pairs().unwrap_or_default();
        let make = |to: &mut [f32]| self.pack_all(weight, to);
        Packed::of(numbers, || self.key(), self.words(), make)
    }

    fn key(&self) -> Key {
        let sizes = [self.s.channels_out, self.s.channels_in];
        Key::new("taps", sizes.into_iter().chain([self.pixels.taps()]))
    }

    /// Words of all panels.
    fn words(&self) -> usize {
        self.count_panels() * self.panel()
    }

    /// Packs the weights of all panels.
    fn pack_all(&self, weight: Values<'_>, memory: &mut [f32]) {
        let words: &mut [u32] = bytemuck::cast_slice_mut(memory);
        words
            .par_chunks_mut(self.panel())
            .enumerate()
            .for_each(|(panel, words)| {
                self.pack(weight, panel, words);
            });
    }

    /// The weights of a panel, which lie in the first of these words.
    pub(super) fn panels<'w>(&self, panel: usize, words: &'w [u32]) -> Panels<'w, bf16> {
        let (inner, outputs) = (self.inner(), self.of_panel(panel).len());
        let count = Panels::<bf16>::words(inner, outputs);
        Panels::new(&words[..count], inner, outputs)
    }

    /// Packs the weights [out, in, taps] of a panel.
    fn pack<'w>(&self, weight: Values<'_>, panel: usize, words: &'w mut [u32]) -> Panels<'w, bf16> {
        let (outputs, channels) = (self.of_panel(panel), self.s.channels_in);
        let taps = self.pixels.taps();
        let weight = weight.part(outputs.start * channels * taps..outputs.end * channels * taps);
        weight.with_pairs(|weight| self.pack_numbers(weight, panel, words));
        self.panels(panel, words)
    }

    /// Packs the weights [out, in, taps] of a panel, which are those of its outputs alone.
    pub(super) fn pack_numbers(&self, weight: &[bf16], panel: usize, words: &mut [u32]) {
        let outputs = self.of_panel(panel).len();
        let count = Panels::<bf16>::words(self.inner(), outputs);
        let size = [outputs, self.s.channels_in, self.pixels.taps()];
        words::pack_taps(&mut words[..count], weight, size);
    }
}

struct Job<'a> {
    layout: &'a Layout<'a>,
    pixels: &'a [bf16],
    starts: Vec<usize>,
    finish: Finish<'a>,
    out: Outputs<'a>,
}

impl Job<'_> {
    /// The outputs of a panel for the lines of a block.
    fn outputs(&self, block: usize, panel: usize, weights: Panels<'_, bf16>) {
        let Layout { s, pixels, .. } = *self.layout;
        let (item, lines) = pixels.block(block);
        let (width, [_, padded]) = (s.out[1], pixels.size);
        let outputs = self.layout.of_panel(panel);
        let columns = outputs.len();
        let [line, rows] = pixels.rows(lines.len());
        let image = &self.pixels[item * pixels.image()..][..pixels.image()];
        let first = |line: usize| &image[line * s.stride[0] * padded * pixels.step..];
        scratch::with(rows * columns, |products| {
            let write = |products: &mut [f32], from: &[bf16], rows: usize| {
                let seen = Pieces::new(from, rows, s.stride[1] * pixels.step, &self.starts);
                product_by_distant_rows(products, columns, &(seen, weights), Into::Overwrite);
            };
            match s.stride {
                [1, 1] => write(products, first(lines.start), rows),
                _ => {
                    let lines = lines.clone().zip(products.chunks_mut(width * columns));
                    lines.for_each(|(line, products)| write(products, first(line), width));
                }
            }
            // SAFETY: the lines of a panel's outputs are in one task, which one thread has.
            unsafe { self.write([item, line], &lines, &outputs, products) };
        });
    }

    /// Writes the products of some lines of an image, each `line` rows after the one before.
    ///
    /// # Safety
    /// No other thread may have these lines of these outputs meanwhile.
    unsafe fn write(
        &self,
        [item, line]: [usize; 2],
        lines: &Range<usize>,
        outputs: &Range<usize>,
        products: &mut [f32],
    ) {
        let (columns, width) = (outputs.len(), self.layout.s.out[1]);
        if let Outputs::Planes(out) = &self.out {
            // SAFETY: the caller's.
            let mut target = unsafe { self.layout.pixels.target(out, item, lines, outputs) };
            for number in 0..lines.len() {
                let from = &products[number * line * columns..];
                target.turn_from(number * width, from, columns, [width, columns]);
            }
            for (row, channel) in outputs.clone().enumerate() {
                self.finish.channel(channel, target.row(row));
            }
            return;
        }
        let finish = self.finish.of_channels(outputs);
        for (products, row) in products.chunks_mut(line * columns).zip(lines.clone()) {
            let part = LinePart {
                item,
                row,
                column: 0,
                apart: 1,
            };
            let products = &mut products[..width * columns];
            // SAFETY: the caller's.
            unsafe { self.out.write_pixels(part, products, &finish) };
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use burn_flex::FlexTensor;
    use proptest::prelude::*;

    use super::{
        super::{
            super::{
                super::{Activation, GroupNorm},
                features::multiplies_tiles,
                norms::{FoldedNorm, group_norm},
                tensors::floats,
            },
            pixel_target::PixelTarget,
            tests::{assert_close, finish, products, values},
        },
        *,
    };

    fn rounded(values: Vec<f32>) -> Vec<bf16> {
        values.into_iter().map(bf16::from_f32).collect()
    }

    /// Inputs and weights that bf16 holds exactly, so that sums differ by their order alone.
    fn assert_agrees(s: &Shape) {
        if !multiplies_tiles() {
            return;
        }
        let count = |shape: [usize; 4]| shape.iter().product::<usize>();
        let x = rounded(values(count(s.input()), 3));
        let weight = rounded(values(s.channels_out * s.taps(), 7));
        let shift = values(s.channels_out, 11);
        let mut exact = vec![0.0; count(s.output())];
        products(s, |output, input, place| {
            exact[output] += x[input].to_f64() * weight[place].to_f64();
        });
        let plane = s.out[0] * s.out[1];
        for (place, exact) in exact.iter_mut().enumerate() {
            *exact = (*exact + f64::from(shift[place / plane % s.channels_out])).max(0.0);
        }
        let x: Vec<f32> = x.into_iter().map(bf16::to_f32).collect();
        let images = PixelImages::rounded(Images::Plain(&x), s.input(), s.padding);
        for tasks in [Tasks::Panels, Tasks::Blocks] {
            let mut out = vec![f32::NAN; exact.len()];
            let finish = finish(None, Some(&shift), Activation::Relu);
            forward_by(
                tasks,
                s,
                &images,
                Values::Bf16(&weight),
                finish,
                Outputs::Planes(Shared::new(&mut out)),
            );
            assert_close(&format!("{s:?}"), &out, &exact, 2e-6);
            let mut rows = vec![f32::NAN; exact.len()];
            let target = PixelTarget::of_rows(&mut rows, s.output());
            let numbers = Values::Bf16(&weight);
            forward_by(tasks, s, &images, numbers, finish, Outputs::Rows(target));
            let mut pixels = PixelImages::new(s.output(), [1, 2]);
            let target = Outputs::Pixels(pixels.target());
            forward_by(tasks, s, &images, Values::Bf16(&weight), finish, target);
            let expected = PixelImages::rounded(Images::Plain(&out), s.output(), [1, 2]);
            assert!(pixels == expected, "{s:?}");
            for (place, value) in out.iter().enumerate() {
                let (image, pixel) = (place / plane, place % plane);
                let (item, channel) = (image / s.channels_out, image % s.channels_out);
                let row = (item * plane + pixel) * s.channels_out + channel;
                assert_eq!(rows[row].to_bits(), value.to_bits(), "{s:?}");
            }
        }
    }

    fn shape(
        [batch, channels_in, channels_out]: [usize; 3],
        image: [usize; 2],
        kernel: [usize; 2],
        [stride, padding, dilation]: [[usize; 2]; 3],
    ) -> Option<Shape> {
        let options = burn::tensor::ops::ConvOptions::new(stride, padding, dilation, 1);
        let weight = [channels_out, channels_in, kernel[0], kernel[1]];
        Shape::new([batch, channels_in, image[0], image[1]], weight, &options)
    }

    #[test]
    fn several_blocks_and_panels_agree_with_the_definition() {
        let plain = [[1, 1], [1, 1], [1, 1]];
        for (channels, side) in [([2, 32, 70], 40), ([1, 33, 16], 64), ([1, 32, 32], 32)] {
            let s = shape(channels, [side; 2], [3, 3], plain).expect("a legal shape");
            assert_agrees(&s);
        }
    }

    #[test]
    fn images_that_are_normalised_on_the_way_are_those_of_the_norm() {
        if !multiplies_tiles() {
            return;
        }
        for [batch, channels, side] in [[2, 48, 9], [1, 40, 21], [3, 24, 5]] {
            let plain = [[1, 1], [1, 1], [1, 1]];
            let s = shape([batch, channels, 20], [side, side + 1], [3, 3], plain).expect("legal");
            let weight = rounded(values(s.channels_out * s.taps(), 7));
            let tensor = |count, seed, shape: &[usize]| {
                FlexTensor::from_data(TensorData::new(values(count, seed), shape.to_vec()))
            };
            let x = tensor(s.input().iter().product(), 3, &s.input());
            let norm = GroupNorm {
                weight: tensor(channels, 5, &[channels]),
                bias: tensor(channels, 9, &[channels]),
                groups: 4,
                epsilon: 1e-5,
                act: Activation::Silu,
            };
            let folded = FoldedNorm::of_groups(&x, &norm);
            let (groups, epsilon) = (norm.groups, norm.epsilon);
            let (x, by) = (x.clone(), [norm.weight, norm.bias]);
            let normal = group_norm(x.clone(), &by[0], &by[1], groups, epsilon, norm.act);
            let run = |images: Images<'_>| {
                let mut out = vec![f32::NAN; s.output().iter().product()];
                let finish = finish(None, None, Activation::Identity);
                forward(&s, images, Values::Bf16(&weight), finish, &mut out);
                out
            };
            let fused = run(Images::Normal(floats(&x), &folded));
            assert_eq!(fused, run(Images::Plain(floats(&normal))));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn all_kinds_of_shapes_agree_with_the_definition(
            channels in [1..3_usize, 1..70_usize, 1..140_usize],
            image in [1..14_usize, 1..14_usize],
            kernel in [1..6_usize, 1..6_usize],
            steps in [[1..4_usize, 1..4], [0..3, 0..3], [1..3, 1..3]],
        ) {
            if let Some(s) = shape(channels, image, kernel, steps) {
                assert_agrees(&s);
            }
        }
    }
}
