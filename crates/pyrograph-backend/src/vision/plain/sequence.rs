//! Operations of transformers in plain burn operations: rows of features instead of images.

use burn::tensor::{Tensor, backend::Backend};

use super::{activate, in_type_of, widen};
use crate::vision::Activation;

/// Linear layer `x·Wᵀ + b`. `x` [rows, in], `weight` [out, in], `bias` `[out]`; result [rows, out].
///
/// A weight of another float type is converted to the type of `x` first.
pub fn linear<B: Backend>(
    x: Tensor<B, 2>,
    weight: Tensor<B, 2>,
    bias: Option<Tensor<B, 1>>,
) -> Tensor<B, 2> {
    let dtype = x.dtype();
    let y = x.matmul(in_type_of(weight, dtype).transpose());
    match bias {
        Some(bias) => y + in_type_of(bias, dtype).unsqueeze(),
        None => y,
    }
}

/// Layer norm ([Ba et al., 2016](https://arxiv.org/abs/1607.06450)) of each row of `x` [rows, features]; `weight` and `bias`
/// `[features]`. Statistics are f32 for half-precision input.
pub fn layer_norm<B: Backend>(
    x: Tensor<B, 2>,
    weight: Tensor<B, 1>,
    bias: Tensor<B, 1>,
    epsilon: f64,
) -> Tensor<B, 2> {
    let dtype = x.dtype();
    let x = widen(x);
    let wide = x.dtype();
    let centred = x.clone() - x.mean_dim(1);
    let variance = centred.clone().square().mean_dim(1);
    let normal = centred / (variance + epsilon).sqrt();
    let (weight, bias) = (in_type_of(weight, wide), in_type_of(bias, wide));
    (normal * weight.unsqueeze() + bias.unsqueeze()).cast(dtype)
}

/// Gated GELU ([Shazeer, 2020](https://arxiv.org/abs/2002.05202)): with `x` [rows, 2·features] cut into `value` and `gate`,
/// `value · GELU(gate)` by the exact error function; result [rows, features].
pub fn geglu<B: Backend>(x: Tensor<B, 2>) -> Tensor<B, 2> {
    let [_, both] = x.dims();
    let value = x.clone().narrow(1, 0, both / 2);
    let gate = x.narrow(1, both / 2, both / 2);
    value * activate(gate, Activation::Gelu)
}

/// Nearest-neighbour upsampling: each pixel of `x` [batch, channels, height, width] becomes a block of `factor` × `factor`.
pub fn upsample_nearest<B: Backend>(x: Tensor<B, 4>, factor: usize) -> Tensor<B, 4> {
    let [batch, channels, height, width] = x.dims();
    x.reshape([batch * channels, height, 1, width, 1])
        .expand([batch * channels, height, factor, width, factor])
        .reshape([batch, channels, height * factor, width * factor])
}
