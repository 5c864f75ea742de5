//! Convolutions.

use burn::{
    module::{Module, Param, ParamId},
    tensor::{
        DType, Tensor,
        backend::Backend,
        ops::{ConvOptions, ConvTransposeOptions},
    },
};
use pyrograph_backend::vision::{self, Activation, VisionBackend};

use super::{
    BatchNorm2d, GroupNorm, NormMode, ParamInit, Stacked,
    watch::{LayerCall, LayerInput, tokens, watch},
};

/// The kernel of a convolution: size, stride and padding, equal for both axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Side of the kernel in pixels.
    pub size: usize,
    /// Stride in pixels.
    pub stride: usize,
    /// Padding in pixels on every side.
    pub padding: usize,
}

/// `torch.nn.Conv2d` with square kernel, and one stride, padding and dilation for both axes.
#[derive(Module, Debug)]
pub struct Conv2d<B: Backend> {
    /// [out, in / groups, kernel, kernel].
    pub weight: Param<Tensor<B, 4>>,
    /// `[out]`.
    pub bias: Option<Param<Tensor<B, 1>>>,
    stride: usize,
    padding: usize,
    dilation: usize,
    groups: usize,
}

impl<B: Backend> Conv2d<B> {
    /// A convolution of `channels` [in, out], with bias.
    pub fn new(init: &mut ParamInit<'_, B>, channels: [usize; 2], kernel: Kernel) -> Self {
        let [c_in, c_out] = channels;
        let window = kernel.size * kernel.size;
        let fans = [c_in * window, c_out * window];
        Self {
            weight: init.weight([c_out, c_in, kernel.size, kernel.size], fans),
            bias: Some(init.bias(c_out, fans[0])),
            stride: kernel.stride,
            padding: kernel.padding,
            dilation: 1,
            groups: 1,
        }
    }

    /// A depthwise convolution of `channels` (groups = channels), with bias.
    pub fn depthwise(init: &mut ParamInit<'_, B>, channels: usize, kernel: Kernel) -> Self {
        let mut layer = Self::new(init, [1, channels], kernel);
        layer.groups = channels;
        layer
    }

    /// Sets the dilation: the distance of neighbouring kernel elements, in pixels.
    pub fn dilated(self, dilation: usize) -> Self {
        Self { dilation, ..self }
    }

    /// A convolution with stride 1 whose output has the size of its input; `kernel` is odd.
    pub fn same(init: &mut ParamInit<'_, B>, channels: [usize; 2], kernel: usize) -> Self {
        let kernel = Kernel {
            size: kernel,
            stride: 1,
            padding: kernel / 2,
        };
        Self::new(init, channels, kernel)
    }

    /// Removes the bias.
    pub fn without_bias(self) -> Self {
        Self { bias: None, ..self }
    }
}

impl<B: VisionBackend> Conv2d<B> {
    /// Convolution, bias and activation.
    ///
    /// # Shapes
    /// [batch, in, height, width] → [batch, out, height′, width′].
    pub fn forward(&self, x: Tensor<B, 4>, act: Activation) -> Tensor<B, 4> {
        self.show(|| x.clone());
        vision::conv2d(x, self.weight.val(), self.bias(), self.options(), act)
    }

    /// A 1×1 convolution whose pixels become tokens: [batch, in, height, width] → [batch, height·width, out].
    pub(crate) fn forward_pixels(&self, x: Tensor<B, 4>) -> Tensor<B, 3> {
        self.show(|| x.clone());
        vision::linear_of_pixels(x, vision::matrix_of(self.weight.val()), self.bias())
    }

    /// A 1×1 convolution over tokens, which become the pixels of images, with `skip` added: `x`
    /// [batch, height·width, in], `skip` and result [batch, out, height, width].
    pub(crate) fn forward_to_pixels(&self, x: Tensor<B, 3>, skip: Tensor<B, 4>) -> Tensor<B, 4> {
        let weight = vision::matrix_of(self.weight.val());
        watch(|| LayerCall {
            id: self.weight.id,
            input: LayerInput::Tokens {
                x: tokens(x.clone()),
                weight: weight.clone(),
            },
            bias: self.bias(),
        });
        vision::linear_to_pixels(x, weight, self.bias(), skip)
    }

