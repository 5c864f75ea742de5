//! The fields of a body, taken one by one.

use serde_json::{Map, Value};

use crate::{Refusal, http::errors::bad_request};

/// The fields of a body that nobody has taken yet.
#[derive(Debug)]
pub(super) struct Fields(pub(super) Map<String, Value>);

impl Fields {
    /// A value that is not null.
    pub(super) fn value(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(name, &other, "a string")),
        }
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<bool, Refusal> {
        match self.value(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => Err(wrong(name, &other, "true or false")),
        }
    }

    /// A whole number from `least` to `most`.
    pub(super) fn count(
        &mut self,
        name: &str,
        least: u64,
        most: u64,
    ) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        if !(value.is_u64() || value.is_i64()) {
            return Err(wrong(name, &value, "a whole number"));
        }
        match value.as_u64() {
            Some(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(Refusal::invalid(name, value, &format!("{least} to {most}"))),
        }
    }

    /// A word of `allowed`.
    pub(super) fn word<'a>(
        &mut self,
        name: &str,
        allowed: &[&'a str],
    ) -> Result<Option<&'a str>, Refusal> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        match allowed.iter().find(|word| **word == text) {
            Some(word) => Ok(Some(word)),
            None => {
                let message = format!("`{name}` is `{text}`, but must be {}", allowed.join(" or "));
                Err(bad_request(message).of_field(name))
            }
        }
    }

    /// Refuses what is left: fields that nobody knows.
    pub(super) fn finish(self) -> Result<(), Refusal> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => {
                let message = format!("`{name}` is no field of this route");
                Err(bad_request(message).of_field(name.clone()))
            }
        }
    }
}

fn wrong(name: &str, seen: &Value, allowed: &str) -> Refusal {
    let seen = match seen {
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::String(_) => "a string".to_owned(),
        other => other.to_string(),
    };
    bad_request(format!("`{name}` is {seen}, but must be {allowed}")).of_field(name)
}
