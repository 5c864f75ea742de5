//! Noise schedules: the tables `β_t` and `ᾱ_t`, on the host and in f64.

mod beta;
mod forward;
mod weighting;

pub use beta::BetaSchedule;
pub use forward::{ForwardNoise, PredictionType};
pub use weighting::LossWeighting;

use serde::{Deserialize, Serialize};

use crate::DiffusionError;

/// More timesteps than anyone trains with; a bound so that a mistyped file cannot exhaust memory.
const MAX_TIMESTEPS: usize = 1_000_000;
/// Below this `ᾱ`, `1/√ᾱ` amplifies f32 rounding beyond any use.
const MIN_ALPHA_CUMPROD: f64 = 1e-30;
/// A noisy timestep whose `1 − ᾱ` is smaller has no noise left in f64 to divide by.
const MIN_NOISE: f64 = 1e-13;
/// Timesteps of the sprite course.
const COURSE_TIMESTEPS: usize = 500;
/// Timesteps of DDPM, and of nearly everything published since.
const DDPM_TIMESTEPS: usize = 1000;

/// Configuration of a [`NoiseSchedule`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoiseScheduleConfig {
    /// The growth of the variances.
    pub kind: BetaSchedule,
    /// The number `T` of noisy timesteps, 1 to 1 000 000.
    pub timesteps: usize,
    /// Whether the table is rescaled so that its last timestep is pure noise, `ᾱ = 0`
    /// ([Lin et al.](https://arxiv.org/abs/2305.08891), algorithm 1). A network that predicts noise cannot
    /// start there.
    #[serde(default, skip_serializing_if = "is_off")]
    pub zero_terminal_snr: bool,
}

fn is_off(switch: &bool) -> bool {
    !switch
}

impl NoiseScheduleConfig {
    /// A schedule of `kind`, without rescaling.
    pub fn new(kind: BetaSchedule, timesteps: usize) -> Self {
        Self {
            kind,
            timesteps,
            zero_terminal_snr: false,
        }
    }

    /// The sprite course: linear over 501 entries, of which 500 are noisy.
    pub fn course() -> Self {
        Self::new(BetaSchedule::CourseLinear, COURSE_TIMESTEPS)
    }

    /// [DDPM](https://arxiv.org/abs/2006.11239): linear from 1e-4 to 0.02 over 1000 timesteps.
    pub fn ddpm() -> Self {
        Self::new(BetaSchedule::Linear, DDPM_TIMESTEPS)
    }

    /// Stable Diffusion 1 and 2: scaled linear from 0.00085 to 0.012 over 1000 timesteps.
    pub fn stable_diffusion() -> Self {
        let kind = BetaSchedule::ScaledLinear {
            beta_start: 0.00085,
            beta_end: 0.012,
        };
        Self::new(kind, DDPM_TIMESTEPS)
    }
}

/// The forward process `q(x_t | x_0) = N(√ᾱ_t x_0, (1 − ᾱ_t) I)` of
/// [DDPM](https://arxiv.org/abs/2006.11239), as host tables in f64.
///
/// | symbol | here | meaning |
/// | --- | --- | --- |
/// | `T` | [`timesteps`](Self::timesteps) | number of noisy timesteps |
/// | `β_t` | [`beta`](Self::beta) | variance added by step `t` |
/// | `α_t` | `1 − β_t` | |
/// | `ᾱ_t` | [`alpha_cumprod`](Self::alpha_cumprod) | `∏_{s ≤ t} α_s`, the fraction of signal in the variance |
///
/// Immutable and shared freely between threads; it holds no tensor and reads no device.
///
/// ```
/// # mod pyrograph { pub use pyrograph_diffusion as diffusion; }
/// use pyrograph::diffusion::{NoiseSchedule, NoiseScheduleConfig};
///
/// let schedule = NoiseSchedule::new(&NoiseScheduleConfig::course())?;
/// assert!((schedule.alpha_cumprod(250)? - 0.27855975689).abs() < 1e-10);
/// # Ok::<(), pyrograph::diffusion::DiffusionError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseSchedule {
    config: NoiseScheduleConfig,
    betas: Vec<f64>,
    alphas_cumprod: Vec<f64>,
}

