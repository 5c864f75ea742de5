//! Softmax over the last axis.

use burn::tensor::TensorMetadata;
use burn_flex::FlexTensor;

use super::{
    features::vectorised,
    math::exp_below_zero,
    planes::{change, lane_sum},
    tensors::{edited, floats},
};

/// Partial maxima that a loop keeps apart.
const LANES: usize = 16;

/// The greatest value of a row; −∞ where there is none.
#[inline(always)]
pub(super) fn greatest(row: &[f32]) -> f32 {
    let (whole, rest) = row.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for values in whole {
        for (lane, value) in lanes.iter_mut().zip(values) {
            *lane = if *value > *lane { *value } else { *lane };
        }
    }
    let values = lanes.iter().chain(rest);
    values.fold(f32::NEG_INFINITY, |a, b| a.max(*b))
}

/// `e^(x − max x)/Σ`, in place.
#[inline(always)]
fn normalise<const FUSED: bool>(row: &mut [f32]) {
    let greatest = greatest(row);
    for value in row.iter_mut() {
        *value = exp_below_zero::<FUSED>(*value - greatest);
    }
    let [total] = lane_sum(row.len(), |i| [row[i]]);
    let share = 1.0 / total;
    row.iter_mut().for_each(|value| *value *= share);
}

vectorised! {
    /// Softmax over the last axis.
    pub(super) fn softmax(x: FlexTensor) -> FlexTensor {
        let length = last_axis(&x);
        edited(x, |from, values| change(from, values, length, |row| normalise::<FUSED>(row.in_place())))
    }
}

vectorised! {
    /// The gradient of [`softmax`] by its output y: `y·(g − Σ g·y)`.
    pub(super) fn softmax_backward(y: &FlexTensor, grad: FlexTensor) -> FlexTensor {
        let length = last_axis(y);
        let y = y.to_contiguous();
        let y = floats(&y);
        edited(grad, |from, grad| {
            change(from, grad, length, |row| {
                let y = &y[row.number * length..][..row.values.len()];
                let grad = row.in_place();
                let [dot] = lane_sum(grad.len(), |i| [grad[i] * y[i]]);
                grad.iter_mut().zip(y).for_each(|(grad, y)| *grad = y * (*grad - dot));
            });
        })
    }
}

fn last_axis(x: &FlexTensor) -> usize {
    x.shape().as_slice().last().copied().unwrap_or(1)
}
