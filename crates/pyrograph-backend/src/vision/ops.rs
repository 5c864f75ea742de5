//! The operations that models call: [`VisionBackend`]'s methods on tensors.

use burn::tensor::{
    Tensor, TensorPrimitive,
    ops::{ConvOptions, ConvTransposeOptions, FloatTensor},
};

use super::{
    Activation, AttentionOptions, Linear, LinearForm, VisionBackend, Window,
    primitives::{into, tensor},
};

/// `act(x)`, elementwise.
pub fn activate<B: VisionBackend, const D: usize>(
    x: Tensor<B, D>,
    act: Activation,
) -> Tensor<B, D> {
    tensor(B::activate(into(x), act))
}

/// `act(x + y)`, of one shape.
pub fn add<B: VisionBackend, const D: usize>(
    x: Tensor<B, D>,
    y: Tensor<B, D>,
    act: Activation,
) -> Tensor<B, D> {
    tensor(B::add_act(into(x), into(y), act))
}

/// Convolution, bias and activation; see [`super::plain::conv2d`] for the shapes. The weight may be one of
/// [`quantised_weight`](super::quantised_weight).
pub fn conv2d<B: VisionBackend>(
    x: Tensor<B, 4>,
    weight: Tensor<B, 4>,
    bias: Option<Tensor<B, 1>>,
    options: ConvOptions<2>,
    act: Activation,
) -> Tensor<B, 4> {
    let (x, bias) = (into(x), bias.map(into));
    tensor(match weight.into_primitive() {
        TensorPrimitive::Float(weight) => B::conv2d_act(x, weight, bias, options, act),
        TensorPrimitive::QFloat(weight) => B::quantised_conv2d_act(x, weight, bias, options, act),
    })
}

/// Convolution, scale, shift and activation; see [`super::plain::conv2d_scaled`] for the shapes.
pub fn conv2d_scaled<B: VisionBackend>(
    x: Tensor<B, 4>,
    weight: Tensor<B, 4>,
    scale: Tensor<B, 1>,
    shift: Tensor<B, 1>,
    options: ConvOptions<2>,
    act: Activation,
) -> Tensor<B, 4> {
    let (scale, shift) = (into(scale), into(shift));
    tensor(B::conv2d_scaled_act(
        into(x),
        into(weight),
        scale,
        shift,
        options,
        act,
    ))
}

/// Transposed convolution, bias and activation; see [`super::plain::conv_transpose2d`] for the shapes.
pub fn conv_transpose2d<B: VisionBackend>(
    x: Tensor<B, 4>,
    weight: Tensor<B, 4>,
    bias: Option<Tensor<B, 1>>,
    options: ConvTransposeOptions<2>,
    act: Activation,
) -> Tensor<B, 4> {
    tensor(B::conv_transpose2d_act(
        into(x),
        into(weight),
        bias.map(into),
        options,
        act,
    ))
}

/// `x·scale + shift` for each item and channel; see [`super::plain::modulate`] for the shapes.
pub fn modulate<B: VisionBackend>(
    x: Tensor<B, 4>,
    scale: Tensor<B, 4>,
    shift: Tensor<B, 4>,
) -> Tensor<B, 4> {
    let [batch, channels, _, _] = x.dims();
    // One scale for all items is spread here, so that kernels and gradients know one shape.
    let spread = |t: Tensor<B, 4>| t.expand([batch, channels, 1, 1]);
    let (scale, shift) = (spread(scale), spread(shift));
    tensor(B::modulate(into(x), into(scale), into(shift)))
}

/// Group norm and activation; see [`super::plain::group_norm`] for the shapes.
pub fn group_norm<B: VisionBackend>(
    x: Tensor<B, 4>,
    weight: Tensor<B, 1>,
    bias: Tensor<B, 1>,
    groups: usize,
    epsilon: f64,
    act: Activation,
) -> Tensor<B, 4> {
    tensor(B::group_norm_act(
        into(x),
        into(weight),
        into(bias),
        groups,
        epsilon,
        act,
    ))
}

/// Batch norm with given statistics and activation; see [`super::plain::batch_norm`] for the shapes.
pub fn batch_norm<B: VisionBackend>(
    x: Tensor<B, 4>,
    weight: Tensor<B, 1>,
    bias: Tensor<B, 1>,
    mean: Tensor<B, 1>,
    variance: Tensor<B, 1>,
    epsilon: f64,
    act: Activation,
) -> Tensor<B, 4> {
    tensor(B::batch_norm_act(
        into(x),
        into(weight),
        into(bias),
        into(mean),
        into(variance),
        epsilon,
        act,
    ))
}

