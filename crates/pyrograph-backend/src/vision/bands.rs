//! The weight gradient of a convolution over a large image, band by band.
//!
//! burn 0.21 computes it on WGPU as one convolution whose window is the image: every output is a loop over all pixels and images.
//! Mesa's software adapter ends any shader after 65,535 turns of its loops, without an error (docs/upstream.md).

use burn::tensor::{Tensor, backend::Backend, ops::ConvOptions, ops::FloatTensor};

use super::primitives::{into, tensor};

/// Turns that a shader may take: half of what Mesa allows, since a compiler may count its loops in another way.
const TURNS: usize = 32_768;

/// ∂weight [out, in / groups, kh, kw] of a convolution with `x` [batch, in, height, width], given the gradient of its output.
pub(super) fn weight_gradient<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    grad: FloatTensor<B>,
    options: ConvOptions<2>,
) -> FloatTensor<B> {
    let whole = tensor::<B, 4>(grad.clone());
    let [batch, channels_out, rows, columns] = whole.dims();
    // A turn for each image, one to leave that loop, and one for the pixel; as many again for each row.
    let rows_at_once = (TURNS / ((batch + 2) * (columns + 1))).max(1);
    if rows <= rows_at_once {
        return B::conv2d_weight_backward(x, weight, grad, options);
    }
    let [_, _, kernel, _] = tensor::<B, 4>(weight.clone()).dims();
    let (stride, dilation) = (options.stride[0], options.dilation[0]);
    let padding = [0, options.padding[1]];
    let x = with_rows::<B>(tensor(x), options.padding[0]);
    let [_, channels_in, _, width] = x.dims();
    let options = ConvOptions::new(options.stride, padding, options.dilation, options.groups);
    let bands = (0..rows).step_by(rows_at_once).map(|first| {
        let last = (first + rows_at_once).min(rows);
        let seen = first * stride..(last - 1) * stride + (kernel - 1) * dilation + 1;
        let x = x.clone().slice([0..batch, 0..channels_in, seen, 0..width]);
        let grad = whole
            .clone()
            .slice([0..batch, 0..channels_out, first..last, 0..columns]);
        let part = B::conv2d_weight_backward(into(x), weight.clone(), into(grad), options.clone());
        tensor::<B, 4>(part)
    });
    // There are two bands at least.
    let sum = bands.reduce(|sum, part| sum + part);
    sum.map_or(weight, into)
}

/// So many rows of zeros above and below.
fn with_rows<B: Backend>(x: Tensor<B, 4>, rows: usize) -> Tensor<B, 4> {
    if rows == 0 {
        return x;
    }
    let [batch, channels, _, width] = x.dims();
    let zeros = Tensor::zeros([batch, channels, rows, width], (&x.device(), x.dtype()));
    Tensor::cat(vec![zeros.clone(), x, zeros], 2)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{module, ops::ModuleOps};
    use burn_flex::Flex;

    use super::*;
    use crate::rng::{NoiseKey, Purpose, host_tensor};

    /// `f32_op`: sums of tens of thousands of terms in two orders, as a share of the largest.
    const F32_OP: f32 = 1e-4;

    fn noise(stream: u64, shape: [usize; 4]) -> Tensor<Flex, 4> {
        let values = NoiseKey::new(7, Purpose::Other, stream).normal(0, shape.iter().product());
        host_tensor(values, shape, &Default::default())
    }

    #[test]
    fn the_bands_of_any_convolution_sum_to_its_weight_gradient() {
        let options = ConvOptions::<2>::new;
        for (x, weight, options) in [
            (
                [2, 3, 150, 90],
                [4, 3, 3, 3],
                options([1, 1], [1, 1], [1, 1], 1),
            ),
            (
                [6, 2, 151, 100],
                [4, 1, 4, 3],
                options([2, 1], [2, 0], [1, 2], 2),
            ),
            (
                [1, 2, 400, 120],
                [2, 2, 3, 1],
                options([1, 1], [6, 0], [6, 1], 1),
            ),
            (
                [1, 1, 2, 40_000],
                [1, 1, 2, 1],
                options([1, 1], [1, 0], [1, 1], 1),
            ),
        ] {
            let (x, weight) = (noise(0, x), noise(1, weight));
            let y = module::conv2d(x.clone(), weight.clone(), None, options.clone());
            let grad = noise(2, y.dims());
            let by = |body: fn(_, _, _, _) -> FloatTensor<Flex>| {
                let (x, weight, grad) = (x.clone(), weight.clone(), grad.clone());
                let sum = body(into(x), into(weight), into(grad), options.clone());
                tensor::<Flex, 4>(sum)
            };
            let bands = by(weight_gradient::<Flex>);
            let whole = by(<Flex as ModuleOps<Flex>>::conv2d_weight_backward);
            let largest = whole.clone().abs().max().into_scalar();
            let error = (bands - whole).abs().max().into_scalar();
            assert!(
                largest > 10.0 && error <= F32_OP * largest,
                "{error} of {largest}"
            );
        }
    }
}
