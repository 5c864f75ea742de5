//! Penalties on a discriminator's slope.

use burn::tensor::{Tensor, backend::Backend};
use serde::{Deserialize, Serialize};

use crate::LossError;

/// Keeps a division by the norm finite where a slope is 0.
const EPSILON: f64 = 1e-12;

/// A penalty on the slope `gᵢ = ∂D/∂x` of a discriminator at each image.
///
/// The gradient of the penalty for the discriminator's parameters is a second derivative, which
/// burn's autodiff does not compute. It is not needed: a function of `gᵢ` alone has the gradient
/// `Σᵢ vᵢ·∂gᵢ/∂θ` with `vᵢ = ∂penalty/∂gᵢ` held constant, and `vᵢ·gᵢ` is the derivative of `D`
/// along `vᵢ`. So a training step
///
/// 1. computes the slopes by an ordinary backward pass,
/// 2. computes the [`directions`](Self::directions) `v` from the slopes,
/// 3. adds the sum of the discriminator's directional derivatives along `v` to the loss: its
///    gradient is that of the penalty, exactly, and its [`value`](Self::value) is known from step
///    1.
///
/// The output of the discriminator for an image must not depend on other images: no batch norm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GradientPenalty {
    /// `w·mean((‖gᵢ‖ − 1)²)` between real and generated images:
    /// [WGAN-GP](https://arxiv.org/abs/1704.00028), equation 3, `w` = 10 there.
    Unit(f64),
    /// `w/2·mean(‖gᵢ‖²)` at real images: R₁ of [Mescheder et
    /// al.](https://arxiv.org/abs/1801.04406), equation 9, with `w` = γ.
    Zero(f64),
}

impl GradientPenalty {
    /// Checks the weight.
    ///
    /// # Errors
    /// When it is not a finite number of 0 or more.
    pub fn check(self) -> Result<(), LossError> {
        let (Self::Unit(weight) | Self::Zero(weight)) = self;
        if weight.is_finite() && weight >= 0.0 {
            return Ok(());
        }
        Err(LossError::Range {
            what: "the weight of the gradient penalty",
            seen: weight,
            allowed: "a finite number of 0 or more",
        })
    }

    /// The penalty's value.
    ///
    /// # Shapes
    /// `slopes` [batch, channels, height, width] → `[1]`.
    pub fn value<B: Backend>(self, slopes: Tensor<B, 4>) -> Tensor<B, 1> {
        let squares = squares(slopes);
        match self {
            Self::Unit(weight) => (squares.sqrt() - 1.0).square().mean() * weight,
            Self::Zero(weight) => squares.mean() * (weight / 2.0),
        }
    }

    /// The derivative of [`value`](Self::value) for each slope.
    ///
    /// # Shapes
    /// `slopes` [batch, channels, height, width] → the same.
    pub fn directions<B: Backend>(self, slopes: Tensor<B, 4>) -> Tensor<B, 4> {
        let batch = slopes.dims()[0];
        match self {
            // 2w/n·(1 − 1/‖g‖)·g, which is 0 where g is.
            Self::Unit(weight) => {
                let norms = squares(slopes.clone()).sqrt();
                let scale = norms.clone() - 1.0;
                let scale = scale / (norms + EPSILON) * (2.0 * weight / batch as f64);
                slopes * scale.reshape([batch, 1, 1, 1])
            }
            Self::Zero(weight) => slopes * (weight / batch as f64),
        }
    }
}

/// `‖gᵢ‖²` [batch].
fn squares<B: Backend>(slopes: Tensor<B, 4>) -> Tensor<B, 1> {
    let batch = slopes.dims()[0];
    let flat: Tensor<B, 2> = slopes.flatten(1, 3);
    flat.square().sum_dim(1).reshape([batch])
}

#[cfg(test)]
mod tests {
    use burn::backend::Autodiff;
    use burn_flex::Flex;

    use super::*;

    type A = Autodiff<Flex>;

    fn slopes() -> Tensor<A, 4> {
        // Norms 5 and 0.5.
        Tensor::<A, 1>::from_floats(
            [3.0, 0.0, 0.0, 4.0, 0.3, 0.0, 0.4, 0.0],
            &Default::default(),
        )
        .reshape([2, 1, 2, 2])
        .require_grad()
    }

    #[test]
    fn values_are_those_worked_out_by_hand() {
        let unit = GradientPenalty::Unit(10.0).value(slopes()).into_scalar();
        assert!((unit - 10.0 * (16.0 + 0.25) / 2.0).abs() < 1e-4, "{unit}");
        let zero = GradientPenalty::Zero(4.0).value(slopes()).into_scalar();
        assert!((zero - 2.0 * (25.0 + 0.25) / 2.0).abs() < 1e-4, "{zero}");
    }

    #[test]
    fn directions_are_the_derivative_of_the_value() {
        for penalty in [GradientPenalty::Unit(10.0), GradientPenalty::Zero(4.0)] {
            let slopes = slopes();
            let gradients = penalty.value(slopes.clone()).backward();
            let theirs = slopes.grad(&gradients).expect("tracked").into_data();
            let ours = penalty.directions(slopes.inner()).into_data();
            for (ours, theirs) in ours.iter::<f32>().zip(theirs.iter::<f32>()) {
                assert!(
                    (ours - theirs).abs() <= 1e-5 * theirs.abs().max(1.0),
                    "{ours} {theirs}"
                );
            }
        }
    }

    #[test]
    fn a_flat_discriminator_gets_no_direction_and_nothing_infinite() {
        let flat = Tensor::<Flex, 4>::zeros([2, 1, 2, 2], &Default::default());
        for penalty in [GradientPenalty::Unit(10.0), GradientPenalty::Zero(4.0)] {
            let ours = penalty.directions(flat.clone()).into_data();
            assert!(ours.iter::<f32>().all(|v| v == 0.0));
        }
    }

    #[test]
    fn weights_that_are_no_weights_are_refused() {
        for weight in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(GradientPenalty::Unit(weight).check().is_err());
            assert!(GradientPenalty::Zero(weight).check().is_err());
        }
        assert!(GradientPenalty::Unit(0.0).check().is_ok());
    }
}
