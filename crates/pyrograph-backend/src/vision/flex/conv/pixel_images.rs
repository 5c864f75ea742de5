//! Images in bf16 as convolutions on tiles read them: pixel by pixel, with zeros around them.

use burn_std::bf16;

use super::{
    super::{
        buffers::Buffer,
        features::vectorised,
        norms::FoldedNorm,
        pooling::Pooling,
        product::Shared,
        scratch,
        words::{self, PIECE, spread},
    },
    pixel_target::PixelTarget,
    pixels::write_lines,
    shape::Shape,
};

/// Images [batch, channels, height, width] of f32.
#[derive(Clone, Copy)]
pub(super) enum Images<'a> {
    /// As they are.
    Plain(&'a [f32]),
    /// After a norm.
    Normal(&'a [f32], &'a FoldedNorm),
}

/// Numbers of a pixel: its channels, and zeros up to a whole number of pieces.
pub(super) fn pixel(channels: usize) -> usize {
    channels.next_multiple_of(PIECE)
}

/// Numbers from a pixel to the next.
pub(super) fn step(channels: usize) -> usize {
    spread::<bf16>(pixel(channels))
}

/// Images in bf16 with the padding of the convolution that reads them.
pub(super) struct PixelImages {
    memory: Buffer,
    /// [batch, channels, height, width].
    shape: [usize; 4],
    padding: [usize; 2],
}

impl PixelImages {
    /// Images whose channels are not written yet; all zeros that belong to them are.
    pub(super) fn new(shape: [usize; 4], padding: [usize; 2]) -> Self {
        Self::by_lines(shape, padding, |_, _, _| {})
    }

    /// Images rounded to bf16.
    pub(super) fn rounded(x: Images<'_>, shape: [usize; 4], padding: [usize; 2]) -> Self {
        let line = |item: usize, row: usize, to: &mut [bf16]| round_line(x, shape, item, row, to);
        Self::by_lines(shape, padding, line)
    }

    /// The windows of a convolution with few input channels: the values that an output reads become
    /// the channels of a pixel, [batch, in · taps, height′, width′].
    pub(super) fn of_windows(x: &[f32], s: &Shape) -> Self {
        let [_, _, height, width] = s.input();
        let ([_, out], taps) = (s.out, s.kernel[0] * s.kernel[1]);
        let channels = s.channels_in * taps;
        let (shape, line) = ([s.batch, channels, s.out[0], out], spread::<f32>(out));
        Self::by_lines(shape, [0, 0], |item, row, to| {
            scratch::with(channels * line, |seen| {
                for (place, seen) in seen.chunks_mut(line).enumerate() {
                    let (channel, tap) = (place / taps, place % taps);
                    let tap = [tap / s.kernel[1], tap % s.kernel[1]];
                    let at = |axis: usize, output: usize| {
                        (output * s.stride[axis] + tap[axis] * s.dilation[axis])
                            .wrapping_sub(s.padding[axis])
                    };
                    let from = at(0, row);
                    if from >= height {
                        seen.fill(0.0);
                        continue;
                    }
                    let plane = (item * s.channels_in + channel) * height;
                    let from = &x[(plane + from) * width..][..width];
                    for (column, seen) in seen[..out].iter_mut().enumerate() {
                        *seen = from.get(at(1, column)).copied().unwrap_or(0.0);
                    }
                }
                words::narrow_columns(to, step(channels), seen, line, [channels, out]);
            });
        })
    }

    /// `write` writes the channels of a line of an image.
    fn by_lines(
        shape: [usize; 4],
        padding: [usize; 2],
        write: impl Fn(usize, usize, &mut [bf16]) + Sync,
    ) -> Self {
        let mut images = Self::unwritten(shape, padding);
        let (step, channels) = (step(shape[1]), shape[1]..pixel(shape[1]));
        images.write_lines(|item, row, to| {
            if !channels.is_empty() {
                let pixels = to.chunks_mut(step);
                pixels.for_each(|numbers| numbers[channels.clone()].fill(bf16::ZERO));
            }
            write(item, row, to);
        });
        images
    }

    fn unwritten(shape: [usize; 4], padding: [usize; 2]) -> Self {
        let [batch, channels, height, width] = shape;
        let pixels = batch * (height + 2 * padding[0]) * (width + 2 * padding[1]);
        Self {
            memory: Buffer::new((pixels * step(channels)).div_ceil(2)),
            shape,
            padding,
        }
    }

    fn write_lines(&mut self, write: impl Fn(usize, usize, &mut [bf16]) + Sync) {
        let ([_, channels, height, width], padding) = (self.shape, self.padding);
        let numbers = self.count();
        let to: &mut [bf16] = &mut bytemuck::cast_slice_mut(&mut self.memory)[..numbers];
        write_lines(
            to,
            bf16::ZERO,
            step(channels),
            [height, width],
            padding,
            write,
        );
    }

    fn count(&self) -> usize {
        let [height, width] = self.size();
        self.shape[0] * height * width * step(self.shape[1])
    }

