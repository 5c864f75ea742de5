//! The forward process on tensors: noisy samples, and the training targets.

use burn::tensor::{Tensor, backend::Backend};
use serde::{Deserialize, Serialize};

use super::NoiseSchedule;
use crate::DiffusionError;
use crate::ops::{Factor, require_shape};

/// The amount of noise that [`NoiseSchedule::add_noise`] adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForwardNoise {
    /// `√ᾱ x_0 + √(1 − ᾱ) ε`, as in DDPM and in every sampler here.
    #[default]
    Standard,
    /// `√ᾱ x_0 + (1 − ᾱ) ε`, without the root: a mistake of the sprite course, with which its
    /// published weights were trained. The noise is too weak (0.191 instead of 0.437 at `t = 100`)
    /// and training does not match the samplers, so this variant is for comparison only.
    Course,
}

/// The quantity that the network predicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PredictionType {
    /// The noise `ε` ([DDPM](https://arxiv.org/abs/2006.11239)).
    #[default]
    Epsilon,
    /// The clean sample `x_0`.
    Sample,
    /// The velocity `v = √ᾱ ε − √(1 − ᾱ) x_0` ([Salimans & Ho](https://arxiv.org/abs/2202.00512)).
    VPrediction,
}

impl NoiseSchedule {
    /// Draws `x_t` from `q(x_t | x_0)`: `√ᾱ_t x_0 + √(1 − ᾱ_t) ε` (see [`ForwardNoise`]).
    ///
    /// `t` is one timestep for each item, or one shared by all; it stays on the host.
    ///
    /// # Shapes
    /// `x0`, `noise`: `[batch, …]`, equal; the output has the same shape.
    ///
    /// # Errors
    /// [`DiffusionError::Shape`] where `noise` differs from `x0`, [`DiffusionError::TimestepCount`]
    /// for a wrong number of timesteps, [`DiffusionError::TimestepOutOfRange`] for one outside.
    pub fn add_noise<B: Backend, const D: usize>(
        &self,
        x0: Tensor<B, D>,
        noise: Tensor<B, D>,
        t: &[usize],
        forward: ForwardNoise,
    ) -> Result<Tensor<B, D>, DiffusionError> {
        require_shape("noise", &noise, &x0)?;
        let noise_scale = |alpha_cumprod: f64| match forward {
            ForwardNoise::Standard => (1.0 - alpha_cumprod).sqrt(),
            ForwardNoise::Course => 1.0 - alpha_cumprod,
        };
        let signal = self.factor(&x0, t, f64::sqrt)?;
        let spread = self.factor(&x0, t, noise_scale)?;
        Ok(signal.times(x0) + spread.times(noise))
    }

    /// The training target for the output of [`add_noise`](Self::add_noise), in the standard
    /// forward process: `ε`, `x_0`, or `v = √ᾱ_t ε − √(1 − ᾱ_t) x_0`.
    ///
    /// # Shapes
    /// `x0`, `noise`: `[batch, …]`, equal; the output has the same shape.
    ///
    /// # Errors
    /// Those of [`add_noise`](Self::add_noise), for every prediction type.
    pub fn target<B: Backend, const D: usize>(
        &self,
        prediction: PredictionType,
        x0: Tensor<B, D>,
        noise: Tensor<B, D>,
        t: &[usize],
    ) -> Result<Tensor<B, D>, DiffusionError> {
        require_shape("noise", &noise, &x0)?;
        let signal = self.factor(&x0, t, f64::sqrt)?;
        let spread = self.factor(&x0, t, |alpha_cumprod| (1.0 - alpha_cumprod).sqrt())?;
        Ok(match prediction {
            PredictionType::Epsilon => noise,
            PredictionType::Sample => x0,
            PredictionType::VPrediction => signal.times(noise) - spread.times(x0),
        })
    }

    /// `of(ᾱ_t)` for the items of `like`.
    fn factor<B: Backend, const D: usize>(
        &self,
        like: &Tensor<B, D>,
        t: &[usize],
        of: impl Fn(f64) -> f64,
    ) -> Result<Factor<B, D>, DiffusionError> {
        let batch = like.dims()[0];
        if t.len() != 1 && (t.len() != batch || t.is_empty()) {
            return Err(DiffusionError::TimestepCount {
                seen: t.len(),
                batch,
            });
        }
        let values = t
            .iter()
            .map(|&t| self.alpha_cumprod(t).map(&of))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Factor::new(&values, like))
    }
}
