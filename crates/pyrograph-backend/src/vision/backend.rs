//! The trait itself.

use burn::tensor::{
    Device, TensorData, TensorMetadata, TensorPrimitive,
    backend::Backend,
    ops::{ConvOptions, ConvTransposeOptions, FloatTensor, QuantizedTensor},
};

use super::{
    Activation, AttentionGradients, AttentionOptions, AttentionPass, BatchNormOutput, Distance,
    Int8Products, Linear, ModulateGradients, NormGradients, NormStatistics, NormedConv,
    PreparedWeight, Stack, UpsampledConv, Window, conv_stack, linear, normed_conv, plain,
    primitives::{
        by_rows, distance, in_type, into, plain_attention_backward, plain_max_pool_backward,
        plain_modulate_backward, plain_softmax_backward, tensor,
    },
    upsampled_conv,
};

/// A burn backend with the few operations where a fused kernel pays.
///
/// Every method has a default body in plain burn operations (see [`plain`]), so any backend joins with
/// `impl VisionBackend for MyBackend {}`. An override agrees with its default to `f32_op` (1e-5 of the output's scale), in
/// value and in gradient; 3×3 convolutions by Winograd's method, whose error is larger, to 2e-5. `Autodiff<B>` has its own
/// implementation with hand-written backward steps.
///
/// Weights, biases and scales may have another float type than `x`: they are converted to that of `x` for the call.
///
/// The arguments are primitives; models call the functions of [`crate::vision`], which take tensors.
pub trait VisionBackend: Backend {
    /// See [`plain::activate`].
    fn activate(x: FloatTensor<Self>, act: Activation) -> FloatTensor<Self> {
        into(plain::activate(tensor::<Self, 1>(x), act))
    }

    /// `act(x + y)`, of one shape.
    fn add_act(x: FloatTensor<Self>, y: FloatTensor<Self>, act: Activation) -> FloatTensor<Self> {
        Self::activate(Self::float_add(x, y), act)
    }

    /// `grad · act′(x)`; see [`plain::activate_backward`].
    fn activate_backward(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        act: Activation,
    ) -> FloatTensor<Self> {
        into(plain::activate_backward(
            tensor::<Self, 1>(x),
            tensor(grad),
            act,
        ))
    }

    /// See [`plain::conv2d`].
    fn conv2d_act(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
        options: ConvOptions<2>,
        act: Activation,
    ) -> FloatTensor<Self> {
        let weight = in_type::<Self>(weight, x.dtype());
        let bias = bias.map(|bias| in_type::<Self>(bias, x.dtype()));
        Self::activate(Self::conv2d(x, weight, bias, options), act)
    }

    /// See [`plain::conv2d_scaled`].
    fn conv2d_scaled_act(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        options: ConvOptions<2>,
        act: Activation,
    ) -> FloatTensor<Self> {
        let weight = plain::scaled_weight(tensor::<Self, 4>(weight), tensor(scale), 0);
        Self::conv2d_act(x, into(weight), Some(shift), options, act)
    }

    /// See [`conv2d_of_group_norm`](super::conv2d_of_group_norm).
    fn conv2d_of_group_norm(layer: NormedConv<FloatTensor<Self>>) -> FloatTensor<Self> {
        normed_conv::composed::<Self>(layer)
    }

    /// See [`conv2d_of_upsampled`](super::conv2d_of_upsampled).
    fn conv2d_of_upsampled(layer: UpsampledConv<FloatTensor<Self>>) -> FloatTensor<Self> {
        upsampled_conv::composed::<Self>(layer)
    }

    /// See [`ConvStack`](super::ConvStack).
    fn conv_stack(stack: Stack<FloatTensor<Self>>) -> FloatTensor<Self> {
        conv_stack::composed::<Self>(stack)
    }

    /// ∂x of a convolution with `x` [batch, in, height, width] and `weight`, given the gradient of its output.
    fn conv2d_input_gradient(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        options: ConvOptions<2>,
    ) -> FloatTensor<Self> {
        let weight = in_type::<Self>(weight, x.dtype());
        Self::conv2d_x_backward(x, weight, grad, options)
    }