    /// Height and width with the padding.
    fn size(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.shape[2 + axis] + 2 * self.padding[axis])
    }

    /// The images as a convolution reads them.
    pub(super) fn read_by(&self, s: &Shape) -> &[bf16] {
        assert_eq!(
            (self.shape, self.padding),
            (s.input(), s.padding),
            "images for another convolution"
        );
        &bytemuck::cast_slice(&self.memory)[..self.count()]
    }

    /// Access for tasks, each of which writes pixels of its own.
    pub(super) fn target(&mut self) -> PixelTarget<'_, bf16> {
        let (size, padding, step) = (self.size(), self.padding, step(self.shape[1]));
        PixelTarget {
            out: Shared::new(bytemuck::cast_slice_mut(&mut self.memory)),
            size,
            padding,
            step,
        }
    }

    /// The greatest value of each window, with the padding of the next layer.
    pub(super) fn max_pooled(&self, pooling: &Pooling, padding: [usize; 2]) -> Self {
        let [batch, channels, ..] = self.shape;
        let out = pooling.out();
        let mut pooled = Self::unwritten([batch, channels, out[0], out[1]], padding);
        let (step, pixel) = (step(channels), pixel(channels));
        let ([height, width], [top, left]) = (self.size(), self.padding);
        let from: &[bf16] = bytemuck::cast_slice(&self.memory);
        pooled.write_lines(|item, row, to| {
            let (rows, beyond) = pooling.window(0, row);
            for (column, to) in to.chunks_mut(step).enumerate() {
                let (columns, after) = pooling.window(1, column);
                let first = if beyond || after {
                    0.0
                } else {
                    f32::NEG_INFINITY
                };
                let to = &mut to[..pixel];
                to.fill(bf16::from_f32(first));
                for row in rows.clone() {
                    let line = ((item * height + row + top) * width + left) * step;
                    let seen = &from[line + columns.start * step..];
                    greatest(to, seen, step, columns.len());
                }
            }
        });
        pooled
    }
}

/// Rounds a line of an image.
fn round_line(
    x: Images<'_>,
    [_, channels, height, width]: [usize; 4],
    item: usize,
    row: usize,
    to: &mut [bf16],
) {
    let plane = height * width;
    let to_step = step(channels);
    let first = |channel: usize| (item * channels + channel) * plane + row * width;
    match x {
        Images::Plain(x) => {
            let from = &x[first(0)..(item + 1) * channels * plane];
            words::narrow_columns(to, to_step, from, plane, [channels, width]);
        }
        Images::Normal(x, norm) => {
            let step = spread::<f32>(width);
            scratch::with(PIECE * step, |normal| {
                for begin in (0..channels).step_by(PIECE) {
                    let count = PIECE.min(channels - begin);
                    for (channel, to) in (begin..begin + count).zip(normal.chunks_mut(step)) {
                        let from = &x[first(channel)..][..width];
                        norm.write(item * channels + channel, from, &mut to[..width]);
                    }
                    let to = &mut to[begin..];
                    words::narrow_columns(to, to_step, normal, step, [count, width]);
                }
            });
        }
    }
}

vectorised! {
    /// Replaces each number of `to` by the greatest of itself and the numbers of `count` pixels,
    /// `step` apart. NaN counts as the greatest.
    fn greatest(to: &mut [bf16], from: &[bf16], step: usize, count: usize) {
        let wide = |value: bf16| f32::from_bits(u32::from(value.to_bits()) << 16);
        for from in from.chunks(step).take(count) {
            for (to, value) in to.iter_mut().zip(from) {
                let (so_far, new) = (wide(*to), wide(*value));
                let is_greater = new > so_far || new.is_nan();
                *to = if is_greater { *value } else { *to };
            }
        }
    }
}

#[cfg(test)]
impl PartialEq for PixelImages {
    /// Of what convolutions read.
    fn eq(&self, other: &Self) -> bool {
        let numbers = |images: &Self| -> Vec<u16> {
            let all: &[bf16] = bytemuck::cast_slice(&images.memory);
            let pixels = all[..images.count()].chunks(step(images.shape[1]));
            let read = pixels.flat_map(|numbers| &numbers[..pixel(images.shape[1])]);
            read.map(|number| number.to_bits()).collect()
        };
        (self.shape, self.padding) == (other.shape, other.padding)
            && numbers(self) == numbers(other)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::super::Window, *};

    #[test]
    fn what_is_not_a_number_is_the_greatest_of_its_windows_and_no_others() {
        if !words::tiles_are_in_force() {
            return;
        }
        let shape = [1, 33, 4, 6];
        let mut values = vec![f32::NEG_INFINITY; shape.iter().product()];
        let plane = 4 * 6;
        // Pixel (1, 2) of channel 32, and a number in (2, 5) of channel 0.
        values[32 * plane + 6 + 2] = f32::NAN;
        values[2 * 6 + 5] = -3.0;
        let images = PixelImages::rounded(Images::Plain(&values), shape, [0, 0]);
        let pooling = Pooling::with_zeros(shape, Window::tiles(2), false);
        let pooled = images.max_pooled(&pooling, [1, 1]);
        let numbers: &[bf16] = bytemuck::cast_slice(&pooled.memory);
        let at = |channel: usize, row: usize, column: usize| {
            numbers[((row + 1) * 5 + column + 1) * step(33) + channel].to_f32()
        };
        for channel in 0..33 {
            for (row, column) in (0..2).flat_map(|row| (0..3).map(move |column| (row, column))) {
                let found = at(channel, row, column);
                match (channel, row, column) {
                    (32, 0, 1) => assert!(found.is_nan(), "{found}"),
                    (0, 1, 2) => assert_eq!(found, -3.0),
                    _ => assert_eq!(found, f32::NEG_INFINITY),
                }
            }
        }
        let border = (0..5).map(|column| numbers[column * step(33)].to_f32());
        assert!(border.into_iter().all(|number| number == 0.0));
    }
}
