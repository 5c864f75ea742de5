//! Maxima and means over windows, row by row.

use std::ops::Range;

use burn::tensor::TensorMetadata;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::{
    super::Window,
    buffers::Buffer,
    features::vectorised,
    scratch,
    tensors::{floats, image},
};

/// Planes that a thread takes at once hold about as many values.
const BLOCK: usize = 1 << 14;

/// Sizes of a pooling.
pub(super) struct Pooling {
    window: Window,
    image: [usize; 2],
    out: [usize; 2],
    /// Whether a line of zeros below the image and a column to its right belong to it.
    zeros_after: bool,
}

impl Pooling {
    fn new(x: [usize; 4], window: Window) -> Self {
        Self::with_zeros(x, window, false)
    }

    pub(super) fn with_zeros(x: [usize; 4], window: Window, zeros_after: bool) -> Self {
        let image = [x[2], x[3]];
        let out = [0, 1].map(|axis| {
            let size = image[axis] + usize::from(zeros_after) + 2 * window.padding[axis];
            assert!(
                (1..=size).contains(&window.size[axis]) && window.stride[axis] > 0,
                "{window:?} on an image of {image:?} pixels: a window is as large as the padded image at most"
            );
            (size - window.size[axis]) / window.stride[axis] + 1
        });
        Self {
            window,
            image,
            out,
            zeros_after,
        }
    }

    /// Height and width of the outputs.
    pub(super) fn out(&self) -> [usize; 2] {
        self.out
    }

    /// The pixels of the image that window `at` of an axis sees, and whether it sees zeros after them.
    pub(super) fn window(&self, axis: usize, at: usize) -> (Range<usize>, bool) {
        let begin = at * self.window.stride[axis];
        let end = begin + self.window.size[axis];
        let sees_zeros = self.zeros_after && end > self.image[axis] + self.window.padding[axis];
        (self.seen(axis, at), sees_zeros)
    }

    /// The pixels that window `at` of an axis sees.
    fn seen(&self, axis: usize, at: usize) -> Range<usize> {
        let begin = at * self.window.stride[axis];
        let padding = self.window.padding[axis];
        let end = (begin + self.window.size[axis]).saturating_sub(padding);
        begin.saturating_sub(padding)..end.min(self.image[axis])
    }

    /// The windows of a row of which tap `tap` sees a pixel, and the pixel that the first of them sees.
    fn reached(&self, tap: usize) -> (Range<usize>, usize) {
        let (stride, padding) = (self.window.stride[1], self.window.padding[1]);
        let begin = padding.saturating_sub(tap).div_ceil(stride);
        let end = (self.image[1] + padding)
            .saturating_sub(tap)
            .div_ceil(stride);
        let end = end.clamp(begin.min(self.out[1]), self.out[1]);
        (
            begin.min(end)..end,
            (begin * stride + tap).saturating_sub(padding),
        )
    }

    fn pixels(&self) -> usize {
        self.image[0] * self.image[1]
    }

    /// Values that [`fold`](Self::fold) holds between its two passes.
    fn lines(&self) -> usize {
        self.out[0] * self.image[1]
    }

    fn outputs(&self) -> usize {
        self.out[0] * self.out[1]
    }

    /// What the values of a plane's windows come to by `fold`, from `first` on: down the rows of the windows, into
    /// `lines` [rows of outputs, width], then along them.
    #[inline(always)]
    fn fold(
        &self,
        plane: &[f32],
        lines: &mut [f32],
        out: &mut [f32],
        first: f32,
        fold: impl Fn(f32, f32) -> f32,
    ) {
        let width = self.image[1];
        for (y, line) in lines.chunks_mut(width).enumerate() {
            line.fill(first);
            for row in self.seen(0, y) {
                let row = &plane[row * width..][..width];
                line.iter_mut()
                    .zip(row)
                    .for_each(|(to, v)| *to = fold(*to, *v));
            }
        }
        out.fill(first);
        let Window {
            size,
            stride,
            padding,
        } = self.window;
        if size[1] == stride[1] && padding[1] == 0 && width.is_multiple_of(stride[1]) {
            // Windows go on from row to row.
            match stride[1] {
                2 => fold_chunks::<2>(out, lines, &fold),
                4 => fold_chunks::<4>(out, lines, &fold),
                side => {
                    for tap in 0..side {
                        fold_every(out, &lines[tap..], side, &fold);
                    }
                }
            }
            return;
        }
        for (out, line) in out.chunks_mut(self.out[1]).zip(lines.chunks(width)) {
            for tap in 0..size[1] {
                let (windows, from) = self.reached(tap);
                let line = line.get(from..).unwrap_or(&[]);
                fold_every(&mut out[windows], line, stride[1], &fold);
            }
        }
    }
}

/// Folds each chunk of N values into one of `out`.
#[inline(always)]
fn fold_chunks<const N: usize>(out: &mut [f32], from: &[f32], fold: &impl Fn(f32, f32) -> f32) {
    for (out, from) in out.iter_mut().zip(from.as_chunks::<N>().0) {
        *out = from.iter().fold(*out, |so_far, value| fold(so_far, *value));
    }
}

/// `out[i] = fold(out[i], from[i·step])`.
#[inline(always)]
fn fold_every(out: &mut [f32], from: &[f32], step: usize, fold: &impl Fn(f32, f32) -> f32) {
    match step {
        1 => out
            .iter_mut()
            .zip(from)
            .for_each(|(o, v)| *o = fold(*o, *v)),
        2 => fold_every_of::<2>(out, from, fold),
        4 => fold_every_of::<4>(out, from, fold),
        _ => {
            let from = from.iter().step_by(step);
            out.iter_mut()
                .zip(from)
                .for_each(|(o, v)| *o = fold(*o, *v));
        }
    }
}

