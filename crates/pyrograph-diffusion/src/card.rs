//! The information on a trained model that a sampler needs besides its weights.

use serde::{Deserialize, Serialize};

use crate::{NoiseScheduleConfig, PredictionType};

/// The settings that a model was trained with. A model file contains them, so that sampling needs
/// only that file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiffusionCard {
    /// The noise schedule.
    pub schedule: NoiseScheduleConfig,
    /// The quantity that the network predicts.
    #[serde(default)]
    pub prediction_type: PredictionType,
    /// Names of the context's entries, in order; empty if unknown.
    #[serde(default)]
    pub context_names: Vec<String>,
}

impl DiffusionCard {
    /// The key of the card in a model file.
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
