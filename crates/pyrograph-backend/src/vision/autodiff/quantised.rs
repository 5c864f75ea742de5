//! Layers with weights in int8: the weights are constants, and are widened where a gradient passes them.

use burn::{
    backend::autodiff::{Autodiff, checkpoint::strategy::CheckpointStrategy},
    tensor::{
        TensorMetadata,
        backend::AutodiffBackend,
        ops::{ConvOptions, FloatTensor, QuantizedTensor},
    },
};

use super::super::{Activation, Linear, VisionBackend};

/// See [`VisionBackend::quantised_linear_layer`].
pub(super) fn linear_layer<B: VisionBackend, C: CheckpointStrategy>(
    layer: Linear<FloatTensor<Autodiff<B, C>>, QuantizedTensor<B>>,
) -> FloatTensor<Autodiff<B, C>> {
    let mut tensors = layer.tensors_beside_weight();
    if tensors.any(|tensor| tensor.is_tracked()) {
        drop(tensors);
        let dtype = layer.x.dtype().into();
        let layer = layer.with_weight(|weight| untracked::<B, C>(B::dequantize(weight, dtype)));
        return Autodiff::<B, C>::linear_layer(layer);
    }
    drop(tensors);
    let layer = layer.map_beside_weight(|tensor| tensor.primitive);
    untracked::<B, C>(B::quantised_linear_layer(layer))
}

/// See [`VisionBackend::quantised_conv2d_act`].
pub(super) fn conv2d<B: VisionBackend, C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<B, C>>,
    weight: QuantizedTensor<B>,
    bias: Option<FloatTensor<Autodiff<B, C>>>,
    options: ConvOptions<2>,
    act: Activation,
) -> FloatTensor<Autodiff<B, C>> {
    if x.is_tracked() || bias.as_ref().is_some_and(|bias| bias.is_tracked()) {
        let weight = untracked::<B, C>(B::dequantize(weight, x.dtype().into()));
        return Autodiff::<B, C>::conv2d_act(x, weight, bias, options, act);
    }
    let (x, bias) = (x.primitive, bias.map(|bias| bias.primitive));
    untracked::<B, C>(B::quantised_conv2d_act(x, weight, bias, options, act))
}

/// A tensor that no gradient reaches.
fn untracked<B: VisionBackend, C: CheckpointStrategy>(
    tensor: FloatTensor<B>,
) -> FloatTensor<Autodiff<B, C>> {
    <Autodiff<B, C> as AutodiffBackend>::from_inner(tensor)
}
