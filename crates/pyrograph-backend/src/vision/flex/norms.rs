//! Norms: statistics in one pass or two, and output or gradient in another.

use burn::tensor::Tensor;
use burn_flex::{Flex, FlexTensor};

use super::{
    super::{Activation, GroupNorm, NormGradients, NormStatistics, primitives::into},
    features::vectorised,
    half::widened,
    lines::{affine, times_slope},
    math::fused,
    planes::{by_channel, change, change_and_sum, lane_sum, sum},
    tensors::{edited, floats, planes_of, vector},
};

vectorised! {
    /// Group norm and activation.
    pub(super) fn group_norm(
        x: FlexTensor,
        weight: &FlexTensor,
        bias: &FlexTensor,
        groups: usize,
        epsilon: f64,
        act: Activation,
    ) -> FlexTensor {
        let (channels, size) = planes_of(&x);
        let (weight, bias) = (weight.to_contiguous(), bias.to_contiguous());
        let (weight, bias) = (floats(&weight), floats(&bias));
        let per_group = channels / groups;
        edited(x, |from, values| {
            change(from, values, per_group * size, |group| {
                let [mean, inverse] = statistics(group.from.unwrap_or(group.values), epsilon);
                let first = group.number % groups * per_group;
                for (place, values) in group.values.chunks_mut(size.max(1)).enumerate() {
                    let from = group.from.map(|from| &from[place * size..][..values.len()]);
                    let scale = weight[first + place] * inverse;
                    let shift = bias[first + place] - mean * scale;
                    affine::<FUSED>(from, values, scale, shift, act);
                }
            });
        })
    }
}

/// A group norm folded into a scale and a shift for each channel of each item.
pub(super) struct FoldedNorm {
    scale: Vec<f32>,
    shift: Vec<f32>,
    act: Activation,
}

impl FoldedNorm {
    /// Of `x` [batch, channels, height, width], which is contiguous.
    pub(super) fn of_groups(x: &FlexTensor, norm: &GroupNorm<FlexTensor>) -> Self {
        let (channels, size) = planes_of(x);
        let [weight, bias] = [&norm.weight, &norm.bias].map(|t| widened(t.clone()).to_contiguous());
        let (weight, bias) = (floats(&weight), floats(&bias));
        let per_group = channels / norm.groups;
        let (mut scale, mut shift) = (Vec::new(), Vec::new());
        let of_groups = of_groups(floats(x), per_group * size, norm.epsilon);
        for (group, [mean, inverse]) in of_groups.into_iter().enumerate() {
            let first = group % norm.groups * per_group;
            for channel in first..first + per_group {
                let of_channel = weight[channel] * inverse;
                scale.push(of_channel);
                shift.push(bias[channel] - mean * of_channel);
            }
        }
        Self {
            scale,
            shift,
            act: norm.act,
        }
    }

    /// Writes the normal values of channel `number` of all items.
    pub(super) fn write(&self, number: usize, from: &[f32], to: &mut [f32]) {
        let (scale, shift) = (self.scale[number], self.shift[number]);
        affine_values(from, to, scale, shift, self.act);
    }
}

vectorised! {
    /// The statistics of groups of so many values.
    fn of_groups(x: &[f32], size: usize, epsilon: f64) -> Vec<[f32; 2]> {
        sum(x, size, |_, values| statistics(values, epsilon))
    }
}

vectorised! {
    fn affine_values(from: &[f32], to: &mut [f32], scale: f32, shift: f32, act: Activation) {
        affine::<FUSED>(Some(from), to, scale, shift, act);
    }
}

