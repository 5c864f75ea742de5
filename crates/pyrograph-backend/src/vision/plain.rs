//! The operations of [`VisionBackend`](super::VisionBackend) in plain burn operations: its default bodies, and what every
//! override is held to.

use std::f64::consts::{PI, SQRT_2};

use burn::tensor::{
    DType, Tensor, activation,
    backend::Backend,
    module,
    ops::{ConvOptions, ConvTransposeOptions},
};

use super::{
    Activation, NormStatistics, Window,
    activation::{QUICK_GELU, RELU6_TOP},
};

mod attention;
mod distances;
mod sequence;

pub use attention::{attention, attention_backward, attention_by_blocks};
pub use distances::{
    channel_divergence, normal_squares, row_divergence, row_smooth_l1, weighted_squares,
};
pub use sequence::{geglu, layer_norm, linear, upsample_nearest};

/// Half-precision input is widened: statistics and softmax are computed in f32 (DESIGN: precision policy).
fn widen<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    match x.dtype() {
        DType::F16 | DType::BF16 => x.cast(DType::F32),
        _ => x,
    }
}

/// The tensor in the float type `dtype`: parameters may be held in another type than the values that they meet.
pub(super) fn in_type_of<B: Backend, const D: usize>(
    tensor: Tensor<B, D>,
    dtype: DType,
) -> Tensor<B, D> {
    if tensor.dtype() == dtype {
        tensor
    } else {
        tensor.cast(dtype)
    }
}

/// Reshapes per-channel values `[channels]` so that they broadcast over `[batch, channels, height, width]`.
fn per_channel<B: Backend>(values: Tensor<B, 1>) -> Tensor<B, 4> {
    let [channels] = values.dims();
    values.reshape([1, channels, 1, 1])
}

/// `act(x)`.
pub fn activate<B: Backend, const D: usize>(x: Tensor<B, D>, act: Activation) -> Tensor<B, D> {
    match act {
        Activation::Identity => x,
        Activation::Relu => activation::relu(x),
        Activation::LeakyRelu(slope) => {
            let below = x.clone() * slope;
            x.clone().mask_where(x.lower_equal_elem(0.0), below)
        }
        // Not burn's clamp, which may turn NaN into a number.
        Activation::Relu6 => {
            let above = activation::relu(x);
            above
                .clone()
                .mask_fill(above.greater_equal_elem(RELU6_TOP), RELU6_TOP)
        }
        // Through erf rather than burn's own GELU, whose gradient is a tanh approximation on some backends.
        Activation::Gelu => x.clone() * normal_cdf(x),
        Activation::QuickGelu => x.clone() * sigmoid(x * QUICK_GELU),
        Activation::Silu => x.clone() * sigmoid(x),
        Activation::Tanh => x.tanh(),
    }
}

/// Φ(x) = ½(1 + erf(x/√2)).
fn normal_cdf<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    ((x / SQRT_2).erf() + 1.0) * 0.5
}

/// σ(x) = 1/(1 + e⁻ˣ). burn 0.21 computes its own in f32, whatever the type of the tensor.
fn sigmoid<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    match x.dtype() {
        DType::F64 => {
            let denominator = x.neg().exp() + 1.0;
            denominator.ones_like() / denominator
        }
        _ => activation::sigmoid(x),
    }
}

/// `grad · act′(x)`.
pub fn activate_backward<B: Backend, const D: usize>(
    x: Tensor<B, D>,
    grad: Tensor<B, D>,
    act: Activation,
) -> Tensor<B, D> {
    match act {
        Activation::Identity => grad,
        Activation::Relu => grad.mask_fill(x.lower_equal_elem(0.0), 0.0),
        Activation::LeakyRelu(slope) => {
            let below = grad.clone() * slope;
            grad.mask_where(x.lower_equal_elem(0.0), below)
        }
        Activation::Relu6 => {
            let outside = x
                .clone()
                .lower_equal_elem(0.0)
                .bool_or(x.greater_equal_elem(RELU6_TOP));
            grad.mask_fill(outside, 0.0)
        }
        // Φ(x) + x·φ(x), φ the normal density.
        Activation::Gelu => {
            let density = (x.clone().square() * -0.5).exp() * (1.0 / (2.0 * PI).sqrt());
            grad * (normal_cdf(x.clone()) + x * density)
        }
        // σ(kx)·(1 + kx·(1 − σ(kx))), k = 1.702.
        Activation::QuickGelu => {
            let x = x * QUICK_GELU;
            let sigmoid = sigmoid(x.clone());
            let slope = sigmoid.clone() * (x * (sigmoid.neg() + 1.0) + 1.0);
            grad * slope
        }
        // σ(x)·(1 + x·(1 − σ(x))).
        Activation::Silu => {
            let sigmoid = sigmoid(x.clone());
            let slope = sigmoid.clone() * (x * (sigmoid.neg() + 1.0) + 1.0);
            grad * slope
        }
        // 1 − tanh²(x) = 4e/(1 + e)² with e = e^(−2|x|), which does not cancel.
        Activation::Tanh => {
            let power = (x.abs() * -2.0).exp();
            let sum = power.clone() + 1.0;
            grad * (power * 4.0 / sum.square())
        }
    }
}

