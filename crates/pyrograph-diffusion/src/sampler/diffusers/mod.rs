//! Reading `scheduler_config.json` as diffusers' `from_config` reads it.

mod class;
mod python_json;
mod settings;
mod values;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use self::class::Class;
use self::python_json::without_infinities;
use self::settings::{sampler, schedule};
use self::values::Values;
use super::{SamplerConfig, SamplerKind, SchedulerName};
use crate::{DiffusionError, NoiseSchedule, NoiseScheduleConfig};

/// The scheduler of a checkpoint: its `scheduler_config.json`, from which the settings of any sampler
/// follow.
///
/// As in diffusers, a key that the file lacks (or names under `_use_default_values`) takes the
/// default of the requested class, not of the class that wrote the file. For example the scheduler
/// file of Stable Diffusion 2.1 has no `timestep_spacing`; DPM-Solver then takes `linspace`, and
/// DDIM `leading`.
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
    /// # mod pyrograph { pub use pyrograph_diffusion as diffusion; }
    /// use pyrograph::diffusion::{NoiseSchedule, SamplerConfig, SamplerPlan, SchedulerName};
    ///
    /// let file = r#"{"_class_name": "DDIMScheduler", "beta_schedule": "scaled_linear", "beta_start": 0.00085,
    ///     "beta_end": 0.012, "steps_offset": 1, "prediction_type": "v_prediction", "clip_sample": false}"#;
    /// let read = SamplerConfig::from_diffusers(file, Some(SchedulerName::DpmPlusPlus2M), 25)?;
    /// assert_eq!(read.unknown, ["clip_sample"]);
    /// let plan = SamplerPlan::new(&NoiseSchedule::new(&read.schedule)?, &read.sampler)?;
    /// assert_eq!(plan.timestep(0), 999.0);
    /// # Ok::<(), pyrograph::diffusion::DiffusionError>(())
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
    /// [`DiffusionError::SchedulerFile`] for text that is not a JSON object with a `_class_name`.
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

    /// The file with the setting `key` replaced by a word, as `from_config(config, key=word)` of diffusers does.
    pub fn with_setting(mut self, key: &str, word: &str) -> Self {
        self.values.insert(key.to_owned(), word.into());
        self
    }

    /// The sampler of the file's own class, or the sampler `name` with the file's settings.
    ///
    /// # Errors
    /// [`DiffusionError::SchedulerClass`] for an unsupported class if no `name` is given,
    /// [`DiffusionError::SchedulerValue`] for an unsupported value.
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
