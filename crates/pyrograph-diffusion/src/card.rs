//! What a sampler must know of a trained model besides its weights.

use serde::{Deserialize, Serialize};

use crate::{NoiseScheduleConfig, PredictionType};

/// How a model was trained; a model file carries it, so that sampling needs one path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiffusionCard {
    /// The noise schedule.
    pub schedule: NoiseScheduleConfig,
    /// What the network predicts.
    #[serde(default)]
    pub prediction_type: PredictionType,
    /// Names of the context's entries, in order; empty where unknown.
    #[serde(default)]
    pub context_names: Vec<String>,
}

impl DiffusionCard {
    /// The key under which a model file keeps it.
    pub const KEY: &'static str = "diffusion";

    /// A model of the sprite course: its schedule, predicting noise, with the course's five classes.
    pub fn course() -> Self {
        let names = ["hero", "non-hero", "food", "spell", "side-facing"];
        Self {
            schedule: NoiseScheduleConfig::course(),
            prediction_type: PredictionType::Epsilon,
            context_names: names.map(str::to_owned).to_vec(),
        }
    }
}