/// Convolution, bias and activation. `x` [batch, in, height, width], `weight` [out, in / groups, kh, kw], `bias` `[out]`.
pub fn conv2d<B: Backend>(
    x: Tensor<B, 4>,
    weight: Tensor<B, 4>,
    bias: Option<Tensor<B, 1>>,
    options: ConvOptions<2>,
    act: Activation,
) -> Tensor<B, 4> {
    let dtype = x.dtype();
    let (weight, bias) = (
        in_type_of(weight, dtype),
        bias.map(|bias| in_type_of(bias, dtype)),
    );
    activate(module::conv2d(x, weight, bias, options), act)
}

/// Convolution, a scale and a shift of each output channel, and activation: `act(conv(x)·scale + shift)`, as a convolution with
/// scaled weights. `scale` and `shift` `[out]`, the rest as in [`conv2d`].
pub fn conv2d_scaled<B: Backend>(
    x: Tensor<B, 4>,
    weight: Tensor<B, 4>,
    scale: Tensor<B, 1>,
    shift: Tensor<B, 1>,
    options: ConvOptions<2>,
    act: Activation,
) -> Tensor<B, 4> {
    conv2d(
        x,
        scaled_weight(weight, scale, 0),
        Some(shift),
        options,
        act,
    )
}

/// `weight`, whose axis `outputs` is that of the outputs, times `scale` `[out]`; f32 for half-precision weights.
pub fn scaled_weight<B: Backend>(
    weight: Tensor<B, 4>,
    scale: Tensor<B, 1>,
    outputs: usize,
) -> Tensor<B, 4> {
    let weight = widen(weight);
    let scale = in_type_of(scale, weight.dtype());
    let mut shape = [1; 4];
    shape[outputs] = scale.dims()[0];
    weight * scale.reshape(shape)
}

/// Transposed convolution, bias and activation. `x` [batch, in, height, width], `weight` [in, out / groups, kh, kw], `bias` `[out]`.
pub fn conv_transpose2d<B: Backend>(
    x: Tensor<B, 4>,
    weight: Tensor<B, 4>,
    bias: Option<Tensor<B, 1>>,
    options: ConvTransposeOptions<2>,
    act: Activation,
) -> Tensor<B, 4> {
    let dtype = x.dtype();
    let (weight, beyond) = without_gaps(in_type_of(weight, dtype), &options);
    let bias = bias.map(|bias| in_type_of(bias, dtype));
    let y = module::conv_transpose2d(x, weight, bias, options);
    let [batch, channels, height, width] = y.dims();
    let y = match beyond {
        [0, 0] => y,
        [below, right] => y.slice([0..batch, 0..channels, 0..height - below, 0..width - right]),
    };
    activate(y, act)
}

/// A transposed weight with zeros after it, so that its taps reach as far as the stride, and how many more outputs there are for it.
/// burn 0.21 on WGPU fills the pixels between shorter ones with other numbers than the bias (docs/upstream.md).
fn without_gaps<B: Backend>(
    weight: Tensor<B, 4>,
    options: &ConvTransposeOptions<2>,
) -> (Tensor<B, 4>, [usize; 2]) {
    let [channels_in, channels_out, kh, kw] = weight.dims();
    let more = [0, 1].map(|axis| {
        let (stride, dilation) = (options.stride[axis], options.dilation[axis]);
        (stride - 1)
            .div_ceil(dilation)
            .saturating_sub([kh, kw][axis] - 1)
    });
    if more == [0, 0] {
        return (weight, more);
    }
    let (shape, device) = (
        [channels_in, channels_out, kh + more[0], kw + more[1]],
        weight.device(),
    );
    let whole = Tensor::zeros(shape, (&device, weight.dtype()))
        .slice_assign([0..channels_in, 0..channels_out, 0..kh, 0..kw], weight);
    (
        whole,
        [0, 1].map(|axis| more[axis] * options.dilation[axis]),
    )
}

