//! Reading `scheduler_config.json` as diffusers' `from_config` reads it.

mod class;
mod python_json;
mod values;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use self::class::Class;
use self::python_json::without_infinities;
use self::values::Values;
use super::{
    DdpmVariance, DpmAlgorithm, DpmSolverConfig, DpmSolverType, ExtraNoise, FinalPoint,
    SamplerConfig, SamplerKind, SchedulerName, SigmaSpacing, Thresholding, TimestepGrid,
    UniPcConfig, UniPcVariant,
};
use crate::{BetaSchedule, DiffusionError, NoiseSchedule, NoiseScheduleConfig, PredictionType};

/// The scheduler of a checkpoint: its `scheduler_config.json`, from which the settings of any sampler
/// follow.
///
/// As in diffusers, a key that the file lacks (or names under `_use_default_values`) takes the default of
/// the class that is asked for, not of the class that wrote the file. The scheduler file of Stable
/// Diffusion 2.1, for one, has no `timestep_spacing`; DPM-Solver then takes `linspace`, and DDIM `leading`.
#[derive(Clone, Debug, PartialEq)]
pub struct DiffusersScheduler {
    values: Map<String, Value>,
    class: String,
}

/// A sampler as a checkpoint's scheduler file configures it.
#[derive(Clone, Debug, PartialEq)]
pub struct DiffusersSampler {
    /// The noise schedule.
    pub schedule: NoiseScheduleConfig,
    /// The sampler.
    pub sampler: SamplerConfig,
    /// Keys of the file that the sampler's class does not know, in alphabetical order. They have no
    /// effect.
    pub unknown: Vec<String>,
}

impl SamplerConfig {
    /// The sampler of a `scheduler_config.json`, or the sampler `name` with the file's settings, in
    /// `steps` steps.
    ///
    /// ```
    /// use pyrograph_diffusion::{NoiseSchedule, SamplerConfig, SamplerPlan, SchedulerName};
    ///
    /// let file = r#"{"_class_name": "DDIMScheduler", "beta_schedule": "scaled_linear", "beta_start": 0.00085,
    ///     "beta_end": 0.012, "steps_offset": 1, "prediction_type": "v_prediction", "clip_sample": false}"#;
    /// let read = SamplerConfig::from_diffusers(file, Some(SchedulerName::DpmPlusPlus2M), 25)?;
    /// assert_eq!(read.unknown, ["clip_sample"]);
    /// let plan = SamplerPlan::new(&NoiseSchedule::new(&read.schedule)?, &read.sampler)?;
    /// assert_eq!(plan.timestep(0), 999.0);
    /// # Ok::<(), pyrograph_diffusion::DiffusionError>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`DiffusersScheduler::read`] and [`DiffusersScheduler::sampler`].
    pub fn from_diffusers(
        json: &str,
        name: Option<SchedulerName>,
        steps: usize,
    ) -> Result<DiffusersSampler, DiffusionError> {
        DiffusersScheduler::read(json)?.sampler(name, steps)
    }
}

impl DiffusersScheduler {
    /// Reads the text of a `scheduler_config.json`.
    ///
    /// # Errors
    /// [`DiffusionError::SchedulerFile`] for text that is no JSON object with a `_class_name`.
    pub fn read(json: &str) -> Result<Self, DiffusionError> {
        let refused = |reason: String| DiffusionError::SchedulerFile { reason };
        let mut values: Map<String, Value> = serde_json::from_str(&without_infinities(json))
            .map_err(|error| refused(error.to_string()))?;
        let class = match values.get("_class_name") {
            Some(Value::String(class)) => class.clone(),
            _ => return Err(refused("it has no _class_name".into())),
        };
        if let Some(Value::Array(defaults)) = values.remove("_use_default_values") {
            for key in defaults.iter().filter_map(Value::as_str) {
                values.remove(key);
            }
        }
        Ok(Self { values, class })
    }

    /// The class that wrote the file.
    pub fn class_name(&self) -> &str {
        &self.class
    }

    /// The sampler of the file's own class, or the sampler `name` with the file's settings.
    ///
    /// # Errors
    /// [`DiffusionError::SchedulerClass`] for a class that is not supported where no `name` is given,
    /// [`DiffusionError::SchedulerValue`] for a value that is not.
    pub fn sampler(
        &self,
        name: Option<SchedulerName>,
        steps: usize,
    ) -> Result<DiffusersSampler, DiffusionError> {
        let class = match name {
            Some(name) => Class::of(name),
            None => Class::named(&self.class)?,
        };
        let values = Values::new(&self.values);
        let schedule = schedule(class, &values)?;
        let mut sampler = sampler(class, &values, steps)?;
        if let Some(name) = name {
            take_name(&mut sampler.kind, name);
        }
        let known: BTreeSet<&str> = class.keys().iter().copied().collect();
        let unknown = self
            .values
            .keys()
            .filter(|key| !key.starts_with('_') && !known.contains(key.as_str()))
            .cloned()
            .collect();
        Ok(DiffusersSampler {
            schedule,
            sampler,
            unknown,
        })
    }

