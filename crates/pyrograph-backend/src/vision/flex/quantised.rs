//! Layers with weights in int8, a scale for each output: the numbers stay where they lie.

use burn::tensor::{
    DType, FloatDType, TensorData, TensorMetadata,
    ops::{ConvOptions, QTensorOps},
    quantization::{QTensorPrimitive, QuantLevel},
};
use burn_flex::{Flex, FlexQTensor, FlexTensor};

use super::{
    super::{Activation, Int8Products, Linear, LinearForm, VisionBackend, quantised_scheme},
    conv::{self, Finish},
    half::{Int8, Values, parameter},
    linear,
    tensors::{floats, image},
};

/// The weight over the bytes of `numbers`, which are not copied.
pub(super) fn weight(
    numbers: TensorData,
    scales: Vec<f32>,
    products: Int8Products,
) -> Option<FlexQTensor> {
    assert_eq!(
        numbers.dtype,
        DType::I8,
        "the numbers of a quantised weight"
    );
    let (count, outputs) = (numbers.num_elements(), scales.len());
    assert_eq!(
        numbers.shape.first(),
        Some(&outputs),
        "scales of the outputs of a quantised weight"
    );
    let scheme = quantised_scheme(count / outputs.max(1))?;
    Some(FlexQTensor::new(
        FlexTensor::from_data(numbers),
        products.in_scheme(scheme),
        scales,
    ))
}

/// The weight as a matrix [out, values of an output].
pub(super) fn matrix(weight: FlexQTensor) -> FlexQTensor {
    let shape = weight.shape();
    let matrix = [shape[0], shape.num_elements() / shape[0].max(1)].into();
    if values(&weight).is_none() {
        return Flex::q_reshape(weight, matrix);
    }
    let numbers = weight.tensor().reshape(matrix);
    FlexQTensor::new(numbers, *weight.scheme(), weight.scales().to_vec())
}

/// The numbers and scales of a weight that has a scale for each output; none where it has others.
fn values(weight: &FlexQTensor) -> Option<Values<'_>> {
    let (numbers, scales) = (weight.tensor(), weight.scales());
    let (layout, outputs) = (numbers.layout(), weight.shape()[0]);
    let count = layout.num_elements();
    let QuantLevel::Block(block) = weight.scheme().level else {
        return None;
    };
    let fits = count > 0
        && scales.len() == outputs
        && block.num_elements() == count / outputs
        && layout.is_contiguous();
    let first = layout.start_offset();
    fits.then(|| {
        let numbers = &numbers.storage::<i8>()[first..first + count];
        let products = Int8Products::of_scheme(weight.scheme());
        Values::Int8(Int8::new(numbers, scales, products))
    })
}

/// See [`VisionBackend::quantised_linear_layer`].
pub(super) fn linear_layer(layer: Linear<FlexTensor, FlexQTensor>) -> FlexTensor {
    let added = match &layer.form {
        LinearForm::Plus(added) | LinearForm::ToPixels(added) => added.dtype(),
        LinearForm::Rows | LinearForm::Gated | LinearForm::OfPixels => DType::F32,
    };
    let is_ours = [layer.x.dtype(), added] == [DType::F32; 2];
    let weight = layer.weight.clone();
    match values(&weight) {
        Some(values) if is_ours => linear::quantised(layer, values),
        _ => {
            let dtype: FloatDType = layer.x.dtype().into();
            Flex::linear_layer(layer.with_weight(|weight| Flex::dequantize(weight, dtype)))
        }
    }
}

/// See [`VisionBackend::quantised_conv2d_act`].
pub(super) fn conv2d(
    x: FlexTensor,
    weight: FlexQTensor,
    bias: Option<FlexTensor>,
    options: ConvOptions<2>,
    act: Activation,
) -> FlexTensor {
    let shape = (x.dtype() == DType::F32)
        .then(|| conv::Shape::new(x.shape().dims(), weight.shape().dims(), &options))
        .flatten();
    let (Some(shape), Some(values)) = (shape, values(&weight)) else {
        let weight = Flex::dequantize(weight, x.dtype().into());
        return Flex::conv2d_act(x, weight, bias, options, act);
    };
    let x = x.to_contiguous();
    let bias = bias.map(|bias| parameter(bias, DType::F32).to_contiguous());
    let finish = Finish {
        scale: None,
        shift: bias.as_ref().map(floats),
        act,
    };
    let out = conv::forward(&shape, floats(&x), values, finish);
    image(out, shape.output())
}
