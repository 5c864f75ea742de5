//! The scheduler's file: JSON as Python writes it, with words for infinities.

use std::path::Path;

use serde_json::{Map, Value};

use super::{Checkpoint, refused, write::write_file};
use crate::ModelError;

/// Python's words for numbers that JSON does not have: diffusers writes `"lambda_min_clipped": -Infinity`.
const WORDS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];

/// The fields of a scheduler's file. The words for infinities are strings here.
pub(super) fn parse(path: &Path, text: &str) -> Result<Map<String, Value>, ModelError> {
    serde_json::from_str(&quoted(text))
        .map_err(|error| refused(path, format!("it is no JSON object: {error}")))
}

/// The text of these fields as diffusers reads it: the words for infinities stand without quotes.
pub(super) fn text(fields: &Map<String, Value>) -> String {
    // Quotes inside a string have a backslash, so that `: "NaN"` is a value wherever it stands.
    WORDS.iter().fold(
        format!("{:#}", Value::Object(fields.clone())),
        |text, word| text.replace(&format!(": \"{word}\""), &format!(": {word}")),
    )
}

/// The text with the words for infinities outside strings put in quotes.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    let (mut rest, mut in_string, mut escaped) = (text, false, false);
    while let Some(next) = rest.chars().next() {
        let word = WORDS.iter().find(|word| rest.starts_with(**word));
        if let (false, Some(word)) = (in_string, word) {
            quoted.push_str(&format!("\"{word}\""));
            rest = &rest[word.len()..];
            continue;
        }
        in_string ^= next == '"' && !escaped;
        escaped = in_string && next == '\\' && !escaped;
        quoted.push(next);
        rest = &rest[next.len_utf8()..];
    }
    quoted
}

/// Writes the scheduler's file, and gives the name of its class.
pub(super) fn write_scheduler(
    checkpoint: &Checkpoint,
    folder: &Path,
) -> Result<Option<String>, ModelError> {
    let Some(own) = &checkpoint.scheduler else {
        return Ok(None);
    };
    let file = folder.join("scheduler/scheduler_config.json");
    let config = parse(&file, own)?;
    write_file(&file, format!("{}\n", text(&config)).as_bytes())?;
    let class = config.get("_class_name").and_then(Value::as_str);
    Ok(Some(class.unwrap_or("PNDMScheduler").to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infinities_of_python_read_and_are_written_as_they_were() {
        let file = r#"{
  "lambda_min_clipped": -Infinity,
  "note": "a \": NaN\" and -Infinity",
  "steps": 10
}"#;
        let fields = parse(Path::new("scheduler_config.json"), file).expect("an object");
        assert_eq!(fields["lambda_min_clipped"], "-Infinity");
        assert_eq!(fields["steps"], 10);
        assert_eq!(text(&fields), file);
    }
}
