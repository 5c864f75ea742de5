//! The description of a detector in its model file.

use std::collections::HashMap;

use pyrograph_vision::ColourNormalisation;
use serde::{Deserialize, Serialize};

use super::SsdConfig;
use crate::{ModelError, weights::StateDict};

/// The key in a model file's header under which the card stands, as JSON.
const KEY: &str = "pyrograph.detector";

/// The class names and the normalisation of a detector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectorCard {
    /// The classes by name, without the background.
    pub classes: Vec<String>,
    /// The normalisation of pixels.
    pub normalisation: ColourNormalisation,
}

impl DetectorCard {
    /// The card as a note for [`save_model`](crate::weights::save_model).
    ///
    /// # Errors
    /// When a number of the normalisation cannot be written as JSON.
    pub fn to_note(&self) -> Result<HashMap<String, String>, ModelError> {
        let text = serde_json::to_string(self).map_err(|error| ModelError::Io {
            path: KEY.into(),
            source: error.into(),
        })?;
        Ok(HashMap::from([(KEY.to_owned(), text)]))
    }

    /// The card of a model file, if it has one.
    ///
    /// # Errors
    /// When the card cannot be parsed, or does not fit a detector of this configuration.
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

    /// Checks that the card fits a detector of this configuration.
    ///
    /// # Errors
    /// When the number of names differs from the number of classes, or the normalisation is not
    /// allowed.
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