/// What [`batch_norm_training`] yields.
#[derive(Clone, Debug)]
pub struct BatchNormTraining<B: VisionBackend> {
    /// The normalised and activated output [batch, channels, height, width].
    pub output: Tensor<B, 4>,
    /// The batch's mean `[channels]`, detached.
    pub mean: Tensor<B, 1>,
    /// The batch's biased variance `[channels]`, detached.
    pub variance: Tensor<B, 1>,
}

/// Batch norm with the batch's own statistics, and activation. `x` [batch, channels, height, width].
pub fn batch_norm_training<B: VisionBackend>(
    x: Tensor<B, 4>,
    weight: Tensor<B, 1>,
    bias: Tensor<B, 1>,
    epsilon: f64,
    act: Activation,
) -> BatchNormTraining<B> {
    let out = B::batch_norm_training_act(into(x), into(weight), into(bias), epsilon, act);
    BatchNormTraining {
        output: tensor(out.output),
        mean: tensor::<B, 1>(out.mean).detach(),
        variance: tensor::<B, 1>(out.variance).detach(),
    }
}

/// Every pixel's channels by their Euclidean norm, times a scale a channel; see [`super::plain::l2_norm`] for the shapes.
pub fn l2_norm<B: VisionBackend>(x: Tensor<B, 4>, weight: Tensor<B, 1>) -> Tensor<B, 4> {
    tensor(B::l2_norm(into(x), into(weight)))
}

/// The channel-wise KL divergence of `x` from a constant map; see
/// [`super::plain::channel_divergence`].
pub fn channel_divergence<B: VisionBackend>(
    x: Tensor<B, 4>,
    target: Tensor<B, 4>,
    temperature: f64,
) -> Tensor<B, 1> {
    tensor(B::channel_divergence(into(x), into(target), temperature).value)
}

/// The squared distance of `x` from a constant map, both normalised; see
/// [`super::plain::normal_squares`].
pub fn normal_squares<B: VisionBackend>(
    x: Tensor<B, 4>,
    target: Tensor<B, 4>,
    epsilon: f64,
) -> Tensor<B, 1> {
    tensor(B::normal_squares(into(x), into(target), epsilon).value)
}

/// The weighted squared distance of `x` from a constant map; see
/// [`super::plain::weighted_squares`].
pub fn weighted_squares<B: VisionBackend>(
    x: Tensor<B, 4>,
    target: Tensor<B, 4>,
    weights: Tensor<B, 4>,
) -> Tensor<B, 1> {
    tensor(B::weighted_squares(into(x), into(target), into(weights)).value)
}

/// The weighted KL divergence of the rows of `x` from constant rows; see
/// [`super::plain::row_divergence`].
pub fn row_divergence<B: VisionBackend>(
    x: Tensor<B, 2>,
    target: Tensor<B, 2>,
    weights: Tensor<B, 1>,
    temperature: f64,
) -> Tensor<B, 1> {
    let (target, weights) = (into(target), into(weights));
    tensor(B::row_divergence(into(x), target, weights, temperature).value)
}

/// The weighted smooth L1 distance of the rows of `x` from constant rows; see
/// [`super::plain::row_smooth_l1`].
pub fn row_smooth_l1<B: VisionBackend>(
    x: Tensor<B, 2>,
    target: Tensor<B, 2>,
    weights: Tensor<B, 1>,
) -> Tensor<B, 1> {
    tensor(B::row_smooth_l1(into(x), into(target), into(weights)).value)
}

/// The channels of `x` and after them those of `y`; see [`super::plain::concat_channels`] for the shapes.
pub fn concat_channels<B: VisionBackend>(x: Tensor<B, 4>, y: Tensor<B, 4>) -> Tensor<B, 4> {
    tensor(B::concat_channels(into(x), into(y)))
}

/// The greatest value of each window. [batch, channels, height, width] → [batch, channels, height′, width′].
pub fn max_pool2d<B: VisionBackend>(x: Tensor<B, 4>, window: Window) -> Tensor<B, 4> {
    tensor(B::max_pool2d_window(into(x), window))
}

/// The mean of each window, the padding's zeros counted. [batch, channels, height, width] → [batch, channels, height′, width′].
pub fn avg_pool2d<B: VisionBackend>(x: Tensor<B, 4>, window: Window) -> Tensor<B, 4> {
    tensor(B::avg_pool2d_window(into(x), window))
}

/// Softmax over the last axis.
pub fn softmax<B: VisionBackend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    tensor(B::softmax_last(into(x)))
}

/// Linear layer over the last axis: [.., in] → [.., out]; `weight` [out, in], `bias` `[out]`. A weight of another float type than
/// `x` is converted to the type of `x`; one of [`quantised_weight`](super::quantised_weight) stays as it is.
pub fn linear<B: VisionBackend, const D: usize>(
    x: Tensor<B, D>,
    weight: Tensor<B, 2>,
    bias: Option<Tensor<B, 1>>,
) -> Tensor<B, D> {
    let mut shape = x.dims();
    shape[D - 1] = weight.dims()[0];
    linear_in::<B, 2>(into(rows(x)), weight, bias, LinearForm::Rows).reshape(shape)
}