#[inline(always)]
fn fold_every_of<const STEP: usize>(
    out: &mut [f32],
    from: &[f32],
    fold: &impl Fn(f32, f32) -> f32,
) {
    let (whole, rest) = from.as_chunks::<STEP>();
    for (out, from) in out.iter_mut().zip(whole) {
        *out = fold(*out, from[0]);
    }
    if let (Some(out), Some(from)) = (out.get_mut(whole.len()), rest.first()) {
        *out = fold(*out, *from);
    }
}

/// The greater one, and what is not a number before any that is, as in PyTorch.
#[inline(always)]
fn greater(so_far: f32, value: f32) -> f32 {
    if value > so_far || value.is_nan() {
        value
    } else {
        so_far
    }
}

/// Every plane of `from` to one of `to`, of these sizes, on every thread.
#[inline(always)]
fn each_plane(
    from: &[f32],
    to: &mut [f32],
    sizes: [usize; 2],
    body: impl Fn(usize, &[f32], &mut [f32]) + Sync,
) {
    let planes = (BLOCK / sizes[0].max(sizes[1])).max(1);
    to.par_chunks_mut(planes * sizes[1])
        .zip(from.par_chunks(planes * sizes[0]))
        .enumerate()
        .for_each(|(block, (to, from))| {
            let pairs = from.chunks(sizes[0]).zip(to.chunks_mut(sizes[1]));
            for (place, (from, to)) in pairs.enumerate() {
                body(block * planes + place, from, to);
            }
        });
}

vectorised! {
    /// The greatest value of each window.
    pub(super) fn max_pool2d(x: &FlexTensor, window: Window) -> FlexTensor {
        let shape: [usize; 4] = x.shape().dims();
        let pooling = Pooling::new(shape, window);
        let x = x.to_contiguous();
        let mut out = Buffer::new(shape[0] * shape[1] * pooling.outputs());
        let sizes = [pooling.pixels(), pooling.outputs()];
        each_plane(floats(&x), &mut out, sizes, |_, plane, out| {
            scratch::with(pooling.lines(), |lines| {
                pooling.fold(plane, lines, out, f32::NEG_INFINITY, greater);
            });
        });
        image(out, [shape[0], shape[1], pooling.out[0], pooling.out[1]])
    }
}

vectorised! {
    /// The gradient of [`max_pool2d`]: each window's goes to the first of its greatest values.
    pub(super) fn max_pool2d_backward(x: &FlexTensor, grad: &FlexTensor, window: Window) -> FlexTensor {
        let shape: [usize; 4] = x.shape().dims();
        let pooling = Pooling::new(shape, window);
        let (x, grad) = (x.to_contiguous(), grad.to_contiguous());
        let x = floats(&x);
        let mut out = Buffer::new(x.len());
        let sizes = [pooling.outputs(), pooling.pixels()];
        each_plane(floats(&grad), &mut out, sizes, |number, grad, out| {
            let plane = &x[number * pooling.pixels()..][..pooling.pixels()];
            out.fill(0.0);
            for (y, grad) in grad.chunks(pooling.out[1]).enumerate() {
                let rows = pooling.seen(0, y);
                for (x, grad) in grad.iter().enumerate() {
                    let mut best = (f32::NEG_INFINITY, None);
                    for row in rows.clone() {
                        for column in pooling.seen(1, x) {
                            let place = row * pooling.image[1] + column;
                            let value = plane[place];
                            if best.1.is_none() || value > best.0 || value.is_nan() {
                                best = (value, Some(place));
                            }
                        }
                    }
                    if let (_, Some(place)) = best {
                        out[place] += grad;
                    }
                }
            }
        });
        image(out, shape)
    }
}

vectorised! {
    /// The mean of each window, the padding's zeros counted.
    pub(super) fn avg_pool2d(x: &FlexTensor, window: Window) -> FlexTensor {
        let shape: [usize; 4] = x.shape().dims();
        let pooling = Pooling::new(shape, window);
        let x = x.to_contiguous();
        let mut out = Buffer::new(shape[0] * shape[1] * pooling.outputs());
        let sizes = [pooling.pixels(), pooling.outputs()];
        let share = 1.0 / (window.size[0] * window.size[1]) as f32;
        each_plane(floats(&x), &mut out, sizes, |_, plane, out| {
            scratch::with(pooling.lines(), |lines| {
                pooling.fold(plane, lines, out, 0.0, |sum, value| sum + value);
            });
            out.iter_mut().for_each(|sum| *sum *= share);
        });
        image(out, [shape[0], shape[1], pooling.out[0], pooling.out[1]])
    }
}

vectorised! {
    /// The gradient of [`avg_pool2d`] for an input of this shape.
    pub(super) fn avg_pool2d_backward(shape: [usize; 4], grad: &FlexTensor, window: Window) -> FlexTensor {
        let pooling = Pooling::new(shape, window);
        let grad = grad.to_contiguous();
        let mut out = Buffer::new(shape.iter().product());
        let sizes = [pooling.outputs(), pooling.pixels()];
        let share = 1.0 / (window.size[0] * window.size[1]) as f32;
        each_plane(floats(&grad), &mut out, sizes, |_, grad, out| {
            out.fill(0.0);
            for (y, grad) in grad.chunks(pooling.out[1]).enumerate() {
                for row in pooling.seen(0, y) {
                    let row = &mut out[row * pooling.image[1]..][..pooling.image[1]];
                    for (x, grad) in grad.iter().enumerate() {
                        row[pooling.seen(1, x)].iter_mut().for_each(|to| *to += grad * share);
                    }
                }
            }
        });
        image(out, shape)
    }
}
