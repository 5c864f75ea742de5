//! Convolutions as matrix products over unfolded images, image by image on every thread.
//!
//! One image is unfolded into the columns [in·kh·kw, out_h·out_w] of a product while it is in the cache, instead of the whole
//! batch in memory. Images are cut into fixed groups, so results do not depend on the number of threads.

use std::ops::Range;

use burn::tensor::ops::ConvOptions;
use rayon::prelude::*;

use super::{
    super::Activation,
    features::vectorised,
    lines::affine,
    product::{Into, Matrix, product},
    scratch, winograd,
};

/// Sizes of one convolution with one group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) batch: usize,
    pub(super) channels_in: usize,
    pub(super) channels_out: usize,
    pub(super) image: [usize; 2],
    pub(super) kernel: [usize; 2],
    pub(super) out: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) padding: [usize; 2],
    pub(super) dilation: [usize; 2],
}

impl Shape {
    /// The sizes, where this module's kernels hold: one group, and a kernel that fits into the padded image.
    pub(super) fn new(x: [usize; 4], weight: [usize; 4], options: &ConvOptions<2>) -> Option<Self> {
        let [batch, channels_in, height, width] = x;
        let [channels_out, per_group, kh, kw] = weight;
        let ConvOptions {
            stride,
            padding,
            dilation,
            groups,
        } = *options;
        let out = |size: usize, kernel: usize, axis: usize| {
            let reach = dilation[axis] * (kernel - 1) + 1;
            Some((size + 2 * padding[axis]).checked_sub(reach)? / stride[axis] + 1)
        };
        let sizes = [batch, channels_in, channels_out, height, width, kh, kw];
        if groups != 1 || per_group != channels_in || sizes.contains(&0) {
            return None;
        }
        Some(Self {
            batch,
            channels_in,
            channels_out,
            image: [height, width],
            kernel: [kh, kw],
            out: [out(height, kh, 0)?, out(width, kw, 1)?],
            stride,
            padding,
            dilation,
        })
    }

    /// The convolution that takes the gradient of this one's output to that of its input, for stride 1.
    fn input_gradient(&self) -> Option<Self> {
        let reach = |axis: usize| {
            (self.dilation[axis] * (self.kernel[axis] - 1)).checked_sub(self.padding[axis])
        };
        let padding = [reach(0)?, reach(1)?];
        (self.stride == [1, 1]).then_some(Self {
            channels_in: self.channels_out,
            channels_out: self.channels_in,
            image: self.out,
            out: self.image,
            padding,
            ..*self
        })
    }

    pub(super) fn input(&self) -> [usize; 4] {
        [self.batch, self.channels_in, self.image[0], self.image[1]]
    }

    pub(super) fn output(&self) -> [usize; 4] {
        [self.batch, self.channels_out, self.out[0], self.out[1]]
    }

    fn image_size(&self) -> usize {
        self.channels_in * self.image[0] * self.image[1]
    }

    pub(super) fn out_plane(&self) -> usize {
        self.out[0] * self.out[1]
    }

    /// Rows of the unfolded image.
    fn taps(&self) -> usize {
        self.channels_in * self.kernel[0] * self.kernel[1]
    }

    /// Whether an image has one output, which sees it whole: then the convolution is a dense layer.
    fn is_dense(&self) -> bool {
        self.kernel == self.image && self.padding == [0, 0] && self.out == [1, 1]
    }

    /// Whether an image is its own unfolding.
    fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.padding == [0, 0]
    }
}

/// Images that one task takes: fixed, for sums in a fixed order.
const GROUP: usize = 4;

/// Convolution, bias and activation. `weight` [out, in, kh, kw].
pub(super) fn forward(
    s: &Shape,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    act: Activation,
) -> Vec<f32> {
    if let Some(plan) = winograd::Plan::new(s) {
        return winograd::forward(plan, s, x, weight, bias, act);
    }
    let plane = s.out_plane();
    let mut out = vec![0.0; s.batch * s.channels_out * plane];
    if s.is_dense() {
        let images = Matrix::by_rows(x, s.batch, s.taps());
        let kernel = Matrix::by_rows(weight, s.channels_out, s.taps()).transposed();
        product(&mut out, images, kernel, Into::Overwrite);
        out.chunks_mut(s.channels_out)
            .for_each(|out| finish(out, plane, bias, act));
        return out;
    }
    let kernel = Matrix::by_rows(weight, s.channels_out, s.taps());
    out.par_chunks_mut(GROUP * s.channels_out * plane)
        .zip(x.par_chunks(GROUP * s.image_size()))
        .for_each_init(Vec::new, |columns, (out, x)| {
            let images = x.chunks(s.image_size());
            for (out, image) in out.chunks_mut(s.channels_out * plane).zip(images) {
                product(out, kernel, unfolded(s, image, columns), Into::Overwrite);
                finish(out, plane, bias, act);
            }
        });
    out
}

