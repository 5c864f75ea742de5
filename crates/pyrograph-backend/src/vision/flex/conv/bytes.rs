//! Convolutions with weights and pixels in int8, without unfolding: pixels are quantised and laid out as [`Pixels`].
//!
//! The pixels of an image have one scale, as the sums of an output go over several of them; those of a 1×1 convolution
//! have one each.

#![allow(unsafe_code)] // Tasks write outputs that lie side by side.

use std::ops::Range;

use rayon::prelude::*;

use super::{
    super::{
        super::Activation,
        buffers::Buffer,
        bytes::{self, Columns, DEEP, Panel, Rows, STRIP, Scale, Stores, WIDE, With},
        features::ByteProducts,
        half::Int8,
        prepared::{self, Key, Packed},
        product::Shared,
        scratch,
    },
    finish::Finish,
    pixels::{LEAST_CHANNELS, Pixels, Tasks},
    shape::Shape,
};

/// Pixels with scales of their own that a thread quantises at once: some lines of the cache of each plane.
const TOKENS: usize = 128;
/// Values of which a thread looks for the largest at once.
const AT_ONCE: usize = 1 << 16;

/// Whether a piece of a pixel's channels is not mostly zeros, and every sum fits.
pub(super) fn pays(s: &Shape) -> bool {
    s.channels_in >= LEAST_CHANNELS && bytes::INNER.contains(&(Layout::new(s).pieces() * DEEP))
}

/// Writes the outputs [batch, out, height, width] of `x` [batch, in, height, width].
pub(super) fn forward(s: &Shape, x: &[f32], weight: Int8<'_>, finish: Finish<'_>, out: &mut [f32]) {
    let tasks = Tasks::of_images(Layout::new(s).pixels.images());
    forward_by(bytes::kernel(), tasks, s, x, weight, finish, out);
}

fn forward_by(
    by: ByteProducts,
    tasks: Tasks,
    s: &Shape,
    x: &[f32],
    weight: Int8<'_>,
    finish: Finish<'_>,
    out: &mut [f32],
) {
    let layout = Layout::new(s);
    let mut memory = Buffer::new((layout.pixels.images() + layout.beyond()) / size_of::<f32>());
    let scales = layout.quantise(x, bytes::zero(by), bytemuck::cast_slice_mut(&mut memory));
    let (numbers, of_weight) = weight.parts();
    let job = Job {
        by,
        layout: &layout,
        pixels: bytemuck::cast_slice(&memory),
        scales,
        starts: layout.starts(),
        numbers,
        of_weight,
        finish,
        out: Shared::new(out),
    };
    let (blocks, bytes) = (layout.pixels.blocks(), Panel::bytes(layout.pieces()));
    let panels = s.channels_out.div_ceil(WIDE);
    let values = panels * bytes / size_of::<f32>();
    let key = || {
        let taps = layout.pixels.taps();
        let sizes = [by as usize, s.channels_out, s.channels_in, taps];
        Key::new("taps of bytes", sizes)
    };
    let make = |to: &mut [f32]| job.pack_all(to);
    if tasks == Tasks::Panels {
        let prepared = prepared::form(numbers, key, values, make);
        (0..panels).into_par_iter().for_each(|number| {
            let all_blocks = |panel: Panel<'_>| {
                for block in blocks.clone() {
                    job.outputs(block, number, panel);
                }
            };
            match &prepared {
                Some(form) => {
                    let memory = &form.numbers()[number * bytes..][..bytes];
                    all_blocks(job.panel(number, memory));
                }
                None => scratch::with_numbers(bytes, |memory| {
                    all_blocks(job.pack(number, memory));
                }),
            }
        });
        return;
    }
    let packed = Packed::of(numbers, key, values, make);
    let packed: &[u8] = packed.numbers();
    blocks.into_par_iter().for_each(|block| {
        for (number, memory) in packed.chunks(bytes).enumerate() {
            job.outputs(block, number, job.panel(number, memory));
        }
    });
}

/// Where pixels lie.
struct Layout<'a> {
    s: &'a Shape,
    pixels: Pixels<'a>,
}

impl<'a> Layout<'a> {
    fn new(s: &'a Shape) -> Self {
        Self {
            s,
            pixels: Pixels::new(s, bytes::row_step(s.channels_in)),
        }
    }

