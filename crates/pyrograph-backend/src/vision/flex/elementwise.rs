//! Activations, biases and modulation: one pass each.

use burn::tensor::TensorMetadata;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::{
    super::{Activation, ModulateGradients},
    buffers::Buffer,
    features::vectorised,
    lines::{affine, times_slope},
    planes::{by_channel, change, change_and_sum, lane_sum, sum},
    tensors::{column, edited, floats, image, planes_of, vector},
};

/// Values of a block of an elementwise pass.
const BLOCK: usize = 4096;

vectorised! {
    /// `act(x)`.
    pub(super) fn activate(x: FlexTensor, act: Activation) -> FlexTensor {
        edited(x, |from, values| {
            change(from, values, BLOCK, |p| affine::<FUSED>(p.from, p.values, 1.0, 0.0, act));
        })
    }
}

vectorised! {
    /// `act(x + y)`, of one shape.
    pub(super) fn add(x: FlexTensor, y: &FlexTensor, act: Activation) -> FlexTensor {
        let y = y.to_contiguous();
        let y = floats(&y);
        edited(x, |from, values| {
            change(from, values, BLOCK, |p| {
                let y = &y[p.number * BLOCK..][..p.values.len()];
                match p.from {
                    Some(from) => {
                        let from = &from[..p.values.len()];
                        for i in 0..y.len() {
                            p.values[i] = from[i] + y[i];
                        }
                    }
                    None => p.values.iter_mut().zip(y).for_each(|(x, y)| *x += y),
                }
                affine::<FUSED>(None, p.values, 1.0, 0.0, act);
            });
        })
    }
}

vectorised! {
    /// `grad · act′(x)`.
    pub(super) fn activate_backward(x: &FlexTensor, grad: FlexTensor, act: Activation) -> FlexTensor {
        let x = x.to_contiguous();
        let x = floats(&x);
        edited(grad, |from, grad| {
            change(from, grad, BLOCK, |p| {
                let x = &x[p.number * BLOCK..][..p.values.len()];
                times_slope::<FUSED>(p.from, p.values, x, act, |x| x);
            });
        })
    }
}

vectorised! {
    /// The sum of each channel.
    pub(super) fn channel_sum(x: &FlexTensor) -> FlexTensor {
        let (channels, size) = planes_of(x);
        let x = x.to_contiguous();
        let sums = sum(floats(&x), size, |_, plane| {
            [lane_sum(plane.len(), |i| [plane[i]])[0], 0.0]
        });
        let totals = by_channel(&sums, channels);
        vector(totals.iter().map(|[sum, _]| *sum as f32).collect())
    }
}

vectorised! {
    /// `x·scale + shift` for each item and channel.
    pub(super) fn modulate(x: FlexTensor, scale: &FlexTensor, shift: &FlexTensor) -> FlexTensor {
        let (_, size) = planes_of(&x);
        let (scale, shift) = (scale.to_contiguous(), shift.to_contiguous());
        let (scale, shift) = (floats(&scale), floats(&shift));
        edited(x, |from, values| {
            change(from, values, size, |p| {
                let (scale, shift) = (scale[p.number], shift[p.number]);
                affine::<FUSED>(p.from, p.values, scale, shift, Activation::Identity);
            });
        })
    }
}

vectorised! {
    /// The gradients of [`modulate`].
    pub(super) fn modulate_backward(
        x: &FlexTensor,
        scale: &FlexTensor,
        grad: FlexTensor,
    ) -> ModulateGradients<FlexTensor> {
        let ((_, size), rows) = (planes_of(x), scale.shape().dims());
        let (x, scale) = (x.to_contiguous(), scale.to_contiguous());
        let (x, scale) = (floats(&x), floats(&scale));
        let mut sums = Vec::new();
        let grad_x = edited(grad, |from, grad| {
            sums = change_and_sum(from, grad, size, |plane| {
                let scale = scale[plane.number];
                let x = &x[plane.number * size..];
                let grad = plane.in_place();
                let x = &x[..grad.len()];
                let sums = lane_sum(grad.len(), |i| [grad[i], grad[i] * x[i]]);
                affine::<FUSED>(None, grad, scale, 0.0, Activation::Identity);
                sums
            });
        });
        let of = |entry: usize| column(sums.iter().map(|sums| sums[entry]).collect(), rows);
        ModulateGradients {
            x: grad_x,
            scale: of(1),
            shift: of(0),
        }
    }
}

/// The channels of both, image by image. Sizes differ in the channels alone.
pub(super) fn concat_channels(x: &FlexTensor, y: &FlexTensor) -> FlexTensor {
    let (first, second): ([usize; 4], [usize; 4]) = (x.shape().dims(), y.shape().dims());
    let same = |shape: [usize; 4]| [shape[0], shape[2], shape[3]];
    assert_eq!(
        same(first),
        same(second),
        "the channels of {first:?} and {second:?} do not go together"
    );
    let [batch, channels, height, width] = first;
    let (x, y) = (x.to_contiguous(), y.to_contiguous());
    let sizes = [channels, second[1]].map(|channels| channels * height * width);
    let mut out = Buffer::new(batch * (sizes[0] + sizes[1]));
    out.par_chunks_mut((sizes[0] + sizes[1]).max(1))
        .enumerate()
        .for_each(|(item, out)| {
            let (of_x, of_y) = out.split_at_mut(sizes[0]);
            of_x.copy_from_slice(&floats(&x)[item * sizes[0]..][..sizes[0]]);
            of_y.copy_from_slice(&floats(&y)[item * sizes[1]..][..sizes[1]]);
        });
    image(out, [batch, channels + second[1], height, width])
}