impl NoiseSchedule {
    /// Computes the tables.
    ///
    /// # Errors
    /// [`DiffusionError::Timesteps`] for a `T` of 0 or above 1 000 000,
    /// [`DiffusionError::BetaRange`] for end points that are not variances,
    /// [`DiffusionError::DegenerateSchedule`] if the product over all steps leaves no signal, or a
    /// variance is too small to leave noise.
    pub fn new(config: &NoiseScheduleConfig) -> Result<Self, DiffusionError> {
        if !(1..=MAX_TIMESTEPS).contains(&config.timesteps) {
            return Err(DiffusionError::Timesteps {
                seen: config.timesteps,
                max: MAX_TIMESTEPS,
            });
        }
        let mut betas = config.kind.betas(config.timesteps)?;
        let mut alphas_cumprod: Vec<f64> = betas
            .iter()
            .scan(1.0, |product, beta| {
                *product *= 1.0 - beta;
                Some(*product)
            })
            .collect();

        let first = config.kind.first_timestep();
        if config.zero_terminal_snr {
            rescale(&mut betas[first..], &mut alphas_cumprod[first..]);
        }
        let last = alphas_cumprod.len() - 1;
        for (timestep, &alpha_cumprod) in alphas_cumprod.iter().enumerate().skip(first) {
            let is_terminal = config.zero_terminal_snr && timestep == last && last > first;
            if !is_terminal && !(MIN_ALPHA_CUMPROD..=1.0 - MIN_NOISE).contains(&alpha_cumprod) {
                let (min, margin) = (MIN_ALPHA_CUMPROD, MIN_NOISE);
                return Err(DiffusionError::DegenerateSchedule {
                    timestep,
                    alpha_cumprod,
                    min,
                    margin,
                });
            }
        }
        // The course defines index 0 as the clean image after taking the product over it.
        alphas_cumprod[..first].fill(1.0);
        Ok(Self {
            config: config.clone(),
            betas,
            alphas_cumprod,
        })
    }

    /// The configuration that this schedule was built from.
    pub fn config(&self) -> &NoiseScheduleConfig {
        &self.config
    }

    /// The number `T` of noisy timesteps.
    pub fn timesteps(&self) -> usize {
        self.config.timesteps
    }

    /// The least noisy timestep to train on: 1 for the course (0 is the clean image), else 0.
    pub fn first_timestep(&self) -> usize {
        self.config.kind.first_timestep()
    }

    /// The noisiest timestep: `T` for the course, else `T − 1`.
    pub fn last_timestep(&self) -> usize {
        self.betas.len() - 1
    }

    /// All `β_t`, index 0 first; the course has `T + 1` entries, every other schedule `T`.
    pub fn betas(&self) -> &[f64] {
        &self.betas
    }

    /// All `ᾱ_t`, index 0 first.
    pub fn alphas_cumprod(&self) -> &[f64] {
        &self.alphas_cumprod
    }

    /// The variance `β_t` that step `t` adds.
    ///
    /// # Errors
    /// [`DiffusionError::TimestepOutOfRange`] above [`last_timestep`](Self::last_timestep).
    pub fn beta(&self, t: usize) -> Result<f64, DiffusionError> {
        self.betas
            .get(t)
            .copied()
            .ok_or_else(|| self.out_of_range(t))
    }

    /// The fraction `ᾱ_t` of the signal in the variance of `x_t`; 1 at the course's `t = 0`.
    ///
    /// # Errors
    /// [`DiffusionError::TimestepOutOfRange`] above [`last_timestep`](Self::last_timestep).
    pub fn alpha_cumprod(&self, t: usize) -> Result<f64, DiffusionError> {
        self.alphas_cumprod
            .get(t)
            .copied()
            .ok_or_else(|| self.out_of_range(t))
    }

    /// The signal-to-noise ratio `ᾱ_t / (1 − ᾱ_t)`; infinite at the course's `t = 0`.
    ///
    /// # Errors
    /// [`DiffusionError::TimestepOutOfRange`] above [`last_timestep`](Self::last_timestep).
    pub fn snr(&self, t: usize) -> Result<f64, DiffusionError> {
        let alpha_cumprod = self.alpha_cumprod(t)?;
        Ok(alpha_cumprod / (1.0 - alpha_cumprod))
    }

    /// The time in (0, 1] for networks that take it in this range: `t/T` for the course,
    /// `(t + 1)/T` for the schedules whose first timestep is 0.
    pub fn time_fraction(&self, t: f64) -> f64 {
        (t + 1.0 - self.first_timestep() as f64) / self.timesteps() as f64
    }

    /// `ᾱ` of the least noisy timestep.
    pub(crate) fn first_alpha_cumprod(&self) -> f64 {
        self.alphas_cumprod[self.first_timestep()]
    }

    fn out_of_range(&self, seen: usize) -> DiffusionError {
        DiffusionError::TimestepOutOfRange {
            seen,
            first: 0,
            last: self.last_timestep(),
        }
    }
}

/// Moves and stretches `√ᾱ` so that it ends at 0 and starts where it did; the last `β` becomes 1.
fn rescale(betas: &mut [f64], alphas_cumprod: &mut [f64]) {
    let (Some(&first), Some(&last)) = (alphas_cumprod.first(), alphas_cumprod.last()) else {
        return;
    };
    let (first, last) = (first.sqrt(), last.sqrt());
    if first == last {
        return; // a single timestep
    }
    for level in alphas_cumprod.iter_mut() {
        *level = ((level.sqrt() - last) * (first / (first - last))).powi(2);
    }
    for t in 1..betas.len() {
        betas[t] = 1.0 - alphas_cumprod[t] / alphas_cumprod[t - 1];
    }
}

#[cfg(test)]
mod tests;
