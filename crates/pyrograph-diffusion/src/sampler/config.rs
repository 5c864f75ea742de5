//! What a sampler is built from.

use serde::{Deserialize, Serialize};

use super::TimestepGrid;
use crate::{DiffusionError, NoiseSchedule, PredictionType};

/// The variance of the noise that an ancestral (DDPM) step adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DdpmVariance {
    /// `β_t`: what the sprite course uses; diffusers' `fixed_large`.
    #[default]
    Beta,
    /// `β̃_t = (1 − ᾱ')/(1 − ᾱ)·β_t`, at least 1e-20: diffusers' `fixed_small`, its default.
    BetaTilde,
}

/// Whether an ancestral step adds its noise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExtraNoise {
    /// As the derivation demands.
    #[default]
    On,
    /// The mean alone. Samples collapse towards the average image; that is the demonstration.
    Off,
}

/// The noise level at which the last step arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinalPoint {
    /// No noise, `ᾱ' = 1`, `σ = 0`: diffusers' `set_alpha_to_one = true`, `final_sigmas_type = "zero"`.
    #[default]
    Clean,
    /// The least noisy entry of the table: `set_alpha_to_one = false`, `final_sigmas_type = "sigma_min"`.
    TableStart,
}

/// How DPM-Solver spaces its noise levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SigmaSpacing {
    /// The table's levels at the timesteps of the grid.
    #[default]
    Grid,
    /// `ρ = 7` over the schedule's whole range of `σ`
    /// ([Karras et al.](https://arxiv.org/abs/2206.00364), equation 5); the grid is then unused.
    Karras,
}

/// Which rule takes `x_t` to `x_t'`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SamplerKind {
    /// Ancestral sampling, [Ho et al.](https://arxiv.org/abs/2006.11239), algorithm 2.
    Ddpm {
        /// The variance of the noise added.
        #[serde(default)]
        variance: DdpmVariance,
        /// Whether it is added at all.
        #[serde(default)]
        extra_noise: ExtraNoise,
    },
    /// [Song et al.](https://arxiv.org/abs/2010.02502), equation 12.
    Ddim {
        /// Share of DDPM's noise that a step adds: 0 (deterministic) to 1.
        #[serde(default)]
        eta: f64,
    },
    /// [DPM-Solver++(2M)](https://arxiv.org/abs/2211.01095), algorithm 2: deterministic, second
    /// order through the history of predictions.
    #[serde(rename = "dpm_solver_pp_2m")]
    DpmSolverPlusPlus2M {
        /// Take the last step at first order where there are fewer than 15, for stability. A last
        /// step that arrives at no noise is of first order in any case.
        #[serde(default = "enabled")]
        lower_order_final: bool,
        /// How the noise levels are spaced.
        #[serde(default)]
        sigmas: SigmaSpacing,
    },
}

fn enabled() -> bool {
    true
}

/// What a [`SamplerPlan`](super::SamplerPlan) is built from, besides the noise schedule.
///
/// The presets suit the sprite course and a network that predicts noise. Stable Diffusion 2.1 sets,
/// from the checkpoint's scheduler file:
///
/// | field | DDIM | DPM-Solver++ |
/// | --- | --- | --- |
/// | `prediction_type` | as in the file | as in the file |
/// | `grid` | `Leading { steps_offset: 1 }` | `Linspace`, or `Leading` if the file has `timestep_spacing` |
/// | `final_point` | `TableStart` | `Clean` |
/// | `clip_sample` | `None` | `None` |
///
/// ```
/// use pyrograph_diffusion::{FinalPoint, PredictionType, SamplerConfig, TimestepGrid};
///
/// let ddim = SamplerConfig {
///     prediction_type: PredictionType::VPrediction,
///     grid: Some(TimestepGrid::Leading { steps_offset: 1 }),
///     final_point: FinalPoint::TableStart,
///     ..SamplerConfig::ddim(50, 0.0)
/// };
/// # let _ = ddim;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplerConfig {
    /// The rule of a step.
    pub kind: SamplerKind,
    /// The number `n` of steps, 1 to `T`. (The course's grid may take a few more: see
    /// [`TimestepGrid::Course`].)
    pub steps: usize,
    /// What the network's output stands for.
    #[serde(default)]
    pub prediction_type: PredictionType,
    /// The timesteps visited. `None` chooses [`TimestepGrid::default_for`].
    #[serde(default)]
    pub grid: Option<TimestepGrid>,
    /// Clamp every predicted `x_0` to `±clip_sample`.
    #[serde(default)]
    pub clip_sample: Option<f64>,
    /// Where the last step arrives.
    #[serde(default)]
    pub final_point: FinalPoint,
}

impl SamplerConfig {
    /// Ancestral sampling with variance `β_t`, as in the sprite course.
    pub fn ddpm(steps: usize) -> Self {
        let (variance, extra_noise) = (DdpmVariance::default(), ExtraNoise::default());
        Self::of_kind(
            SamplerKind::Ddpm {
                variance,
                extra_noise,
            },
            steps,
        )
    }

    /// DDIM; `eta` 0 is the course's fast sampler.
    pub fn ddim(steps: usize, eta: f64) -> Self {
        Self::of_kind(SamplerKind::Ddim { eta }, steps)
    }

    /// DPM-Solver++(2M) on the grid's noise levels.
    pub fn dpm_solver_pp(steps: usize) -> Self {
        let kind = SamplerKind::DpmSolverPlusPlus2M {
            lower_order_final: true,
            sigmas: SigmaSpacing::Grid,
        };
        Self::of_kind(kind, steps)
    }

    fn of_kind(kind: SamplerKind, steps: usize) -> Self {
        Self {
            kind,
            steps,
            prediction_type: PredictionType::default(),
            grid: None,
            clip_sample: None,
            final_point: FinalPoint::default(),
        }
    }

    /// Refuses every number that the schedule cannot serve.
    pub(super) fn check(&self, schedule: &NoiseSchedule) -> Result<(), DiffusionError> {
        if !(1..=schedule.timesteps()).contains(&self.steps) {
            return Err(DiffusionError::Steps {
                seen: self.steps,
                max: schedule.timesteps(),
            });
        }
        if let SamplerKind::Ddim { eta } = self.kind
            && !(0.0..=1.0).contains(&eta)
        {
            return Err(DiffusionError::Eta { seen: eta });
        }
        match self.clip_sample {
            Some(range) if !(range.is_finite() && range > 0.0) => {
                Err(DiffusionError::ClipSample { seen: range })
            }
            _ => Ok(()),
        }
    }
}
