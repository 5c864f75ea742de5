//! Convolutions of tensors.

use burn::tensor::{
    DType,
    ops::{ConvOptions, ConvTransposeOptions, ModuleOps},
};
use burn_flex::{Flex, FlexTensor};

use super::{
    super::{
        Activation, NormedConv, Stack, StackForm, StackLayer, StackMap, UpsampledConv,
        VisionBackend, conv_stack, normed_conv::composed, plain, primitives, upsampled_conv,
    },
    conv::{self, Finish},
    features::Level,
    half::{Values, parameter, widened},
    norms::FoldedNorm,
    shapes::{conv_shape, transposed_shape},
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
        let weight = plain::scaled_weight(weight, primitives::tensor(scale), 0);
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

/// `act(conv_transpose(x) · scale + shift)`; see [`VisionBackend::conv_transpose2d_act`].
pub(super) fn conv_transpose2d(
    x: FlexTensor,
    map: StackMap<FlexTensor>,
    options: ConvTransposeOptions<2>,
) -> FlexTensor {
    let Some(shape) = transposed_shape(&x, &map.weight, &options) else {
        return transposed_elsewhere(x, map, options);
    };
    let (x, weight) = (x.to_contiguous(), map.weight.to_contiguous());
    let vector = |vector: Option<FlexTensor>| {
        vector.map(|vector| parameter(vector, DType::F32).to_contiguous())
    };
    let (scale, shift) = (vector(map.scale), vector(map.shift));
    let finish = Finish {
        scale: scale.as_ref().map(floats),
        shift: shift.as_ref().map(floats),
        act: map.act,
    };
    let on_tiles = conv::transposed_on_tiles(&shape, floats(&x), Values::of(&weight), finish);
    let out = on_tiles.unwrap_or_else(|| {
        let weight = widened(weight);
        conv::input_gradient(&shape, floats(&weight), floats(&x), finish)
    });
    image(out, shape.input())
}

/// [`conv_transpose2d`] by burn-flex.
fn transposed_elsewhere(
    x: FlexTensor,
    map: StackMap<FlexTensor>,
    options: ConvTransposeOptions<2>,
) -> FlexTensor {
    let weight = match map.scale {
        Some(scale) => conv_stack::scaled_transposed::<Flex>(map.weight, scale),
        None => map.weight,
    };
    let weight = parameter(weight, x.dtype());
    let shift = map.shift.map(|shift| parameter(shift, x.dtype()));
    Flex::activate(Flex::conv_transpose2d(x, weight, shift, options), map.act)
}

/// See [`VisionBackend::conv_stack`].
pub(super) fn conv_stack(stack: Stack<FlexTensor>) -> FlexTensor {
    if let Some(plan) = conv::StackPlan::of(&stack) {
        return plan.forward(stack);
    }
    let images = stack.layers.into_iter().fold(stack.x, layer_alone);
    let turns = images.dtype() == DType::F32 && Level::of_this_machine().has_wide_vectors();
    match stack.form {
        StackForm::Images => images,
        StackForm::Rows if turns => conv::rows_of(&images),
        StackForm::Rows => conv_stack::rows_of::<Flex>(images),
    }
}

/// A layer of a stack as an operation of its own.
pub(super) fn layer_alone(x: FlexTensor, layer: StackLayer<FlexTensor>) -> FlexTensor {
    match layer {
        StackLayer::ConvTranspose { map, options } => conv_transpose2d(x, map, options),
        layer => conv_stack::alone::<Flex>(x, layer),
    }
}