/// `x·scale + shift` for each item and channel (feature-wise modulation; Perez et al., 2018). `x` [batch, channels, height,
/// width], `scale` and `shift` [batch or 1, channels, 1, 1].
pub fn modulate<B: Backend>(
    x: Tensor<B, 4>,
    scale: Tensor<B, 4>,
    shift: Tensor<B, 4>,
) -> Tensor<B, 4> {
    let dtype = x.dtype();
    x * in_type_of(scale, dtype) + in_type_of(shift, dtype)
}

/// The gradients of [`modulate`]: (∂x, ∂scale, ∂shift), the last two [batch, channels, 1, 1], a row for each item also where
/// the scale is one for all.
pub fn modulate_backward<B: Backend>(
    x: Tensor<B, 4>,
    scale: Tensor<B, 4>,
    grad: Tensor<B, 4>,
) -> (Tensor<B, 4>, Tensor<B, 4>, Tensor<B, 4>) {
    let over_pixels = |t: Tensor<B, 4>| t.sum_dim(3).sum_dim(2);
    let of_scale = over_pixels(grad.clone() * x);
    (grad.clone() * scale, of_scale, over_pixels(grad))
}

/// Keeps the root away from zero, where it has no slope: a pixel whose channels are all 0 stays 0, and its gradient finite. Its root is
/// the 1e-10 of published code, which no f32 norm above 2e-3 shows.
pub(super) const L2_FLOOR: f32 = 1e-20;

/// Every pixel's channels divided by their Euclidean norm, times a scale a channel
/// ([ParseNet](https://arxiv.org/abs/1506.04579)). `x` [batch, channels, height, width], `weight` `[channels]`.
pub fn l2_norm<B: Backend>(x: Tensor<B, 4>, weight: Tensor<B, 1>) -> Tensor<B, 4> {
    let dtype = x.dtype();
    let x = widen(x);
    let norm = (x.clone().square().sum_dim(1) + L2_FLOOR).sqrt();
    (x / norm).cast(dtype) * per_channel(in_type_of(weight, dtype))
}

/// The gradients of [`l2_norm`] to `x` and to `weight`: with `g = grad·weight`, `n` the norm and `y = x/n`, `(g − y·Σ(g·y))/n`, and
/// `Σ grad·y`.
pub fn l2_norm_backward<B: Backend>(
    x: Tensor<B, 4>,
    weight: Tensor<B, 1>,
    grad: Tensor<B, 4>,
) -> (Tensor<B, 4>, Tensor<B, 1>) {
    let dtype = x.dtype();
    let of = weight.dtype();
    let (x, weight, grad) = (widen(x), widen(weight), widen(grad));
    // Divisions: a reciprocal is an estimate on some backends (docs/upstream.md).
    let norm = (x.clone().square().sum_dim(1) + L2_FLOOR).sqrt();
    let normal = x / norm.clone();
    let of_weight = channel_sum(grad.clone() * normal.clone());
    let grad = grad * per_channel(weight);
    let along = (grad.clone() * normal.clone()).sum_dim(1);
    let of_x = (grad - normal * along) / norm;
    (of_x.cast(dtype), of_weight.cast(of))
}

/// Group norm (Wu and He, 2018) and activation over `x` [batch, channels, height, width]; `groups` divides the channels.
pub fn group_norm<B: Backend>(
    x: Tensor<B, 4>,
    weight: Tensor<B, 1>,
    bias: Tensor<B, 1>,
    groups: usize,
    epsilon: f64,
    act: Activation,
) -> Tensor<B, 4> {
    let shape = x.dims();
    let [batch, channels, height, width] = shape;
    let dtype = x.dtype();
    let x = widen(x).reshape([batch, groups, channels / groups * height * width]);
    let centred = x.clone() - x.mean_dim(2);
    let variance = centred.clone().square().mean_dim(2);
    let normal = (centred / (variance + epsilon).sqrt())
        .reshape(shape)
        .cast(dtype);
    let (weight, bias) = (in_type_of(weight, dtype), in_type_of(bias, dtype));
    activate(normal * per_channel(weight) + per_channel(bias), act)
}

