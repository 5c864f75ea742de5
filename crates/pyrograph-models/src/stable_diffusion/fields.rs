//! Reading a `config.json` field by field, so that no field is passed over in silence.

use std::fmt::Display;

use pyrograph_backend::vision::Activation;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::ModelError;

/// Fields that every model's file may hold and that change no number of a forward pass: versions, types of storage, and
/// settings of training. Names that start with `_` are of this kind too.
const NEUTRAL: [&str; 11] = [
    "transformers_version",
    "torch_dtype",
    "dtype",
    "dropout",
    "attention_dropout",
    "initializer_factor",
    "initializer_range",
    "architectures",
    "model_type",
    "name_or_path",
    "gradient_checkpointing",
];

/// The fields of a `config.json` that were not taken yet.
#[derive(Debug)]
pub(crate) struct ConfigFields {
    model: &'static str,
    fields: Map<String, Value>,
}

impl ConfigFields {
    /// The fields of the object `json`.
    pub(crate) fn parse(model: &'static str, json: &str) -> Result<Self, ModelError> {
        match serde_json::from_str(json) {
            Ok(Value::Object(fields)) => Ok(Self { model, fields }),
            Ok(other) => Err(ModelError::ConfigFile {
                model,
                reason: format!("it is {}, but must be an object", shown(&other)),
            }),
            Err(error) => Err(ModelError::ConfigFile {
                model,
                reason: format!("it is not JSON: {error}"),
            }),
        }
    }

    /// The fields of the object `name` where there is one, else these.
    pub(crate) fn nested(mut self, name: &str) -> Result<Self, ModelError> {
        match self.fields.remove(name) {
            None => Ok(self),
            Some(Value::Object(fields)) => Ok(Self {
                model: self.model,
                fields,
            }),
            Some(other) => Err(self.refusal(name, &shown(&other), "an object")),
        }
    }

    /// Takes `field`; without the field, its `default` in the class that reads the file.
    pub(crate) fn take<T: DeserializeOwned>(
        &mut self,
        field: &str,
        default: T,
    ) -> Result<T, ModelError> {
        let Some(value) = self.fields.remove(field) else {
            return Ok(default);
        };
        let seen = shown(&value);
        serde_json::from_value(value).map_err(|error| {
            self.refusal(
                field,
                &seen,
                format!("a value of the field's type ({error})"),
            )
        })
    }

    /// Takes the name of an activation as diffusers and transformers write it; only those of `allowed` pass.
    pub(crate) fn take_activation(
        &mut self,
        field: &str,
        allowed: &[(&str, Activation)],
        default: Activation,
    ) -> Result<Activation, ModelError> {
        let Some(value) = self.fields.remove(field) else {
            return Ok(default);
        };
        let name = value.as_str().map(str::to_lowercase);
        let found = allowed
            .iter()
            .find(|(known, _)| name.as_deref() == Some(known));
        let names: Vec<_> = allowed.iter().map(|(name, _)| *name).collect();
        found.map(|(_, act)| *act).ok_or_else(|| {
            self.refusal(
                field,
                &shown(&value),
                format!("one of {}", names.join(", ")),
            )
        })
    }

    /// Refuses any value of `field` but those of `allowed`; a missing field passes.
    pub(crate) fn expect(&mut self, field: &str, allowed: &[Value]) -> Result<(), ModelError> {
        match self.fields.remove(field) {
            Some(value) if !allowed.iter().any(|allowed| is_same(allowed, &value)) => {
                let names: Vec<_> = allowed.iter().map(ToString::to_string).collect();
                Err(self.refusal(field, &shown(&value), names.join(" or ")))
            }
            _ => Ok(()),
        }
    }

    /// Refuses any list of `field` whose `count` entries are not all `kind`; `default` entries
    /// stand for a missing field.
    pub(crate) fn expect_blocks(
        &mut self,
        field: &str,
        kind: &str,
        count: usize,
        default: usize,
    ) -> Result<(), ModelError> {
        let kinds = self.take(field, vec![kind.to_owned(); default])?;
        if kinds.len() == count && kinds.iter().all(|other| other == kind) {
            return Ok(());
        }
        let allowed = format!("{count} times {kind}, once for each of block_out_channels");
        Err(self.refusal(field, &format!("{kinds:?}"), allowed))
    }

    /// Drops fields that change no number of a forward pass.
    pub(crate) fn ignore(&mut self, fields: &[&str]) {
        for field in fields {
            self.fields.remove(*field);
        }
    }

    /// Refuses the first field that was not taken.
    pub(crate) fn finish(mut self) -> Result<(), ModelError> {
        self.ignore(&NEUTRAL);
        let left = self.fields.iter().find(|(name, _)| !name.starts_with('_'));
        match left {
            None => Ok(()),
            Some((name, value)) => Err(ModelError::ConfigFile {
                model: self.model,
                reason: format!(
                    "the field {name} with the value {} is not known to this model; remove it if it changes nothing",
                    shown(value)
                ),
            }),
        }
    }

    /// The error that `field` is `seen`, but must be `allowed`.
    pub(crate) fn refusal(&self, field: &str, seen: &str, allowed: impl Display) -> ModelError {
        ModelError::ConfigFile {
            model: self.model,
            reason: format!("{field} is {seen}, but must be {allowed}"),
        }
    }
}

/// Whether two values are the same, where 0 and 0.0 are.
fn is_same(a: &Value, b: &Value) -> bool {
    a == b || (a.as_f64().is_some() && a.as_f64() == b.as_f64())
}

/// Characters of a value that a message shows.
const SHOWN: usize = 60;

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Refuses `seen` outside `least..=most`.
pub(crate) fn check_range(
    model: &'static str,
    field: &'static str,
    seen: usize,
    [least, most]: [usize; 2],
) -> Result<(), ModelError> {
    if (least..=most).contains(&seen) {
        return Ok(());
    }
    Err(config_error(
        model,
        field,
        seen,
        format!("{least} to {most}"),
    ))
}

/// The error that a config's `field` is `seen`, but must be `allowed`.
pub(crate) fn config_error(
    model: &'static str,
    field: &'static str,
    seen: impl Display,
    allowed: impl Into<String>,
) -> ModelError {
    ModelError::Config {
        model,
        field,
        seen: seen.to_string(),
        allowed: allowed.into(),
    }
}
