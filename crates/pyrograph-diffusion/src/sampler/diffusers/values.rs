//! Typed access to the values of a scheduler file.

use serde_json::{Map, Value};

use crate::DiffusionError;

/// The keys and values of a file. `null` counts as absent but where a default is not `null` in diffusers,
/// and there it is refused.
pub(super) struct Values<'a> {
    map: &'a Map<String, Value>,
}

impl<'a> Values<'a> {
    pub(super) fn new(map: &'a Map<String, Value>) -> Self {
        Self { map }
    }

    /// The refusal of the value of `key`.
    pub(super) fn refuse(&self, key: &str, allowed: &'static str) -> DiffusionError {
        DiffusionError::SchedulerValue {
            key: key.to_owned(),
            seen: self
                .map
                .get(key)
                .map_or_else(|| "null".into(), Value::to_string),
            allowed,
        }
    }

    pub(super) fn number(&self, key: &str, default: f64) -> Result<f64, DiffusionError> {
        match self.map.get(key) {
            None => Ok(default),
            Some(value) => value.as_f64().ok_or_else(|| self.refuse(key, "a number")),
        }
    }

    pub(super) fn count(&self, key: &str, default: usize) -> Result<usize, DiffusionError> {
        match self.map.get(key) {
            None => Ok(default),
            Some(value) => value
                .as_u64()
                .and_then(|value| usize::try_from(value).ok())
                .ok_or_else(|| self.refuse(key, "a whole number that is not negative")),
        }
    }

    /// `null` counts as false, as in Python.
    pub(super) fn switch(&self, key: &str, default: bool) -> Result<bool, DiffusionError> {
        match self.map.get(key) {
            None => Ok(default),
            Some(Value::Null) => Ok(false),
            Some(value) => value
                .as_bool()
                .ok_or_else(|| self.refuse(key, "true and false")),
        }
    }

    pub(super) fn word(&self, key: &str, default: &'static str) -> Result<&'a str, DiffusionError> {
        match self.map.get(key) {
            None => Ok(default),
            Some(value) => value.as_str().ok_or_else(|| self.refuse(key, "a string")),
        }
    }

    /// As [`word`](Self::word), where `null` counts as absent.
    pub(super) fn word_or_null(
        &self,
        key: &str,
        default: &'static str,
    ) -> Result<&'a str, DiffusionError> {
        match self.map.get(key) {
            Some(Value::Null) => Ok(default),
            _ => self.word(key, default),
        }
    }

    pub(super) fn numbers(&self, key: &str) -> Result<Option<Vec<f64>>, DiffusionError> {
        let refused = || self.refuse(key, "null or a list of numbers");
        match self.map.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(values)) => values
                .iter()
                .map(|value| value.as_f64().ok_or_else(refused))
                .collect::<Result<Vec<_>, _>>()
                .map(Some),
            Some(_) => Err(refused()),
        }
    }

    /// Refuses every value of `key` but the one that is supported.
    pub(super) fn only(&self, key: &str, only: &Only) -> Result<(), DiffusionError> {
        let Some(value) = self.map.get(key) else {
            return Ok(());
        };
        let (is_allowed, allowed) = match only {
            Only::Null => (value.is_null(), "null"),
            Only::False => (value.is_null() || value == false, "false"),
            Only::True => (value == true, "true"),
            Only::Empty => (
                value.is_null() || value.as_array().is_some_and(Vec::is_empty),
                "an empty list",
            ),
            Only::Word(word) => (value == word, *word),
            // JSON has no infinity; some writers put null for it.
            Only::MinusInfinity => (
                value.is_null() || value == "-inf" || value == "-Infinity",
                "minus infinity",
            ),
            Only::NotLearned => (
                value.is_null() || !value.as_str().is_some_and(|s| s.starts_with("learned")),
                "variances that are not learned",
            ),
        };
        if is_allowed {
            return Ok(());
        }
        Err(self.refuse(key, allowed))
    }
}

/// The one value that is supported.
pub(super) enum Only {
    Null,
    False,
    True,
    Empty,
    Word(&'static str),
    MinusInfinity,
    NotLearned,
}
