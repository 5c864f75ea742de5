//! Residual blocks, and the changes of resolution between levels.

use burn::{
    module::Module,
    tensor::{Int, Tensor, TensorData, backend::Backend},
};
use pyrograph_backend::vision::{self, Activation, VisionBackend};

use super::Shared;
use crate::blocks::{Conv2d, GroupNorm, Kernel, Linear, ParamInit, with_zeros_after};

const SIDE: usize = 3;

/// Norm, activation and convolution twice, with the time embedding added between; diffusers' `ResnetBlock2D`.
#[derive(Module, Debug)]
pub(super) struct ResnetBlock2D<B: Backend> {
    norm1: GroupNorm<B>,
    conv1: Conv2d<B>,
    time_emb_proj: Linear<B>,
    norm2: GroupNorm<B>,
    conv2: Conv2d<B>,
    /// A 1×1 convolution, where the channels change.
    conv_shortcut: Option<Conv2d<B>>,
}

impl<B: Backend> ResnetBlock2D<B> {
    pub(super) fn new(init: &mut ParamInit<'_, B>, shared: &Shared, channels: [usize; 2]) -> Self {
        let [c_in, c_out] = channels;
        Self {
            norm1: shared.norm(init, c_in),
            conv1: Conv2d::same(init, channels, SIDE),
            time_emb_proj: Linear::new(init, shared.time_width, c_out),
            norm2: shared.norm(init, c_out),
            conv2: Conv2d::same(init, [c_out, c_out], SIDE),
            conv_shortcut: (c_in != c_out).then(|| Conv2d::same(init, channels, 1)),
        }
    }
}

impl<B: VisionBackend> ResnetBlock2D<B> {
    /// `x` [batch, in, height, width]; `time` [batch or 1, width], activated; result [batch, out, height, width].
    pub(super) fn forward(&self, x: Tensor<B, 4>, time: Tensor<B, 2>) -> Tensor<B, 4> {
        let (act, shift) = (Activation::Silu, self.time_emb_proj.forward(time));
        let conv = &self.conv1;
        let h = conv.forward_of_norm_shifted(x.clone(), &self.norm1, act, shift);
        let h = self.conv2.forward_of_norm(h, &self.norm2, act);
        let skip = match &self.conv_shortcut {
            Some(shortcut) => shortcut.forward(x, Activation::Identity),
            None => x,
        };
        vision::add(h, skip, Activation::Identity)
    }
}

/// A convolution with stride 2; diffusers' `Downsample2D`.
#[derive(Module, Debug)]
pub(super) struct Downsample2D<B: Backend> {
    conv: Conv2d<B>,
    padding: usize,
}

impl<B: Backend> Downsample2D<B> {
    pub(super) fn new(init: &mut ParamInit<'_, B>, shared: &Shared, channels: usize) -> Self {
        let padding = shared.downsample_padding;
        let kernel = Kernel {
            size: SIDE,
            stride: 2,
            padding,
        };
        Self {
            conv: Conv2d::new(init, [channels, channels], kernel),
            padding,
        }
    }
}

impl<B: VisionBackend> Downsample2D<B> {
    /// [batch, channels, height, width] → [batch, channels, height′, width′]; see [`halved`].
    pub(super) fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let x = match self.padding {
            // Without padding, one pixel of zeros stands at the right and at the bottom.
            0 => with_zeros_after(x),
            _ => x,
        };
        self.conv.forward(x, Activation::Identity)
    }
}

/// The side that a [`Downsample2D`] with this padding makes of `side`, if any.
pub(super) fn halved(side: usize, padding: usize) -> Option<usize> {
    let padded = side + if padding == 0 { 1 } else { 2 * padding };
    Some(padded.checked_sub(SIDE)? / 2 + 1)
}

/// Nearest-neighbour upsampling and a convolution; diffusers' `Upsample2D`.
#[derive(Module, Debug)]
pub(super) struct Upsample2D<B: Backend> {
    conv: Conv2d<B>,
}

impl<B: Backend> Upsample2D<B> {
    pub(super) fn new(init: &mut ParamInit<'_, B>, channels: usize) -> Self {
        Self {
            conv: Conv2d::same(init, [channels, channels], SIDE),
        }
    }
}

impl<B: VisionBackend> Upsample2D<B> {
    /// Upsamples `x` [batch, channels, height, width] to the `sides` of the next skip: the double,
    /// or near it where a side was odd on the way down.
    pub(super) fn forward(&self, x: Tensor<B, 4>, sides: [usize; 2]) -> Tensor<B, 4> {
        let [_, _, height, width] = x.dims();
        if sides == [2 * height, 2 * width] {
            return self.conv.forward_of_upsampled(x, 2);
        }
        let x = nearest(nearest(x, 2, sides[0]), 3, sides[1]);
        self.conv.forward(x, Activation::Identity)
    }
}

/// Nearest-neighbour sampling of one axis to `size`: place `i` takes `⌊i·before/size⌋`.
fn nearest<B: Backend>(x: Tensor<B, 4>, axis: usize, size: usize) -> Tensor<B, 4> {
    let before = x.dims()[axis];
    let places: Vec<i64> = (0..size).map(|i| (i * before / size) as i64).collect();
    let places = Tensor::<B, 1, Int>::from_data(TensorData::new(places, [size]), &x.device());
    x.select(axis, places)
}
