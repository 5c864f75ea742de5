//! Distances between the maps of a student and those of a teacher, each with its gradient to the
//! student's map.
//!
//! The teacher's map is a constant, so that value and gradient come from the same few passes, and
//! no graph is kept.

use burn::tensor::{Tensor, activation::log_softmax, backend::Backend};

/// `Σ KL(softmax(t / T) ‖ softmax(x / T))` over the planes of `target` (t) and `x`, each softmax
/// over the places of a plane ([Shu et al., 2021](https://arxiv.org/abs/2011.13256), section 3),
/// and its gradient to `x`: `(softmax(x / T) − softmax(t / T)) / T`.
///
/// # Shapes
/// `x`, `target` and the gradient [batch, channels, height, width]; the value `[1]`.
pub fn channel_divergence<B: Backend>(
    x: Tensor<B, 4>,
    target: Tensor<B, 4>,
    temperature: f64,
) -> (Tensor<B, 1>, Tensor<B, 4>) {
    let [batch, channels, height, width] = x.dims();
    let logs = |map: Tensor<B, 4>| {
        let planes: Tensor<B, 2> = map.reshape([batch * channels, height * width]);
        log_softmax(planes / temperature, 1)
    };
    let (x, target) = (logs(x), logs(target));
    let wanted = target.clone().exp();
    let value = (wanted.clone() * (target - x.clone())).sum();
    let gradient = (x.exp() - wanted) / temperature;
    (value, gradient.reshape([batch, channels, height, width]))
}

/// `½ · mean((x̂ − t̂)²)` of maps whose channels are normalised, `x̂ = (x − mean) / (σ + ε)` over
/// batch, height and width with the unbiased deviation σ
/// ([Cao et al., 2022](https://arxiv.org/abs/2207.02039), section 3), and its gradient to `x`. A
/// channel with σ of ε or less is constant: it normalises to 0 and has no gradient.
///
/// With `d = (x̂ − t̂) / (C·n)` for C channels of n values each, the gradient is
/// `(d − (x − mean) · Σ d·(x − mean) / ((n − 1)·σ·(σ + ε))) / (σ + ε)`: the mean of `d` is 0.
///
/// # Shapes
/// `x`, `target` and the gradient [batch, channels, height, width] with two values or more a
/// channel; the value `[1]`.
pub fn normal_squares<B: Backend>(
    x: Tensor<B, 4>,
    target: Tensor<B, 4>,
    epsilon: f64,
) -> (Tensor<B, 1>, Tensor<B, 4>) {
    let [batch, channels, height, width] = x.dims();
    let count = batch * height * width;
    let (x, target) = (Channels::of(x, epsilon), Channels::of(target, epsilon));
    let difference = x.normal(epsilon) - target.normal(epsilon);
    let value = difference.clone().square().mean() / 2.0;
    let slope = difference / (channels * count) as f64;
    let divisor = x.deviation.clone() + epsilon;
    let along = (slope.clone() * x.centred.clone()).sum_dim(1);
    let along = along / (x.deviation * divisor.clone() * (count - 1) as f64);
    let gradient = (slope - x.centred * along) / divisor;
    let gradient = gradient.mask_fill(x.is_constant, 0.0);
    let gradient = gradient.reshape([channels, batch, height, width]);
    (value, gradient.swap_dims(0, 1))
}

/// The channels of a map about their means.
struct Channels<B: Backend> {
    /// [channels, values].
    centred: Tensor<B, 2>,
    /// [channels, 1]: the unbiased standard deviation; 1 for a constant channel.
    deviation: Tensor<B, 2>,
    /// [channels, values].
    is_constant: Tensor<B, 2, burn::tensor::Bool>,
}

