//! `/v1/images/edits`.

use std::time::Instant;

use axum::{
    extract::{DefaultBodyLimit, FromRequest, Multipart, Request, State, multipart::Field},
    http::{HeaderMap, header},
    response::Response,
};
use bytes::Bytes;
use serde_json::{Map, Number, Value};

use crate::{
    Refusal,
    http::{
        app::SharedApp,
        auth::Caller,
        body,
        calls::reader,
        encode::base64,
        errors::{Failure, bad_request, internal},
        masks,
    },
};

use super::{
    fields::Fields,
    generations::{Arrival, admit, serve},
    request::ImageRequest,
};

/// Fields of a form that are numbers in JSON.
const NUMBERS: [&str; 7] = [
    "n",
    "output_compression",
    "partial_images",
    "num_inference_steps",
    "guidance_scale",
    "seed",
    "strength",
];

/// What a form holds.
#[derive(Default)]
struct Form {
    fields: Map<String, Value>,
    image: Option<Bytes>,
    mask: Option<Bytes>,
}

/// Draws a picture anew from a prompt: all of it, or where the mask is transparent.
pub(in crate::http::routes) async fn edit(
    State(app): State<SharedApp>,
    caller: Caller,
    request: Request,
) -> Result<Response, Failure> {
    let arrived = Instant::now();
    let (limit, request) = body::checked(request, |request| begin(&app, request.headers())).await?;
    let headers = request.headers().clone();
    let (head, body) = request.into_parts();
    // The whole form is bounded and timed as any other body is.
    let (bytes, share) = body::read(body, limit, app.settings.body_timeout, &app.bodies).await?;
    let form = read_form(Request::from_parts(head, bytes.into())).await?;

    let Some(image) = form.image else {
        return Err(bad_request("`image` is missing").of_field("image").into());
    };
    let pixels = super::request::first(&app)?.limits().input_pixels;
    let given = (image.clone(), form.mask);
    let permit = reader().await;
    let decoding = move || {
        let _permit = permit;
        masks::mask_of(&given.0, given.1.as_deref(), pixels)
    };
    let mask = tokio::task::spawn_blocking(decoding)
        .await
        .map_err(|error| internal(&caller.id.0, &error))??;
    let mut fields = form.fields;
    fields.insert("image".into(), Value::String(base64(&image)));
    if let Some(mask) = mask {
        fields.insert("mask".into(), Value::String(base64(&mask)));
    }
    let request = ImageRequest::read(Fields(fields))?;
    let arrival = Arrival {
        name: "image_edit",
        arrived,
        headers: &headers,
        share,
    };
    Ok(serve(app, caller, request, arrival).await?)
}

fn begin(app: &SharedApp, headers: &HeaderMap) -> Result<usize, Refusal> {
    let value = headers.get(header::CONTENT_TYPE);
    let text = value.map_or(String::new(), |value| {
        String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase()
    });
    if !text.starts_with("multipart/form-data") {
        return Err(body::media_type(&text, "multipart/form-data"));
    }
    admit(app, headers)
}

async fn read_form(mut request: Request) -> Result<Form, Refusal> {
    let broken =
        |error: &dyn std::fmt::Display| bad_request(format!("the form does not read: {error}"));
    // The body has been read within its own limit.
    DefaultBodyLimit::disable().apply(&mut request);
    let mut parts = Multipart::from_request(request, &())
        .await
        .map_err(|error| broken(&error.body_text()))?;
    let mut form = Form::default();
    while let Some(part) = parts
        .next_field()
        .await
        .map_err(|error| broken(&error.body_text()))?
    {
        form.take(part).await?;
    }
    Ok(form)
}

impl Form {
    async fn take(&mut self, part: Field<'_>) -> Result<(), Refusal> {
        let name = part.name().unwrap_or_default().to_owned();
        let bytes = part.bytes().await.map_err(|error| {
            bad_request(format!("`{name}`: {}", error.body_text())).of_field(&*name)
        })?;
        let twice = |name: &str| {
            Err(bad_request(format!("`{name}` is there twice: one is served")).of_field(name))
        };
        match name.as_str() {
            "image" | "image[]" if self.image.is_some() => twice("image"),
            "image" | "image[]" => {
                self.image = Some(bytes);
                Ok(())
            }
            "mask" if self.mask.is_some() => twice("mask"),
            "mask" => {
                self.mask = Some(bytes);
                Ok(())
            }
            _ if self.fields.contains_key(&name) => twice(&name),
            _ => {
                let value = value_of(&name, &bytes)?;
                self.fields.insert(name, value);
                Ok(())
            }
        }
    }
}

/// A field of a form as JSON has it.
fn value_of(name: &str, bytes: &[u8]) -> Result<Value, Refusal> {
    let wrong = |allowed: &str| bad_request(format!("`{name}` must be {allowed}")).of_field(name);
    let text = std::str::from_utf8(bytes).map_err(|_| wrong("text in UTF-8"))?;
    if NUMBERS.contains(&name) {
        let number = text.trim().parse::<Number>();
        return number.map(Value::Number).map_err(|_| wrong("a number"));
    }
    if name == "stream" {
        return match text.trim() {
            "true" | "True" => Ok(Value::Bool(true)),
            "false" | "False" => Ok(Value::Bool(false)),
            _ => Err(wrong("true or false")),
        };
    }
    Ok(Value::String(text.to_owned()))
}