vectorised! {
    /// The gradients of [`group_norm`].
    pub(super) fn group_norm_backward(
        x: &FlexTensor,
        weight: &FlexTensor,
        bias: &FlexTensor,
        groups: usize,
        epsilon: f64,
        act: Activation,
        grad: FlexTensor,
    ) -> NormGradients<FlexTensor> {
        let (channels, size) = planes_of(x);
        let (x, weight, bias) = (
            x.to_contiguous(),
            weight.to_contiguous(),
            bias.to_contiguous(),
        );
        let (x, weight, bias) = (floats(&x), floats(&weight), floats(&bias));
        let per_group = channels / groups;
        let of_group = sum(x, per_group * size, |_, values| statistics(values, epsilon));
        let mut sums = Vec::new();
        let grad_x = edited(grad, |from, grad| {
            // 1. The gradient before the activation, and its sums Σg and Σg·x̂ by plane.
            sums = change_and_sum(from, grad, size, |p| {
                let [mean, inverse] = of_group[p.number / per_group];
                let (channel, grad) = (p.number % channels, p.values);
                let scale = weight[channel] * inverse;
                let shift = bias[channel] - mean * scale;
                let x = &x[p.number * size..][..grad.len()];
                times_slope::<FUSED>(p.from, grad, x, act, |x| fused::<FUSED>(x, scale, shift));
                lane_sum(grad.len(), |i| [grad[i], grad[i] * (x[i] - mean) * inverse])
            });
            // 2. The means of h = g·w and of h·x̂ over each group.
            let count = (per_group * size).max(1) as f64;
            let means: Vec<[f32; 2]> = sums
                .chunks(per_group)
                .enumerate()
                .map(|(group, sums)| {
                    let first = group % groups * per_group;
                    let total = |entry: usize| -> f64 {
                        let weighted = sums.iter().zip(&weight[first..]);
                        weighted.map(|(sums, w)| f64::from(sums[entry] * w)).sum()
                    };
                    [(total(0) / count) as f32, (total(1) / count) as f32]
                })
                .collect();
            // 3. ∂x = (h − mean(h) − x̂·mean(h·x̂))/√(σ² + ε).
            change(None, grad, size, |plane| {
                let group = plane.number / per_group;
                let ([mean, inverse], [total, slope]) = (of_group[group], means[group]);
                let weight = weight[plane.number % channels];
                for (grad, x) in plane.values.iter_mut().zip(&x[plane.number * size..]) {
                    *grad = inverse * (*grad * weight - total - (x - mean) * inverse * slope);
                }
            });
        });
        let totals = by_channel(&sums, channels);
        let column = |entry: usize| vector(totals.iter().map(|sums| sums[entry] as f32).collect());
        NormGradients {
            x: grad_x,
            weight: column(1),
            bias: column(0),
        }
    }
}

vectorised! {
    /// Batch norm with given statistics, and activation.
    pub(super) fn batch_norm(x: FlexTensor, norm: &Norm, act: Activation) -> FlexTensor {
        let (channels, size) = planes_of(&x);
        edited(x, |from, values| {
            change(from, values, size, |p| {
                let channel = p.number % channels;
                let (scale, shift) = (norm.scale[channel], norm.shift[channel]);
                affine::<FUSED>(p.from, p.values, scale, shift, act);
            });
        })
    }
}

vectorised! {
    /// The gradients of batch norm.
    pub(super) fn batch_norm_backward(
        x: &FlexTensor,
        norm: &Norm,
        statistics: NormStatistics,
        act: Activation,
        grad: FlexTensor,
    ) -> NormGradients<FlexTensor> {
        let (channels, size) = planes_of(x);
        let x = x.to_contiguous();
        let x = floats(&x);
        let count = (x.len() / channels.max(1)) as f64;
        let mut totals = Vec::new();
        let grad_x = edited(grad, |from, grad| {
            // 1. The gradient before the activation, and its sums Σg and Σg·x̂ by channel.
            let sums = change_and_sum(from, grad, size, |p| {
                let (channel, grad) = (p.number % channels, p.values);
                let (scale, shift) = (norm.scale[channel], norm.shift[channel]);
                let (mean, inverse) = (norm.mean[channel], norm.inverse[channel]);
                let x = &x[p.number * size..][..grad.len()];
                times_slope::<FUSED>(p.from, grad, x, act, |x| fused::<FUSED>(x, scale, shift));
                let sums = lane_sum(grad.len(), |i| [grad[i], grad[i] * (x[i] - mean) * inverse]);
                if statistics == NormStatistics::Given {
                    affine::<FUSED>(None, grad, scale, 0.0, Activation::Identity);
                }
                sums
            });
            totals = by_channel(&sums, channels);
            if statistics == NormStatistics::Given {
                return;
            }
            // 2. ∂x = scale·(g − Σg/n − x̂·Σ(g·x̂)/n).
            change(None, grad, size, |plane| {
                let channel = plane.number % channels;
                let (mean, inverse, scale) = (
                    norm.mean[channel],
                    norm.inverse[channel],
                    norm.scale[channel],
                );
                let [total, slope] = totals[channel].map(|sum| (sum / count) as f32);
                for (grad, x) in plane.values.iter_mut().zip(&x[plane.number * size..]) {
                    *grad = scale * (*grad - total - (x - mean) * inverse * slope);
                }
            });
        });
        let column = |entry: usize| vector(totals.iter().map(|sums| sums[entry] as f32).collect());
        NormGradients {
            x: grad_x,
            weight: column(1),
            bias: column(0),
        }
    }
}

