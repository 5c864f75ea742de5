//! Configuration of a sampler.

use serde::{Deserialize, Serialize};

use super::{
    DdpmVariance, DpmAlgorithm, DpmSolverConfig, ExtraNoise, SamplerKind, SigmaSpacing,
    TimestepGrid, UniPcConfig,
};
use crate::{DiffusionError, NoiseSchedule, PredictionType};

/// The highest order of DPM-Solver and UniPC.
const MAX_ORDER: usize = 3;

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

/// Dynamic thresholding of the predicted `x_0` ([Saharia et al.](https://arxiv.org/abs/2205.11487), section
/// 2.3): with `s` the quantile of `|x_0|` in each item, at least 1, `x_0` is clamped to `±s` and divided
/// by `s`. For models of pixels, not of latents.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholding {
    /// The fraction of values below the quantile, 0 to 1.
    pub ratio: f64,
    /// The largest `s`; it takes precedence over the lower bound of 1.
    pub max: f64,
}

impl Thresholding {
    /// Imagen's thresholding: the quantile of 99.5 %, without an upper bound. (diffusers'
    /// `sample_max_value` is 1 by default, with which thresholding is clipping.)
    pub const IMAGEN: Self = Self {
        ratio: 0.995,
        max: f32::MAX as f64,
    };
}

/// Configuration of a [`SamplerPlan`](super::SamplerPlan), besides the noise schedule.
///
/// The presets suit the sprite course and a network that predicts noise.
/// [`from_diffusers`](Self::from_diffusers) reads the settings of a Stable Diffusion checkpoint.
///
/// ```
/// # mod pyrograph { pub use pyrograph_diffusion as diffusion; }
/// use pyrograph::diffusion::{FinalPoint, PredictionType, SamplerConfig, TimestepGrid};
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
    /// The quantity that the network predicts.
    #[serde(default)]
    pub prediction_type: PredictionType,
    /// The timesteps visited. `None` chooses [`TimestepGrid::default_for`].
    #[serde(default)]
    pub grid: Option<TimestepGrid>,
    /// Clamp every predicted `x_0` to `±clip_sample`.
    #[serde(default)]
    pub clip_sample: Option<f64>,
    /// Threshold every predicted `x_0`, instead of clamping it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thresholding: Option<Thresholding>,
    /// The noise level after the last step.
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
        let kind = SamplerKind::Ddim {
            eta,
            clipped_epsilon: false,
        };
        Self::of_kind(kind, steps)
    }

    /// DPM-Solver++(2M) on the grid's noise levels.
    pub fn dpm_solver_pp(steps: usize) -> Self {
        Self::of_kind(SamplerKind::DpmSolver(DpmSolverConfig::default()), steps)
    }

    /// Any sampler, for a network that predicts noise, without clipping and down to no noise.
    pub fn of_kind(kind: SamplerKind, steps: usize) -> Self {
        Self {
            kind,
            steps,
            prediction_type: PredictionType::default(),
            grid: None,
            clip_sample: None,
            thresholding: None,
            final_point: FinalPoint::default(),
        }
    }

    /// Sets the spacing of the noise levels.
    ///
    /// # Errors
    /// [`DiffusionError::Unsupported`] for samplers that always use the levels of the grid.
    pub fn with_sigmas(mut self, spacing: SigmaSpacing) -> Result<Self, DiffusionError> {
        match self.kind.sigmas_mut() {
            Some(sigmas) => *sigmas = spacing,
            None if spacing == SigmaSpacing::Grid => {}
            None => {
                return Err(DiffusionError::Unsupported {
                    name: "the spacing of sigmas of this scheduler",
                    seen: format!("{spacing:?}").to_lowercase(),
                    allowed: "other spacings with dpm++2m, dpm++3m, dpm++2m-sde, euler, heun, lms and unipc \
                              (--scheduler, --sampler)",
                });
            }
        }
        Ok(self)
    }

    /// Refuses every number that the schedule cannot serve.
    pub(super) fn check(&self, schedule: &NoiseSchedule) -> Result<(), DiffusionError> {
        if !(1..=schedule.timesteps()).contains(&self.steps) {
            return Err(DiffusionError::Steps {
                seen: self.steps,
                max: schedule.timesteps(),
            });
        }
        self.check_kind()?;
        if let Some(range) = self.clip_sample
            && !(range.is_finite() && range > 0.0)
        {
            return Err(DiffusionError::ClipSample { seen: range });
        }
        if let Some(Thresholding { ratio, max }) = self.thresholding {
            number(
                "the thresholding ratio",
                ratio,
                "0 to 1",
                (0.0..=1.0).contains(&ratio),
            )?;
            number(
                "the largest threshold",
                max,
                "finite numbers above 0",
                max > 0.0 && max.is_finite(),
            )?;
        }
        Ok(())
    }

    fn check_kind(&self) -> Result<(), DiffusionError> {
        let bounded = self.clip_sample.is_some() || self.thresholding.is_some();
        match self.kind {
            SamplerKind::Ddim { eta, .. } if !(0.0..=1.0).contains(&eta) => {
                Err(DiffusionError::Eta { seen: eta })
            }
            SamplerKind::DpmSolver(config) => self.check_solver(&config),
            SamplerKind::UniPc(UniPcConfig { order, .. }) => check_order(order, MAX_ORDER),
            SamplerKind::Pndm { .. } if bounded => Err(DiffusionError::Unsupported {
                name: "clip_sample or thresholding",
                seen: "pndm".into(),
                allowed: "samplers that compute a clean sample",
            }),
            SamplerKind::Lcm {
                timestep_scaling, ..
            } => number(
                "timestep_scaling",
                timestep_scaling,
                "finite numbers above 0",
                timestep_scaling.is_finite() && timestep_scaling > 0.0,
            ),
            _ => Ok(()),
        }
    }

    fn check_solver(&self, config: &DpmSolverConfig) -> Result<(), DiffusionError> {
        let predicts_noise = matches!(config.algorithm, DpmAlgorithm::Plain | DpmAlgorithm::Sde);
        if predicts_noise && self.final_point == FinalPoint::Clean {
            return Err(DiffusionError::Unsupported {
                name: "the final sigma",
                seen: "zero".into(),
                allowed: "sigma_min for the algorithms dpmsolver and sde-dpmsolver",
            });
        }
        let max = match config.algorithm {
            DpmAlgorithm::Sde => 2,
            _ => MAX_ORDER,
        };
        check_order(config.order, max)
    }
}

fn check_order(order: usize, max: usize) -> Result<(), DiffusionError> {
    let allowed = if max == MAX_ORDER {
        "1 to 3"
    } else {
        "1 and 2 for sde-dpmsolver"
    };
    number(
        "the solver's order",
        order as f64,
        allowed,
        (1..=max).contains(&order),
    )
}

fn number(
    name: &'static str,
    seen: f64,
    allowed: &'static str,
    is_allowed: bool,
) -> Result<(), DiffusionError> {
    if is_allowed {
        return Ok(());
    }
    Err(DiffusionError::Number {
        name,
        seen,
        allowed,
    })
}
