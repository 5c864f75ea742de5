//! Operations of layers, and on quantized tensors.

use burn::tensor::{
    FloatDType, IntDType, Shape, Slice, TensorData,
    backend::{Backend, ExecutionError},
    ops::{
        AttentionModuleOptions, BoolTensor, ConvOptions, ConvTransposeOptions,
        DeformConv2dBackward, DeformConvOptions, FloatTensor, IntTensor, InterpolateOptions,
        MaxPool2dBackward, MaxPool2dWithIndices, ModuleOps, QTensorOps, QuantizedTensor,
    },
    quantization::{QuantScheme, QuantizationParametersPrimitive},
};

use super::{OracleBackend, OracleDevice, hand_on};

impl<G: Backend> ModuleOps<Self> for OracleBackend<G> {
    fn deform_conv2d_backward(
        x: FloatTensor<G>,
        offset: FloatTensor<G>,
        weight: FloatTensor<G>,
        mask: Option<FloatTensor<G>>,
        bias: Option<FloatTensor<G>>,
        output_grad: FloatTensor<G>,
        options: DeformConvOptions<2>,
    ) -> DeformConv2dBackward<Self> {
        let gradients =
            G::deform_conv2d_backward(x, offset, weight, mask, bias, output_grad, options);
        DeformConv2dBackward {
            x_grad: gradients.x_grad,
            offset_grad: gradients.offset_grad,
            weight_grad: gradients.weight_grad,
            mask_grad: gradients.mask_grad,
            bias_grad: gradients.bias_grad,
        }
    }

    fn max_pool2d_with_indices(
        x: FloatTensor<G>,
        kernel_size: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        dilation: [usize; 2],
        ceil_mode: bool,
    ) -> MaxPool2dWithIndices<Self> {
        let pooled =
            G::max_pool2d_with_indices(x, kernel_size, stride, padding, dilation, ceil_mode);
        MaxPool2dWithIndices::new(pooled.output, pooled.indices)
    }

    fn max_pool2d_with_indices_backward(
        x: FloatTensor<G>,
        kernel_size: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        dilation: [usize; 2],
        ceil_mode: bool,
        output_grad: FloatTensor<G>,
        indices: IntTensor<G>,
    ) -> MaxPool2dBackward<Self> {
        let gradients = G::max_pool2d_with_indices_backward(
            x,
            kernel_size,
            stride,
            padding,
            dilation,
            ceil_mode,
            output_grad,
            indices,
        );
        MaxPool2dBackward::new(gradients.x_grad)
    }

