//! A network call as a handful of numbers, computed once on the host.

use crate::{DiffusionError, PredictionType};

/// A weighted sum of the sample `x` and the network's output `m`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Blend {
    pub(super) sample: f64,
    pub(super) model: f64,
}

/// How `x_0` and `ε` follow from `c x = √ᾱ x_0 + √(1 − ᾱ) ε` and the network's output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Prediction {
    pub(super) x0: Blend,
    pub(super) epsilon: Blend,
    /// `√ᾱ`
    signal: f64,
    /// `√(1 − ᾱ)`
    spread: f64,
    /// The factor `c` from the sample to the network's input.
    scale: f64,
}

impl Prediction {
    /// The conversion at the signal `alpha_cumprod`, for a network that sees `input_scale · x`.
    pub(super) fn new(
        kind: PredictionType,
        alpha_cumprod: f64,
        input_scale: f64,
    ) -> Result<Self, DiffusionError> {
        let signal = alpha_cumprod.sqrt();
        let spread = (1.0 - alpha_cumprod).sqrt();
        if signal == 0.0 && kind == PredictionType::Epsilon {
            return Err(DiffusionError::NoSignal);
        }
        let (x0, epsilon) = match kind {
            // x_0 = (x − √(1−ᾱ) ε) / √ᾱ
            PredictionType::Epsilon => ((1.0 / signal, -spread / signal), (0.0, 1.0)),
            // ε = (x − √ᾱ x_0) / √(1−ᾱ)
            PredictionType::Sample => ((0.0, 1.0), (1.0 / spread, -signal / spread)),
            // v = √ᾱ ε − √(1−ᾱ) x_0 is a rotation of (x_0, ε) away from x; rotating back is exact.
            PredictionType::VPrediction => ((signal, -spread), (spread, signal)),
        };
        let blend = |(sample, model): (f64, f64)| Blend {
            sample: sample * input_scale,
            model,
        };
        Ok(Self {
            x0: blend(x0),
            epsilon: blend(epsilon),
            signal,
            spread,
            scale: input_scale,
        })
    }

    /// The factors of `x_0` and `ε` in a sample at this noise level.
    pub(super) fn mixture(&self) -> (f64, f64) {
        (self.signal / self.scale, self.spread / self.scale)
    }

    /// `ε` as the weights of `x` and of a bounded `x_0`.
    fn epsilon_of_x0(&self) -> (f64, f64) {
        (self.scale / self.spread, -self.signal / self.spread)
    }
}

/// Which of the two predictions follow from an `x_0` that was clipped or thresholded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bounded {
    /// None: `x_0` stays as the network implies it.
    Nothing,
    /// `x_0` alone; `ε` stays the network's own.
    X0,
    /// Both: `ε` is derived from the bounded `x_0`.
    Both,
}

/// A sampler's update in the terms of its paper: the sum of these tensors, each times its
/// coefficient. Coefficients not named are 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Rule {
    /// of the sample `x`
    pub(super) sample: f64,
    /// of the network's output as it is
    pub(super) model: f64,
    /// of `ε`
    pub(super) epsilon: f64,
    /// of `x_0`, clipped where that is asked
    pub(super) x0: f64,
    /// of recorded predictions, by their age: 0 is the call before this one
    pub(super) history: Vec<(usize, f64)>,
    /// of the kept sample
    pub(super) base: f64,
    /// of fresh noise `z`
    pub(super) noise: f64,
}

/// The same update in terms of the tensors at hand: `x`, the network's output, bounded `x_0`, recorded
/// predictions, the kept sample, `z`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Update {
    pub(super) sample: f64,
    pub(super) model: f64,
    pub(super) x0: f64,
    pub(super) history: Vec<(usize, f64)>,
    pub(super) base: f64,
    pub(super) noise: f64,
}

impl Update {
    /// Folds `ε`, and an unbounded `x_0` as well, into the coefficients of `x` and the output,
    /// so that large factors cancel in f64 on the host and not in f32 on the device.
    pub(super) fn new(rule: Rule, prediction: &Prediction, bounded: Bounded) -> Self {
        let Prediction { x0, epsilon, .. } = prediction;
        let (folded, mut kept) = match bounded {
            Bounded::Nothing => (rule.x0, 0.0),
            Bounded::X0 | Bounded::Both => (0.0, rule.x0),
        };
        let mut noise_blend = *epsilon;
        if bounded == Bounded::Both && rule.epsilon != 0.0 {
            let (sample, x0) = prediction.epsilon_of_x0();
            noise_blend = Blend { sample, model: 0.0 };
            kept += rule.epsilon * x0;
        }
        Self {
            sample: rule.sample + rule.epsilon * noise_blend.sample + folded * x0.sample,
            model: rule.model + rule.epsilon * noise_blend.model + folded * x0.model,
            x0: kept,
            history: rule.history,
            base: rule.base,
            noise: rule.noise,
        }
    }

    /// Whether the update needs the predicted `x_0` as a tensor.
    pub(super) fn needs_x0(&self) -> bool {
        self.x0 != 0.0
    }

    /// The age of the oldest recorded prediction that the update needs, plus one.
    pub(super) fn depth(&self) -> usize {
        self.history
            .iter()
            .map(|(age, _)| age + 1)
            .max()
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prediction_type_gives_back_the_signal_and_the_noise_that_were_mixed() {
        let (x0, epsilon) = (0.7, -1.3);
        for (alpha_cumprod, scale) in [(1e-6, 1.0), (0.2, 1.0), (0.999, 1.0), (0.2, 0.4)] {
            let (signal, spread) = (f64::sqrt(alpha_cumprod), f64::sqrt(1.0 - alpha_cumprod));
            let x = (signal * x0 + spread * epsilon) / scale;
            let outputs = [
                (PredictionType::Epsilon, epsilon),
                (PredictionType::Sample, x0),
                (PredictionType::VPrediction, signal * epsilon - spread * x0),
            ];
            for (kind, output) in outputs {
                let prediction = Prediction::new(kind, alpha_cumprod, scale).expect("some signal");
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

    #[test]
    fn noise_cannot_be_predicted_where_there_is_no_signal() {
        let at = |kind| Prediction::new(kind, 0.0, 1.0);
        assert_eq!(at(PredictionType::Epsilon), Err(DiffusionError::NoSignal));
        assert!(at(PredictionType::VPrediction).is_ok());
    }
}
