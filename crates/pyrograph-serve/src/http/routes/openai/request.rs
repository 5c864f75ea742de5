//! What OpenAI's fields mean for `/invocations`.

use serde_json::{Map, Value, json};

use crate::{
    Model, Refusal,
    http::{app::App, encode::ImageFormat, errors::bad_request},
    tasks::{OPENAI_TEXTS, OPENAI_WORDS},
};

use super::fields::Fields;

/// The task that serves these routes.
const TASK: &str = "txt2img";

/// The body of `/invocations` that an OpenAI body stands for, and how its answer is to look.
#[derive(Debug)]
pub(super) struct ImageRequest {
    pub(super) body: Value,
    pub(super) model: Option<String>,
    pub(super) is_stream: bool,
    pub(super) previews: usize,
    pub(super) format: ImageFormat,
    pub(super) quality: String,
}

impl ImageRequest {
    /// Reads the fields that both routes have.
    ///
    /// # Errors
    /// When one does not read, or asks for something that cannot be done.
    pub(super) fn read(mut fields: Fields) -> Result<Self, Refusal> {
        let Some(prompt) = fields.text("prompt")? else {
            return Err(bad_request("`prompt` is missing").of_field("prompt"));
        };
        let model = fields.text("model")?;
        // The answer tells it.
        let quality = fields.text("quality")?;
        for name in OPENAI_TEXTS {
            fields.text(name)?;
        }
        for (name, without_effect, _) in OPENAI_WORDS {
            fields.word(name, without_effect)?;
        }
        let format = format(&mut fields)?;
        let is_stream = fields.flag("stream")?;
        let previews = fields.count("partial_images", 0, 3)?.unwrap_or(0);
        let images = fields.count("n", 1, 10)?;
        if is_stream && images.is_some_and(|images| images > 1) {
            return Err(bad_request("`n` must be 1 where `stream` is true").of_field("n"));
        }
        let mut parameters = Map::new();
        if let Some(images) = images {
            parameters.insert("num_images".into(), json!(images));
        }
        if let Some([width, height]) = size(&mut fields)? {
            parameters.insert("width".into(), json!(width));
            parameters.insert("height".into(), json!(height));
        }
        for name in ["num_inference_steps", "guidance_scale", "seed"] {
            if let Some(value) = fields.value(name) {
                parameters.insert(name.into(), value);
            }
        }
        let mut body = json!({"prompt": prompt, "parameters": parameters});
        for name in ["negative_prompt", "image", "mask", "strength"] {
            if let Some(value) = fields.value(name) {
                body[name] = value;
            }
        }
        fields.finish()?;
        Ok(Self {
            body,
            model,
            is_stream,
            previews: if is_stream { previews as usize } else { 0 },
            format,
            quality: quality.unwrap_or_else(|| "auto".into()),
        })
    }

    /// The model: the one of the field, else the first that draws.
    ///
    /// # Errors
    /// When there is none, or it does not draw.
    pub(super) fn model<'a>(&self, app: &'a App) -> Result<&'a Model, Refusal> {
        let model = match &self.model {
            Some(name) => app.model(name)?,
            None => first(app)?,
        };
        check_task(model)?;
        Ok(model)
    }
}

/// The first model that draws.
///
/// # Errors
/// When there is none.
pub(super) fn first(app: &App) -> Result<&Model, Refusal> {
    let drawing = app.models.iter().find(|model| model.task() == TASK);
    drawing.ok_or_else(|| {
        bad_request("this server has no model that draws pictures from a prompt; POST /invocations")
            .of_field("model")
    })
}

fn check_task(model: &Model) -> Result<(), Refusal> {
    if model.task() == TASK {
        return Ok(());
    }
    let message = format!(
        "`model` is `{}` of the task {}, but must be one of the task {TASK}",
        model.name(),
        model.task()
    );
    Err(bad_request(message).of_field("model"))
}

