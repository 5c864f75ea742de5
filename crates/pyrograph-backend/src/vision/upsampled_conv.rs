//! A convolution and the nearest-neighbour upsampling before it in one.

use burn::tensor::{
    Tensor, TensorPrimitive,
    ops::{ConvOptions, FloatTensor},
};

use super::{
    Activation, VisionBackend,
    primitives::{into, tensor},
};

/// A convolution of the image whose pixels each become `factor` × `factor` pixels: see
/// [`plain::upsample_nearest`](super::plain::upsample_nearest) and [`plain::conv2d`](super::plain::conv2d).
#[derive(Clone, Debug)]
pub struct UpsampledConv<F> {
    /// [batch, in, height, width].
    pub x: F,
    /// How often each pixel stands along an axis.
    pub factor: usize,
    /// [out, in, kernel height, kernel width].
    pub weight: F,
    /// `[out]`.
    pub bias: Option<F>,
    /// Stride, padding, dilation and groups.
    pub options: ConvOptions<2>,
}

/// The upsampling, then the convolution, as two operations.
pub(super) fn composed<B: VisionBackend>(layer: UpsampledConv<FloatTensor<B>>) -> FloatTensor<B> {
    let x = B::upsample_nearest(layer.x, layer.factor);
    let act = Activation::Identity;
    B::conv2d_act(x, layer.weight, layer.bias, layer.options, act)
}

/// Nearest-neighbour upsampling by `factor`, convolution and bias: [batch, in, height, width] → [batch, out, height′,
/// width′]. Flex computes a 3×3 convolution of twice the sides on the small image, with weights that are added up; sums of
/// bf16 weights are rounded to bf16 once more on AMX. The weight may be one of [`quantised_weight`](super::quantised_weight).
pub fn conv2d_of_upsampled<B: VisionBackend>(
    x: Tensor<B, 4>,
    factor: usize,
    weight: Tensor<B, 4>,
    bias: Option<Tensor<B, 1>>,
    options: ConvOptions<2>,
) -> Tensor<B, 4> {
    let (x, bias) = (into(x), bias.map(into));
    tensor(match weight.into_primitive() {
        TensorPrimitive::Float(weight) => B::conv2d_of_upsampled(UpsampledConv {
            x,
            factor,
            weight,
            bias,
            options,
        }),
        TensorPrimitive::QFloat(weight) => {
            let x = B::upsample_nearest(x, factor);
            B::quantised_conv2d_act(x, weight, bias, options, Activation::Identity)
        }
    })
}
