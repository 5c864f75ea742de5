//! Operations of layers, and on quantized tensors.

use burn::tensor::{
    FloatDType, IntDType, Shape, Slice, TensorData,
    backend::ExecutionError,
    ops::{
        AttentionModuleOptions, ConvOptions, ConvTransposeOptions, DeformConv2dBackward,
        DeformConvOptions, InterpolateOptions, MaxPool2dBackward, MaxPool2dWithIndices, ModuleOps,
        QTensorOps,
    },
    quantization::{QuantScheme, QuantizationParametersPrimitive},
};

use super::{Bool, CPU, Float, Ground, Int, OracleBackend, OracleDevice, Quantized, hand_on};

impl ModuleOps<Self> for OracleBackend {
    fn deform_conv2d_backward(
        x: Float,
        offset: Float,
        weight: Float,
        mask: Option<Float>,
        bias: Option<Float>,
        output_grad: Float,
        options: DeformConvOptions<2>,
    ) -> DeformConv2dBackward<Self> {
        let gradients =
            Ground::deform_conv2d_backward(x, offset, weight, mask, bias, output_grad, options);
        DeformConv2dBackward {
            x_grad: gradients.x_grad,
            offset_grad: gradients.offset_grad,
            weight_grad: gradients.weight_grad,
            mask_grad: gradients.mask_grad,
            bias_grad: gradients.bias_grad,
        }
    }

    fn max_pool2d_with_indices(
        x: Float,
        kernel_size: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        dilation: [usize; 2],
        ceil_mode: bool,
    ) -> MaxPool2dWithIndices<Self> {
        let pooled =
            Ground::max_pool2d_with_indices(x, kernel_size, stride, padding, dilation, ceil_mode);
        MaxPool2dWithIndices::new(pooled.output, pooled.indices)
    }

    fn max_pool2d_with_indices_backward(
        x: Float,
        kernel_size: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        dilation: [usize; 2],
        ceil_mode: bool,
        output_grad: Float,
        indices: Int,
    ) -> MaxPool2dBackward<Self> {
        let gradients = Ground::max_pool2d_with_indices_backward(
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
        (x: Float, weight: Float, bias: Option<Float>, options: ConvOptions<2>) -> Float {
            conv2d
        }
        (
            x: Float,
            offset: Float,
            weight: Float,
            mask: Option<Float>,
            bias: Option<Float>,
            options: DeformConvOptions<2>
        ) -> Float {
            deform_conv2d
        }
        (x: Float, weight: Float, bias: Option<Float>, options: ConvOptions<3>) -> Float {
            conv3d
        }
        (x: Float, weight: Float, bias: Option<Float>, options: ConvTransposeOptions<2>) -> Float {
            conv_transpose2d
        }
        (x: Float, weight: Float, bias: Option<Float>, options: ConvTransposeOptions<3>) -> Float {
            conv_transpose3d
        }
        (
            x: Float,
            kernel_size: [usize; 2],
            stride: [usize; 2],
            padding: [usize; 2],
            count_include_pad: bool,
            ceil_mode: bool
        ) -> Float {
            avg_pool2d
        }
        (
            x: Float,
            grad: Float,
            kernel_size: [usize; 2],
            stride: [usize; 2],
            padding: [usize; 2],
            count_include_pad: bool,
            ceil_mode: bool
        ) -> Float {
            avg_pool2d_backward
        }
        (x: Float, output_size: [usize; 2]) -> Float { adaptive_avg_pool2d }
        (x: Float, grad: Float) -> Float { adaptive_avg_pool2d_backward }
        (
            x: Float,
            kernel_size: [usize; 2],
            stride: [usize; 2],
            padding: [usize; 2],
            dilation: [usize; 2],
            ceil_mode: bool
        ) -> Float {
            max_pool2d
        }
        (x: Float, output_size: [usize; 2], options: InterpolateOptions) -> Float { interpolate }
        (x: Float, grad: Float, output_size: [usize; 2], options: InterpolateOptions) -> Float {
            interpolate_backward
        }
        (
            query: Float,
            key: Float,
            value: Float,
            mask: Option<Bool>,
            attn_bias: Option<Float>,
            options: AttentionModuleOptions
        ) -> Float {
            attention
        }
        (signal: Float, dim: usize, n: Option<usize>) -> (Float, Float) { rfft }
        (spectrum_re: Float, spectrum_im: Float, dim: usize, n: Option<usize>) -> Float { irfft }
    }
}

impl QTensorOps<Self> for OracleBackend {
    fn q_from_data(data: TensorData, _: &OracleDevice) -> Quantized {
        Ground::q_from_data(data, &CPU)
    }

    fn quantize(
        tensor: Float,
        scheme: &QuantScheme,
        parameters: QuantizationParametersPrimitive<Self>,
    ) -> Quantized {
        let scales = parameters.scales;
        Ground::quantize(tensor, scheme, QuantizationParametersPrimitive { scales })
    }

    fn q_device(_: &Quantized) -> OracleDevice {
        OracleDevice
    }

    fn q_to_device(tensor: Quantized, _: &OracleDevice) -> Quantized {
        tensor
    }

    fn q_into_data(
        tensor: Quantized,
    ) -> impl Future<Output = Result<TensorData, ExecutionError>> + Send {
        Ground::q_into_data(tensor)
    }

    hand_on! { QTensorOps:
        (tensor: Quantized, dtype: FloatDType) -> Float { dequantize }
        (tensor: Quantized, shape: Shape) -> Quantized { q_reshape, q_expand }
        (tensor: Quantized, dim1: usize, dim2: usize) -> Quantized { q_swap_dims }
        (tensor: Quantized, axes: &[usize]) -> Quantized { q_permute, q_flip }
        (tensor: Quantized, dim: usize, indices: Int) -> Quantized { q_select }
        (tensor: Quantized, slices: &[Slice]) -> Quantized { q_slice }
        (dim: usize, tensor: Quantized, indices: Int) -> Quantized { q_gather }
        (tensor: Quantized, dim: usize, out_dtype: IntDType) -> Int { q_argmax, q_argmin }
    }
}