/// The gradients of [`group_norm`]: (∂x, ∂weight, ∂bias).
///
/// With `x̂` the normalised input, `g` the gradient before the activation, `h = g·w` and means over a group's values:
/// `∂x = (h − mean(h) − x̂·mean(h·x̂))/√(σ² + ε)`, `∂w = Σ g·x̂`, `∂b = Σ g`.
pub fn group_norm_backward<B: Backend>(
    x: Tensor<B, 4>,
    weight: Tensor<B, 1>,
    bias: Tensor<B, 1>,
    groups: usize,
    epsilon: f64,
    act: Activation,
    grad: Tensor<B, 4>,
) -> (Tensor<B, 4>, Tensor<B, 1>, Tensor<B, 1>) {
    let shape = x.dims();
    let [batch, channels, height, width] = shape;
    let by_group = [batch, groups, channels / groups * height * width];
    let dtype = x.dtype();
    let (weight, bias) = (in_type_of(weight, dtype), in_type_of(bias, dtype));
    let x = widen(x).reshape(by_group);
    let centred = x.clone() - x.mean_dim(2);
    let deviation = (centred.clone().square().mean_dim(2) + epsilon).sqrt();
    let normal = centred / deviation.clone();
    let normal_image = normal.clone().reshape(shape).cast(dtype);
    let before = match act {
        Activation::Identity => grad,
        act => {
            let y = normal_image.clone() * per_channel(weight.clone()) + per_channel(bias);
            activate_backward(y, grad, act)
        }
    };
    let grad_bias = channel_sum(before.clone());
    let grad_weight = channel_sum(before.clone() * normal_image);
    let h = widen(before * per_channel(weight)).reshape(by_group);
    let slope = (h.clone() * normal.clone()).mean_dim(2);
    let grad_x = (h.clone() - h.mean_dim(2) - normal * slope) / deviation;
    (grad_x.reshape(shape).cast(dtype), grad_weight, grad_bias)
}

/// Batch norm (Ioffe and Szegedy, 2015) with given statistics, and activation, over `x` [batch, channels, height, width].
pub fn batch_norm<B: Backend>(
    x: Tensor<B, 4>,
    weight: Tensor<B, 1>,
    bias: Tensor<B, 1>,
    mean: Tensor<B, 1>,
    variance: Tensor<B, 1>,
    epsilon: f64,
    act: Activation,
) -> Tensor<B, 4> {
    let dtype = x.dtype();
    let [scale, shift] = scale_and_shift(weight, bias, mean, variance, epsilon);
    let x = widen(x);
    let (scale, shift) = (in_type_of(scale, x.dtype()), in_type_of(shift, x.dtype()));
    let normal = x * per_channel(scale) + per_channel(shift);
    activate(in_type_of(normal, dtype), act)
}

/// A [`batch_norm`] as a scale and a shift of each channel, both `[channels]`; f32 for half-precision input.
pub fn scale_and_shift<B: Backend>(
    weight: Tensor<B, 1>,
    bias: Tensor<B, 1>,
    mean: Tensor<B, 1>,
    variance: Tensor<B, 1>,
    epsilon: f64,
) -> [Tensor<B, 1>; 2] {
    let variance = widen(variance);
    let dtype = variance.dtype();
    let [weight, bias, mean] = [weight, bias, mean].map(|values| in_type_of(values, dtype));
    let scale = weight / (variance + epsilon).sqrt();
    let shift = bias - mean * scale.clone();
    [scale, shift]
}

/// The mean and the biased variance of each channel of `x` [batch, channels, height, width]: two tensors `[channels]`.
pub fn channel_statistics<B: Backend>(x: Tensor<B, 4>) -> (Tensor<B, 1>, Tensor<B, 1>) {
    let [_, channels, _, _] = x.dims();
    let over_items = |t: Tensor<B, 4>| t.mean_dim(3).mean_dim(2).mean_dim(0);
    let x = widen(x);
    let mean = over_items(x.clone());
    let variance = over_items((x - mean.clone()).square());
    (mean.reshape([channels]), variance.reshape([channels]))
}