fn format(fields: &mut Fields) -> Result<ImageFormat, Refusal> {
    let name = fields.word("output_format", &["png", "jpeg", "webp"])?;
    // As OpenAI has it: 100 is the best quality. Only JPEG loses anything here.
    let compression = fields.count("output_compression", 0, 100)?;
    let quality = compression.map_or(ImageFormat::QUALITY, |quality| quality.clamp(1, 100) as u8);
    Ok(match name {
        Some("jpeg") => ImageFormat::Jpeg(quality),
        Some("webp") => ImageFormat::Webp,
        _ => ImageFormat::Png,
    })
}

fn size(fields: &mut Fields) -> Result<Option<[u64; 2]>, Refusal> {
    let Some(text) = fields.text("size")? else {
        return Ok(None);
    };
    if text == "auto" {
        return Ok(None);
    }
    let sides = text
        .split_once('x')
        .and_then(|(width, height)| Some([width.parse().ok()?, height.parse().ok()?]));
    match sides {
        Some(sides) => Ok(Some(sides)),
        None => {
            let message = format!("`size` is `{text}`, but must be WIDTHxHEIGHT or auto");
            Err(bad_request(message).of_field("size"))
        }
    }
}

/// A refusal by the task in the names of OpenAI's fields.
pub(super) fn renamed(mut refusal: Refusal) -> Refusal {
    let Some(field) = refusal.field.take() else {
        return refusal;
    };
    let name = match field.as_str() {
        "parameters.num_images" => "n",
        "parameters.width" | "parameters.height" => "size",
        other => other.strip_prefix("parameters.").unwrap_or(other),
    };
    refusal.message = refusal
        .message
        .replace(&format!("`{field}`"), &format!("`{name}`"));
    refusal.of_field(name)
}

#[cfg(test)]
mod tests {
    use crate::RefusalKind;

    use super::*;

    fn read(body: Value) -> Result<ImageRequest, (u16, Option<String>)> {
        let Value::Object(fields) = body else {
            panic!("an object");
        };
        ImageRequest::read(Fields(fields)).map_err(|refusal| (refusal.kind.status(), refusal.field))
    }

    #[test]
    fn fields_become_those_of_invocations() {
        let request = read(json!({
            "prompt": "a cat", "n": 2, "size": "64x32", "seed": 7, "guidance_scale": 3.5, "num_inference_steps": 4,
            "negative_prompt": "dogs", "quality": "high", "style": "vivid", "user": "me", "moderation": "low",
            "background": "opaque", "response_format": "b64_json", "output_format": "jpeg", "output_compression": 40,
        }))
        .unwrap();
        let body = json!({"prompt": "a cat", "negative_prompt": "dogs", "parameters": {"num_images": 2, "width": 64,
            "height": 32, "seed": 7, "guidance_scale": 3.5, "num_inference_steps": 4}});
        assert_eq!(request.body, body);
        assert_eq!(request.format, ImageFormat::Jpeg(40));
        assert_eq!(request.quality, "high");
    }

    #[test]
    fn fields_that_cannot_be_served_are_named() {
        for (field, value, status) in [
            ("response_format", json!("url"), 400),
            ("background", json!("transparent"), 400),
            ("output_format", json!("gif"), 400),
            ("size", json!("large"), 400),
            ("size", json!("-1x8"), 400),
            ("n", json!(0), 422),
            ("n", json!(11), 422),
            ("n", json!(1.5), 400),
            ("partial_images", json!(4), 422),
            ("output_compression", json!(101), 422),
            ("prompts", json!("a"), 400),
            ("stream", json!("yes"), 400),
            ("prompt", json!(null), 400),
        ] {
            let mut body = json!({"prompt": "a"});
            body[field] = value;
            assert_eq!(read(body).unwrap_err(), (status, Some(field.into())));
        }
        assert!(read(json!({"prompt": "a", "n": 2, "stream": true})).is_err());
    }

    #[test]
    fn refusals_of_the_task_speak_of_openais_fields() {
        let refusal = renamed(Refusal::invalid("parameters.width", 65, "a multiple of 8"));
        assert_eq!(refusal.field.as_deref(), Some("size"));
        assert!(refusal.message.starts_with("`size` is 65"), "{refusal}");
        let other = renamed(Refusal::new(RefusalKind::TooLarge, "long").of_field("prompt"));
        assert_eq!(other.field.as_deref(), Some("prompt"));
    }
}
