//! Convolutions of tensors.

use burn::tensor::ops::{ConvOptions, ModuleOps};
use burn_flex::{Flex, FlexTensor};

use super::{
    super::{
        Activation, NormedConv, UpsampledConv, VisionBackend, normed_conv::composed, plain,
        primitives, upsampled_conv,
    },
    conv::{self, Finish},
    half::{Values, parameter, widened},
    norms::FoldedNorm,
    shapes::conv_shape,
    tensors::{floats, image},
};

/// See [`VisionBackend::conv2d_act`].
pub(super) fn conv2d(
    x: FlexTensor,
    weight: FlexTensor,
    bias: Option<FlexTensor>,
    options: ConvOptions<2>,
    act: Activation,
) -> FlexTensor {
    let bias = bias.map(|bias| parameter(bias, x.dtype()));
    let Some(shape) = conv_shape(&x, &weight, &options) else {
        let weight = parameter(weight, x.dtype());
        return Flex::activate(Flex::conv2d(x, weight, bias, options), act);
    };
    let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
    let bias = bias.map(|bias| bias.to_contiguous());
    let finish = Finish {
        scale: None,
        shift: bias.as_ref().map(floats),
        act,
    };
    let out = conv::forward(&shape, floats(&x), Values::of(&weight), finish);
    image(out, shape.output())
}

/// See [`VisionBackend::conv2d_scaled_act`].
pub(super) fn conv2d_scaled(
    x: FlexTensor,
    weight: FlexTensor,
    scale: FlexTensor,
    shift: FlexTensor,
    options: ConvOptions<2>,
    act: Activation,
) -> FlexTensor {
    let Some(shape) = conv_shape(&x, &weight, &options) else {
        let weight = primitives::tensor::<Flex, 4>(weight);
        let weight = plain::scaled_weight(weight, primitives::tensor(scale));
        return conv2d(x, primitives::into(weight), Some(shift), options, act);
    };
    let (scale, shift) = (widened(scale), widened(shift));
    let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
    let (scale, shift) = (scale.to_contiguous(), shift.to_contiguous());
    let finish = Finish {
        scale: Some(floats(&scale)),
        shift: Some(floats(&shift)),
        act,
    };
    let out = conv::forward(&shape, floats(&x), Values::of(&weight), finish);
    image(out, shape.output())
}

/// See [`VisionBackend::conv2d_of_group_norm`]: where pixels are laid out anew anyway, they are normalised on the way.
pub(super) fn conv2d_of_group_norm(layer: NormedConv<FlexTensor>) -> FlexTensor {
    let shape = conv_shape(&layer.x, &layer.weight, &layer.options);
    let weight = layer.weight.to_contiguous();
    let Some(shape) = shape.filter(|shape| conv::lays_pixels_out(shape, &Values::of(&weight)))
    else {
        return composed::<Flex>(layer);
    };
    let x = layer.x.to_contiguous();
    let bias = layer
        .bias
        .map(|bias| parameter(bias, x.dtype()).to_contiguous());
    let finish = Finish {
        scale: None,
        shift: bias.as_ref().map(floats),
        act: Activation::Identity,
    };
    let norm = FoldedNorm::of_groups(&x, &layer.norm);
    let out = conv::forward_of_norm(&shape, floats(&x), &norm, Values::of(&weight), finish);
    image(out, shape.output())
}

/// See [`VisionBackend::conv2d_of_upsampled`].
pub(super) fn conv2d_of_upsampled(layer: UpsampledConv<FlexTensor>) -> FlexTensor {
    let shape = match layer.factor {
        2 => conv_shape(&layer.x, &layer.weight, &layer.options),
        _ => None,
    };
    let Some(shape) = shape else {
        return upsampled_conv::composed::<Flex>(layer);
    };
    let (x, weight) = (layer.x.to_contiguous(), layer.weight.to_contiguous());
    let bias = layer.bias.clone();
    let bias = bias.map(|bias| parameter(bias, x.dtype()).to_contiguous());
    let finish = Finish {
        scale: None,
        shift: bias.as_ref().map(floats),
        act: Activation::Identity,
    };
    match conv::forward_of_upsampled(&shape, floats(&x), Values::of(&weight), finish) {
        Some(out) => {
            let [batch, channels, height, width] = shape.output();
            image(out, [batch, channels, 2 * height, 2 * width])
        }
        None => upsampled_conv::composed::<Flex>(layer),
    }
}
