//! The moments of a walk that are kept.

use std::str::FromStr;

use pyrograph_diffusion::{FinalPoint, SamplerPlan};

use crate::PipelineError;

/// Timesteps between two moments that the course keeps: its `save_rate`.
const COURSE_RATE: f64 = 20.0;
/// Below this timestep the course keeps every step.
const COURSE_LAST: f64 = 8.0;
/// The most moments of [`Moments::Course`] beside those of a multiple of 20: `T` and 1 to 7.
const COURSE_MORE: usize = 8;

/// The moments of the way from noise to images that a sampling keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moments {
    /// So many after steps, evenly spaced; the last is the end.
    Even(usize),
    /// After the steps that the sprite course keeps: with `i` counted from `T` down to 1, those with
    /// `i % 20 = 0`, `i = T` or `i < 8`. Of 500 timesteps they are 32.
    Course,
}

impl Moments {
    /// The numbers of steps after which a moment is kept, in order, the end included.
    pub(super) fn steps(self, plan: &SamplerPlan) -> Vec<usize> {
        let total = plan.len();
        let mut steps: Vec<usize> = match self {
            Self::Even(count) => {
                let count = count.min(total);
                (1..count).map(|k| (k * total).div_ceil(count)).collect()
            }
            Self::Course => {
                let is_kept = |&step: &usize| {
                    let i = course_timestep(plan, step - 1);
                    step == 1 || i % COURSE_RATE == 0.0 || i < COURSE_LAST
                };
                (1..total).filter(is_kept).collect()
            }
        };
        steps.push(total);
        steps
    }

    /// The most moments on a schedule of `timesteps`.
    pub(super) fn at_most(self, timesteps: usize) -> usize {
        match self {
            Self::Even(count) => count.min(timesteps),
            Self::Course => timesteps / COURSE_RATE as usize + COURSE_MORE,
        }
    }
}

/// The numbers of steps after which a moment is kept without a choice of [`Moments`]: `frames` of them,
/// evenly spaced from the starting noise on, and the end.
pub(super) fn frame_steps(total: usize, frames: usize) -> Vec<usize> {
    let frames = frames.min(total);
    let mut steps: Vec<usize> = (0..frames).map(|frame| frame * total / frames).collect();
    steps.push(total);
    steps
}

/// The timestep of call `call` as the course counts them, from `T` down to 1.
pub(super) fn course_timestep(plan: &SamplerPlan, call: usize) -> f64 {
    let schedule = plan.schedule();
    plan.timestep(call) + 1.0 - schedule.first_timestep() as f64
}

/// The share `√ᾱ` of the clean image in the network's input after `step` steps.
pub(super) fn signal_after(plan: &SamplerPlan, step: usize) -> f64 {
    match plan.sigmas().nth(step) {
        Some(sigma) => 1.0 / sigma.hypot(1.0),
        None if plan.config().final_point == FinalPoint::Clean => 1.0,
        None => {
            let schedule = plan.schedule();
            let least_noisy = schedule.alphas_cumprod().get(schedule.first_timestep());
            least_noisy.copied().unwrap_or(1.0).sqrt()
        }
    }
}

impl FromStr for Moments {
    type Err = PipelineError;

    /// Reads `course`, or a number for [`Moments::Even`].
    fn from_str(text: &str) -> Result<Self, PipelineError> {
        if text == "course" {
            return Ok(Self::Course);
        }
        match text.parse() {
            Ok(count) if count > 0 => Ok(Self::Even(count)),
            _ => Err(PipelineError::Number {
                field: "the number of moments",
                seen: format!("`{text}`"),
                allowed: "`course`, or a number of 1 or more".into(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use pyrograph_diffusion::{
        BetaSchedule, NoiseSchedule, NoiseScheduleConfig, SamplerConfig, SamplerPlan,
    };

    use super::*;

    fn plan(schedule: NoiseScheduleConfig, sampler: SamplerConfig) -> SamplerPlan {
        let schedule = NoiseSchedule::new(&schedule).expect("legal");
        SamplerPlan::new(&schedule, &sampler).expect("legal")
    }

    fn timesteps(plan: &SamplerPlan) -> Vec<f64> {
        let steps = Moments::Course.steps(plan).into_iter();
        steps.map(|step| course_timestep(plan, step - 1)).collect()
    }

    #[test]
    fn the_course_keeps_32_moments_of_500_steps() {
        let mut expected: Vec<_> = (1..=25).rev().map(|k| f64::from(k) * 20.0).collect();
        expected.extend((1..=7).rev().map(f64::from));
        let course = plan(NoiseScheduleConfig::course(), SamplerConfig::ddpm(500));
        assert_eq!(timesteps(&course), expected);
        // The same count on a schedule whose least noisy timestep is 0.
        let cosine = NoiseScheduleConfig::new(BetaSchedule::Cosine, 500);
        assert_eq!(timesteps(&plan(cosine, SamplerConfig::ddpm(500))), expected);
    }

    #[test]
    fn the_first_and_the_last_step_are_kept_of_any_walk() {
        let odd = NoiseScheduleConfig {
            timesteps: 47,
            ..NoiseScheduleConfig::course()
        };
        let kept = timesteps(&plan(odd, SamplerConfig::ddpm(47)));
        assert_eq!(kept, [47.0, 40.0, 20.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]);
        let ddim = plan(NoiseScheduleConfig::course(), SamplerConfig::ddim(20, 0.0));
        assert_eq!(timesteps(&ddim), [500.0, 400.0, 300.0, 200.0, 100.0, 25.0]);
    }

    #[test]
    fn even_moments_are_as_many_as_asked_and_end_with_the_images() {
        let ten = plan(NoiseScheduleConfig::course(), SamplerConfig::ddim(10, 0.0));
        assert_eq!(Moments::Even(1).steps(&ten), [10]);
        assert_eq!(Moments::Even(4).steps(&ten), [3, 5, 8, 10]);
        assert_eq!(Moments::Even(99).steps(&ten), (1..=10).collect::<Vec<_>>());
        assert_eq!(frame_steps(10, 4), [0, 2, 5, 7, 10]);
        assert_eq!(frame_steps(10, 0), [10]);
    }

    #[test]
    fn the_signal_is_that_of_the_schedule_and_whole_at_the_end() {
        let plan = plan(NoiseScheduleConfig::course(), SamplerConfig::ddim(10, 0.0));
        let expected = plan.schedule().alpha_cumprod(450).expect("there").sqrt();
        assert!((signal_after(&plan, 1) - expected).abs() < 1e-12);
        assert_eq!(signal_after(&plan, 10), 1.0);
    }

    #[test]
    fn a_number_or_the_course_is_read() {
        assert_eq!("course".parse::<Moments>().ok(), Some(Moments::Course));
        assert_eq!("12".parse::<Moments>().ok(), Some(Moments::Even(12)));
        for text in ["0", "-1", "all", ""] {
            let refused = text.parse::<Moments>().expect_err(text).to_string();
            assert!(refused.contains("course"), "{refused}");
        }
    }
}
