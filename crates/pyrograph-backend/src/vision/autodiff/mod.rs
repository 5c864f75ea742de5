//! [`VisionBackend`] for `Autodiff<B>`: training reaches `B`'s kernels through hand-written backward steps.
//!
//! Linear layers, layer norms, gated GELU and upsampling have no backward step of their own here: burn differentiates
//! their plain bodies operation by operation. Where nothing is tracked, every operation is `B`'s own, activation and all.
//!
//! A parameter of another float type than `x` is converted by an operation that burn differentiates. Frozen convolution weights stay
//! in their type, and are converted in each pass.

mod attention;
mod distances;
mod finish;
mod quantised;
mod steps;

use burn::{
    backend::autodiff::{
        Autodiff,
        checkpoint::strategy::CheckpointStrategy,
        ops::{Backward, OpsKind},
    },
    tensor::{
        Device, TensorData, TensorMetadata,
        backend::AutodiffBackend,
        ops::{ConvOptions, ConvTransposeOptions, FloatTensor, QuantizedTensor},
    },
};

use super::{
    Activation, AttentionOptions, BatchNormOutput, Distance, Int8Products, Linear, LinearForm,
    NormStatistics, VisionBackend, Window,
    linear::composed,
    plain,
    primitives::{by_rows, in_type, into, tensor},
};
use distances::differentiable;
use finish::{finish_batch_norm, has_slope_of_output};
use steps::{
    Activate, ActivateState, AvgPool, Concat, ConcatState, ConvAct, ConvState, GroupNormAct,
    GroupNormState, L2Norm, MaxPool, Modulate, ModulateState, NormState, PoolState, Softmax,
    TransposedConv, TransposedState,
};

/// A tensor of `Autodiff<B, C>`.
type F<B, C> = FloatTensor<Autodiff<B, C>>;

