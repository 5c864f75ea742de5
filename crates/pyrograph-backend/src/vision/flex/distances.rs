//! Distances between maps with their gradients: a plane or a channel at a time, which stays in a
//! cache while it is read again.

mod rows;

use burn::tensor::{DType, TensorMetadata};
use burn_flex::{Flex, FlexTensor};
use rayon::prelude::*;

use super::{
    super::{
        Distance, plain,
        primitives::{distance as plain_distance, tensor},
    },
    buffers::Buffer,
    features::vectorised,
    math::exp_below_zero,
    planes::{change_and_sum, lane_sum},
    scratch,
    softmax::greatest,
    tensors::{floats, image, planes_of, vector},
};

pub(super) use rows::{row_divergence, row_smooth_l1};

/// Whether the maps are such as the kernels take.
fn are_fused(x: &FlexTensor, target: &FlexTensor) -> bool {
    let are_f32 = x.dtype() == DType::F32 && target.dtype() == DType::F32;
    are_f32 && x.shape() == target.shape() && x.shape().num_elements() > 0
}

/// The channel-wise divergence.
pub(super) fn channel_divergence(
    x: FlexTensor,
    target: FlexTensor,
    temperature: f64,
) -> Distance<FlexTensor> {
    if are_fused(&x, &target) {
        return divergence_of_planes(&x, &target, temperature as f32);
    }
    let (x, target) = (tensor::<Flex, 4>(x), tensor(target));
    plain_distance(plain::channel_divergence(x, target, temperature))
}

/// The squared distance of normalised channels.
pub(super) fn normal_squares(
    x: FlexTensor,
    target: FlexTensor,
    epsilon: f64,
) -> Distance<FlexTensor> {
    if are_fused(&x, &target) {
        return squares_of_channels(&x, &target, epsilon);
    }
    let (x, target) = (tensor::<Flex, 4>(x), tensor(target));
    plain_distance(plain::normal_squares(x, target, epsilon))
}

/// The weighted squared distance.
pub(super) fn weighted_squares(
    x: FlexTensor,
    target: FlexTensor,
    weights: FlexTensor,
) -> Distance<FlexTensor> {
    if are_fused(&x, &target) && weights.dtype() == DType::F32 {
        return squares_of_planes(&x, &target, &weights);
    }
    let (target, weights) = (tensor::<Flex, 4>(target), tensor(weights));
    plain_distance(plain::weighted_squares(tensor(x), target, weights))
}

/// The sum of what each plane adds to a distance.
fn total(parts: &[[f32; 2]]) -> f64 {
    parts.iter().map(|[part, _]| f64::from(*part)).sum()
}

fn distance(value: f64, gradient: Buffer, x: &FlexTensor) -> Distance<FlexTensor> {
    Distance {
        value: vector(vec![value as f32]),
        gradient: image(gradient, x.shape().dims()),
    }
}

vectorised! {
    fn divergence_of_planes(
        x: &FlexTensor,
        target: &FlexTensor,
        temperature: f32,
    ) -> Distance<FlexTensor> {
        let (_, size) = planes_of(x);
        let (map, target) = (x.to_contiguous(), target.to_contiguous());
        let (map, target) = (floats(&map), floats(&target));
        let mut gradient = Buffer::new(map.len());
        let inverse = 1.0 / temperature;
        let parts = change_and_sum(None, &mut gradient, size, |plane| {
            let out = plane.values;
            let x = &map[plane.number * size..][..out.len()];
            let t = &target[plane.number * size..][..out.len()];
            scratch::with(out.len(), |wanted| {
                let wanted = &mut wanted[..out.len()];
                // 1. The exponentials.
                let (top, top_t) = (greatest(x) * inverse, greatest(t) * inverse);
                for (out, x) in out.iter_mut().zip(x) {
                    *out = exp_below_zero::<FUSED>(x * inverse - top);
                }
                for (wanted, t) in wanted.iter_mut().zip(t) {
                    *wanted = exp_below_zero::<FUSED>(t * inverse - top_t);
                }
                // 2. The divergence, from logarithms; the largest exponential is 1, and so is no
                // sum below 1.
                let [sum, sum_t] = lane_sum(out.len(), |i| [out[i], wanted[i]]);
                let (log, log_t) = (sum.ln(), sum_t.ln());
                let (share, share_t) = (1.0 / sum, 1.0 / sum_t);
                let [part] = lane_sum(out.len(), |i| {
                    let of_x = (x[i] * inverse - top) - log;
                    let of_t = (t[i] * inverse - top_t) - log_t;
                    [wanted[i] * share_t * (of_t - of_x)]
                });
                // 3. The gradient.
                for (out, wanted) in out.iter_mut().zip(wanted) {
                    *out = (*out * share - *wanted * share_t) * inverse;
                }
                [part, 0.0]
            })
        });
        distance(total(&parts), gradient, x)
    }
}

