//! What a detector's file says besides its weights.

use std::collections::HashMap;

use pyrograph_vision::ColourNormalisation;
use serde::{Deserialize, Serialize};

use super::SsdConfig;
use crate::{ModelError, weights::StateDict};

/// The key in a model file's header under which the card stands, as JSON.
const KEY: &str = "pyrograph.detector";

/// What one needs to know to use a detector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectorCard {
    /// The classes by name, without the background.
    pub classes: Vec<String>,
    /// How pixels become values.
    pub normalisation: ColourNormalisation,
}

impl DetectorCard {
    /// The card as a note for [`save_model`](crate::weights::save_model).
    ///
    /// # Errors
    /// When a number of the normalisation is none that JSON has.
    pub fn to_note(&self) -> Result<HashMap<String, String>, ModelError> {
        let text = serde_json::to_string(self).map_err(|error| ModelError::Io {
            path: KEY.into(),
            source: error.into(),
        })?;
        Ok(HashMap::from([(KEY.to_owned(), text)]))
    }

    /// The card that a model file carries, if it has one.
    ///
    /// # Errors
    /// When it does not read, or is not of a detector with these numbers.
    pub fn of(dict: &StateDict, config: &SsdConfig) -> Result<Option<Self>, ModelError> {
        let Some(text) = dict.metadata().get(KEY) else {
            return Ok(None);
        };
        let card: Self = serde_json::from_str(text).map_err(|error| ModelError::NoConfig {
            path: dict.path().into(),
            reason: format!("its card does not read: {error}"),
        })?;
        card.check(config)?;
        Ok(Some(card))
    }

    /// Whether it is of a detector with these numbers.
    ///
    /// # Errors
    /// When the names are not as many as the classes, or the normalisation is not allowed.
    pub fn check(&self, config: &SsdConfig) -> Result<(), ModelError> {
        let classes = config.num_classes.saturating_sub(1);
        if self.classes.len() != classes {
            return Err(ModelError::Config {
                model: super::NAME,
                field: "classes",
                seen: format!("{} names", self.classes.len()),
                allowed: format!("{classes}: one for each class but the background"),
            });
        }
        self.normalisation
            .check()
            .map_err(|error| ModelError::Config {
                model: super::NAME,
                field: "normalisation",
                seen: error.to_string(),
                allowed: "finite means and deviations above 0".into(),
            })
    }
}
