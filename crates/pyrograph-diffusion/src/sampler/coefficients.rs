//! A step as a handful of numbers, computed once on the host.

use crate::PredictionType;

/// A weighted sum of the sample `x` and the network's output `m`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Blend {
    pub(super) sample: f64,
    pub(super) model: f64,
}

/// How `x_0` and `ε` follow from `x = √ᾱ x_0 + √(1 − ᾱ) ε` and the network's output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Prediction {
    pub(super) x0: Blend,
    pub(super) epsilon: Blend,
}

impl Prediction {
    /// `alpha_cumprod` lies strictly between 0 and 1: the schedule has seen to that.
    pub(super) fn new(kind: PredictionType, alpha_cumprod: f64) -> Self {
        let signal = alpha_cumprod.sqrt();
        let spread = (1.0 - alpha_cumprod).sqrt();
        let (x0, epsilon) = match kind {
            // x_0 = (x − √(1−ᾱ) ε) / √ᾱ
            PredictionType::Epsilon => ((1.0 / signal, -spread / signal), (0.0, 1.0)),
            // ε = (x − √ᾱ x_0) / √(1−ᾱ)
            PredictionType::Sample => ((0.0, 1.0), (1.0 / spread, -signal / spread)),
            // v = √ᾱ ε − √(1−ᾱ) x_0 is a rotation of (x_0, ε) away from x; rotating back is exact.
            PredictionType::VPrediction => ((signal, -spread), (spread, signal)),
        };
        let blend = |(sample, model)| Blend { sample, model };
        Self {
            x0: blend(x0),
            epsilon: blend(epsilon),
        }
    }
}

/// A sampler's step in the terms of its paper: the next sample is the sum of these five, each times
/// its coefficient. Coefficients not named are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rule {
    /// of `x`
    pub(super) sample: f64,
    /// of `ε`
    pub(super) epsilon: f64,
    /// of `x_0`, clipped where that is asked
    pub(super) x0: f64,
    /// of the previous step's `x_0`
    pub(super) history: f64,
    /// of fresh noise `z`
    pub(super) noise: f64,
}

/// The same step in terms of what is at hand: `x`, the network's output, clipped `x_0`, history, `z`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Update {
    pub(super) sample: f64,
    pub(super) model: f64,
    pub(super) x0: f64,
    pub(super) history: f64,
    pub(super) noise: f64,
}

impl Update {
    /// Folds `ε`, and without clipping `x_0` as well, into the coefficients of `x` and the output,
    /// so that large factors cancel in f64 on the host and not in f32 on the device.
    pub(super) fn new(rule: Rule, prediction: &Prediction, clipped: bool) -> Self {
        let Prediction { x0, epsilon } = prediction;
        let (folded, kept) = if clipped {
            (0.0, rule.x0)
        } else {
            (rule.x0, 0.0)
        };
        Self {
            sample: rule.sample + rule.epsilon * epsilon.sample + folded * x0.sample,
            model: rule.epsilon * epsilon.model + folded * x0.model,
            x0: kept,
            history: rule.history,
            noise: rule.noise,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prediction_type_gives_back_the_signal_and_the_noise_that_were_mixed() {
        let (x0, epsilon) = (0.7, -1.3);
        for alpha_cumprod in [1e-6, 0.2, 0.999] {
            let (signal, spread) = (f64::sqrt(alpha_cumprod), f64::sqrt(1.0 - alpha_cumprod));
            let x = signal * x0 + spread * epsilon;
            let outputs = [
                (PredictionType::Epsilon, epsilon),
                (PredictionType::Sample, x0),
                (PredictionType::VPrediction, signal * epsilon - spread * x0),
            ];
            for (kind, output) in outputs {
                let prediction = Prediction::new(kind, alpha_cumprod);
                let of = |blend: Blend| blend.sample * x + blend.model * output;
                assert!(
                    (of(prediction.x0) - x0).abs() < 1e-12,
                    "{kind:?} at {alpha_cumprod}"
                );
                assert!(
                    (of(prediction.epsilon) - epsilon).abs() < 1e-12,
                    "{kind:?} at {alpha_cumprod}"
                );
            }
        }
    }
}