/// A channel of both maps.
struct Channel {
    /// The means of x and of the target.
    means: [f32; 2],
    /// 1/(σ + ε) of each; 0 for a constant channel.
    inverses: [f32; 2],
    /// Of the gradient `x̂·first − t̂·second`: the factors.
    factors: [f32; 2],
}

impl Channel {
    /// From the means, and the sums Σx², Σx·t and Σt² about them, of `count` values in one of
    /// `channels`.
    fn new(
        means: [f32; 2],
        [squares, product, squares_t]: [f64; 3],
        count: f64,
        channels: f64,
        epsilon: f64,
    ) -> Self {
        let deviations = [squares, squares_t].map(|squares| (squares / (count - 1.0)).sqrt());
        // What is not a number is no constant.
        let inverses = deviations.map(|deviation| {
            let is_constant = deviation <= epsilon;
            if is_constant {
                0.0
            } else {
                1.0 / (deviation + epsilon)
            }
        });
        let [inverse, inverse_t] = inverses;
        let slope = inverse / (channels * count);
        // (σ + ε)·Σ x̂·(x̂ − t̂) / ((n − 1)·σ): what the gradient loses along x̂.
        let along = match inverse == 0.0 {
            true => 0.0,
            false => (squares * inverse - product * inverse_t) / ((count - 1.0) * deviations[0]),
        };
        Self {
            means,
            inverses: inverses.map(|inverse| inverse as f32),
            factors: [slope * (1.0 - along), slope].map(|factor| factor as f32),
        }
    }
}

vectorised! {
    fn squares_of_channels(
        x: &FlexTensor,
        target: &FlexTensor,
        epsilon: f64,
    ) -> Distance<FlexTensor> {
        let (channels, size) = planes_of(x);
        let (map, target) = (x.to_contiguous(), target.to_contiguous());
        let (map, target) = (floats(&map), floats(&target));
        let count = (map.len() / channels) as f64;
        let of_channel = |channel: usize| {
            let planes = || (channel * size..map.len()).step_by(channels * size);
            let mut sums = [0.0_f64; 2];
            for start in planes() {
                let (x, t) = (&map[start..][..size], &target[start..][..size]);
                let part = lane_sum(size, |i| [x[i], t[i]]);
                sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += f64::from(part));
            }
            let means = sums.map(|sum| (sum / count) as f32);
            let mut sums = [0.0_f64; 3];
            for start in planes() {
                let (x, t) = (&map[start..][..size], &target[start..][..size]);
                let part = lane_sum(size, |i| {
                    let (x, t) = (x[i] - means[0], t[i] - means[1]);
                    [x * x, x * t, t * t]
                });
                sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += f64::from(part));
            }
            Channel::new(means, sums, count, channels as f64, epsilon)
        };
        let of_channels: Vec<Channel> = (0..channels).into_par_iter().map(of_channel).collect();
        let mut gradient = Buffer::new(map.len());
        let parts = change_and_sum(None, &mut gradient, size, |plane| {
            let out = plane.values;
            let x = &map[plane.number * size..][..out.len()];
            let t = &target[plane.number * size..][..out.len()];
            let Channel { means, inverses, factors } = &of_channels[plane.number % channels];
            let normal = |i: usize| {
                [(x[i] - means[0]) * inverses[0], (t[i] - means[1]) * inverses[1]]
            };
            let [part] = lane_sum(out.len(), |i| {
                let [x, t] = normal(i);
                [(x - t) * (x - t)]
            });
            for (i, out) in out.iter_mut().enumerate() {
                let [x, t] = normal(i);
                *out = x * factors[0] - t * factors[1];
            }
            [part, 0.0]
        });
        distance(total(&parts) / (2.0 * map.len() as f64), gradient, x)
    }
}

vectorised! {
    fn squares_of_planes(
        x: &FlexTensor,
        target: &FlexTensor,
        weights: &FlexTensor,
    ) -> Distance<FlexTensor> {
        let (channels, size) = planes_of(x);
        let (map, target) = (x.to_contiguous(), target.to_contiguous());
        let weights = weights.to_contiguous();
        let (map, target, weights) = (floats(&map), floats(&target), floats(&weights));
        assert_eq!(weights.len() * channels, map.len(), "a weight for each pixel");
        let mut gradient = Buffer::new(map.len());
        let parts = change_and_sum(None, &mut gradient, size, |plane| {
            let out = plane.values;
            let x = &map[plane.number * size..][..out.len()];
            let t = &target[plane.number * size..][..out.len()];
            let weights = &weights[plane.number / channels * size..][..out.len()];
            for (i, out) in out.iter_mut().enumerate() {
                *out = 2.0 * weights[i] * (x[i] - t[i]);
            }
            let [part] = lane_sum(out.len(), |i| [out[i] * (x[i] - t[i])]);
            [part, 0.0]
        });
        distance(total(&parts) / 2.0, gradient, x)
    }
}
