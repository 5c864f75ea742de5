//! A convolution and the group norm before it in one.

use burn::tensor::{
    Tensor, TensorPrimitive,
    ops::{ConvOptions, FloatTensor},
};

use super::{
    Activation, VisionBackend,
    primitives::{into, tensor},
};

/// A group norm with its activation: see [`plain::group_norm`](super::plain::group_norm).
#[derive(Clone, Debug)]
pub struct GroupNorm<F> {
    /// `[channels]`.
    pub weight: F,
    /// `[channels]`.
    pub bias: F,
    /// Groups of channels that share their statistics.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f64,
    /// The activation after the norm.
    pub act: Activation,
}

/// A convolution of `norm(x)`: see [`plain::conv2d`](super::plain::conv2d).
#[derive(Clone, Debug)]
pub struct NormedConv<F> {
    /// [batch, in, height, width].
    pub x: F,
    /// Of the channels of `x`.
    pub norm: GroupNorm<F>,
    /// [out, in, kernel height, kernel width].
    pub weight: F,
    /// `[out]`.
    pub bias: Option<F>,
    /// Stride, padding, dilation and groups.
    pub options: ConvOptions<2>,
}

/// The group norm, then the convolution, as two operations.
pub(super) fn composed<B: VisionBackend>(layer: NormedConv<FloatTensor<B>>) -> FloatTensor<B> {
    let norm = layer.norm;
    let normal = B::group_norm_act(
        layer.x,
        norm.weight,
        norm.bias,
        norm.groups,
        norm.epsilon,
        norm.act,
    );
    let act = Activation::Identity;
    B::conv2d_act(normal, layer.weight, layer.bias, layer.options, act)
}

/// Group norm, activation, convolution and bias: [batch, in, height, width] → [batch, out, height′, width′]. Flex on AMX
/// computes it without storing the normalised image. The weight may be one of
/// [`quantised_weight`](super::quantised_weight).
pub fn conv2d_of_group_norm<B: VisionBackend>(
    x: Tensor<B, 4>,
    norm: GroupNorm<Tensor<B, 1>>,
    weight: Tensor<B, 4>,
    bias: Option<Tensor<B, 1>>,
    options: ConvOptions<2>,
) -> Tensor<B, 4> {
    let norm = GroupNorm {
        weight: into(norm.weight),
        bias: into(norm.bias),
        groups: norm.groups,
        epsilon: norm.epsilon,
        act: norm.act,
    };
    let (x, bias) = (into(x), bias.map(into));
    tensor(match weight.into_primitive() {
        TensorPrimitive::Float(weight) => B::conv2d_of_group_norm(NormedConv {
            x,
            norm,
            weight,
            bias,
            options,
        }),
        TensorPrimitive::QFloat(weight) => {
            let (groups, epsilon, act) = (norm.groups, norm.epsilon, norm.act);
            let x = B::group_norm_act(x, norm.weight, norm.bias, groups, epsilon, act);
            B::quantised_conv2d_act(x, weight, bias, options, Activation::Identity)
        }
    })
}