/// A batch norm folded into numbers for each channel.
pub(super) struct Norm {
    mean: Vec<f32>,
    /// 1/√(σ² + ε).
    inverse: Vec<f32>,
    /// weight/√(σ² + ε).
    scale: Vec<f32>,
    /// bias − mean·scale.
    shift: Vec<f32>,
}

impl Norm {
    pub(super) fn new(
        weight: &FlexTensor,
        bias: &FlexTensor,
        mean: &FlexTensor,
        variance: &FlexTensor,
        epsilon: f64,
    ) -> Self {
        let values = |tensor: &FlexTensor| floats(&tensor.to_contiguous()).to_vec();
        let (weight, bias, mean) = (values(weight), values(bias), values(mean));
        let inverse: Vec<_> = values(variance)
            .into_iter()
            .map(|variance| (1.0 / (f64::from(variance) + epsilon).sqrt()) as f32)
            .collect();
        let scale: Vec<_> = weight
            .iter()
            .zip(&inverse)
            .map(|(weight, inverse)| weight * inverse)
            .collect();
        let shift = bias
            .iter()
            .zip(&mean)
            .zip(&scale)
            .map(|((bias, mean), scale)| bias - mean * scale)
            .collect();
        Self {
            mean,
            inverse,
            scale,
            shift,
        }
    }
}

vectorised! {
    /// The mean and the biased variance of each channel, in two passes: sums of squares about the mean lose no digits.
    pub(super) fn channel_statistics(x: &FlexTensor) -> (FlexTensor, FlexTensor) {
        let (channels, size) = planes_of(x);
        let x = x.to_contiguous();
        let x = floats(&x);
        let count = (x.len() / channels.max(1)) as f64;
        let sums = sum(x, size, |_, plane| {
            [lane_sum(plane.len(), |i| [plane[i]])[0], 0.0]
        });
        let means: Vec<_> = by_channel(&sums, channels)
            .iter()
            .map(|[sum, _]| (sum / count) as f32)
            .collect();
        let squares = sum(x, size, |plane, values| {
            let mean = means[plane % channels];
            let square = |i: usize| {
                let centred = values[i] - mean;
                [centred * centred]
            };
            [lane_sum(values.len(), square)[0], 0.0]
        });
        let variances = by_channel(&squares, channels)
            .iter()
            .map(|[sum, _]| (sum / count) as f32)
            .collect();
        (vector(means), vector(variances))
    }
}

/// Values (32 KiB) that stay in a core's first cache while they are read twice.
const AT_ONCE: usize = 1 << 13;

/// The mean of `values` and 1/√(σ² + ε). Each part of the values has a mean and a sum of squares of its own, which are
/// joined as by [Chan, Golub and LeVeque (1983)](https://doi.org/10.2307/2683386), so that memory is read once.
#[inline(always)]
pub(super) fn statistics(values: &[f32], epsilon: f64) -> [f32; 2] {
    let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for part in values.chunks(AT_ONCE) {
        let of_part = part.len() as f64;
        let own = (f64::from(lane_sum(part.len(), |i| [part[i]])[0]) / of_part) as f32;
        let [square] = lane_sum(part.len(), |i| {
            let centred = part[i] - own;
            [centred * centred]
        });
        let (apart, all) = (f64::from(own) - mean, count + of_part);
        mean += apart * of_part / all;
        squares += f64::from(square) + apart * apart * count * of_part / all;
        count = all;
    }
    let inverse = (1.0 / (squares / count + epsilon).sqrt()) as f32;
    [mean as f32, inverse]
}

/// Tensors of a backend as its primitives.
pub(super) fn primitives(
    (x, weight, bias): (Tensor<Flex, 4>, Tensor<Flex, 1>, Tensor<Flex, 1>),
) -> NormGradients<FlexTensor> {
    NormGradients {
        x: into(x),
        weight: into(weight),
        bias: into(bias),
    }
}
