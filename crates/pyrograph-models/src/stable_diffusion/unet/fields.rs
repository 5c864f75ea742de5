//! Reader of a `config.json`: every field is taken by its name, and a field that nothing takes is refused.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::MODEL;
use crate::ModelError;

/// Fields without an effect on inference: of the file itself, of its float type, of training.
const IGNORED: [&str; 5] = [
    "dropout",
    "dtype",
    "torch_dtype",
    "transformers_version",
    "diffusers_version",
];

/// The fields of a config file that nothing has taken yet.
pub(super) struct Fields {
    left: Map<String, Value>,
}

impl Fields {
    /// The fields of a JSON object, without those that have no effect; names with a leading `_` are comments.
    pub(super) fn new(value: Value) -> Result<Self, ModelError> {
        let Value::Object(mut left) = value else {
            return Err(refusal("config.json", &value, "a JSON object"));
        };
        left.retain(|name, _| !name.starts_with('_') && !IGNORED.contains(&name.as_str()));
        Ok(Self { left })
    }

    /// The value of `name`, or `absent` where the file lacks the field.
    pub(super) fn take<T: DeserializeOwned>(
        &mut self,
        name: &'static str,
        absent: T,
        allowed: &str,
    ) -> Result<T, ModelError> {
        match self.left.remove(name) {
            None => Ok(absent),
            Some(value) => {
                serde_json::from_value(value.clone()).map_err(|_| refusal(name, &value, allowed))
            }
        }
    }

    /// The values of `name` for each of `blocks` blocks, which the file gives as one value or as a list.
    pub(super) fn take_per_block<T: DeserializeOwned + Clone>(
        &mut self,
        name: &'static str,
        blocks: usize,
        absent: T,
        allowed: &str,
    ) -> Result<Vec<T>, ModelError> {
        let allowed =
            || format!("{allowed}, or a list with one such value for each of the {blocks} blocks");
        let Some(value) = self.left.remove(name) else {
            return Ok(vec![absent; blocks]);
        };
        let values: Option<Vec<T>> = match &value {
            Value::Array(_) => serde_json::from_value(value.clone()).ok(),
            one => serde_json::from_value(one.clone())
                .ok()
                .map(|one: T| vec![one; blocks]),
        };
        match values {
            Some(values) if values.len() == blocks => Ok(values),
            _ => Err(refusal(name, &value, &allowed())),
        }
    }

    /// Refuses `name` unless it has one of the `neutral` values, or is absent.
    pub(super) fn expect(
        &mut self,
        name: &'static str,
        neutral: &[Value],
    ) -> Result<(), ModelError> {
        match self.left.remove(name) {
            Some(value) if !neutral.iter().any(|one| same(one, &value)) => {
                let names: Vec<_> = neutral.iter().map(Value::to_string).collect();
                Err(refusal(name, &value, &names.join(" or ")))
            }
            _ => Ok(()),
        }
    }

    /// Refuses a field that nothing has taken.
    pub(super) fn finish(self) -> Result<(), ModelError> {
        match self.left.into_iter().next() {
            None => Ok(()),
            Some((field, value)) => Err(ModelError::UnknownField {
                model: MODEL,
                field,
                seen: value.to_string(),
            }),
        }
    }
}

/// Equal values; 1 and 1.0 are the same number.
fn same(a: &Value, b: &Value) -> bool {
    a == b || matches!((a.as_f64(), b.as_f64()), (Some(a), Some(b)) if a == b)
}

/// A field with a value that is not allowed.
pub(super) fn refusal(
    field: &'static str,
    seen: impl std::fmt::Display,
    allowed: impl Into<String>,
) -> ModelError {
    ModelError::Config {
        model: MODEL,
        field,
        seen: seen.to_string(),
        allowed: allowed.into(),
    }
}
