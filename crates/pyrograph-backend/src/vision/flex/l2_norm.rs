//! Pixels by the norm of their channels: an item at a time, a line of pixels of each channel after the other.

use burn::tensor::TensorMetadata;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::{
    super::plain::L2_FLOOR,
    buffers::Buffer,
    features::vectorised,
    tensors::{floats, image, planes_of, vector},
};

/// One over the norm of every pixel of an item.
#[inline(always)]
fn inverse_norms(item: &[f32], size: usize) -> Vec<f32> {
    let mut squares = vec![0.0_f32; size];
    for plane in item.chunks_exact(size) {
        squares.iter_mut().zip(plane).for_each(|(s, x)| *s += x * x);
    }
    for square in &mut squares {
        *square = 1.0 / (*square + L2_FLOOR).sqrt();
    }
    squares
}

vectorised! {
    /// `weight · x / ‖x‖`.
    pub(super) fn l2_norm(x: &FlexTensor, weight: &FlexTensor) -> FlexTensor {
        let (shape, (channels, size)): ([usize; 4], _) = (x.shape().dims(), planes_of(x));
        let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
        let (x, weight) = (floats(&x), floats(&weight));
        assert_eq!(weight.len(), channels, "a scale for each channel");
        let mut out = Buffer::new(x.len());
        let item = (channels * size).max(1);
        out.par_chunks_mut(item).zip(x.par_chunks(item)).for_each(|(out, x)| {
            let inverse = inverse_norms(x, size.max(1));
            let planes = out.chunks_exact_mut(size.max(1)).zip(x.chunks_exact(size.max(1)));
            for ((out, x), weight) in planes.zip(weight) {
                for ((out, x), inverse) in out.iter_mut().zip(x).zip(&inverse) {
                    *out = x * inverse * weight;
                }
            }
        });
        image(out, shape)
    }
}

vectorised! {
    /// The gradients of [`l2_norm`] to input and weight.
    pub(super) fn l2_norm_backward(
        x: &FlexTensor,
        weight: &FlexTensor,
        grad: &FlexTensor,
    ) -> (FlexTensor, FlexTensor) {
        let (shape, (channels, size)): ([usize; 4], _) = (x.shape().dims(), planes_of(x));
        let (x, weight, grad) = (x.to_contiguous(), weight.to_contiguous(), grad.to_contiguous());
        let (x, weight, grad) = (floats(&x), floats(&weight), floats(&grad));
        assert_eq!(weight.len(), channels, "a scale for each channel");
        let mut out = Buffer::new(x.len());
        let item = (channels * size).max(1);
        let of_items: Vec<Vec<f32>> = out
            .par_chunks_mut(item)
            .zip(x.par_chunks(item))
            .zip(grad.par_chunks(item))
            .map(|((out, x), grad)| {
                let size = size.max(1);
                let inverse = inverse_norms(x, size);
                // Σ g·x over the channels of each pixel, and of each channel over the pixels.
                let mut along = vec![0.0_f32; size];
                let planes = x.chunks_exact(size).zip(grad.chunks_exact(size));
                let of_weight = planes.zip(weight).map(|((x, grad), weight)| {
                    let mut sum = 0.0_f64;
                    let lines = x.chunks(LINE).zip(grad.chunks(LINE));
                    let lines = lines.zip(inverse.chunks(LINE)).zip(along.chunks_mut(LINE));
                    for (((x, grad), inverse), along) in lines {
                        let mut products = [0.0_f32; LINE];
                        for (i, along) in along.iter_mut().enumerate() {
                            let product = x[i] * grad[i];
                            *along += product * weight;
                            products[i] = product * inverse[i];
                        }
                        sum += f64::from(products.iter().sum::<f32>());
                    }
                    sum as f32
                });
                let of_weight: Vec<f32> = of_weight.collect();
                for (along, inverse) in along.iter_mut().zip(&inverse) {
                    *along *= inverse * inverse * inverse;
                }
                let planes = x.chunks_exact(size).zip(grad.chunks_exact(size)).zip(weight);
                for (out, ((x, grad), weight)) in out.chunks_exact_mut(size).zip(planes) {
                    for (i, out) in out.iter_mut().enumerate() {
                        *out = grad[i] * weight * inverse[i] - x[i] * along[i];
                    }
                }
                of_weight
            })
            .collect();
        let mut total = vec![0.0_f32; channels];
        for of_item in of_items {
            total.iter_mut().zip(of_item).for_each(|(total, part)| *total += part);
        }
        (image(out, shape), vector(total))
    }
}

/// Pixels whose products are summed in f32 at once.
const LINE: usize = 64;
