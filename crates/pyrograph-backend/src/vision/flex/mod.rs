//! [`VisionBackend`] for Flex: convolutions image by image or by Winograd, norms and activations in one or two passes over memory,
//! on every thread.
//!
//! burn-flex computes them operation by operation on one thread, with an index calculation for every broadcast value.
//! Other element types than f32 take the default bodies.

mod attention;
mod buffers;
mod bytes;
mod conv;
mod convolutions;
mod distances;
mod elementwise;
mod features;
mod half;
mod l2_norm;
mod linear;
mod lines;
mod math;
mod norms;
mod pages;
mod planes;
mod pooling;
mod prepared;
mod product;
mod quantised;
mod rows;
mod scratch;
mod shapes;
mod softmax;
mod tensors;
mod upsample;
mod words;

use burn::tensor::{
    DType, Device, TensorData, TensorMetadata, TensorPrimitive,
    ops::{ConvOptions, ConvTransposeOptions, ModuleOps},
};
use burn_flex::{Flex, FlexQTensor, FlexTensor};

use super::{
    Activation, AttentionGradients, AttentionOptions, AttentionPass, BatchNormOutput, Distance,
    Int8Products, Linear, ModulateGradients, NormGradients, NormStatistics, NormedConv,
    PreparedWeight, Stack, StackMap, UpsampledConv, VisionBackend, Window, plain,
    primitives::{by_rows, into, plain_max_pool_backward, plain_softmax_backward, tensor},
};
pub(super) use buffers::trim as trim_buffers;
use conv::Finish;
pub(crate) use features::vector_words;
use half::{parameter, widened};
use norms::{Norm, primitives};
#[cfg(test)]
pub(super) use prepared::so_far as prepared_so_far;
use shapes::conv_shape;
use tensors::{floats, image};

impl VisionBackend for Flex {
    fn activate(x: FlexTensor, act: Activation) -> FlexTensor {
        if x.dtype() != DType::F32 {
            return into(plain::activate(tensor::<Self, 1>(x), act));
        }
        if act == Activation::Identity {
            return x;
        }
        elementwise::activate(x, act)
    }

    fn add_act(x: FlexTensor, y: FlexTensor, act: Activation) -> FlexTensor {
        if [&x, &y].iter().any(|t| t.dtype() != DType::F32) || x.shape() != y.shape() {
            return Self::activate(into(tensor::<Self, 1>(x) + tensor(y)), act);
        }
        elementwise::add(x, &y, act)
    }

    fn activate_backward(x: FlexTensor, grad: FlexTensor, act: Activation) -> FlexTensor {
        if x.dtype() != DType::F32 {
            return into(plain::activate_backward(
                tensor::<Self, 1>(x),
                tensor(grad),
                act,
            ));
        }
        elementwise::activate_backward(&x, grad, act)
    }

    fn conv2d_act(
        x: FlexTensor,
        weight: FlexTensor,
        bias: Option<FlexTensor>,
        options: ConvOptions<2>,
        act: Activation,
    ) -> FlexTensor {
        convolutions::conv2d(x, weight, bias, options, act)
    }

    fn conv2d_scaled_act(
        x: FlexTensor,
        weight: FlexTensor,
        scale: FlexTensor,
        shift: FlexTensor,
        options: ConvOptions<2>,
        act: Activation,
    ) -> FlexTensor {
        convolutions::conv2d_scaled(x, weight, scale, shift, options, act)
    }

    fn conv2d_of_group_norm(layer: NormedConv<FlexTensor>) -> FlexTensor {
        convolutions::conv2d_of_group_norm(layer)
    }

    fn conv2d_of_upsampled(layer: UpsampledConv<FlexTensor>) -> FlexTensor {
        convolutions::conv2d_of_upsampled(layer)
    }

    fn conv2d_input_gradient(
        x: FlexTensor,
        weight: FlexTensor,
        grad: FlexTensor,
        options: ConvOptions<2>,
    ) -> FlexTensor {
        let weight = parameter(weight, x.dtype());
        let Some(shape) = conv_shape(&x, &weight, &options) else {
            return Self::conv2d_x_backward(x, weight, grad, options);
        };
        let (weight, grad) = (weight.to_contiguous(), grad.to_contiguous());
        let finish = Finish {
            scale: None,
            shift: None,
            act: Activation::Identity,
        };
        let gradient = conv::input_gradient(&shape, floats(&weight), floats(&grad), finish);
        image(gradient, shape.input())
    }