    /// The noise schedule and the plan of [`sampler`](Self::sampler).
    ///
    /// # Errors
    /// Those of [`sampler`](Self::sampler), [`NoiseSchedule::new`] and [`SamplerPlan::new`].
    ///
    /// [`SamplerPlan::new`]: super::SamplerPlan::new
    pub fn plan(
        &self,
        name: Option<SchedulerName>,
        steps: usize,
    ) -> Result<super::SamplerPlan, DiffusionError> {
        let DiffusersSampler {
            schedule, sampler, ..
        } = self.sampler(name, steps)?;
        super::SamplerPlan::new(&NoiseSchedule::new(&schedule)?, &sampler)
    }
}

/// Settings that the name says, and the file does not.
fn take_name(kind: &mut SamplerKind, name: SchedulerName) {
    let named = name.config(1).kind;
    match (kind, named) {
        (SamplerKind::DpmSolver(solver), SamplerKind::DpmSolver(named)) => {
            solver.order = named.order;
            solver.algorithm = named.algorithm;
        }
        (
            SamplerKind::Ddpm { extra_noise, .. },
            SamplerKind::Ddpm {
                extra_noise: named, ..
            },
        ) => *extra_noise = named,
        // Runge–Kutta steps stay as the file has them.
        _ => {}
    }
}

fn schedule(class: Class, values: &Values<'_>) -> Result<NoiseScheduleConfig, DiffusionError> {
    let (beta_start, beta_end, beta_schedule) = class.betas();
    let timesteps = values.count("num_train_timesteps", 1000)?;
    let zero_terminal_snr =
        class.knows("rescale_betas_zero_snr") && values.switch("rescale_betas_zero_snr", false)?;
    let trained = values.numbers("trained_betas")?;
    let (beta_start, beta_end) = (
        values.number("beta_start", beta_start)?,
        values.number("beta_end", beta_end)?,
    );
    let kind = match (trained, values.word("beta_schedule", beta_schedule)?) {
        (Some(betas), _) => BetaSchedule::Trained { betas },
        (None, "linear") => BetaSchedule::LinearBetween {
            beta_start,
            beta_end,
        },
        (None, "scaled_linear") => BetaSchedule::ScaledLinear {
            beta_start,
            beta_end,
        },
        (None, "squaredcos_cap_v2") => BetaSchedule::Cosine,
        (None, _) => {
            let allowed = "linear, scaled_linear and squaredcos_cap_v2";
            return Err(values.refuse("beta_schedule", allowed));
        }
    };
    Ok(NoiseScheduleConfig {
        timesteps: match &kind {
            BetaSchedule::Trained { betas } => betas.len(),
            _ => timesteps,
        },
        kind,
        zero_terminal_snr,
    })
}

fn sampler(
    class: Class,
    values: &Values<'_>,
    steps: usize,
) -> Result<SamplerConfig, DiffusionError> {
    for (key, only) in class.fixed() {
        values.only(key, only)?;
    }
    let kind = kind(class, values)?;
    let prediction_type = match values.word("prediction_type", "epsilon")? {
        "epsilon" => PredictionType::Epsilon,
        "sample" => PredictionType::Sample,
        "v_prediction" => PredictionType::VPrediction,
        _ => {
            let allowed = "epsilon, sample and v_prediction";
            return Err(values.refuse("prediction_type", allowed));
        }
    };
    let grid = match values.word("timestep_spacing", class.spacing())? {
        "linspace" => TimestepGrid::Linspace,
        "trailing" => TimestepGrid::Trailing,
        "leading" => TimestepGrid::Leading {
            steps_offset: values.count("steps_offset", 0)?,
        },
        _ => return Err(values.refuse("timestep_spacing", "linspace, leading and trailing")),
    };
    let thresholds = class.knows("thresholding") && values.switch("thresholding", false)?;
    let thresholding = if thresholds {
        Some(Thresholding {
            ratio: values.number("dynamic_thresholding_ratio", 0.995)?,
            max: values.number("sample_max_value", 1.0)?,
        })
    } else {
        None
    };
    let clips = class.knows("clip_sample") && values.switch("clip_sample", class.clips_sample())?;
    let clip_sample = if clips && thresholding.is_none() {
        Some(values.number("clip_sample_range", 1.0)?)
    } else {
        None
    };
    Ok(SamplerConfig {
        prediction_type,
        grid: Some(grid),
        clip_sample,
        thresholding,
        final_point: final_point(class, values)?,
        ..SamplerConfig::of_kind(kind, steps)
    })
}