vectorised! {
    /// Adds the bias of each channel of one image, and applies the activation.
    fn finish(image: &mut [f32], plane: usize, bias: Option<&[f32]>, act: Activation) {
        if bias.is_none() && act == Activation::Identity {
            return;
        }
        for (channel, values) in image.chunks_mut(plane).enumerate() {
            affine(values, 1.0, bias.map_or(0.0, |bias| bias[channel]), act);
        }
    }
}

/// ∂x [batch, in, height, width]; also the output of a transposed convolution, which is the same thing by another name.
pub(super) fn input_gradient(s: &Shape, weight: &[f32], grad: &[f32]) -> Vec<f32> {
    if s.is_dense() {
        let mut out = vec![0.0; s.batch * s.image_size()];
        let grads = Matrix::by_rows(grad, s.batch, s.channels_out);
        let kernel = Matrix::by_rows(weight, s.channels_out, s.taps());
        product(&mut out, grads, kernel, Into::Overwrite);
        return out;
    }
    if let Some(gradient) = s.input_gradient() {
        let weight = turned(s, weight);
        return forward(&gradient, grad, &weight, None, Activation::Identity);
    }
    let mut out = vec![0.0; s.batch * s.image_size()];
    let kernel = Matrix::by_rows(weight, s.channels_out, s.taps()).transposed();
    let plane = s.out_plane();
    out.par_chunks_mut(GROUP * s.image_size())
        .zip(grad.par_chunks(GROUP * s.channels_out * plane))
        .for_each(|(out, grad)| {
            scratch::with(s.taps() * plane, |columns| {
                let grads = grad.chunks(s.channels_out * plane);
                for (image, grad) in out.chunks_mut(s.image_size()).zip(grads) {
                    let grad = Matrix::by_rows(grad, s.channels_out, plane);
                    product(columns, kernel, grad, Into::Overwrite);
                    fold(s, columns, image);
                }
            });
        });
    out
}

/// ∂weight [out, in, kh, kw]: over the images, `∂y · unfolded(x)ᵀ`.
pub(super) fn weight_gradient(s: &Shape, x: &[f32], grad: &[f32]) -> Vec<f32> {
    let by_winograd =
        winograd::Plan::new(s).and_then(|plan| winograd::weight_gradient(plan, s, x, grad));
    if let Some(gradient) = by_winograd {
        return gradient;
    }
    let plane = s.out_plane();
    let size = s.channels_out * s.taps();
    if s.is_dense() {
        let mut out = vec![0.0; size];
        let grads = Matrix::by_rows(grad, s.batch, s.channels_out).transposed();
        let images = Matrix::by_rows(x, s.batch, s.taps());
        product(&mut out, grads, images, Into::Overwrite);
        return out;
    }
    // A sum for each of a fixed number of parts, added up in order afterwards.
    let images_a_part = s.batch.div_ceil(WEIGHT_PARTS);
    let parts: Vec<Vec<f32>> = x
        .par_chunks(images_a_part * s.image_size())
        .zip(grad.par_chunks(images_a_part * s.channels_out * plane))
        .map_init(Vec::new, |columns, (x, grad)| {
            let mut total = vec![0.0; size];
            let images = x.chunks(s.image_size());
            for (grad, image) in grad.chunks(s.channels_out * plane).zip(images) {
                let grad = Matrix::by_rows(grad, s.channels_out, plane);
                product(
                    &mut total,
                    grad,
                    unfolded(s, image, columns).transposed(),
                    Into::Add,
                );
            }
            total
        })
        .collect();
    let mut parts = parts.into_iter();
    let mut total = parts.next().unwrap_or_else(|| vec![0.0; size]);
    for part in parts {
        total
            .iter_mut()
            .zip(part)
            .for_each(|(total, part)| *total += part);
    }
    total
}

/// Parts of the sum over a batch: enough for the threads of one machine, few enough to add up.
const WEIGHT_PARTS: usize = 16;

