//! Parts of the JSON schemas of bodies.

use serde_json::{Map, Value, json};

use super::body::{OPENAI_TEXTS, OPENAI_WORDS};

/// An object of `properties` and no others, and OpenAI's fields without effect.
pub(super) fn body(title: &str, properties: Value, required: &[&str]) -> Value {
    let mut schema = object(properties);
    schema["title"] = title.into();
    schema["required"] = json!(required);
    if let Some(properties) = schema["properties"].as_object_mut() {
        for name in OPENAI_TEXTS {
            let text =
                json!({"type": ["string", "null"], "description": "Accepted, without effect."});
            properties.insert(name.into(), text);
        }
        for (name, words, _) in OPENAI_WORDS {
            let mut words: Vec<Value> = words.iter().map(|word| json!(word)).collect();
            words.push(Value::Null);
            let word = json!({"enum": words, "description": "Accepted, without effect."});
            properties.insert(name.into(), word);
        }
    }
    schema
}

/// An object of `properties` and no others.
fn object(properties: Value) -> Value {
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

/// The field `parameters`, which may be left out as any of its fields.
pub(super) fn parameters(properties: Value) -> Value {
    let mut schema = object(properties);
    schema["type"] = json!(["object", "null"]);
    schema
}

/// A whole number in a range.
pub(super) fn whole(least: u64, most: u64, default: Option<u64>, description: &str) -> Value {
    let mut schema = json!({
        "type": ["integer", "null"], "minimum": least, "maximum": most, "description": description,
    });
    if let Some(default) = default {
        schema["default"] = default.into();
    }
    schema
}

/// A number in a range.
pub(super) fn number(least: f64, most: f64, default: f64, description: &str) -> Value {
    json!({
        "type": ["number", "null"], "minimum": least, "maximum": most, "default": default,
        "description": description,
    })
}

/// A text.
pub(super) fn text(description: &str) -> Value {
    json!({"type": ["string", "null"], "description": description})
}

/// One of some words.
pub(super) fn word(words: &[&str], description: &str) -> Value {
    let words: Vec<Value> = words
        .iter()
        .map(|word| json!(word))
        .chain([Value::Null])
        .collect();
    json!({"enum": words, "description": description})
}

/// The seed of a request.
pub(super) fn seed(description: &str) -> Value {
    whole(0, u64::MAX, None, description)
}

/// An image in a field.
pub(super) fn image(description: &str) -> Value {
    let mut schema = Map::new();
    schema.insert("type".into(), json!(["string", "null"]));
    schema.insert("contentEncoding".into(), "base64".into());
    schema.insert("description".into(), description.into());
    Value::Object(schema)
}