fn final_point(class: Class, values: &Values<'_>) -> Result<FinalPoint, DiffusionError> {
    if class.knows("final_sigmas_type") {
        return match values.word("final_sigmas_type", "zero")? {
            "zero" => Ok(FinalPoint::Clean),
            "sigma_min" => Ok(FinalPoint::TableStart),
            _ => Err(values.refuse("final_sigmas_type", "zero and sigma_min")),
        };
    }
    // LCM's last step yields its prediction in any case.
    let to_one = match class {
        Class::Ddim => values.switch("set_alpha_to_one", true)?,
        Class::Pndm => values.switch("set_alpha_to_one", false)?,
        _ => true,
    };
    Ok(if to_one {
        FinalPoint::Clean
    } else {
        FinalPoint::TableStart
    })
}

fn kind(class: Class, values: &Values<'_>) -> Result<SamplerKind, DiffusionError> {
    let sigmas = || sigmas(class, values);
    Ok(match class {
        Class::Dpm => SamplerKind::DpmSolver(DpmSolverConfig {
            order: values.count("solver_order", 2)?,
            algorithm: match values.word("algorithm_type", "dpmsolver++")? {
                "dpmsolver++" | "deis" => DpmAlgorithm::PlusPlus,
                "sde-dpmsolver++" => DpmAlgorithm::SdePlusPlus,
                "dpmsolver" => DpmAlgorithm::Plain,
                "sde-dpmsolver" => DpmAlgorithm::Sde,
                _ => {
                    let allowed = "dpmsolver++, sde-dpmsolver++, dpmsolver and sde-dpmsolver";
                    return Err(values.refuse("algorithm_type", allowed));
                }
            },
            solver: match values.word("solver_type", "midpoint")? {
                "midpoint" | "logrho" | "bh1" | "bh2" => DpmSolverType::Midpoint,
                "heun" => DpmSolverType::Heun,
                _ => return Err(values.refuse("solver_type", "midpoint and heun")),
            },
            lower_order_final: values.switch("lower_order_final", true)?,
            euler_at_final: values.switch("euler_at_final", false)?,
            sigmas: sigmas()?,
        }),
        Class::UniPc => SamplerKind::UniPc(UniPcConfig {
            order: values.count("solver_order", 2)?,
            variant: match values.word("solver_type", "bh2")? {
                "bh1" => UniPcVariant::Bh1,
                "bh2" | "midpoint" | "heun" | "logrho" => UniPcVariant::Bh2,
                _ => return Err(values.refuse("solver_type", "bh1 and bh2")),
            },
            lower_order_final: values.switch("lower_order_final", true)?,
            sigmas: sigmas()?,
        }),
        Class::Ddim => SamplerKind::Ddim {
            eta: 0.0,
            clipped_epsilon: false,
        },
        Class::Ddpm => SamplerKind::Ddpm {
            variance: match values.word_or_null("variance_type", "fixed_small")? {
                // The logarithmic form is the same variance.
                "fixed_small" | "fixed_small_log" => DdpmVariance::BetaTilde,
                "fixed_large" => DdpmVariance::Beta,
                _ => {
                    let allowed = "fixed_small, fixed_small_log and fixed_large";
                    return Err(values.refuse("variance_type", allowed));
                }
            },
            extra_noise: ExtraNoise::On,
        },
        Class::Pndm => SamplerKind::Pndm {
            runge_kutta: !values.switch("skip_prk_steps", false)?,
        },
        Class::Euler => SamplerKind::Euler { sigmas: sigmas()? },
        Class::EulerAncestral => SamplerKind::EulerAncestral {},
        Class::Heun => SamplerKind::Heun { sigmas: sigmas()? },
        Class::Lms => SamplerKind::Lms { sigmas: sigmas()? },
        Class::Lcm => SamplerKind::Lcm {
            original_steps: values.count("original_inference_steps", 50)?,
            timestep_scaling: values.number("timestep_scaling", 10.0)?,
        },
    })
}

/// At most one rule; DPM-Solver prefers Karras' to Lu's.
fn sigmas(class: Class, values: &Values<'_>) -> Result<SigmaSpacing, DiffusionError> {
    let rules = [
        ("use_karras_sigmas", SigmaSpacing::Karras),
        ("use_exponential_sigmas", SigmaSpacing::Exponential),
        ("use_beta_sigmas", SigmaSpacing::Beta),
    ];
    let mut chosen = None;
    for (key, spacing) in rules {
        if values.switch(key, false)? {
            if chosen.is_some() {
                return Err(values.refuse(key, "one rule of sigmas at a time"));
            }
            chosen = Some(spacing);
        }
    }
    let lu = class.knows("use_lu_lambdas") && values.switch("use_lu_lambdas", false)?;
    Ok(match chosen {
        Some(SigmaSpacing::Karras) => SigmaSpacing::Karras,
        _ if lu => SigmaSpacing::LuLambdas,
        Some(spacing) => spacing,
        None => SigmaSpacing::Grid,
    })
}
