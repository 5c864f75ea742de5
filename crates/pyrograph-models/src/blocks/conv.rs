//! Convolutions.

use burn::{
    module::{Module, Param},
    tensor::{
        Tensor,
        backend::Backend,
        ops::{ConvOptions, ConvTransposeOptions},
    },
};
use pyrograph_backend::vision::{self, Activation, VisionBackend};

use super::{BatchNorm2d, NormMode, ParamInit};

/// `torch.nn.Conv2d` with square kernel, one stride, padding and dilation for both axes, and bias.
#[derive(Module, Debug)]
pub struct Conv2d<B: Backend> {
    /// [out, in, kernel, kernel].
    pub weight: Param<Tensor<B, 4>>,
    /// `[out]`.
    pub bias: Param<Tensor<B, 1>>,
    stride: usize,
    padding: usize,
}

impl<B: Backend> Conv2d<B> {
    /// A convolution with stride 1 whose output has the size of its input; `kernel` is odd.
    pub fn same(init: &mut ParamInit<'_, B>, channels: [usize; 2], kernel: usize) -> Self {
        let [c_in, c_out] = channels;
        let fan_in = c_in * kernel * kernel;
        Self {
            weight: init.fan_in([c_out, c_in, kernel, kernel], fan_in),
            bias: init.fan_in([c_out], fan_in),
            stride: 1,
            padding: kernel / 2,
        }
    }
}

impl<B: VisionBackend> Conv2d<B> {
    /// Convolution, bias and activation.
    ///
    /// # Shapes
    /// [batch, in, height, width] → [batch, out, height′, width′].
    pub fn forward(&self, x: Tensor<B, 4>, act: Activation) -> Tensor<B, 4> {
        let bias = Some(self.bias.val());
        vision::conv2d(x, self.weight.val(), bias, self.options(), act)
    }

    /// Convolution, batch norm and activation. In [`NormMode::Eval`] the norm is a part of the convolution's weights.
    ///
    /// # Shapes
    /// [batch, in, height, width] → [batch, out, height′, width′].
    pub fn forward_norm(
        &self,
        x: Tensor<B, 4>,
        norm: &BatchNorm2d<B>,
        act: Activation,
        mode: &mut NormMode<'_, B>,
    ) -> Tensor<B, 4> {
        if matches!(mode, NormMode::Train(_)) {
            return norm.forward(self.forward(x, Activation::Identity), act, mode);
        }
        let [scale, shift] = norm.scale_and_shift();
        let shift = self.bias.val() * scale.clone() + shift;
        vision::conv2d_scaled(x, self.weight.val(), scale, shift, self.options(), act)
    }

    fn options(&self) -> ConvOptions<2> {
        ConvOptions::new([self.stride; 2], [self.padding; 2], [1, 1], 1)
    }
}

/// `torch.nn.ConvTranspose2d` whose stride equals its kernel: every input pixel becomes a block.
#[derive(Module, Debug)]
pub struct ConvTranspose2d<B: Backend> {
    /// [in, out, kernel, kernel].
    pub weight: Param<Tensor<B, 4>>,
    /// `[out]`.
    pub bias: Param<Tensor<B, 1>>,
    stride: usize,
}

impl<B: Backend> ConvTranspose2d<B> {
    /// Enlarges height and width by `factor`.
    pub fn enlarging(init: &mut ParamInit<'_, B>, channels: [usize; 2], factor: usize) -> Self {
        let [c_in, c_out] = channels;
        // PyTorch counts the fan of a transposed weight along its second axis.
        let fan_in = c_out * factor * factor;
        Self {
            weight: init.fan_in([c_in, c_out, factor, factor], fan_in),
            bias: init.fan_in([c_out], fan_in),
            stride: factor,
        }
    }
}

impl<B: VisionBackend> ConvTranspose2d<B> {
    /// Transposed convolution and bias.
    ///
    /// # Shapes
    /// [batch, in, height, width] → [batch, out, height · factor, width · factor].
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let options = ConvTransposeOptions::new([self.stride; 2], [0, 0], [0, 0], [1, 1], 1);
        let (weight, bias) = (self.weight.val(), Some(self.bias.val()));
        vision::conv_transpose2d(x, weight, bias, options, Activation::Identity)
    }
}
