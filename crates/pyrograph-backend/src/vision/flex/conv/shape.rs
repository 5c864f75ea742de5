//! The sizes of a convolution.

use burn::tensor::ops::ConvOptions;

/// Sizes of one convolution, of every input channel to every output channel or of each to its own.
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
    /// Whether every channel has a kernel of its own and sees no other.
    pub(super) is_depthwise: bool,
}

impl Shape {
    /// The sizes, where this module's kernels hold: one group or one for each channel, and a kernel that fits into the padded image.
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
        let is_depthwise =
            groups > 1 && [groups, groups, 1] == [channels_in, channels_out, per_group];
        let is_whole = groups == 1 && per_group == channels_in;
        if !(is_whole || is_depthwise) || sizes.contains(&0) {
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
            is_depthwise,
        })
    }

    pub(in super::super) fn input(&self) -> [usize; 4] {
        [self.batch, self.channels_in, self.image[0], self.image[1]]
    }

    pub(in super::super) fn output(&self) -> [usize; 4] {
        [self.batch, self.channels_out, self.out[0], self.out[1]]
    }

    /// The convolution of one plane of a depthwise one.
    pub(super) fn of_a_plane(&self) -> Self {
        Self {
            batch: 1,
            channels_in: 1,
            channels_out: 1,
            is_depthwise: false,
            ..*self
        }
    }

    /// Values of the weight [out, in, kh, kw] that one output sees.
    pub(super) fn taps(&self) -> usize {
        let channels = if self.is_depthwise {
            1
        } else {
            self.channels_in
        };
        channels * self.kernel[0] * self.kernel[1]
    }

    /// Whether an image has one output, which sees it whole: then the convolution is a dense layer.
    pub(super) fn is_dense(&self) -> bool {
        !self.is_depthwise
            && self.kernel == self.image
            && self.padding == [0, 0]
            && self.out == [1, 1]
    }
}
