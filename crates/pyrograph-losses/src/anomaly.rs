//! The distance of an image from its generated twin.

use burn::tensor::{Tensor, backend::Backend};
use serde::{Deserialize, Serialize};

use crate::LossError;

/// The score of [AnoGAN](https://arxiv.org/abs/1703.05921), equations 3 to 5:
///
/// `A(x) = (1 − λ)·R(x) + λ·D(x)`, with the residual `R(x) = Σ|x − G(z)|` over pixels and the discrimination
/// `D(x) = Σ|f(x) − f(G(z))|` over the features `f` of the discriminator's last hidden layer. The paper's λ is 0.1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct AnomalyScore {
    weight: f64,
}

/// The result of [`AnomalyScore`] for each image, all `[batch]`.
#[derive(Clone, Debug)]
pub struct ScoreParts<B: Backend> {
    /// A(x).
    pub score: Tensor<B, 1>,
    /// R(x).
    pub residual: Tensor<B, 1>,
    /// D(x).
    pub discrimination: Tensor<B, 1>,
}

impl Default for AnomalyScore {
    /// The paper's λ of 0.1.
    fn default() -> Self {
        Self { weight: 0.1 }
    }
}

impl TryFrom<f64> for AnomalyScore {
    type Error = LossError;

    fn try_from(weight: f64) -> Result<Self, LossError> {
        Self::new(weight)
    }
}

impl From<AnomalyScore> for f64 {
    fn from(score: AnomalyScore) -> Self {
        score.weight
    }
}

impl AnomalyScore {
    /// A score with `discrimination_weight` as λ.
    ///
    /// # Errors
    /// When λ is outside [0, 1].
    pub fn new(discrimination_weight: f64) -> Result<Self, LossError> {
        if (0.0..=1.0).contains(&discrimination_weight) {
            return Ok(Self {
                weight: discrimination_weight,
            });
        }
        Err(LossError::Range {
            what: "the weight of the discrimination loss (lambda)",
            seen: discrimination_weight,
            allowed: "0 to 1",
        })
    }

    /// λ.
    pub fn discrimination_weight(self) -> f64 {
        self.weight
    }

    /// The score of each image and its parts. A search minimises the sum of the scores, so that
    /// each image gets the gradient of its own score.
    ///
    /// # Shapes
    /// - `x` and `twin` [batch, channels, height, width]: the images and `G(z)`
    /// - `x_features` and `twin_features` [batch, features]
    ///
    /// # Errors
    /// When the shapes of a pair, or the batches, differ.
    pub fn forward<B: Backend>(
        self,
        x: Tensor<B, 4>,
        twin: Tensor<B, 4>,
        x_features: Tensor<B, 2>,
        twin_features: Tensor<B, 2>,
    ) -> Result<ScoreParts<B>, LossError> {
        let differ = |prediction: &[usize], target: &[usize]| LossError::Shape {
            prediction: prediction.to_vec(),
            target: target.to_vec(),
        };
        if x.dims() != twin.dims() {
            return Err(differ(&twin.dims(), &x.dims()));
        }
        if x_features.dims() != twin_features.dims() || x_features.dims()[0] != x.dims()[0] {
            return Err(differ(&twin_features.dims(), &x_features.dims()));
        }
        let batch = x.dims()[0];
        let residual: Tensor<B, 2> = (x - twin).abs().flatten(1, 3);
        let residual = residual.sum_dim(1).reshape([batch]);
        let discrimination = (x_features - twin_features)
            .abs()
            .sum_dim(1)
            .reshape([batch]);
        let score = residual.clone() * (1.0 - self.weight) + discrimination.clone() * self.weight;
        Ok(ScoreParts {
            score,
            residual,
            discrimination,
        })
    }
}

/// The loss that trains f-AnoGAN's encoder `E` (izi_f), [Schlegl et al.
/// 2019](https://doi.org/10.1016/j.media.2019.01.010), equation 3: `mean((x − G(E(x)))²) +
/// κ·mean((f(x) − f(G(E(x))))²)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EncoderLoss {
    /// κ, 1 in the paper.
    pub kappa: f64,
}

impl Default for EncoderLoss {
    fn default() -> Self {
        Self { kappa: 1.0 }
    }
}