    hand_on! { ModuleOps:
        (
            x: FloatTensor<G>,
            weight: FloatTensor<G>,
            bias: Option<FloatTensor<G>>,
            options: ConvOptions<2>
        ) -> FloatTensor<G> {
            conv2d
        }
        (
            x: FloatTensor<G>,
            offset: FloatTensor<G>,
            weight: FloatTensor<G>,
            mask: Option<FloatTensor<G>>,
            bias: Option<FloatTensor<G>>,
            options: DeformConvOptions<2>
        ) -> FloatTensor<G> {
            deform_conv2d
        }
        (
            x: FloatTensor<G>,
            weight: FloatTensor<G>,
            bias: Option<FloatTensor<G>>,
            options: ConvOptions<3>
        ) -> FloatTensor<G> {
            conv3d
        }
        (
            x: FloatTensor<G>,
            weight: FloatTensor<G>,
            bias: Option<FloatTensor<G>>,
            options: ConvTransposeOptions<2>
        ) -> FloatTensor<G> {
            conv_transpose2d
        }
        (
            x: FloatTensor<G>,
            weight: FloatTensor<G>,
            bias: Option<FloatTensor<G>>,
            options: ConvTransposeOptions<3>
        ) -> FloatTensor<G> {
            conv_transpose3d
        }
        (
            x: FloatTensor<G>,
            kernel_size: [usize; 2],
            stride: [usize; 2],
            padding: [usize; 2],
            count_include_pad: bool,
            ceil_mode: bool
        ) -> FloatTensor<G> {
            avg_pool2d
        }
        (
            x: FloatTensor<G>,
            grad: FloatTensor<G>,
            kernel_size: [usize; 2],
            stride: [usize; 2],
            padding: [usize; 2],
            count_include_pad: bool,
            ceil_mode: bool
        ) -> FloatTensor<G> {
            avg_pool2d_backward
        }
        (x: FloatTensor<G>, output_size: [usize; 2]) -> FloatTensor<G> { adaptive_avg_pool2d }
        (x: FloatTensor<G>, grad: FloatTensor<G>) -> FloatTensor<G> { adaptive_avg_pool2d_backward }
        (
            x: FloatTensor<G>,
            kernel_size: [usize; 2],
            stride: [usize; 2],
            padding: [usize; 2],
            dilation: [usize; 2],
            ceil_mode: bool
        ) -> FloatTensor<G> {
            max_pool2d
        }
        (
            x: FloatTensor<G>,
            output_size: [usize; 2],
            options: InterpolateOptions
        ) -> FloatTensor<G> {
            interpolate
        }
        (
            x: FloatTensor<G>,
            grad: FloatTensor<G>,
            output_size: [usize; 2],
            options: InterpolateOptions
        ) -> FloatTensor<G> {
            interpolate_backward
        }
        (
            query: FloatTensor<G>,
            key: FloatTensor<G>,
            value: FloatTensor<G>,
            mask: Option<BoolTensor<G>>,
            attn_bias: Option<FloatTensor<G>>,
            options: AttentionModuleOptions
        ) -> FloatTensor<G> {
            attention
        }
        (signal: FloatTensor<G>, dim: usize, n: Option<usize>) -> (FloatTensor<G>, FloatTensor<G>) {
            rfft
        }
        (
            spectrum_re: FloatTensor<G>,
            spectrum_im: FloatTensor<G>,
            dim: usize,
            n: Option<usize>
        ) -> FloatTensor<G> {
            irfft
        }
    }
}

impl<G: Backend> QTensorOps<Self> for OracleBackend<G> {
    fn q_from_data(data: TensorData, _: &OracleDevice) -> QuantizedTensor<G> {
        G::q_from_data(data, &G::Device::default())
    }

    fn quantize(
        tensor: FloatTensor<G>,
        scheme: &QuantScheme,
        parameters: QuantizationParametersPrimitive<Self>,
    ) -> QuantizedTensor<G> {
        let scales = parameters.scales;
        G::quantize(tensor, scheme, QuantizationParametersPrimitive { scales })
    }

    fn q_device(_: &QuantizedTensor<G>) -> OracleDevice {
        OracleDevice
    }

    fn q_to_device(tensor: QuantizedTensor<G>, _: &OracleDevice) -> QuantizedTensor<G> {
        tensor
    }

    fn q_into_data(
        tensor: QuantizedTensor<G>,
    ) -> impl Future<Output = Result<TensorData, ExecutionError>> + Send {
        G::q_into_data(tensor)
    }

    hand_on! { QTensorOps:
        (tensor: QuantizedTensor<G>, dtype: FloatDType) -> FloatTensor<G> { dequantize }
        (tensor: QuantizedTensor<G>, shape: Shape) -> QuantizedTensor<G> { q_reshape, q_expand }
        (tensor: QuantizedTensor<G>, dim1: usize, dim2: usize) -> QuantizedTensor<G> { q_swap_dims }
        (tensor: QuantizedTensor<G>, axes: &[usize]) -> QuantizedTensor<G> { q_permute, q_flip }
        (tensor: QuantizedTensor<G>, dim: usize, indices: IntTensor<G>) -> QuantizedTensor<G> {
            q_select
        }
        (tensor: QuantizedTensor<G>, slices: &[Slice]) -> QuantizedTensor<G> { q_slice }
        (dim: usize, tensor: QuantizedTensor<G>, indices: IntTensor<G>) -> QuantizedTensor<G> {
            q_gather
        }
        (tensor: QuantizedTensor<G>, dim: usize, out_dtype: IntDType) -> IntTensor<G> {
            q_argmax, q_argmin
        }
    }
}