impl<B: VisionBackend, C: CheckpointStrategy> VisionBackend for Autodiff<B, C> {
    fn activate(x: FloatTensor<Self>, act: Activation) -> FloatTensor<Self> {
        if act == Activation::Identity {
            return x;
        }
        let input = x.primitive.clone();
        let output = B::activate(x.primitive, act);
        match Activate.prepare::<C>([x.node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(ActivateState::<B> { input, act }, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn conv2d_act(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
        options: ConvOptions<2>,
        act: Activation,
    ) -> FloatTensor<Self> {
        let bias_tracked = bias.as_ref().is_some_and(|bias| bias.is_tracked());
        if !(x.is_tracked() || weight.is_tracked() || bias_tracked) {
            let (x, weight, bias) = (x.primitive, weight.primitive, bias.map(|b| b.primitive));
            return <Self as AutodiffBackend>::from_inner(B::conv2d_act(
                x, weight, bias, options, act,
            ));
        }
        let dtype = x.dtype();
        let weight = if weight.is_tracked() {
            in_type::<Self>(weight, dtype)
        } else {
            weight
        };
        let bias = bias.map(|bias| in_type::<Self>(bias, dtype));
        if !has_slope_of_output(act) {
            let y = Self::conv2d_act(x, weight, bias, options, Activation::Identity);
            return Self::activate(y, act);
        }
        let bias_node = bias.as_ref().map_or(&x, |bias| bias).node.clone();
        let state = ConvState::<B> {
            x: x.primitive,
            weight: weight.primitive,
            has_bias: bias.is_some(),
            output: None,
            options,
        };
        let output = B::conv2d_act(
            state.x.clone(),
            state.weight.clone(),
            bias.map(|bias| bias.primitive),
            state.options.clone(),
            act,
        );
        match ConvAct
            .prepare::<C>([x.node, weight.node, bias_node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                let kept = (act != Activation::Identity).then(|| (output.clone(), act));
                let state = ConvState {
                    output: kept,
                    ..state
                };
                prep.finish(state, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn conv2d_scaled_act(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        options: ConvOptions<2>,
        act: Activation,
    ) -> FloatTensor<Self> {
        let all = [&x, &weight, &scale, &shift];
        if all.into_iter().any(|tensor| tensor.is_tracked()) {
            let weight = plain::scaled_weight(tensor::<Self, 4>(weight), tensor(scale), 0);
            return Self::conv2d_act(x, into(weight), Some(shift), options, act);
        }
        let (x, weight) = (x.primitive, weight.primitive);
        let (scale, shift) = (scale.primitive, shift.primitive);
        <Self as AutodiffBackend>::from_inner(B::conv2d_scaled_act(
            x, weight, scale, shift, options, act,
        ))
    }

    fn conv_transpose2d_act(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
        options: ConvTransposeOptions<2>,
        act: Activation,
    ) -> FloatTensor<Self> {
        let bias_tracked = bias.as_ref().is_some_and(|bias| bias.is_tracked());
        if !(x.is_tracked() || weight.is_tracked() || bias_tracked) {
            let (x, weight, bias) = (x.primitive, weight.primitive, bias.map(|b| b.primitive));
            return <Self as AutodiffBackend>::from_inner(B::conv_transpose2d_act(
                x, weight, bias, options, act,
            ));
        }
        let weight = in_type::<Self>(weight, x.dtype());
        let bias = bias.map(|bias| in_type::<Self>(bias, x.dtype()));
        if act != Activation::Identity {
            let y = Self::conv_transpose2d_act(x, weight, bias, options, Activation::Identity);
            return Self::activate(y, act);
        }
        let bias_node = bias.as_ref().map_or(&x, |bias| bias).node.clone();
        let state = TransposedState::<B> {
            x: x.primitive.clone(),
            weight: weight.primitive.clone(),
            has_bias: bias.is_some(),
            options: ConvOptions::new(
                options.stride,
                options.padding,
                options.dilation,
                options.groups,
            ),
        };
        let output = B::conv_transpose2d_act(
            x.primitive,
            weight.primitive,
            bias.map(|bias| bias.primitive),
            options,
            act,
        );
        match TransposedConv
            .prepare::<C>([x.node, weight.node, bias_node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish(state, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn concat_channels(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        let state = ConcatState {
            first: x.primitive.shape(),
            second: y.primitive.shape(),
        };
        let output = B::concat_channels(x.primitive, y.primitive);
        match Concat
            .prepare::<C>([x.node, y.node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish(state, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn max_pool2d_window(x: FloatTensor<Self>, window: Window) -> FloatTensor<Self> {
        let input = x.primitive.clone();
        let output = B::max_pool2d_window(x.primitive, window);
        match MaxPool.prepare::<C>([x.node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(PoolState::<B> { input, window }, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn avg_pool2d_window(x: FloatTensor<Self>, window: Window) -> FloatTensor<Self> {
        let input = x.primitive.clone();
        let output = B::avg_pool2d_window(x.primitive, window);
        match AvgPool.prepare::<C>([x.node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(PoolState::<B> { input, window }, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn l2_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        let weight = in_type::<Self>(weight, x.dtype());
        let state = [x.primitive.clone(), weight.primitive.clone()];
        let output = B::l2_norm(x.primitive, weight.primitive);
        match L2Norm
            .prepare::<C>([x.node, weight.node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish(state, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn channel_divergence(x: F<B, C>, target: F<B, C>, temperature: f64) -> Distance<F<B, C>> {
        let found = B::channel_divergence(x.primitive.clone(), target.primitive, temperature);
        differentiable::<B, C>(&x, found)
    }

    fn normal_squares(x: F<B, C>, target: F<B, C>, epsilon: f64) -> Distance<F<B, C>> {
        let found = B::normal_squares(x.primitive.clone(), target.primitive, epsilon);
        differentiable::<B, C>(&x, found)
    }

    fn weighted_squares(x: F<B, C>, target: F<B, C>, weights: F<B, C>) -> Distance<F<B, C>> {
        let found = B::weighted_squares(x.primitive.clone(), target.primitive, weights.primitive);
        differentiable::<B, C>(&x, found)
    }

    fn row_divergence(
        x: F<B, C>,
        target: F<B, C>,
        weights: F<B, C>,
        temperature: f64,
    ) -> Distance<F<B, C>> {
        let (target, weights) = (target.primitive, weights.primitive);
        let found = B::row_divergence(x.primitive.clone(), target, weights, temperature);
        differentiable::<B, C>(&x, found)
    }

    fn row_smooth_l1(x: F<B, C>, target: F<B, C>, weights: F<B, C>) -> Distance<F<B, C>> {
        let found = B::row_smooth_l1(x.primitive.clone(), target.primitive, weights.primitive);
        differentiable::<B, C>(&x, found)
    }

    fn softmax_last(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let output = B::softmax_last(x.primitive);
        match Softmax.prepare::<C>([x.node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(output.clone(), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn scaled_dot_product_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
        options: AttentionOptions,
    ) -> FloatTensor<Self> {
        attention::attention::<B, C>([query, key, value], bias, options)
    }

    fn linear_layer(layer: Linear<FloatTensor<Self>>) -> FloatTensor<Self> {
        if layer.tensors().any(|tensor| tensor.is_tracked()) {
            let LinearForm::Rows = layer.form else {
                return composed::<Self>(layer);
            };
            let (x, weight) = (tensor::<Self, 2>(layer.x), tensor(layer.weight));
            return into(plain::linear(x, weight, layer.bias.map(tensor)));
        }
        let layer = layer.map(|tensor| tensor.primitive);
        <Self as AutodiffBackend>::from_inner(B::linear_layer(layer))
    }

    fn quantised_weight(
        numbers: TensorData,
        scales: Vec<f32>,
        products: Int8Products,
        device: &Device<Self>,
    ) -> Option<QuantizedTensor<Self>> {
        B::quantised_weight(numbers, scales, products, device)
    }

    fn quantised_matrix(weight: QuantizedTensor<Self>) -> QuantizedTensor<Self> {
        B::quantised_matrix(weight)
    }

    fn quantised_linear_layer(
        layer: Linear<FloatTensor<Self>, QuantizedTensor<Self>>,
    ) -> FloatTensor<Self> {
        quantised::linear_layer::<B, C>(layer)
    }

    fn quantised_conv2d_act(
        x: FloatTensor<Self>,
        weight: QuantizedTensor<Self>,
        bias: Option<FloatTensor<Self>>,
        options: ConvOptions<2>,
        act: Activation,
    ) -> FloatTensor<Self> {
        quantised::conv2d::<B, C>(x, weight, bias, options, act)
    }

    fn layer_norm_last(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        if x.is_tracked() || weight.is_tracked() || bias.is_tracked() {
            let (weight, bias) = (tensor(weight), tensor(bias));
            return by_rows::<Self>(x, |x| plain::layer_norm(x, weight, bias, epsilon));
        }
        let y = B::layer_norm_last(x.primitive, weight.primitive, bias.primitive, epsilon);
        <Self as AutodiffBackend>::from_inner(y)
    }

    fn geglu_rows(x: FloatTensor<Self>) -> FloatTensor<Self> {
        if x.is_tracked() {
            // With our own step for the gate: burn differentiates a division by a number in f32.
            let x = tensor::<Self, 2>(x);
            let features = x.dims()[1] / 2;
            let value = x.clone().narrow(1, 0, features);
            let gate = Self::activate(into(x.narrow(1, features, features)), Activation::Gelu);
            return into(value * tensor(gate));
        }
        <Self as AutodiffBackend>::from_inner(B::geglu_rows(x.primitive))
    }

    fn upsample_nearest(x: FloatTensor<Self>, factor: usize) -> FloatTensor<Self> {
        if x.is_tracked() {
            return into(plain::upsample_nearest(tensor::<Self, 4>(x), factor));
        }
        <Self as AutodiffBackend>::from_inner(B::upsample_nearest(x.primitive, factor))
    }

    fn modulate(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (scale, shift) = (
            in_type::<Self>(scale, x.dtype()),
            in_type::<Self>(shift, x.dtype()),
        );
        let state = ModulateState::<B> {
            x: x.primitive.clone(),
            scale: scale.primitive.clone(),
        };
        let output = B::modulate(x.primitive, scale.primitive, shift.primitive);
        match Modulate
            .prepare::<C>([x.node, scale.node, shift.node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish(state, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn group_norm_act(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        groups: usize,
        epsilon: f64,
        act: Activation,
    ) -> FloatTensor<Self> {
        let (weight, bias) = (
            in_type::<Self>(weight, x.dtype()),
            in_type::<Self>(bias, x.dtype()),
        );
        let state = GroupNormState::<B> {
            x: x.primitive.clone(),
            weight: weight.primitive.clone(),
            bias: bias.primitive.clone(),
            groups,
            epsilon,
            act,
        };
        let output = B::group_norm_act(
            x.primitive,
            weight.primitive,
            bias.primitive,
            groups,
            epsilon,
            act,
        );
        match GroupNormAct
            .prepare::<C>([x.node, weight.node, bias.node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish(state, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn batch_norm_act(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        epsilon: f64,
        act: Activation,
    ) -> FloatTensor<Self> {
        let (weight, bias) = (
            in_type::<Self>(weight, x.dtype()),
            in_type::<Self>(bias, x.dtype()),
        );
        let state = NormState::<B> {
            x: x.primitive.clone(),
            weight: weight.primitive.clone(),
            bias: bias.primitive.clone(),
            mean: mean.primitive,
            variance: variance.primitive,
            statistics: NormStatistics::Given,
            epsilon,
            act,
        };
        let output = B::batch_norm_act(
            x.primitive.clone(),
            weight.primitive.clone(),
            bias.primitive.clone(),
            state.mean.clone(),
            state.variance.clone(),
            epsilon,
            act,
        );
        finish_batch_norm::<B, C>(state, [x, weight, bias], output)
    }

    fn batch_norm_training_act(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
        act: Activation,
    ) -> BatchNormOutput<FloatTensor<Self>> {
        let (weight, bias) = (
            in_type::<Self>(weight, x.dtype()),
            in_type::<Self>(bias, x.dtype()),
        );
        let out = B::batch_norm_training_act(
            x.primitive.clone(),
            weight.primitive.clone(),
            bias.primitive.clone(),
            epsilon,
            act,
        );
        let state = NormState::<B> {
            x: x.primitive.clone(),
            weight: weight.primitive.clone(),
            bias: bias.primitive.clone(),
            mean: out.mean.clone(),
            variance: out.variance.clone(),
            statistics: NormStatistics::OfBatch,
            epsilon,
            act,
        };
        BatchNormOutput {
            output: finish_batch_norm::<B, C>(state, [x, weight, bias], out.output),
            mean: <Self as AutodiffBackend>::from_inner(out.mean),
            variance: <Self as AutodiffBackend>::from_inner(out.variance),
        }
    }
}
