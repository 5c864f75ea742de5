//! The plan of a sampler: every step's numbers, and how to walk them.

use burn::tensor::{Tensor, backend::Backend};

use super::SamplerConfig;
use super::build::{Point, points};
use crate::ops::require_shape;
use crate::{DiffusionError, NoiseSchedule};

/// Every number that `n` sampling steps need, computed once on the host in f64.
///
/// A plan is immutable, `Send + Sync` and serves any number of requests at once; what one request
/// carries from step to step is its own [`SamplerState`](super::SamplerState).
///
/// ```
/// use pyrograph_diffusion::{NoiseSchedule, NoiseScheduleConfig, SamplerConfig, SamplerPlan};
///
/// let course = NoiseSchedule::new(&NoiseScheduleConfig::course())?;
/// let plan = SamplerPlan::new(&course, &SamplerConfig::ddim(20, 0.0))?;
/// assert_eq!(plan.timesteps().take(3).collect::<Vec<_>>(), [500, 475, 450]);
/// assert_eq!(plan.next_timestep(19), Some(0));
/// # Ok::<(), pyrograph_diffusion::DiffusionError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SamplerPlan {
    pub(super) points: Vec<Point>,
    pub(super) clip_sample: Option<f64>,
    /// Whether any step wants the `x_0` of the step before.
    pub(super) multistep: bool,
}

impl SamplerPlan {
    /// Computes the plan.
    ///
    /// # Errors
    /// [`DiffusionError::Steps`] for a number of steps that is 0 or above `T`,
    /// [`DiffusionError::Eta`], [`DiffusionError::ClipSample`], [`DiffusionError::Grid`] for the
    /// course's grid on another schedule, [`DiffusionError::StepsOffset`] for an offset past its end.
    pub fn new(schedule: &NoiseSchedule, config: &SamplerConfig) -> Result<Self, DiffusionError> {
        config.check(schedule)?;
        let points = points(schedule, config)?;
        let multistep = points.iter().any(|point| point.second_order.is_some());
        Ok(Self {
            points,
            clip_sample: config.clip_sample,
            multistep,
        })
    }

    /// The number of steps, and of calls to the network.
    #[allow(clippy::len_without_is_empty)] // A plan has at least one step.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// The timesteps in the order visited, noisiest first.
    pub fn timesteps(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.points.iter().map(|point| point.timestep)
    }

    /// The timestep at which the network is asked in step `i`.
    ///
    /// # Panics
    /// If `i` is not below [`len`](Self::len).
    pub fn timestep(&self, i: usize) -> usize {
        self.points[i].timestep
    }

    /// The timestep at which step `i` arrives; `None` where that is the clean image and the
    /// schedule's table has no entry for it.
    ///
    /// # Panics
    /// If `i` is not below [`len`](Self::len).
    pub fn next_timestep(&self, i: usize) -> Option<usize> {
        self.points[i].next_timestep
    }

    /// [`NoiseSchedule::time_fraction`] of step `i`'s timestep, for networks that want it in (0, 1].
    ///
    /// # Panics
    /// If `i` is not below [`len`](Self::len).
    pub fn time_fraction(&self, i: usize) -> f64 {
        self.points[i].time_fraction
    }

    /// Whether step `i` adds noise, so that [`step`](Self::step) must be given some.
    ///
    /// # Panics
    /// If `i` is not below [`len`](Self::len).
    pub fn needs_noise(&self, i: usize) -> bool {
        self.points[i].update.noise != 0.0
    }

    /// The standard deviation of the noise that sampling starts from: 1 for every sampler here.
    pub fn init_noise_sigma(&self) -> f64 {
        1.0
    }

    /// The step at which to begin so that `strength` of the plan is walked (image-to-image): the
    /// last `⌊n·strength⌋` of its `n` steps. At strength 0 that is [`len`](Self::len): no step.
    ///
    /// # Errors
    /// [`DiffusionError::Number`] unless `strength` lies between 0 and 1.
    pub fn start_index(&self, strength: f64) -> Result<usize, DiffusionError> {
        if !(0.0..=1.0).contains(&strength) {
            return Err(DiffusionError::Number {
                name: "strength",
                seen: strength,
                allowed: "0 to 1",
            });
        }
        let walked = (self.len() as f64 * strength) as usize;
        Ok(self.len() - walked.min(self.len()))
    }

    /// The sample with which a partial run begins at step `i`: `√ᾱ x_0 + √(1 − ᾱ) ε` at that step's
    /// noise level. Steps `i..len()` follow, with a fresh state.
    ///
    /// # Shapes
    /// `x0`, `noise` and the output are equal in shape.
    ///
    /// # Errors
    /// [`DiffusionError::StepOutOfRange`], and [`DiffusionError::Shape`] where `noise` differs.
    pub fn start_at<B: Backend, const D: usize>(
        &self,
        i: usize,
        x0: Tensor<B, D>,
        noise: Tensor<B, D>,
    ) -> Result<Tensor<B, D>, DiffusionError> {
        require_shape("noise", &noise, &x0)?;
        let alpha_cumprod = self.point(i)?.alpha_cumprod;
        Ok(x0.mul_scalar(alpha_cumprod.sqrt()) + noise.mul_scalar((1.0 - alpha_cumprod).sqrt()))
    }

    pub(super) fn point(&self, i: usize) -> Result<&Point, DiffusionError> {
        // A plan has at least one step.
        self.points.get(i).ok_or(DiffusionError::StepOutOfRange {
            seen: i,
            last: self.len() - 1,
        })
    }
}