/// [`linear`] with `residual` [.., out] added.
pub fn linear_plus<B: VisionBackend, const D: usize>(
    x: Tensor<B, D>,
    weight: Tensor<B, 2>,
    bias: Option<Tensor<B, 1>>,
    residual: Tensor<B, D>,
) -> Tensor<B, D> {
    let shape = residual.dims();
    let form = LinearForm::Plus(into(rows(residual)));
    linear_in::<B, 2>(into(rows(x)), weight, bias, form).reshape(shape)
}

/// [`geglu`] of a linear layer: [.., in] → [.., out]; `weight` [2·out, in], `bias` `[2·out]`.
pub fn linear_geglu<B: VisionBackend, const D: usize>(
    x: Tensor<B, D>,
    weight: Tensor<B, 2>,
    bias: Option<Tensor<B, 1>>,
) -> Tensor<B, D> {
    let mut shape = x.dims();
    shape[D - 1] = weight.dims()[0] / 2;
    linear_in::<B, 2>(into(rows(x)), weight, bias, LinearForm::Gated).reshape(shape)
}

/// [`linear`] over the channels of images, whose pixels become tokens: [batch, in, height, width] → [batch, height·width, out].
pub fn linear_of_pixels<B: VisionBackend>(
    x: Tensor<B, 4>,
    weight: Tensor<B, 2>,
    bias: Option<Tensor<B, 1>>,
) -> Tensor<B, 3> {
    linear_in(into(x), weight, bias, LinearForm::OfPixels)
}

/// [`linear`] over tokens, which become the pixels of images, with `skip` added: `x` [batch, height·width, in], `skip` and result
/// [batch, out, height, width].
pub fn linear_to_pixels<B: VisionBackend>(
    x: Tensor<B, 3>,
    weight: Tensor<B, 2>,
    bias: Option<Tensor<B, 1>>,
    skip: Tensor<B, 4>,
) -> Tensor<B, 4> {
    linear_in(into(x), weight, bias, LinearForm::ToPixels(into(skip)))
}

fn linear_in<B: VisionBackend, const D: usize>(
    x: FloatTensor<B>,
    weight: Tensor<B, 2>,
    bias: Option<Tensor<B, 1>>,
    form: LinearForm<FloatTensor<B>>,
) -> Tensor<B, D> {
    let layer = Linear {
        x,
        weight: (),
        bias: bias.map(into),
        form,
    };
    tensor(match weight.into_primitive() {
        TensorPrimitive::Float(weight) => B::linear_layer(layer.with_weight(|()| weight)),
        TensorPrimitive::QFloat(weight) => {
            B::quantised_linear_layer(layer.with_weight(|()| weight))
        }
    })
}

/// Layer norm over the last axis of `x`; `weight` and `bias` as long as that axis. See [`super::plain::layer_norm`].
pub fn layer_norm<B: VisionBackend, const D: usize>(
    x: Tensor<B, D>,
    weight: Tensor<B, 1>,
    bias: Tensor<B, 1>,
    epsilon: f64,
) -> Tensor<B, D> {
    tensor(B::layer_norm_last(
        into(x),
        into(weight),
        into(bias),
        epsilon,
    ))
}

/// Gated GELU over the last axis: [.., 2·features] → [.., features]. See [`super::plain::geglu`].
pub fn geglu<B: VisionBackend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    let mut shape = x.dims();
    let rows = rows(x);
    shape[D - 1] /= 2;
    tensor::<B, 2>(B::geglu_rows(into(rows))).reshape(shape)
}

/// Nearest-neighbour upsampling by a whole `factor`: [batch, channels, height, width] →
/// [batch, channels, height·factor, width·factor].
pub fn upsample_nearest<B: VisionBackend>(x: Tensor<B, 4>, factor: usize) -> Tensor<B, 4> {
    tensor(B::upsample_nearest(into(x), factor))
}

/// A tensor of any rank as rows of its last axis.
fn rows<B: VisionBackend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, 2> {
    let shape = x.dims();
    let rows = shape[..D - 1].iter().product::<usize>();
    x.reshape([rows, shape[D - 1]])
}

/// Scaled dot-product attention; see [`super::plain::attention`] for the shapes. A number alone is the scale.
pub fn attention<B: VisionBackend>(
    query: Tensor<B, 4>,
    key: Tensor<B, 4>,
    value: Tensor<B, 4>,
    bias: Option<Tensor<B, 4>>,
    options: impl Into<AttentionOptions>,
) -> Tensor<B, 4> {
    tensor(B::scaled_dot_product_attention(
        into(query),
        into(key),
        into(value),
        bias.map(into),
        options.into(),
    ))
}
