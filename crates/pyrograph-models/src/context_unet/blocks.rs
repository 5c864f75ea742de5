//! The parts of the ContextUnet.

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::vision::{self, Activation, VisionBackend, Window};

use super::{GROUPS, POOL, Residual};
use crate::blocks::{
    BatchNorm2d, Conv2d, ConvTranspose2d, GroupNorm, Linear, NormMode, ParamInit, Stacked,
};

const KERNEL: usize = 3;
/// The course's divisor of a residual sum: 1.414, not √2.
const RESIDUAL_SCALE: f64 = 1.414;

/// Convolution 3×3, batch norm, GELU.
#[derive(Module, Debug)]
struct ConvNormAct<B: Backend> {
    conv: Conv2d<B>,
    norm: BatchNorm2d<B>,
}

impl<B: Backend> ConvNormAct<B> {
    fn new(init: &mut ParamInit<'_, B>, channels: [usize; 2]) -> Self {
        Self {
            conv: Conv2d::same(init, channels, KERNEL),
            norm: BatchNorm2d::new(init, channels[1]),
        }
    }
}

impl<B: VisionBackend> ConvNormAct<B> {
    fn forward(&self, x: Stacked<B>, mode: &mut NormMode<'_, B>) -> Stacked<B> {
        x.conv_norm(&self.conv, &self.norm, Activation::Gelu, mode)
    }
}

/// Two convolutions; with a residual, `(skip + x₂) / 1.414`.
#[derive(Module, Debug)]
pub(super) struct ResidualConvBlock<B: Backend> {
    conv1: ConvNormAct<B>,
    conv2: ConvNormAct<B>,
    shortcut: Option<Conv2d<B>>,
    is_res: bool,
    same_channels: bool,
}

impl<B: Backend> ResidualConvBlock<B> {
    pub(super) fn new(
        init: &mut ParamInit<'_, B>,
        channels: [usize; 2],
        residual: Option<Residual>,
    ) -> Self {
        let [c_in, c_out] = channels;
        let same_channels = c_in == c_out;
        let learned = residual == Some(Residual::Learned) && !same_channels;
        Self {
            conv1: ConvNormAct::new(init, channels),
            conv2: ConvNormAct::new(init, [c_out, c_out]),
            shortcut: learned.then(|| Conv2d::same(init, channels, 1)),
            is_res: residual.is_some(),
            same_channels,
        }
    }
}

impl<B: VisionBackend> ResidualConvBlock<B> {
    /// [batch, in, h, w] → [batch, out, h, w].
    pub(super) fn forward(&self, x: Tensor<B, 4>, mode: &mut NormMode<'_, B>) -> Tensor<B, 4> {
        if !self.is_res {
            return self.stacked(Stacked::new(x), mode).images();
        }
        let x1 = self.conv1.forward(Stacked::new(x.clone()), mode).images();
        let x2 = self.conv2.forward(Stacked::new(x1.clone()), mode).images();
        let skip = match &self.shortcut {
            Some(shortcut) => shortcut.forward(x, Activation::Identity),
            None if self.same_channels => x,
            None => x1,
        };
        vision::add(skip, x2, Activation::Identity) / RESIDUAL_SCALE
    }

    /// The two convolutions, without a residual.
    fn stacked(&self, x: Stacked<B>, mode: &mut NormMode<'_, B>) -> Stacked<B> {
        let x = self.conv1.forward(x, mode);
        self.conv2.forward(x, mode)
    }
}

/// Two residual blocks and a downsampling by 2.
#[derive(Module, Debug)]
pub(super) struct UnetDown<B: Backend> {
    block1: ResidualConvBlock<B>,
    block2: ResidualConvBlock<B>,
}

impl<B: Backend> UnetDown<B> {
    pub(super) fn new(init: &mut ParamInit<'_, B>, channels: [usize; 2]) -> Self {
        let [_, c_out] = channels;
        Self {
            block1: ResidualConvBlock::new(init, channels, None),
            block2: ResidualConvBlock::new(init, [c_out, c_out], None),
        }
    }
}

impl<B: VisionBackend> UnetDown<B> {
    /// [batch, in, h, w] → [batch, out, h/2, w/2].
    pub(super) fn forward(&self, x: Tensor<B, 4>, mode: &mut NormMode<'_, B>) -> Tensor<B, 4> {
        let x = self.block1.stacked(Stacked::new(x), mode);
        let x = self.block2.stacked(x, mode);
        x.max_pool(Window::tiles(2)).images()
    }
}

