//! The default clipping of predicted clean samples to the range of pixels.

use super::{SamplerConfig, SamplerKind};
use crate::{BetaSchedule, NoiseSchedule, PredictionType};

/// The range ±1 of pixels: `clip_sample_range` of diffusers.
const PIXEL_RANGE: f64 = 1.0;
/// The least `√ᾱ` by which a prediction of noise is divided without clipping. The course's ends at 0.079,
/// a linear schedule of 1000 timesteps at 0.0064, the cosine of 500 at 1e-4.
const LEAST_SIGNAL: f64 = 0.01;

impl NoiseSchedule {
    /// The factor `√ᾱ` of the clean sample at the noisiest timestep. The first steps of sampling divide
    /// a prediction of noise by it.
    pub fn least_signal(&self) -> f64 {
        self.alphas_cumprod()
            .last()
            .copied()
            .unwrap_or_default()
            .sqrt()
    }
}

impl SamplerConfig {
    /// The range to which samples of pixels need clipping on `schedule`: ±1 if a prediction of
    /// noise is divided by a `√ᾱ < 0.01`, which multiplies its error by more than 100.
    ///
    /// `None` for the course's own schedule, which is sampled without clipping, for predictions of `x_0`
    /// and `v`, which are not divided, and for PNDM, which computes no `x_0`.
    pub fn clip_needed(&self, schedule: &NoiseSchedule) -> Option<f64> {
        let is_divided = self.prediction_type == PredictionType::Epsilon
            && !matches!(self.kind, SamplerKind::Pndm { .. });
        let is_course = schedule.config().kind == BetaSchedule::CourseLinear;
        let needs_clip = is_divided && !is_course && schedule.least_signal() < LEAST_SIGNAL;
        needs_clip.then_some(PIXEL_RANGE)
    }

    /// Sets the clipping of [`clip_needed`](Self::clip_needed), unless the sampler already clips or
    /// thresholds. For models of pixels, not of latents.
    #[must_use]
    pub fn with_needed_clip(self, schedule: &NoiseSchedule) -> Self {
        if self.clip_sample.is_some() || self.thresholding.is_some() {
            return self;
        }
        Self {
            clip_sample: self.clip_needed(schedule),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NoiseScheduleConfig, SchedulerName, Thresholding};

    fn schedule(kind: BetaSchedule, timesteps: usize) -> NoiseSchedule {
        NoiseSchedule::new(&NoiseScheduleConfig::new(kind, timesteps)).expect("legal")
    }

    #[test]
    fn schedules_that_end_in_pure_noise_are_clipped_and_the_course_is_not() {
        let sampler = SamplerConfig::ddpm(10);
        for timesteps in [10, 100, 500, 1000, 4000] {
            for kind in [BetaSchedule::Cosine, BetaSchedule::Sigmoid] {
                let schedule = schedule(kind.clone(), timesteps);
                assert_eq!(
                    sampler.clip_needed(&schedule),
                    Some(1.0),
                    "{kind:?} of {timesteps}"
                );
            }
        }
        let linear = |timesteps| schedule(BetaSchedule::Linear, timesteps);
        assert_eq!(sampler.clip_needed(&linear(500)), None);
        assert_eq!(sampler.clip_needed(&linear(1000)), Some(1.0));
        for timesteps in [10, 500, 1000] {
            let course = schedule(BetaSchedule::CourseLinear, timesteps);
            assert_eq!(sampler.clip_needed(&course), None, "{timesteps}");
        }
    }

    #[test]
    fn what_is_not_divided_is_not_clipped() {
        let cosine = schedule(BetaSchedule::Cosine, 500);
        for prediction_type in [PredictionType::Sample, PredictionType::VPrediction] {
            let sampler = SamplerConfig {
                prediction_type,
                ..SamplerConfig::ddim(20, 0.0)
            };
            assert_eq!(sampler.clip_needed(&cosine), None, "{prediction_type:?}");
        }
        assert_eq!(
            SchedulerName::Pndm.config(20).with_needed_clip(&cosine),
            SchedulerName::Pndm.config(20)
        );
    }

    #[test]
    fn a_bound_that_was_asked_for_stays() {
        let cosine = schedule(BetaSchedule::Cosine, 500);
        let clipped = SamplerConfig {
            clip_sample: Some(2.0),
            ..SamplerConfig::ddpm(10)
        };
        assert_eq!(clipped.with_needed_clip(&cosine), clipped);
        let thresholded = SamplerConfig {
            thresholding: Some(Thresholding::IMAGEN),
            ..SamplerConfig::ddpm(10)
        };
        assert_eq!(thresholded.with_needed_clip(&cosine), thresholded);
        let plain = SamplerConfig::ddpm(10).with_needed_clip(&cosine);
        assert_eq!(plain.clip_sample, Some(1.0));
    }
}
