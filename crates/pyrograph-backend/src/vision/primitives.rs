//! Between tensors and the primitives of a backend, and bodies that take primitives.

use burn::tensor::{
    DType, Shape, Tensor, TensorMetadata, TensorPrimitive, backend::Backend, ops::FloatTensor,
};

use super::{
    AttentionGradients, AttentionOptions, AttentionPass, Distance, ModulateGradients, Window, plain,
};

pub(super) fn plain_max_pool_backward<B: Backend>(
    x: FloatTensor<B>,
    grad: FloatTensor<B>,
    window: Window,
) -> FloatTensor<B> {
    let Window {
        size,
        stride,
        padding,
    } = window;
    let found = B::max_pool2d_with_indices(x.clone(), size, stride, padding, [1, 1], false);
    let places = found.indices;
    B::max_pool2d_with_indices_backward(x, size, stride, padding, [1, 1], false, grad, places)
        .x_grad
}

pub(super) fn plain_softmax_backward<B: Backend>(
    y: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> FloatTensor<B> {
    let grad = B::float_reshape(grad.clone(), rows_of::<B>(&grad));
    by_rows::<B>(y, |y| plain::softmax_backward(y, tensor(grad)))
}

pub(super) fn plain_modulate_backward<B: Backend>(
    x: FloatTensor<B>,
    scale: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> ModulateGradients<FloatTensor<B>> {
    let (x, scale, shift) =
        plain::modulate_backward(tensor::<B, 4>(x), tensor(scale), tensor(grad));
    ModulateGradients {
        x: into(x),
        scale: into(scale),
        shift: into(shift),
    }
}

pub(super) fn plain_attention_backward<B: Backend>(
    pass: AttentionPass<FloatTensor<B>>,
    grad: FloatTensor<B>,
    options: AttentionOptions,
) -> AttentionGradients<FloatTensor<B>> {
    let gradients =
        plain::attention_backward(pass.map(tensor::<B, 4>), tensor(grad), options.scale);
    gradients.map(into)
}

/// A tensor of any rank as rows of its last axis, through `body`.
pub(super) fn by_rows<B: Backend>(
    x: FloatTensor<B>,
    body: impl FnOnce(Tensor<B, 2>) -> Tensor<B, 2>,
) -> FloatTensor<B> {
    let shape = x.shape();
    let rows = B::float_reshape(x.clone(), rows_of::<B>(&x));
    B::float_reshape(into(body(tensor(rows))), shape)
}

fn rows_of<B: Backend>(x: &FloatTensor<B>) -> Shape {
    let shape = x.shape();
    let length = shape.as_slice().last().copied().unwrap_or(1);
    Shape::from([shape.num_elements() / length.max(1), length])
}

/// The tensor in the float type `dtype`: parameters may be held in another type than the values that they meet.
pub(super) fn in_type<B: Backend>(tensor: FloatTensor<B>, dtype: DType) -> FloatTensor<B> {
    if tensor.dtype() == dtype {
        tensor
    } else {
        B::float_cast(tensor, dtype.into())
    }
}

pub(super) fn tensor<B: Backend, const D: usize>(primitive: FloatTensor<B>) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(primitive))
}

pub(super) fn into<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> FloatTensor<B> {
    tensor.into_primitive().tensor()
}

/// A value and its gradient as primitives.
pub(super) fn distance<B: Backend, const D: usize>(
    (value, gradient): (Tensor<B, 1>, Tensor<B, D>),
) -> Distance<FloatTensor<B>> {
    Distance {
        value: into(value),
        gradient: into(gradient),
    }
}