    fn conv_transpose2d_act(
        x: FlexTensor,
        weight: FlexTensor,
        bias: Option<FlexTensor>,
        options: ConvTransposeOptions<2>,
        act: Activation,
    ) -> FlexTensor {
        let map = StackMap {
            weight,
            scale: None,
            shift: bias,
            act,
        };
        convolutions::conv_transpose2d(x, map, options)
    }

    fn conv_stack(stack: Stack<FlexTensor>) -> FlexTensor {
        convolutions::conv_stack(stack)
    }

    fn modulate(x: FlexTensor, scale: FlexTensor, shift: FlexTensor) -> FlexTensor {
        if x.dtype() != DType::F32 {
            let (scale, shift) = (tensor(scale), tensor(shift));
            return into(plain::modulate(tensor::<Self, 4>(x), scale, shift));
        }
        elementwise::modulate(x, &widened(scale), &widened(shift))
    }

    fn modulate_backward(
        x: FlexTensor,
        scale: FlexTensor,
        grad: FlexTensor,
    ) -> ModulateGradients<FlexTensor> {
        if x.dtype() != DType::F32 {
            let (x, scale) = (tensor::<Self, 4>(x), tensor(scale));
            let (x, scale, shift) = plain::modulate_backward(x, scale, tensor(grad));
            return ModulateGradients {
                x: into(x),
                scale: into(scale),
                shift: into(shift),
            };
        }
        elementwise::modulate_backward(&x, &widened(scale), grad)
    }

    fn conv2d_weight_gradient(
        x: FlexTensor,
        weight: FlexTensor,
        grad: FlexTensor,
        options: ConvOptions<2>,
    ) -> FlexTensor {
        let Some(shape) = conv_shape(&x, &weight, &options) else {
            let of = weight.dtype();
            let weight = parameter(weight, x.dtype());
            return parameter(Self::conv2d_weight_backward(x, weight, grad, options), of);
        };
        let (x, grad) = (x.to_contiguous(), grad.to_contiguous());
        let gradient = conv::weight_gradient(&shape, floats(&x), floats(&grad));
        parameter(image(gradient, weight.shape().dims()), weight.dtype())
    }

    fn channel_sum(x: FlexTensor) -> FlexTensor {
        if x.dtype() != DType::F32 {
            return into(plain::channel_sum(tensor::<Self, 4>(x)));
        }
        elementwise::channel_sum(&x)
    }

    fn group_norm_act(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        groups: usize,
        epsilon: f64,
        act: Activation,
    ) -> FlexTensor {
        if x.dtype() != DType::F32 {
            let (x, weight, bias) = (tensor::<Self, 4>(x), tensor(weight), tensor(bias));
            return into(plain::group_norm(x, weight, bias, groups, epsilon, act));
        }
        norms::group_norm(x, &widened(weight), &widened(bias), groups, epsilon, act)
    }

    fn group_norm_act_backward(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        groups: usize,
        epsilon: f64,
        act: Activation,
        grad: FlexTensor,
    ) -> NormGradients<FlexTensor> {
        if x.dtype() != DType::F32 {
            let (x, grad) = (tensor::<Self, 4>(x), tensor(grad));
            let (weight, bias) = (tensor(weight), tensor(bias));
            let gradients = plain::group_norm_backward(x, weight, bias, groups, epsilon, act, grad);
            return primitives(gradients);
        }
        let (weight, bias) = (widened(weight), widened(bias));
        norms::group_norm_backward(&x, &weight, &bias, groups, epsilon, act, grad)
    }

    fn batch_norm_act(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        mean: FlexTensor,
        variance: FlexTensor,
        epsilon: f64,
        act: Activation,
    ) -> FlexTensor {
        if x.dtype() != DType::F32 {
            let (weight, bias, mean, variance) =
                (tensor(weight), tensor(bias), tensor(mean), tensor(variance));
            let x = tensor::<Self, 4>(x);
            return into(plain::batch_norm(
                x, weight, bias, mean, variance, epsilon, act,
            ));
        }
        let [weight, bias, mean, variance] = [weight, bias, mean, variance].map(widened);
        let norm = Norm::new(&weight, &bias, &mean, &variance, epsilon);
        norms::batch_norm(x, &norm, act)
    }