impl<B: Backend> Channels<B> {
    fn of(map: Tensor<B, 4>, epsilon: f64) -> Self {
        let [batch, channels, height, width] = map.dims();
        let count = batch * height * width;
        let map = map.swap_dims(0, 1).reshape([channels, count]);
        let centred = map.clone() - map.mean_dim(1);
        let variance = centred.clone().square().sum_dim(1) / (count - 1) as f64;
        // The slope of the root has no bound at 0, and neither has that of the quotient.
        let is_constant = variance.clone().lower_equal_elem(epsilon * epsilon);
        Self {
            centred,
            deviation: variance.mask_fill(is_constant.clone(), 1.0).sqrt(),
            is_constant: is_constant.expand([channels, count]),
        }
    }

    fn normal(&self, epsilon: f64) -> Tensor<B, 2> {
        let centred = self.centred.clone();
        centred.mask_fill(self.is_constant.clone(), 0.0) / (self.deviation.clone() + epsilon)
    }
}

/// `Σ w·(x − t)²` with `target` (t) and `weights` (w), and its gradient to `x`: `2·w·(x − t)`.
///
/// # Shapes
/// `x`, `target` and the gradient [batch, channels, height, width], `weights`
/// [batch, 1, height, width]; the value `[1]`.
pub fn weighted_squares<B: Backend>(
    x: Tensor<B, 4>,
    target: Tensor<B, 4>,
    weights: Tensor<B, 4>,
) -> (Tensor<B, 1>, Tensor<B, 4>) {
    let difference = x - target;
    let weighted = difference.clone() * weights;
    ((difference * weighted.clone()).sum(), weighted * 2.0)
}

/// `Σ wᵢ · KL(softmax(tᵢ / T) ‖ softmax(xᵢ / T))` over the rows of `target` (t), `x` and `weights`
/// (w) ([Hinton et al., 2015](https://arxiv.org/abs/1503.02531), section 2), and its gradient to
/// `x`: `wᵢ · (softmax(xᵢ / T) − softmax(tᵢ / T)) / T`.
///
/// # Shapes
/// `x`, `target` and the gradient [rows, classes], `weights` `[rows]`; the value `[1]`.
pub fn row_divergence<B: Backend>(
    x: Tensor<B, 2>,
    target: Tensor<B, 2>,
    weights: Tensor<B, 1>,
    temperature: f64,
) -> (Tensor<B, 1>, Tensor<B, 2>) {
    let weights = weights.unsqueeze_dim::<2>(1);
    let x = log_softmax(x / temperature, 1);
    let target = log_softmax(target / temperature, 1);
    let wanted = target.clone().exp();
    let value = (wanted.clone() * (target - x.clone()) * weights.clone()).sum();
    let gradient = (x.exp() - wanted) * weights / temperature;
    (value, gradient)
}

/// `Σ wᵢ · smooth L1(xᵢ − tᵢ)` over the rows of `x`, `target` (t) and `weights` (w), and its gradient
/// to `x`. The smooth L1 distance (β = 1) is summed over a row: `½d²` for `|d| < 1`, else
/// `|d| − ½` ([Girshick, 2015](https://arxiv.org/abs/1504.08083), equation 3). With
/// `c = min(max(d, −1), 1)` it is `c·(d − ½c)`, and the gradient `wᵢ · c`.
///
/// # Shapes
/// `x`, `target` and the gradient [rows, columns], `weights` `[rows]`; the value `[1]`.
pub fn row_smooth_l1<B: Backend>(
    x: Tensor<B, 2>,
    target: Tensor<B, 2>,
    weights: Tensor<B, 1>,
) -> (Tensor<B, 1>, Tensor<B, 2>) {
    let difference = x - target;
    // Not burn's clamp, which may turn NaN into a number.
    let (above, below) = (
        difference.clone().greater_elem(1.0),
        difference.clone().lower_elem(-1.0),
    );
    let near = difference
        .clone()
        .mask_fill(above, 1.0)
        .mask_fill(below, -1.0);
    let gradient = near.clone() * weights.unsqueeze_dim::<2>(1);
    let value = (gradient.clone() * (difference - near * 0.5)).sum();
    (value, gradient)
}
