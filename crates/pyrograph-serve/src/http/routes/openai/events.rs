//! OpenAI's events and answers.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::http::{
    answers::{Encoded, Output},
    encode::{ImageFormat, base64},
    jobs::seconds_since_1970,
};

/// How a request's events and answers look.
#[derive(Clone, Debug)]
pub(in crate::http) struct OpenAiEvents {
    /// `image_generation` or `image_edit`.
    pub(super) name: &'static str,
    pub(in crate::http) format: ImageFormat,
    pub(super) quality: String,
}

impl OpenAiEvents {
    /// A preview: its event and data.
    pub(in crate::http) fn partial(
        &self,
        index: usize,
        file: &Bytes,
        size: [u32; 2],
    ) -> (String, Value) {
        let (name, mut value) = self.event("partial_image", file, size);
        value["partial_image_index"] = json!(index);
        (name, value)
    }

    /// The result: its event and data.
    pub(in crate::http) fn completed(&self, encoded: &Encoded) -> (String, Value) {
        let none = Bytes::new();
        let (file, size) = match &encoded.output {
            Output::Images { files, size, .. } => (files.first().unwrap_or(&none), *size),
            Output::Json(_) | Output::Raw { .. } => (&none, [0, 0]),
        };
        let (name, mut value) = self.event("completed", file, size);
        value["usage"] = usage();
        (name, value)
    }

    fn event(&self, kind: &str, file: &Bytes, size: [u32; 2]) -> (String, Value) {
        let name = format!("{}.{kind}", self.name);
        let mut value = self.look(size);
        value["type"] = json!(name);
        value["b64_json"] = json!(base64(file));
        value["created_at"] = json!(seconds_since_1970());
        (name, value)
    }

    /// The answer without events.
    pub(super) fn answer(&self, encoded: &Encoded) -> Value {
        let (files, size) = match &encoded.output {
            Output::Images { files, size, .. } => (files.as_slice(), *size),
            Output::Json(_) | Output::Raw { .. } => (&[][..], [0, 0]),
        };
        let data: Vec<_> = files
            .iter()
            .map(|file| json!({"b64_json": base64(file)}))
            .collect();
        let mut value = self.look(size);
        value["created"] = json!(seconds_since_1970());
        value["data"] = json!(data);
        value["usage"] = usage();
        value
    }

    fn look(&self, [width, height]: [u32; 2]) -> Value {
        json!({
            "size": format!("{width}x{height}"),
            "quality": self.quality,
            "background": "opaque",
            "output_format": self.format.name(),
        })
    }
}

/// Clients read the fields of a bill; nothing is counted here.
fn usage() -> Value {
    json!({
        "input_tokens": 0,
        "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
        "output_tokens": 0,
        "total_tokens": 0,
    })
}