impl EncoderLoss {
    /// The scalar loss.
    ///
    /// # Shapes
    /// As [`AnomalyScore::forward`]; result `[1]`.
    ///
    /// # Errors
    /// When the shapes of a pair differ, or κ is not a finite number of 0 or more.
    pub fn forward<B: Backend>(
        self,
        x: Tensor<B, 4>,
        twin: Tensor<B, 4>,
        x_features: Tensor<B, 2>,
        twin_features: Tensor<B, 2>,
    ) -> Result<Tensor<B, 1>, LossError> {
        if !(self.kappa.is_finite() && self.kappa >= 0.0) {
            return Err(LossError::Range {
                what: "the weight of the features (kappa)",
                seen: self.kappa,
                allowed: "a finite number of 0 or more",
            });
        }
        let mean_square = crate::DenoisingLoss::uniform();
        let image = mean_square.forward(twin, x)?;
        Ok(image + mean_square.forward(twin_features, x_features)? * self.kappa)
    }
}

#[cfg(test)]
mod tests {
    use burn_flex::Flex;

    use super::*;

    fn pair() -> [Tensor<Flex, 4>; 2] {
        let tensor = |values: [f32; 4]| {
            Tensor::<Flex, 1>::from_floats(values, &Default::default()).reshape([2, 1, 1, 2])
        };
        [tensor([1.0, -1.0, 0.5, 0.5]), tensor([0.0, 1.0, 0.5, -0.5])]
    }

    fn features() -> [Tensor<Flex, 2>; 2] {
        let tensor = |values: [[f32; 3]; 2]| Tensor::from_floats(values, &Default::default());
        [
            tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]]),
            tensor([[1.0, 1.0, 1.0], [4.0, 0.0, -4.0]]),
        ]
    }

    fn values(tensor: Tensor<Flex, 1>) -> Vec<f32> {
        tensor.into_data().iter::<f32>().collect()
    }

    #[test]
    fn the_score_weighs_residual_and_discrimination_of_each_image() {
        let ([x, twin], [fx, ftwin]) = (pair(), features());
        let parts = AnomalyScore::default()
            .forward(x, twin, fx, ftwin)
            .expect("fits");
        assert_eq!(values(parts.residual), [3.0, 1.0]);
        assert_eq!(values(parts.discrimination), [3.0, 8.0]);
        for (ours, theirs) in values(parts.score).into_iter().zip([3.0, 1.7]) {
            assert!((ours - theirs).abs() < 1e-6, "{ours} is not {theirs}");
        }
    }

    #[test]
    fn an_image_equal_to_its_twin_scores_zero() {
        let ([x, _], [fx, _]) = (pair(), features());
        let parts = AnomalyScore::default()
            .forward(x.clone(), x, fx.clone(), fx)
            .expect("fits");
        assert_eq!(values(parts.score), [0.0, 0.0]);
    }

    #[test]
    fn weights_outside_zero_and_one_are_refused() {
        for weight in [-0.1, 1.1, f64::NAN] {
            let message = AnomalyScore::new(weight).expect_err("refused").to_string();
            assert!(
                message.contains("lambda") && message.contains("0 to 1"),
                "{message}"
            );
            assert!(serde_json::from_value::<AnomalyScore>(serde_json::json!(weight)).is_err());
        }
        assert!(AnomalyScore::new(0.0).is_ok() && AnomalyScore::new(1.0).is_ok());
    }

    #[test]
    fn shapes_that_do_not_agree_are_refused() {
        let ([x, _], [fx, ftwin]) = (pair(), features());
        let narrow = x.clone().slice(0..1);
        let score = AnomalyScore::default();
        assert!(
            score
                .forward(x.clone(), narrow, fx.clone(), ftwin.clone())
                .is_err()
        );
        let short = ftwin.slice(0..1);
        assert!(score.forward(x.clone(), x, fx, short).is_err());
    }

    #[test]
    fn the_encoders_loss_is_the_sum_of_two_means() {
        let ([x, twin], [fx, ftwin]) = (pair(), features());
        let loss = EncoderLoss { kappa: 0.5 }
            .forward(x, twin, fx, ftwin)
            .expect("fits");
        // (1 + 4 + 0 + 1)/4 and (0 + 1 + 4 + 16 + 0 + 16)/6.
        assert!((loss.into_scalar() - (1.5 + 0.5 * 37.0 / 6.0)).abs() < 1e-5);
    }
}