    /// The convolution of `act(norm(x))`, with bias.
    ///
    /// # Shapes
    /// As [`forward`](Self::forward).
    pub fn forward_of_norm(
        &self,
        x: Tensor<B, 4>,
        norm: &GroupNorm<B>,
        act: Activation,
    ) -> Tensor<B, 4> {
        self.show(|| norm.forward(x.clone(), act));
        let (weight, bias) = (self.weight.val(), self.bias());
        vision::conv2d_of_group_norm(x, norm.with_act(act), weight, bias, self.options())
    }

    /// The convolution of the image whose pixels each become `factor` × `factor` pixels, with bias.
    ///
    /// # Shapes
    /// As [`forward`](Self::forward) of the large image.
    pub fn forward_of_upsampled(&self, x: Tensor<B, 4>, factor: usize) -> Tensor<B, 4> {
        self.show(|| vision::upsample_nearest(x.clone(), factor));
        let (weight, bias) = (self.weight.val(), self.bias());
        vision::conv2d_of_upsampled(x, factor, weight, bias, self.options())
    }

    /// [`forward_of_norm`](Self::forward_of_norm) with a shift of every channel, either one for the whole batch or one
    /// for each item.
    ///
    /// # Shapes
    /// `shift` [1 or batch, out].
    pub(crate) fn forward_of_norm_shifted(
        &self,
        x: Tensor<B, 4>,
        norm: &GroupNorm<B>,
        act: Activation,
        shift: Tensor<B, 2>,
    ) -> Tensor<B, 4> {
        let [items, out] = shift.dims();
        if items > 1 {
            let shift = shift.reshape([items, out, 1, 1]);
            let y = self.forward_of_norm(x, norm, act);
            return vision::modulate(y, shift.ones_like(), shift);
        }
        self.show(|| norm.forward(x.clone(), act));
        let shift = shift.reshape([out]);
        let shift = match &self.bias {
            Some(bias) => in_type(bias.val(), shift.dtype()) + shift,
            None => shift,
        };
        let (norm, weight) = (norm.with_act(act), self.weight.val());
        vision::conv2d_of_group_norm(x, norm, weight, Some(shift), self.options())
    }

    /// The convolution without bias: the linear map that it applies to a direction (tangent).
    ///
    /// # Shapes
    /// As [`forward`](Self::forward).
    pub fn forward_linear(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        vision::conv2d(
            x,
            self.weight.val(),
            None,
            self.options(),
            Activation::Identity,
        )
    }

    /// Convolution, batch norm and activation. In [`NormMode::Eval`] the norm is folded into the
    /// convolution's weights.
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
        let [scale, shift] = self.scale_and_shift(norm);
        vision::conv2d_scaled(x, self.weight.val(), scale, shift, self.options(), act)
    }

    /// Folds the norm that follows into this convolution, with the running statistics of
    /// [`NormMode::Eval`]. Half-precision weights become f32, so that they are not rounded a second
    /// time.
    pub fn folded(&self, norm: &BatchNorm2d<B>) -> Self {
        let [scale, shift] = self.scale_and_shift(norm);
        let weight = vision::plain::scaled_weight(self.weight.val(), scale, 0);
        Self {
            weight: derived(weight),
            bias: Some(derived(shift)),
            ..self.clone()
        }
    }

    /// The scale and the shift of each output by the norm that follows in [`NormMode::Eval`], the bias included.
    pub(super) fn scale_and_shift(&self, norm: &BatchNorm2d<B>) -> [Tensor<B, 1>; 2] {
        with_bias(norm.scale_and_shift(), &self.bias)
    }

    pub(super) fn bias(&self) -> Option<Tensor<B, 1>> {
        self.bias.as_ref().map(Param::val)
    }

    /// Shows a call with the images that `x` yields to a watcher.
    fn show(&self, x: impl FnOnce() -> Tensor<B, 4>) {
        watch(|| LayerCall {
            id: self.weight.id,
            input: LayerInput::Images {
                x: x(),
                weight: self.weight.val(),
                options: self.options(),
            },
            bias: self.bias(),
        });
    }

    pub(super) fn options(&self) -> ConvOptions<2> {
        ConvOptions::new(
            [self.stride; 2],
            [self.padding; 2],
            [self.dilation; 2],
            self.groups,
        )
    }
}

/// `torch.nn.ConvTranspose2d` with square kernel, one stride and one padding for both axes, and bias.
#[derive(Module, Debug)]
pub struct ConvTranspose2d<B: Backend> {
    /// [in, out, kernel, kernel].
    pub weight: Param<Tensor<B, 4>>,
    /// `[out]`.
    pub bias: Option<Param<Tensor<B, 1>>>,
    stride: usize,
    padding: usize,
}