    /// ∂weight of a convolution with `x` [batch, in, height, width] and `weight`, given the gradient of its output.
    fn conv2d_weight_gradient(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        options: ConvOptions<2>,
    ) -> FloatTensor<Self> {
        let of = weight.dtype();
        let weight = in_type::<Self>(weight, x.dtype());
        in_type::<Self>(Self::conv2d_weight_backward(x, weight, grad, options), of)
    }

    /// See [`plain::conv_transpose2d`].
    fn conv_transpose2d_act(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
        options: ConvTransposeOptions<2>,
        act: Activation,
    ) -> FloatTensor<Self> {
        let (x, weight, bias) = (tensor::<Self, 4>(x), tensor(weight), bias.map(tensor));
        let y = plain::conv_transpose2d(x, weight, bias, options, Activation::Identity);
        Self::activate(into(y), act)
    }

    /// See [`plain::modulate`].
    fn modulate(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        into(plain::modulate(
            tensor::<Self, 4>(x),
            tensor(scale),
            tensor(shift),
        ))
    }

    /// See [`plain::modulate_backward`].
    fn modulate_backward(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> ModulateGradients<FloatTensor<Self>> {
        plain_modulate_backward::<Self>(x, scale, grad)
    }

    /// The sum of each channel of `x` [batch, channels, height, width], as `[channels]`: the gradient of a convolution's bias.
    fn channel_sum(x: FloatTensor<Self>) -> FloatTensor<Self> {
        into(plain::channel_sum(tensor::<Self, 4>(x)))
    }

    /// See [`plain::group_norm`].
    fn group_norm_act(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        groups: usize,
        epsilon: f64,
        act: Activation,
    ) -> FloatTensor<Self> {
        let normal = plain::group_norm(
            tensor::<Self, 4>(x),
            tensor(weight),
            tensor(bias),
            groups,
            epsilon,
            Activation::Identity,
        );
        Self::activate(into(normal), act)
    }

    /// See [`plain::group_norm_backward`].
    fn group_norm_act_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        groups: usize,
        epsilon: f64,
        act: Activation,
        grad: FloatTensor<Self>,
    ) -> NormGradients<FloatTensor<Self>> {
        let (x, weight, bias) = plain::group_norm_backward(
            tensor::<Self, 4>(x),
            tensor(weight),
            tensor(bias),
            groups,
            epsilon,
            act,
            tensor(grad),
        );
        NormGradients {
            x: into(x),
            weight: into(weight),
            bias: into(bias),
        }
    }

    /// See [`plain::batch_norm`]: the form with given statistics, as in sampling. They are constants to the gradient.
    fn batch_norm_act(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        epsilon: f64,
        act: Activation,
    ) -> FloatTensor<Self> {
        let normal = plain::batch_norm(
            tensor::<Self, 4>(x),
            tensor(weight),
            tensor(bias),
            tensor(mean),
            tensor(variance),
            epsilon,
            Activation::Identity,
        );
        Self::activate(into(normal), act)
    }

    /// Batch norm with the batch's own statistics, as in training, and activation.
    fn batch_norm_training_act(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
        act: Activation,
    ) -> BatchNormOutput<FloatTensor<Self>> {
        let (mean, variance) = plain::channel_statistics(tensor::<Self, 4>(x.clone()));
        let (mean, variance) = (into(mean), into(variance));
        let output = Self::batch_norm_act(
            x,
            weight,
            bias,
            mean.clone(),
            variance.clone(),
            epsilon,
            act,
        );
        BatchNormOutput {
            output,
            mean,
            variance,
        }
    }