    /// Bytes after the last pixel that kernels may read.
    fn beyond(&self) -> usize {
        bytes::BEYOND * self.s.stride[1] * self.pixels.step
    }

    /// Pieces that an output sees.
    fn pieces(&self) -> usize {
        self.pixels.taps() * self.s.channels_in.div_ceil(DEEP)
    }

    /// Whether each pixel has a scale of its own: no output sees two.
    fn has_scales_of_pixels(&self) -> bool {
        self.pixels.taps() == 1 && self.s.padding == [0, 0]
    }

    /// Where the pieces that an output sees begin.
    fn starts(&self) -> Vec<usize> {
        self.pixels
            .starts(bytes::starts(self.s.channels_in).into_iter())
    }

    /// The scales of the images, by the largest value of each.
    fn scales_of_images(&self, x: &[f32]) -> Vec<Scale> {
        let of_image = |x: &[f32]| {
            let parts = x.par_chunks(AT_ONCE).map(bytes::largest);
            Scale::of(parts.max().unwrap_or_default())
        };
        let image = self.s.channels_in * self.s.image[0] * self.s.image[1];
        x.chunks(image).map(of_image).collect()
    }

    /// Writes images, line by line, with `zero` around them, and yields the scales: one for each pixel, or one for each
    /// image.
    fn quantise(&self, x: &[f32], zero: u8, to: &mut [u8]) -> Vec<f32> {
        let ([height, width], channels) = (self.s.image, self.s.channels_in);
        let (plane, pixel) = (height * width, self.pixels.step);
        let to = &mut to[..self.pixels.images()];
        if self.has_scales_of_pixels() {
            let mut scales = vec![0.0; self.s.batch * plane];
            to.par_chunks_mut(plane * pixel)
                .zip(scales.par_chunks_mut(plane))
                .zip(x.par_chunks(channels * plane))
                .for_each(|((to, scales), x)| {
                    to.par_chunks_mut(TOKENS * pixel)
                        .zip(scales.par_chunks_mut(TOKENS))
                        .enumerate()
                        .for_each(|(part, (to, scales))| {
                            let x = &x[part * TOKENS..];
                            bytes::quantise_tokens(x, plane, channels, zero, to, pixel, scales);
                        });
                });
            return scales;
        }
        let scales = self.scales_of_images(x);
        self.pixels.write_lines(to, zero, |item, row, to| {
            let from = &x[item * channels * plane + row * width..];
            scratch::with(width, |inverses| {
                inverses.fill(scales[item].inverse);
                bytes::quantise_pixels(from, plane, channels, inverses, zero, to, pixel);
            });
        });
        scales.iter().map(|scale| scale.scale).collect()
    }
}

struct Job<'a> {
    by: ByteProducts,
    layout: &'a Layout<'a>,
    pixels: &'a [u8],
    scales: Vec<f32>,
    starts: Vec<usize>,
    numbers: &'a [i8],
    /// The scales of the outputs' weights.
    of_weight: &'a [f32],
    finish: Finish<'a>,
    out: Shared<'a>,
}