/// The weight [out, in, kh, kw] as the input gradient's convolution needs it: [in, out, kh, kw], turned by 180°.
fn turned(s: &Shape, weight: &[f32]) -> Vec<f32> {
    let taps = s.kernel[0] * s.kernel[1];
    let mut out = vec![0.0; weight.len()];
    for (o, rows) in weight.chunks(s.channels_in * taps).enumerate() {
        for (i, kernel) in rows.chunks(taps).enumerate() {
            let place = (i * s.channels_out + o) * taps;
            for (to, from) in out[place..place + taps].iter_mut().zip(kernel.iter().rev()) {
                *to = *from;
            }
        }
    }
    out
}

/// Adds the columns [in·kh·kw, out_h·out_w] to the pixels that their taps see: the adjoint of unfolding.
fn fold(s: &Shape, columns: &[f32], image: &mut [f32]) {
    let [height, width] = s.image;
    let [kh, kw] = s.kernel;
    for (row, values) in columns.chunks_exact(s.out_plane()).enumerate() {
        let (channel, ky, kx) = (row / (kh * kw), row / kw % kh, row % kw);
        let channel = &mut image[channel * height * width..][..height * width];
        for (y, line) in values.chunks_exact(s.out[1]).enumerate() {
            let target = (y * s.stride[0] + ky * s.dilation[0]).checked_sub(s.padding[0]);
            if let Some(target) = target.filter(|target| *target < height) {
                let target = &mut channel[target * width..][..width];
                let (first, inside) = reach(s, width, kx * s.dilation[1], line.len());
                let pixels = target[first..].iter_mut().step_by(s.stride[1]);
                pixels.zip(&line[inside]).for_each(|(to, from)| *to += from);
            }
        }
    }
}

/// The columns [in·kh·kw, out_h·out_w] of one image: row (c, ky, kx) holds what tap (ky, kx) sees of channel c.
fn unfolded<'a>(s: &Shape, image: &'a [f32], columns: &'a mut Vec<f32>) -> Matrix<'a> {
    let plane = s.out_plane();
    if s.is_pointwise() {
        return Matrix::by_rows(image, s.channels_in, plane);
    }
    columns.resize(s.taps() * plane, 0.0);
    let [height, width] = s.image;
    let [kh, kw] = s.kernel;
    let [out_h, out_w] = s.out;
    for (row, values) in columns.chunks_exact_mut(plane).enumerate() {
        let (channel, ky, kx) = (row / (kh * kw), row / kw % kh, row % kw);
        let channel = &image[channel * height * width..][..height * width];
        for (y, line) in values.chunks_exact_mut(out_w).enumerate().take(out_h) {
            let source = (y * s.stride[0] + ky * s.dilation[0]).checked_sub(s.padding[0]);
            match source.filter(|source| *source < height) {
                Some(source) => unfold_line(
                    s,
                    &channel[source * width..][..width],
                    kx * s.dilation[1],
                    line,
                ),
                None => line.fill(0.0),
            }
        }
    }
    Matrix::by_rows(columns, s.taps(), plane)
}

/// `line[x] = source[x·stride + shift − padding]`, 0 outside.
fn unfold_line(s: &Shape, source: &[f32], shift: usize, line: &mut [f32]) {
    let (first, range) = reach(s, source.len(), shift, line.len());
    line[..range.start].fill(0.0);
    line[range.end..].fill(0.0);
    let inside = &mut line[range];
    if s.stride[1] == 1 {
        inside.copy_from_slice(&source[first..first + inside.len()]);
    } else {
        let taken = source[first..].iter().step_by(s.stride[1]);
        inside
            .iter_mut()
            .zip(taken)
            .for_each(|(to, from)| *to = *from);
    }
}

/// Which x of a line of `outs` outputs see a pixel of `width`, at x·stride + shift − padding; and the pixel of the first.
fn reach(s: &Shape, width: usize, shift: usize, outs: usize) -> (usize, Range<usize>) {
    let (stride, padding) = (s.stride[1], s.padding[1]);
    let begin = padding.saturating_sub(shift).div_ceil(stride).min(outs);
    let end = (width + padding)
        .saturating_sub(shift)
        .div_ceil(stride)
        .clamp(begin, outs);
    if begin == end {
        return (0, begin..begin);
    }
    (begin * stride + shift - padding, begin..end)
}