    /// The gradients of both batch norms; see [`plain::batch_norm_backward`].
    #[allow(clippy::too_many_arguments)] // The tensors of one formula.
    fn batch_norm_act_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        statistics: NormStatistics,
        epsilon: f64,
        act: Activation,
        grad: FloatTensor<Self>,
    ) -> NormGradients<FloatTensor<Self>> {
        let (x, weight, bias) = plain::batch_norm_backward(
            tensor::<Self, 4>(x),
            tensor(weight),
            tensor(bias),
            tensor(mean),
            tensor(variance),
            statistics,
            epsilon,
            act,
            tensor(grad),
        );
        NormGradients {
            x: into(x),
            weight: into(weight),
            bias: into(bias),
        }
    }

    /// See [`plain::l2_norm`].
    fn l2_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        into(plain::l2_norm(tensor::<Self, 4>(x), tensor(weight)))
    }

    /// The gradients of [`l2_norm`](Self::l2_norm) to both; see [`plain::l2_norm_backward`].
    fn l2_norm_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (x, weight) =
            plain::l2_norm_backward(tensor::<Self, 4>(x), tensor(weight), tensor(grad));
        (into(x), into(weight))
    }

    /// See [`plain::channel_divergence`]; `target` is a constant.
    fn channel_divergence(
        x: FloatTensor<Self>,
        target: FloatTensor<Self>,
        temperature: f64,
    ) -> Distance<FloatTensor<Self>> {
        let target = tensor::<Self, 4>(target);
        distance(plain::channel_divergence(tensor(x), target, temperature))
    }

    /// See [`plain::normal_squares`]; `target` is a constant.
    fn normal_squares(
        x: FloatTensor<Self>,
        target: FloatTensor<Self>,
        epsilon: f64,
    ) -> Distance<FloatTensor<Self>> {
        let target = tensor::<Self, 4>(target);
        distance(plain::normal_squares(tensor(x), target, epsilon))
    }

    /// See [`plain::weighted_squares`]; `target` and `weights` are constants.
    fn weighted_squares(
        x: FloatTensor<Self>,
        target: FloatTensor<Self>,
        weights: FloatTensor<Self>,
    ) -> Distance<FloatTensor<Self>> {
        let (target, weights) = (tensor::<Self, 4>(target), tensor(weights));
        distance(plain::weighted_squares(tensor(x), target, weights))
    }

    /// See [`plain::row_divergence`]; `target` and `weights` are constants.
    fn row_divergence(
        x: FloatTensor<Self>,
        target: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        temperature: f64,
    ) -> Distance<FloatTensor<Self>> {
        let (target, weights) = (tensor::<Self, 2>(target), tensor(weights));
        distance(plain::row_divergence(
            tensor(x),
            target,
            weights,
            temperature,
        ))
    }

    /// See [`plain::row_smooth_l1`]; `target` and `weights` are constants.
    fn row_smooth_l1(
        x: FloatTensor<Self>,
        target: FloatTensor<Self>,
        weights: FloatTensor<Self>,
    ) -> Distance<FloatTensor<Self>> {
        let (target, weights) = (tensor::<Self, 2>(target), tensor(weights));
        distance(plain::row_smooth_l1(tensor(x), target, weights))
    }

    /// See [`plain::concat_channels`].
    fn concat_channels(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        into(plain::concat_channels(tensor::<Self, 4>(x), tensor(y)))
    }

    /// See [`plain::max_pool2d`].
    fn max_pool2d_window(x: FloatTensor<Self>, window: Window) -> FloatTensor<Self> {
        into(plain::max_pool2d(tensor::<Self, 4>(x), window))
    }

    /// ∂x of [`plain::max_pool2d`]: each window's gradient goes to the first of its greatest values.
    fn max_pool2d_window_backward(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        window: Window,
    ) -> FloatTensor<Self> {
        plain_max_pool_backward::<Self>(x, grad, window)
    }

    /// See [`plain::avg_pool2d`].
    fn avg_pool2d_window(x: FloatTensor<Self>, window: Window) -> FloatTensor<Self> {
        into(plain::avg_pool2d(tensor::<Self, 4>(x), window))
    }

    /// ∂x of [`plain::avg_pool2d`].
    fn avg_pool2d_window_backward(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        window: Window,
    ) -> FloatTensor<Self> {
        let [size, stride, padding] = [window.size, window.stride, window.padding];
        Self::avg_pool2d_backward(x, grad, size, stride, padding, true, false)
    }

    /// See [`plain::softmax`].
    fn softmax_last(x: FloatTensor<Self>) -> FloatTensor<Self> {
        by_rows::<Self>(x, plain::softmax)
    }

    /// See [`plain::softmax_backward`].
    fn softmax_last_backward(y: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        plain_softmax_backward::<Self>(y, grad)
    }

    /// See [`plain::linear`] and [`LinearForm`](super::LinearForm).
    fn linear_layer(layer: Linear<FloatTensor<Self>>) -> FloatTensor<Self> {
        linear::by_plain_operations::<Self>(layer)
    }

    /// Lets layers keep the forms of `weight` that kernels multiply, as long as the returned value lives; none where the
    /// backend keeps none. See [`PreparedWeights`](super::PreparedWeights).
    fn prepare_weight(weight: TensorPrimitive<Self>) -> Option<PreparedWeight> {
        let _ = weight;
        None
    }

    /// A weight [out, ..] of `numbers` in int8 with a scale for each output, as other weights are held; none where the
    /// backend does not keep such weights. See [`super::quantised_weight`].
    fn quantised_weight(
        numbers: TensorData,
        scales: Vec<f32>,
        products: Int8Products,
        device: &Device<Self>,
    ) -> Option<QuantizedTensor<Self>> {
        let _ = (numbers, scales, products, device);
        None
    }

    /// A weight of [`quantised_weight`](Self::quantised_weight) as a matrix [out, values of an output].
    fn quantised_matrix(weight: QuantizedTensor<Self>) -> QuantizedTensor<Self> {
        let (shape, outputs) = (weight.shape(), weight.shape()[0]);
        let matrix = [outputs, shape.num_elements() / outputs.max(1)];
        Self::q_reshape(weight, matrix.into())
    }

    /// [`linear_layer`](Self::linear_layer) with a weight of [`quantised_weight`](Self::quantised_weight).
    fn quantised_linear_layer(
        layer: Linear<FloatTensor<Self>, QuantizedTensor<Self>>,
    ) -> FloatTensor<Self> {
        let dtype = layer.x.dtype().into();
        Self::linear_layer(layer.with_weight(|weight| Self::dequantize(weight, dtype)))
    }

    /// [`conv2d_act`](Self::conv2d_act) with a weight of [`quantised_weight`](Self::quantised_weight).
    fn quantised_conv2d_act(
        x: FloatTensor<Self>,
        weight: QuantizedTensor<Self>,
        bias: Option<FloatTensor<Self>>,
        options: ConvOptions<2>,
        act: Activation,
    ) -> FloatTensor<Self> {
        let weight = Self::dequantize(weight, x.dtype().into());
        Self::conv2d_act(x, weight, bias, options, act)
    }

    /// See [`plain::layer_norm`]; `x` of any rank, normalised over its last axis.
    fn layer_norm_last(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        by_rows::<Self>(x, |x| {
            plain::layer_norm(x, tensor(weight), tensor(bias), epsilon)
        })
    }

    /// See [`plain::geglu`]; `x` and the result are rows.
    fn geglu_rows(x: FloatTensor<Self>) -> FloatTensor<Self> {
        into(plain::geglu(tensor::<Self, 2>(x)))
    }

    /// See [`plain::upsample_nearest`].
    fn upsample_nearest(x: FloatTensor<Self>, factor: usize) -> FloatTensor<Self> {
        into(plain::upsample_nearest(tensor::<Self, 4>(x), factor))
    }

    /// See [`plain::attention`]. A large matrix of scores is computed in blocks of queries.
    fn scaled_dot_product_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
        options: AttentionOptions,
    ) -> FloatTensor<Self> {
        into(plain::attention_by_blocks(
            tensor::<Self, 4>(query),
            tensor(key),
            tensor(value),
            bias.map(tensor),
            options.scale,
        ))
    }

    /// The gradients of [`scaled_dot_product_attention`](Self::scaled_dot_product_attention), given `grad`, the gradient
    /// of its output; see [`plain::attention_backward`]. Products have the type of the tensors, whatever `options` asks
    /// for.
    fn attention_backward(
        pass: AttentionPass<FloatTensor<Self>>,
        grad: FloatTensor<Self>,
        options: AttentionOptions,
    ) -> AttentionGradients<FloatTensor<Self>> {
        plain_attention_backward::<Self>(pass, grad, options)
    }
}