/// Concatenation of the lower level and the skip, an upsampling by 2, and two residual blocks.
#[derive(Module, Debug)]
pub(super) struct UnetUp<B: Backend> {
    enlarge: ConvTranspose2d<B>,
    block1: ResidualConvBlock<B>,
    block2: ResidualConvBlock<B>,
}

impl<B: Backend> UnetUp<B> {
    pub(super) fn new(init: &mut ParamInit<'_, B>, channels: [usize; 2]) -> Self {
        let [_, c_out] = channels;
        Self {
            enlarge: ConvTranspose2d::enlarging(init, channels, 2),
            block1: ResidualConvBlock::new(init, [c_out, c_out], None),
            block2: ResidualConvBlock::new(init, [c_out, c_out], None),
        }
    }
}

impl<B: VisionBackend> UnetUp<B> {
    /// x and skip [batch, in/2, h, w] → [batch, out, 2h, 2w].
    pub(super) fn forward(
        &self,
        x: Tensor<B, 4>,
        skip: Tensor<B, 4>,
        mode: &mut NormMode<'_, B>,
    ) -> Tensor<B, 4> {
        let x = vision::concat_channels(x, skip);
        let x = Stacked::new(x).conv_transpose(&self.enlarge, Activation::Identity);
        let x = self.block1.stacked(x, mode);
        self.block2.stacked(x, mode).images()
    }
}

/// Linear, GELU, linear: embeds a time or a context.
#[derive(Module, Debug)]
pub(super) struct Embedding<B: Backend> {
    hidden: Linear<B>,
    output: Linear<B>,
}

impl<B: Backend> Embedding<B> {
    pub(super) fn new(init: &mut ParamInit<'_, B>, d_in: usize, d_out: usize) -> Self {
        Self {
            hidden: Linear::new(init, d_in, d_out),
            output: Linear::new(init, d_out, d_out),
        }
    }
}

impl<B: VisionBackend> Embedding<B> {
    /// [batch, in] → [batch, out, 1, 1].
    pub(super) fn forward(&self, x: Tensor<B, 2>) -> Tensor<B, 4> {
        let x = vision::activate(self.hidden.forward(x), Activation::Gelu);
        let x = self.output.forward(x);
        let [batch, features] = x.dims();
        x.reshape([batch, features, 1, 1])
    }
}

/// The mean over 4×4 pixels, which leaves one pixel at every legal height, and GELU. [batch, n, h,
/// h] → [batch, n, 1, 1].
pub(super) fn pool_to_vector<B: VisionBackend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    let x = vision::avg_pool2d(x, Window::tiles(POOL));
    vision::activate(x, Activation::Gelu)
}

/// The hidden vector back to an image: transposed convolution, group norm, ReLU.
#[derive(Module, Debug)]
pub(super) struct UpFromVector<B: Backend> {
    enlarge: ConvTranspose2d<B>,
    norm: GroupNorm<B>,
}

impl<B: Backend> UpFromVector<B> {
    pub(super) fn new(init: &mut ParamInit<'_, B>, channels: usize, side: usize) -> Self {
        Self {
            enlarge: ConvTranspose2d::enlarging(init, [channels, channels], side),
            norm: GroupNorm::new(init, GROUPS, channels),
        }
    }
}

impl<B: VisionBackend> UpFromVector<B> {
    /// [batch, n, 1, 1] → [batch, n, side, side].
    pub(super) fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let x = self.enlarge.forward(x, Activation::Identity);
        self.norm.forward(x, Activation::Relu)
    }
}

/// Convolution, group norm, ReLU, convolution.
#[derive(Module, Debug)]
pub(super) struct OutputHead<B: Backend> {
    conv1: Conv2d<B>,
    norm: GroupNorm<B>,
    conv2: Conv2d<B>,
}

impl<B: Backend> OutputHead<B> {
    pub(super) fn new(init: &mut ParamInit<'_, B>, channels: [usize; 3]) -> Self {
        let [c_in, hidden, c_out] = channels;
        Self {
            conv1: Conv2d::same(init, [c_in, hidden], KERNEL),
            norm: GroupNorm::new(init, GROUPS, hidden),
            conv2: Conv2d::same(init, [hidden, c_out], KERNEL),
        }
    }
}

impl<B: VisionBackend> OutputHead<B> {
    /// [batch, in, h, w] → [batch, out, h, w].
    pub(super) fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let x = self.conv1.forward(x, Activation::Identity);
        self.conv2.forward_of_norm(x, &self.norm, Activation::Relu)
    }
}
