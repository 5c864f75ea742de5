//! The convolutions that Flex's kernels compute, by the sizes of their tensors.

use burn::tensor::{
    DType, TensorMetadata,
    ops::{ConvOptions, ConvTransposeOptions},
};
use burn_flex::FlexTensor;

use super::{conv, half::Values};

/// The sizes of a convolution that `conv` computes; other element types, and groups of several channels, are burn-flex's.
pub(super) fn conv_shape(
    x: &FlexTensor,
    weight: &FlexTensor,
    options: &ConvOptions<2>,
) -> Option<conv::Shape> {
    let is_ours = x.dtype() == DType::F32 && Values::hold(weight.dtype());
    is_ours
        .then(|| conv::Shape::new(x.shape().dims(), weight.shape().dims(), options))
        .flatten()
}

/// The convolution whose input gradient a transposed convolution is.
pub(super) fn transposed_shape(
    x: &FlexTensor,
    weight: &FlexTensor,
    options: &ConvTransposeOptions<2>,
) -> Option<conv::Shape> {
    let is_ours = x.dtype() == DType::F32 && Values::hold(weight.dtype());
    is_ours
        .then(|| transposed_of(x.shape().dims(), weight.shape().dims(), options))
        .flatten()
}

/// The same by the shapes of images and weight.
pub(super) fn transposed_of(
    [batch, channels_in, height, width]: [usize; 4],
    [weight_in, channels_out, kh, kw]: [usize; 4],
    options: &ConvTransposeOptions<2>,
) -> Option<conv::Shape> {
    let size = |small: usize, kernel: usize, axis: usize| {
        let reach = small.checked_sub(1)? * options.stride[axis]
            + options.dilation[axis] * kernel.checked_sub(1)?
            + 1
            + options.padding_out[axis];
        reach.checked_sub(2 * options.padding[axis])
    };
    if options.groups != 1 || weight_in != channels_in {
        return None;
    }
    let image = [
        batch,
        channels_out,
        size(height, kh, 0)?,
        size(width, kw, 1)?,
    ];
    let convolution = ConvOptions::new(options.stride, options.padding, options.dilation, 1);
    let shape = conv::Shape::new(image, [weight_in, channels_out, kh, kw], &convolution)?;
    // An output padding of a stride or more would make the small image larger than it is.
    (shape.output() == [batch, channels_in, height, width]).then_some(shape)
}
