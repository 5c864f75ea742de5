//! The weights of timesteps in the training loss.

use serde::{Deserialize, Serialize};

use super::{NoiseSchedule, PredictionType};
use crate::DiffusionError;

/// The weight of an item's loss by its timestep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossWeighting {
    /// 1 for every timestep: the simple loss of [DDPM](https://arxiv.org/abs/2006.11239), equation 14.
    #[default]
    Uniform,
    /// Min-SNR-γ ([Hang et al.](https://arxiv.org/abs/2303.09556), section 3.4): the `x_0` weight
    /// `min(SNR, γ)`, converted to the quantity that the network predicts.
    MinSnr {
        /// γ; the paper's is 5.
        gamma: f64,
    },
}

impl NoiseSchedule {
    /// The weight of timestep `t` in the loss of a network that predicts `prediction`.
    ///
    /// With `s = SNR(t) = ᾱ/(1 − ᾱ)`, Min-SNR-γ gives `min(s, γ)/s` for `ε`, `min(s, γ)` for `x_0` and
    /// `min(s, γ)/(s + 1)` for `v`.
    ///
    /// # Errors
    /// [`DiffusionError::TimestepOutOfRange`]; [`DiffusionError::Number`] for a γ that is not above 0.
    pub fn loss_weight(
        &self,
        prediction: PredictionType,
        t: usize,
        weighting: LossWeighting,
    ) -> Result<f64, DiffusionError> {
        let snr = self.snr(t)?;
        let LossWeighting::MinSnr { gamma } = weighting else {
            return Ok(1.0);
        };
        if !(gamma.is_finite() && gamma > 0.0) {
            return Err(DiffusionError::Number {
                name: "gamma of the Min-SNR weighting",
                seen: gamma,
                allowed: "finite numbers above 0",
            });
        }
        let clipped = snr.min(gamma);
        Ok(match prediction {
            // No signal at all: the limit, for `s` below γ.
            PredictionType::Epsilon if snr == 0.0 => 1.0,
            PredictionType::Epsilon => clipped / snr,
            PredictionType::Sample => clipped,
            PredictionType::VPrediction => clipped / (snr + 1.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NoiseScheduleConfig;

    #[test]
    fn min_snr_keeps_noisy_timesteps_and_tames_clean_ones() {
        let schedule = NoiseSchedule::new(&NoiseScheduleConfig::course()).expect("legal");
        let weight = |prediction, t| {
            let weighting = LossWeighting::MinSnr { gamma: 5.0 };
            schedule
                .loss_weight(prediction, t, weighting)
                .expect("in range")
        };
        // SNR(500) = 0.00628876/(1 − 0.00628876) < 5: full weight. SNR(1) = 4169.5…: 5/4169.5.
        assert_eq!(weight(PredictionType::Epsilon, 500), 1.0);
        let snr = schedule.snr(1).expect("in range");
        assert!((weight(PredictionType::Epsilon, 1) - 5.0 / snr).abs() < 1e-15);
        assert_eq!(weight(PredictionType::Sample, 1), 5.0);
        assert!((weight(PredictionType::VPrediction, 1) - 5.0 / (snr + 1.0)).abs() < 1e-15);
        let uniform = schedule.loss_weight(PredictionType::Sample, 1, LossWeighting::Uniform);
        assert_eq!(uniform.expect("in range"), 1.0);
    }

    #[test]
    fn a_gamma_that_is_not_positive_is_refused() {
        let schedule = NoiseSchedule::new(&NoiseScheduleConfig::course()).expect("legal");
        for gamma in [0.0, -1.0, f64::NAN] {
            let weighting = LossWeighting::MinSnr { gamma };
            assert!(
                schedule
                    .loss_weight(PredictionType::Epsilon, 1, weighting)
                    .is_err()
            );
        }
    }
}
