//! The sizes of a convolution.

use burn::tensor::ops::ConvOptions;

/// Sizes of one convolution with one group.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Shape {
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
    pub(in super::super) fn new(
        x: [usize; 4],
        weight: [usize; 4],
        options: &ConvOptions<2>,
    ) -> Option<Self> {
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

    pub(in super::super) fn input(&self) -> [usize; 4] {
        [self.batch, self.channels_in, self.image[0], self.image[1]]
    }

    pub(in super::super) fn output(&self) -> [usize; 4] {
        [self.batch, self.channels_out, self.out[0], self.out[1]]
    }

    /// Values of the weight [out, in, kh, kw] that one output sees.
    pub(super) fn taps(&self) -> usize {
        self.channels_in * self.kernel[0] * self.kernel[1]
    }

    /// Whether an image has one output, which sees it whole: then the convolution is a dense layer.
    pub(super) fn is_dense(&self) -> bool {
        self.kernel == self.image && self.padding == [0, 0] && self.out == [1, 1]
    }
}
