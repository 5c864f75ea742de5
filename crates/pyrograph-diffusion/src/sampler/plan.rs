//! The plan of a sampler: the coefficients of every network call.

use burn::tensor::{Tensor, backend::Backend};

use super::SamplerConfig;
use super::build::{Call, Calls, calls};
use crate::ops::require_shape;
use crate::{DiffusionError, NoiseSchedule};

/// All coefficients of a sampler's run, computed once on the host in f64.
///
/// A plan is immutable, `Send + Sync` and serves any number of requests at once; each request is a
/// [`Walk`](super::Walk) over it. Most samplers call the network once in each step; Heun calls it
/// twice, and PNDM visits one timestep twice.
///
/// ```
/// # mod pyrograph { pub use pyrograph_diffusion as diffusion; }
/// use pyrograph::diffusion::{NoiseSchedule, NoiseScheduleConfig, SamplerConfig, SamplerPlan};
///
/// let course = NoiseSchedule::new(&NoiseScheduleConfig::course())?;
/// let plan = SamplerPlan::new(&course, &SamplerConfig::ddim(20, 0.0))?;
/// assert_eq!(plan.timesteps().take(3).collect::<Vec<_>>(), [500.0, 475.0, 450.0]);
/// assert_eq!(plan.next_timestep(19), Some(0.0));
/// # Ok::<(), pyrograph::diffusion::DiffusionError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SamplerPlan {
    schedule: NoiseSchedule,
    config: SamplerConfig,
    pub(super) calls: Vec<Call>,
    init_noise_sigma: f64,
}

impl SamplerPlan {
    /// Computes the plan.
    ///
    /// # Errors
    /// [`DiffusionError::Steps`] for a number of steps that is 0 or above `T`, and
    /// [`DiffusionError::Eta`], [`DiffusionError::ClipSample`], [`DiffusionError::Number`] or
    /// [`DiffusionError::Unsupported`] for settings that are not allowed, [`DiffusionError::Grid`]
    /// for the course's grid on another schedule, [`DiffusionError::StepsOffset`] for an offset
    /// past its end, [`DiffusionError::NoSignal`] if the network predicts noise at a timestep
    /// without signal.
    pub fn new(schedule: &NoiseSchedule, config: &SamplerConfig) -> Result<Self, DiffusionError> {
        config.check(schedule)?;
        let Calls {
            calls,
            init_noise_sigma,
        } = calls(schedule, config, 0)?;
        Ok(Self {
            schedule: schedule.clone(),
            config: *config,
            calls,
            init_noise_sigma,
        })
    }

    /// The plan of a run that begins at call `first` of this plan; multistep samplers start there
    /// without a history. With `first = len()` it has no calls.
    ///
    /// # Errors
    /// [`DiffusionError::StepOutOfRange`], and [`DiffusionError::RungeKuttaStart`] for PNDM with
    /// Runge–Kutta steps, which cannot begin later.
    pub fn tail(&self, first: usize) -> Result<Self, DiffusionError> {
        let skipped = self.whole_len()? - self.len();
        let first = first.saturating_add(skipped);
        let Calls { mut calls, .. } = calls(&self.schedule, &self.config, first)?;
        if first > calls.len() {
            return Err(DiffusionError::StepOutOfRange {
                seen: first - skipped,
                last: self.len(),
            });
        }
        calls.drain(..first);
        Ok(Self {
            calls,
            ..self.clone()
        })
    }

    /// The plan of the last `⌊n·strength⌋` of the `n` steps (image-to-image). At strength 0 it has
    /// no calls. diffusers chooses the same timesteps.
    ///
    /// # Errors
    /// [`DiffusionError::Number`] unless `strength` lies between 0 and 1, and those of
    /// [`tail`](Self::tail).
    pub fn with_strength(&self, strength: f64) -> Result<Self, DiffusionError> {
        self.tail(self.start_index(strength)?)
    }

    /// The call at which to begin so that a fraction `strength` of the steps is taken.
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
        // Heun's last step has one call, PNDM's list has one call more than steps.
        let a_step = self.config.kind.calls_a_step();
        let steps = match self.config.kind {
            super::SamplerKind::Pndm { .. } => self.config.steps,
            _ => self.len().div_ceil(a_step),
        };
        let walked = (steps as f64 * strength) as usize;
        if walked == 0 {
            return Ok(self.len());
        }
        Ok((steps - walked.min(steps)) * a_step)
    }

    /// The number of calls to the network.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether the plan has no calls, as at strength 0.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// The configuration that this plan was built from.
    pub fn config(&self) -> &SamplerConfig {
        &self.config
    }

    /// The noise schedule that this plan was built from.
    pub fn schedule(&self) -> &NoiseSchedule {
        &self.schedule
    }

    /// The timesteps in the order visited, noisiest first.
    pub fn timesteps(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        self.calls.iter().map(|call| call.timestep)
    }

    /// The noise levels `σ = √((1 − ᾱ)/ᾱ)` at the calls.
    pub fn sigmas(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        self.calls.iter().map(|call| {
            let (signal, spread) = call.prediction.mixture();
            spread / signal
        })
    }

    /// The timestep of call `i`.
    ///
    /// # Panics
    /// If `i` is not below [`len`](Self::len).
    pub fn timestep(&self, i: usize) -> f64 {
        self.calls[i].timestep
    }

    /// The timestep after call `i`; `None` for the clean image if the schedule's table has no entry
    /// for it.
    ///
    /// # Panics
    /// If `i` is not below [`len`](Self::len).
    pub fn next_timestep(&self, i: usize) -> Option<f64> {
        self.calls[i].next_timestep
    }

    /// [`NoiseSchedule::time_fraction`] of call `i`'s timestep, for networks whose time is in (0,
    /// 1].
    ///
    /// # Panics
    /// If `i` is not below [`len`](Self::len).
    pub fn time_fraction(&self, i: usize) -> f64 {
        self.schedule.time_fraction(self.calls[i].timestep)
    }

    /// Whether call `i` adds noise, so that [`Walk::absorb`](super::Walk::absorb) must be given some.
    ///
    /// # Panics
    /// If `i` is not below [`len`](Self::len).
    pub fn needs_noise(&self, i: usize) -> bool {
        self.calls[i].next.noise != 0.0
    }

    /// The standard deviation of the noise that sampling starts from: above 1 for Euler, Heun and LMS,
    /// whose samples are `x_0 + σ ε`.
    pub fn init_noise_sigma(&self) -> f64 {
        self.init_noise_sigma
    }

    /// Adds to `x0` the noise of a sample at call `i`: for the start of a partial run, or the known
    /// part of an inpainted picture.
    ///
    /// # Shapes
    /// `x0`, `noise` and the output are equal in shape.
    ///
    /// # Errors
    /// [`DiffusionError::StepOutOfRange`], and [`DiffusionError::Shape`] where `noise` differs.
    pub fn add_noise<B: Backend, const D: usize>(
        &self,
        i: usize,
        x0: Tensor<B, D>,
        noise: Tensor<B, D>,
    ) -> Result<Tensor<B, D>, DiffusionError> {
        require_shape("noise", &noise, &x0)?;
        let call = self.calls.get(i).ok_or(DiffusionError::StepOutOfRange {
            seen: i,
            last: self.len().saturating_sub(1),
        })?;
        let (signal, spread) = call.prediction.mixture();
        Ok(x0.mul_scalar(signal) + noise.mul_scalar(spread))
    }

    /// The calls of the plan from its very start.
    fn whole_len(&self) -> Result<usize, DiffusionError> {
        Ok(calls(&self.schedule, &self.config, 0)?.calls.len())
    }
}