impl<B: Backend> ConvTranspose2d<B> {
    /// A transposed convolution of `channels` [in, out], with bias.
    pub fn new(init: &mut ParamInit<'_, B>, channels: [usize; 2], kernel: Kernel) -> Self {
        let [c_in, c_out] = channels;
        // PyTorch counts the fan of a transposed weight along its second axis.
        let window = kernel.size * kernel.size;
        let fans = [c_out * window, c_in * window];
        Self {
            weight: init.weight([c_in, c_out, kernel.size, kernel.size], fans),
            bias: Some(init.bias(c_out, fans[0])),
            stride: kernel.stride,
            padding: kernel.padding,
        }
    }

    /// A transposed convolution with kernel and stride `factor`, which enlarges height and width by
    /// `factor`: every input pixel becomes a block.
    pub fn enlarging(init: &mut ParamInit<'_, B>, channels: [usize; 2], factor: usize) -> Self {
        let kernel = Kernel {
            size: factor,
            stride: factor,
            padding: 0,
        };
        Self::new(init, channels, kernel)
    }

    /// Removes the bias.
    pub fn without_bias(self) -> Self {
        Self { bias: None, ..self }
    }
}

impl<B: VisionBackend> ConvTranspose2d<B> {
    /// Transposed convolution, bias and activation.
    ///
    /// # Shapes
    /// [batch, in, height, width] → [batch, out, height′, width′], height′ = (height − 1) · stride
    /// − 2 · padding + kernel.
    pub fn forward(&self, x: Tensor<B, 4>, act: Activation) -> Tensor<B, 4> {
        vision::conv_transpose2d(x, self.weight.val(), self.bias(), self.options(), act)
    }

    /// The scale and the shift of each output by the norm that follows in [`NormMode::Eval`], the bias included.
    pub(super) fn scale_and_shift(&self, norm: &BatchNorm2d<B>) -> [Tensor<B, 1>; 2] {
        with_bias(norm.scale_and_shift(), &self.bias)
    }

    pub(super) fn bias(&self) -> Option<Tensor<B, 1>> {
        self.bias.as_ref().map(Param::val)
    }

    pub(super) fn options(&self) -> ConvTransposeOptions<2> {
        ConvTransposeOptions::new([self.stride; 2], [self.padding; 2], [0, 0], [1, 1], 1)
    }

    /// Transposed convolution, batch norm and activation. In [`NormMode::Eval`] the norm is a scale and
    /// a shift of each output.
    ///
    /// # Shapes
    /// As [`forward`](Self::forward).
    pub fn forward_norm(
        &self,
        x: Tensor<B, 4>,
        norm: &BatchNorm2d<B>,
        act: Activation,
        mode: &mut NormMode<'_, B>,
    ) -> Tensor<B, 4> {
        Stacked::new(x)
            .conv_transpose_norm(self, norm, act, mode)
            .images()
    }

    /// Folds the norm that follows into this transposed convolution, with the running statistics of
    /// [`NormMode::Eval`]. Half-precision weights become f32, so that they are not rounded a second
    /// time.
    pub fn folded(&self, norm: &BatchNorm2d<B>) -> Self {
        let [scale, shift] = self.scale_and_shift(norm);
        let weight = vision::plain::scaled_weight(self.weight.val(), scale, 1);
        Self {
            weight: derived(weight),
            bias: Some(derived(shift)),
            ..self.clone()
        }
    }
}

/// A value computed from parameters: it may be tracked by autodiff, but is not a parameter.
fn derived<B: Backend, const D: usize>(value: Tensor<B, D>) -> Param<Tensor<B, D>> {
    Param::initialized(ParamId::new(), value)
}

/// The values in the type `dtype`; where they have it, no operation is recorded.
fn in_type<B: Backend, const D: usize>(values: Tensor<B, D>, dtype: DType) -> Tensor<B, D> {
    match values.dtype() == dtype {
        true => values,
        false => values.cast(dtype),
    }
}

/// The scale, and `bias · scale + shift`, all `[channels]`.
fn with_bias<B: Backend>(
    [scale, shift]: [Tensor<B, 1>; 2],
    bias: &Option<Param<Tensor<B, 1>>>,
) -> [Tensor<B, 1>; 2] {
    let shift = match bias {
        Some(bias) => in_type(bias.val(), scale.dtype()) * scale.clone() + shift,
        None => shift,
    };
    [scale, shift]
}