impl Job<'_> {
    /// The outputs of a panel.
    fn of_panel(&self, panel: usize) -> Range<usize> {
        panel * WIDE..self.layout.s.channels_out.min((panel + 1) * WIDE)
    }

    /// The panel that was packed into `memory`.
    fn panel<'m>(&self, number: usize, memory: &'m [u8]) -> Panel<'m> {
        Panel::new(memory, self.of_panel(number).len(), self.layout.pieces())
    }

    /// Packs the weights of all panels.
    fn pack_all(&self, memory: &mut [f32]) {
        let packed: &mut [u8] = bytemuck::cast_slice_mut(memory);
        packed
            .par_chunks_mut(Panel::bytes(self.layout.pieces()))
            .enumerate()
            .for_each(|(number, memory)| {
                self.pack(number, memory);
            });
    }

    /// Packs the weights [out, in, taps] of a panel.
    fn pack<'m>(&self, panel: usize, memory: &'m mut [u8]) -> Panel<'m> {
        let (outputs, channels, taps) = (
            self.of_panel(panel),
            self.layout.s.channels_in,
            self.layout.pixels.taps(),
        );
        let weight = &self.numbers[outputs.start * channels * taps..outputs.end * channels * taps];
        Panel::pack_taps(self.by, memory, weight, [outputs.len(), channels, taps])
    }

    /// The scale and the shift of a panel's outputs.
    fn columns(&self, outputs: &Range<usize>) -> Columns {
        let both = |output: usize| {
            let (scale, shift) = self.finish.of(output);
            (scale * self.of_weight[output], shift)
        };
        let (scales, shifts): (Vec<f32>, Vec<f32>) = outputs.clone().map(both).unzip();
        Columns::new(&scales, Some(&shifts))
    }

    /// The outputs of a panel for the lines of a block.
    fn outputs(&self, block: usize, number: usize, panel: Panel<'_>) {
        let Layout { s, pixels } = *self.layout;
        let (item, lines) = pixels.block(block);
        let (width, [height, padded]) = (s.out[1], pixels.size);
        let outputs = self.of_panel(number);
        let columns = self.columns(&outputs);
        let [line, rows] = pixels.rows(lines.len());
        let image = &self.pixels[item * pixels.image()..];
        scratch::with(rows.next_multiple_of(STRIP) * WIDE, |products| {
            let all = Shared::new(products);
            let (with, stores) = (With::Nothing, Stores::Cached);
            // `rows` rows of products from the first one of a line on.
            let write = |of: usize, rows: usize| {
                let first_pixel = (lines.start + of) * s.stride[0] * padded;
                let (step, from) = (
                    s.stride[1] * pixels.step,
                    &image[first_pixel * pixels.step..],
                );
                let seen = Rows::new(from, rows, step, &self.starts);
                bytes::products(self.by, &seen, &[panel], |_, range, sums| {
                    let first = (of * line + range.start) * WIDE;
                    // SAFETY: this thread alone has these products, and no other block of them.
                    let mut to = unsafe { all.block(first, WIDE, [range.len(), WIDE]) };
                    if self.layout.has_scales_of_pixels() && s.stride == [1, 1] {
                        let first = item * height * padded + first_pixel + range.start;
                        let scales = &self.scales[first..first + range.len()];
                        return bytes::write_rows(&mut to, sums, scales, &columns, with, stores);
                    }
                    let mut scales = [0.0; STRIP];
                    for (scale, row) in scales.iter_mut().zip(range.clone()) {
                        *scale = match self.layout.has_scales_of_pixels() {
                            true => {
                                self.scales
                                    [item * height * padded + first_pixel + row * s.stride[1]]
                            }
                            false => self.scales[item],
                        };
                    }
                    bytes::write_rows(
                        &mut to,
                        sums,
                        &scales[..range.len()],
                        &columns,
                        with,
                        stores,
                    );
                });
            };
            match s.stride {
                [1, 1] => write(0, rows),
                _ => (0..lines.len()).for_each(|of| write(of, width)),
            }
            // SAFETY: the lines of a panel's outputs are in one task, which one thread has.
            let mut target = unsafe { pixels.target(&self.out, item, &lines, &outputs) };
            for number in 0..lines.len() {
                let from = &products[number * line * WIDE..];
                bytes::turn_into(&mut target, number * width, from, [width, outputs.len()]);
            }
            if self.finish.act != Activation::Identity {
                let finish = Finish {
                    scale: None,
                    shift: None,
                    act: self.finish.act,
                };
                (0..outputs.len()).for_each(|row| finish.channel(row, target.row(row)));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::ops::ConvOptions;
    use proptest::prelude::*;

    use super::{
        super::{
            super::super::Int8Products,
            tests::{assert_close, finish, products, values},
        },
        *,
    };

    /// Whole numbers up to 127, which the first channel of each pixel has, so that every scale is 1.
    fn pixels(s: &Shape) -> Vec<f32> {
        let plane = s.image[0] * s.image[1];
        let count = s.batch * s.channels_in * plane;
        let values = values(count, 3).into_iter().enumerate();
        let number = |(place, value): (usize, f32)| match place / plane % s.channels_in {
            0 => 127.0,
            _ => (value * 80.0).round_ties_even(),
        };
        values.map(number).collect()
    }

    /// Inputs that are the numbers that they become, so that sums are exact.
    fn assert_agrees(s: &Shape) {
        if !pays(s) {
            return;
        }
        let x = pixels(s);
        let weight: Vec<i8> = values(s.channels_out * s.taps(), 7)
            .into_iter()
            .map(|value| (value * 84.0) as i8)
            .collect();
        let scales: Vec<f32> = (0..s.channels_out)
            .map(|o| 1e-3 + 1e-5 * o as f32)
            .collect();
        let shift = values(s.channels_out, 11);
        let mut exact = vec![0.0; s.output().iter().product()];
        products(s, |output, input, place| {
            exact[output] += f64::from(x[input]) * f64::from(weight[place]);
        });
        let plane = s.out[0] * s.out[1];
        for (place, exact) in exact.iter_mut().enumerate() {
            let channel = place / plane % s.channels_out;
            *exact = (*exact * f64::from(scales[channel]) + f64::from(shift[channel])).max(0.0);
        }
        let weight = Int8::new(&weight, &scales, Int8Products::Activations);
        let mut first: Option<Vec<f32>> = None;
        for by in ByteProducts::all() {
            for tasks in [Tasks::Panels, Tasks::Blocks] {
                let mut out = vec![f32::NAN; exact.len()];
                let finish = finish(None, Some(&shift), Activation::Relu);
                forward_by(by, tasks, s, &x, weight, finish, &mut out);
                assert_close(&format!("{s:?}"), &out, &exact, 1e-6);
                assert!(first.get_or_insert(out.clone()) == &out, "{by:?}: {s:?}");
            }
        }
    }

    fn shape(
        [batch, channels_in, channels_out]: [usize; 3],
        image: [usize; 2],
        kernel: [usize; 2],
        [stride, padding, dilation]: [[usize; 2]; 3],
    ) -> Option<Shape> {
        let options = ConvOptions::new(stride, padding, dilation, 1);
        let weight = [channels_out, channels_in, kernel[0], kernel[1]];
        Shape::new([batch, channels_in, image[0], image[1]], weight, &options)
    }

    #[test]
    fn several_blocks_and_panels_agree_with_the_definition() {
        let plain = [[1, 1], [1, 1], [1, 1]];
        for (channels, side) in [([2, 64, 70], 40), ([1, 33, 16], 64), ([1, 32, 32], 32)] {
            let s = shape(channels, [side; 2], [3, 3], plain).expect("a legal shape");
            assert_agrees(&s);
        }
        let s = shape([2, 70, 40], [30, 20], [1, 1], [[1, 1], [0, 0], [1, 1]]);
        assert_agrees(&s.expect("a legal shape"));
    }

    #[test]
    fn a_pixel_that_is_not_finite_makes_nan_of_the_outputs_with_its_scale() {
        for (kernel, padding) in [(3, 1), (1, 0)] {
            let options = [[1, 1], [padding; 2], [1, 1]];
            let s = shape([2, 64, 5], [6, 6], [kernel; 2], options).expect("a legal shape");
            let mut x = pixels(&s);
            // Pixel 8 of channel 3 of the first image.
            x[3 * 36 + 8] = f32::INFINITY;
            let (numbers, scales) = (vec![1; 5 * s.taps()], [1.0; 5]);
            let weight = Int8::new(&numbers, &scales, Int8Products::Activations);
            let mut out = vec![0.0; 2 * 5 * 36];
            forward(
                &s,
                &x,
                weight,
                finish(None, None, Activation::Identity),
                &mut out,
            );
            for (place, value) in out.iter().enumerate() {
                let has_its_scale = place < 5 * 36 && (kernel == 3 || place % 36 == 8);
                assert_eq!(value.is_nan(), has_its_scale, "{kernel}: {place}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn all_kinds_of_shapes_agree_with_the_definition(
            channels in [1..3_usize, 24..140_usize, 1..70_usize],
            image in [1..12_usize, 1..12_usize],
            kernel in [1..6_usize, 1..6_usize],
            steps in [[1..4_usize, 1..4], [0..3, 0..3], [1..3, 1..3]],
        ) {
            if let Some(s) = shape(channels, image, kernel, steps) {
                assert_agrees(&s);
            }
        }
    }
}