/// The sum of each channel of `x` [batch, channels, height, width]: `[channels]`.
pub fn channel_sum<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 1> {
    let [_, channels, _, _] = x.dims();
    x.sum_dim(3).sum_dim(2).sum_dim(0).reshape([channels])
}

/// The gradients of batch norm followed by `act`: (∂x, ∂weight, ∂bias).
///
/// With `x̂ = (x − μ)/√(σ² + ε)`, `g` the gradient before the activation and `n` the values per channel: `∂w = Σ g·x̂`,
/// `∂b = Σ g`, and `∂x = w/√(σ² + ε) · g` with given statistics, `w/√(σ² + ε) · (g − Σg/n − x̂·Σ(g·x̂)/n)` with the batch's own
/// (Ioffe and Szegedy, section 3).
#[allow(clippy::too_many_arguments)] // The tensors of one formula.
pub fn batch_norm_backward<B: Backend>(
    x: Tensor<B, 4>,
    weight: Tensor<B, 1>,
    bias: Tensor<B, 1>,
    mean: Tensor<B, 1>,
    variance: Tensor<B, 1>,
    statistics: NormStatistics,
    epsilon: f64,
    act: Activation,
    grad: Tensor<B, 4>,
) -> (Tensor<B, 4>, Tensor<B, 1>, Tensor<B, 1>) {
    let [batch, _, height, width] = x.dims();
    let (dtype, of_weight, of_bias) = (x.dtype(), weight.dtype(), bias.dtype());
    let (x, grad) = (widen(x), widen(grad));
    let [weight, bias, mean, variance] =
        [weight, bias, mean, variance].map(|values| in_type_of(values, x.dtype()));
    let per_value = 1.0 / (batch * height * width) as f64;
    let deviation = (variance + epsilon).sqrt();
    // Not `recip`, which burn-ndarray 0.21 answers with the CPU's estimate for 32 values and more.
    let inverse = deviation.ones_like() / deviation;
    let normal = (x - per_channel(mean)) * per_channel(inverse.clone());
    let before = match act {
        Activation::Identity => grad,
        act => {
            let y = normal.clone() * per_channel(weight.clone()) + per_channel(bias);
            activate_backward(y, grad, act)
        }
    };
    let grad_bias = channel_sum(before.clone());
    let grad_weight = channel_sum(before.clone() * normal.clone());
    let centred = match statistics {
        NormStatistics::Given => before,
        NormStatistics::OfBatch => {
            let shift = per_channel(grad_bias.clone() * per_value);
            let slope = per_channel(grad_weight.clone() * per_value);
            before - shift - normal * slope
        }
    };
    let grad_x = centred * per_channel(weight * inverse);
    (
        in_type_of(grad_x, dtype),
        in_type_of(grad_weight, of_weight),
        in_type_of(grad_bias, of_bias),
    )
}

/// The channels of `x` and after them those of `y`: [batch, c, height, width] and [batch, d, height, width] to
/// [batch, c + d, height, width].
pub fn concat_channels<B: Backend>(x: Tensor<B, 4>, y: Tensor<B, 4>) -> Tensor<B, 4> {
    Tensor::cat(vec![x, y], 1)
}

/// The greatest value of each window of `x` [batch, channels, height, width].
pub fn max_pool2d<B: Backend>(x: Tensor<B, 4>, window: Window) -> Tensor<B, 4> {
    let Window {
        size,
        stride,
        padding,
    } = window;
    module::max_pool2d(x, size, stride, padding, [1, 1], false)
}

/// The mean of each window of `x` [batch, channels, height, width], the padding's zeros counted.
pub fn avg_pool2d<B: Backend>(x: Tensor<B, 4>, window: Window) -> Tensor<B, 4> {
    let Window {
        size,
        stride,
        padding,
    } = window;
    module::avg_pool2d(x, size, stride, padding, true, false)
}

/// Softmax over the last axis. f32 for half-precision input.
pub fn softmax<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    let dtype = x.dtype();
    activation::softmax(widen(x), D - 1).cast(dtype)
}

/// The gradient of [`softmax`] by its output: `y·(g − Σ g·y)`.
pub fn softmax_backward<B: Backend, const D: usize>(
    y: Tensor<B, D>,
    grad: Tensor<B, D>,
) -> Tensor<B, D> {
    let dot = (grad.clone() * y.clone()).sum_dim(D - 1);
    y * (grad - dot)
}