    fn batch_norm_training_act(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        epsilon: f64,
        act: Activation,
    ) -> BatchNormOutput<FlexTensor> {
        let (mean, variance) = if x.dtype() == DType::F32 {
            norms::channel_statistics(&x)
        } else {
            let (mean, variance) = plain::channel_statistics(tensor::<Self, 4>(x.clone()));
            (into(mean), into(variance))
        };
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

    fn batch_norm_act_backward(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        mean: FlexTensor,
        variance: FlexTensor,
        statistics: NormStatistics,
        epsilon: f64,
        act: Activation,
        grad: FlexTensor,
    ) -> NormGradients<FlexTensor> {
        if x.dtype() != DType::F32 {
            let (x, grad) = (tensor::<Self, 4>(x), tensor(grad));
            let (weight, bias, mean, variance) =
                (tensor(weight), tensor(bias), tensor(mean), tensor(variance));
            return primitives(plain::batch_norm_backward(
                x, weight, bias, mean, variance, statistics, epsilon, act, grad,
            ));
        }
        let [weight, bias, mean, variance] = [weight, bias, mean, variance].map(widened);
        let norm = Norm::new(&weight, &bias, &mean, &variance, epsilon);
        norms::batch_norm_backward(&x, &norm, statistics, act, grad)
    }

    fn concat_channels(x: FlexTensor, y: FlexTensor) -> FlexTensor {
        if x.dtype() != DType::F32 || y.dtype() != DType::F32 {
            return into(plain::concat_channels(tensor::<Self, 4>(x), tensor(y)));
        }
        elementwise::concat_channels(&x, &y)
    }

    fn max_pool2d_window(x: FlexTensor, window: Window) -> FlexTensor {
        if x.dtype() != DType::F32 {
            return into(plain::max_pool2d(tensor::<Self, 4>(x), window));
        }
        pooling::max_pool2d(&x, window)
    }

    fn max_pool2d_window_backward(x: FlexTensor, grad: FlexTensor, window: Window) -> FlexTensor {
        if x.dtype() != DType::F32 {
            return plain_max_pool_backward::<Self>(x, grad, window);
        }
        pooling::max_pool2d_backward(&x, &grad, window)
    }

    fn avg_pool2d_window(x: FlexTensor, window: Window) -> FlexTensor {
        if x.dtype() != DType::F32 {
            return into(plain::avg_pool2d(tensor::<Self, 4>(x), window));
        }
        pooling::avg_pool2d(&x, window)
    }

    fn avg_pool2d_window_backward(x: FlexTensor, grad: FlexTensor, window: Window) -> FlexTensor {
        if x.dtype() != DType::F32 {
            let (size, stride, padding) = (window.size, window.stride, window.padding);
            return Self::avg_pool2d_backward(x, grad, size, stride, padding, true, false);
        }
        pooling::avg_pool2d_backward(x.shape().dims(), &grad, window)
    }

    fn l2_norm(x: FlexTensor, weight: FlexTensor) -> FlexTensor {
        if x.dtype() != DType::F32 {
            return into(plain::l2_norm(tensor::<Self, 4>(x), tensor(weight)));
        }
        l2_norm::l2_norm(&x, &parameter(weight, DType::F32))
    }

    fn l2_norm_backward(
        x: FlexTensor,
        weight: FlexTensor,
        grad: FlexTensor,
    ) -> (FlexTensor, FlexTensor) {
        if [&x, &weight, &grad].iter().any(|t| t.dtype() != DType::F32) {
            let (x, weight) =
                plain::l2_norm_backward(tensor::<Self, 4>(x), tensor(weight), tensor(grad));
            return (into(x), into(weight));
        }
        l2_norm::l2_norm_backward(&x, &weight, &grad)
    }

    fn channel_divergence(x: FlexTensor, t: FlexTensor, temperature: f64) -> Distance<FlexTensor> {
        distances::channel_divergence(x, t, temperature)
    }

    fn normal_squares(x: FlexTensor, t: FlexTensor, epsilon: f64) -> Distance<FlexTensor> {
        distances::normal_squares(x, t, epsilon)
    }

    fn weighted_squares(x: FlexTensor, t: FlexTensor, weights: FlexTensor) -> Distance<FlexTensor> {
        distances::weighted_squares(x, t, weights)
    }

    fn row_divergence(
        x: FlexTensor,
        t: FlexTensor,
        w: FlexTensor,
        by: f64,
    ) -> Distance<FlexTensor> {
        distances::row_divergence(x, t, w, by)
    }

    fn row_smooth_l1(x: FlexTensor, t: FlexTensor, w: FlexTensor) -> Distance<FlexTensor> {
        distances::row_smooth_l1(x, t, w)
    }

    fn softmax_last(x: FlexTensor) -> FlexTensor {
        if x.dtype() != DType::F32 {
            return by_rows::<Self>(x, plain::softmax);
        }
        softmax::softmax(x)
    }

    fn softmax_last_backward(y: FlexTensor, grad: FlexTensor) -> FlexTensor {
        if y.dtype() != DType::F32 {
            return plain_softmax_backward::<Self>(y, grad);
        }
        softmax::softmax_backward(&y, grad)
    }

    fn scaled_dot_product_attention(
        query: FlexTensor,
        key: FlexTensor,
        value: FlexTensor,
        bias: Option<FlexTensor>,
        options: AttentionOptions,
    ) -> FlexTensor {
        attention::attention(query, key, value, bias, options)
    }

    fn attention_backward(
        pass: AttentionPass<FlexTensor>,
        grad: FlexTensor,
        options: AttentionOptions,
    ) -> AttentionGradients<FlexTensor> {
        attention::attention_backward(pass, grad, options)
    }

    fn linear_layer(layer: Linear<FlexTensor>) -> FlexTensor {
        linear::linear(layer)
    }

    fn prepare_weight(weight: TensorPrimitive<Self>) -> Option<PreparedWeight> {
        let numbers = match weight {
            TensorPrimitive::Float(weight) => weight,
            TensorPrimitive::QFloat(weight) => weight.tensor().clone(),
        };
        prepared::weight(numbers).map(PreparedWeight::new)
    }

    fn quantised_weight(
        numbers: TensorData,
        scales: Vec<f32>,
        products: Int8Products,
        _: &Device<Self>,
    ) -> Option<FlexQTensor> {
        quantised::weight(numbers, scales, products)
    }

    fn quantised_matrix(weight: FlexQTensor) -> FlexQTensor {
        quantised::matrix(weight)
    }

    fn quantised_linear_layer(layer: Linear<FlexTensor, FlexQTensor>) -> FlexTensor {
        quantised::linear_layer(layer)
    }

    fn quantised_conv2d_act(
        x: FlexTensor,
        weight: FlexQTensor,
        bias: Option<FlexTensor>,
        options: ConvOptions<2>,
        act: Activation,
    ) -> FlexTensor {
        quantised::conv2d(x, weight, bias, options, act)
    }

    fn layer_norm_last(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        epsilon: f64,
    ) -> FlexTensor {
        if x.dtype() != DType::F32 {
            let (weight, bias) = (tensor(weight), tensor(bias));
            return by_rows::<Self>(x, |x| plain::layer_norm(x, weight, bias, epsilon));
        }
        let (weight, bias) = (parameter(weight, DType::F32), parameter(bias, DType::F32));
        rows::layer_norm(x, &weight, &bias, epsilon)
    }

    fn geglu_rows(x: FlexTensor) -> FlexTensor {
        if x.dtype() != DType::F32 {
            return into(plain::geglu(tensor::<Self, 2>(x)));
        }
        rows::geglu(&x)
    }

    fn upsample_nearest(x: FlexTensor, factor: usize) -> FlexTensor {
        if x.dtype() != DType::F32 || factor == 0 {
            return into(plain::upsample_nearest(tensor::<Self, 4>(x), factor));
        }
        upsample::nearest(&x, factor)
    }
}
