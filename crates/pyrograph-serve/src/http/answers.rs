//! Results as answers.

use std::{fmt::Write, time::Duration};

use axum::{
    Json,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::{Finished, OutputImage, Refusal, TaskOutput};

use super::{
    accept::Accept,
    app::App,
    calls::Call,
    encode::{ImageFormat, base64, encode_images},
    observe::ServedBy,
};

const JSON: &str = "application/json";

/// What a single image comes as, the best first where a client has no wish.
const IMAGE_OFFERS: [&str; 4] = ["image/png", JSON, "image/jpeg", "image/webp"];

/// A result whose images are files.
pub(super) struct Encoded {
    pub(super) output: Output,
    pub(super) stages: Vec<(&'static str, Duration)>,
    pub(super) steps: usize,
}

/// The content of a result.
pub(super) enum Output {
    Images {
        files: Vec<Bytes>,
        seeds: Vec<u64>,
        size: [u32; 2],
        notes: Vec<String>,
    },
    Json(Value),
    Raw {
        content_type: String,
        bytes: Bytes,
    },
}

/// Encodes the images of a result.
///
/// # Errors
/// When an encoder fails.
pub(super) async fn encoded(
    app: &App,
    call: &Call,
    finished: Finished,
    format: ImageFormat,
) -> Result<Encoded, Refusal> {
    let Finished {
        output,
        mut stages,
        steps,
    } = finished;
    let output = match output {
        TaskOutput::Json(value) => Output::Json(value),
        TaskOutput::Raw {
            content_type,
            bytes,
        } => Output::Raw {
            content_type,
            bytes,
        },
        TaskOutput::Images { images, notes } => {
            let seeds = images.iter().map(|image| image.seed).collect();
            let size = images
                .first()
                .map_or([0, 0], |image| [image.image.width(), image.image.height()]);
            let images = images.into_iter().map(|OutputImage { image, .. }| image);
            let (files, time) = encode_images(&call.caller.id, images.collect(), format).await?;
            app.metrics.stage(call.model.name(), "encode", time);
            stages.push(("encode", time));
            Output::Images {
                files,
                seeds,
                size,
                notes,
            }
        }
    };
    Ok(Encoded {
        output,
        stages,
        steps,
    })
}

impl Encoded {
    /// The result as JSON.
    pub(super) fn json(&self) -> Value {
        match &self.output {
            Output::Json(value) => value.clone(),
            Output::Raw {
                content_type,
                bytes,
            } => json!({"content_type": content_type, "base64": base64(bytes)}),
            Output::Images {
                files,
                seeds,
                notes,
                ..
            } => {
                let images: Vec<_> = files
                    .iter()
                    .zip(seeds)
                    .map(|(file, seed)| json!({"b64_json": base64(file), "seed": seed}))
                    .collect();
                let mut answer = json!({"images": images, "seconds": self.seconds()});
                if !notes.is_empty() {
                    answer["notes"] = json!(notes);
                }
                answer
            }
        }
    }

    fn seconds(&self) -> Value {
        let stages = self
            .stages
            .iter()
            .map(|(name, time)| ((*name).to_owned(), json!(time.as_secs_f64())));
        Value::Object(stages.collect::<Map<_, _>>())
    }

    /// Adds what every result tells in its headers.
    pub(super) fn head(&self, call: &Call, mut response: Response) -> Response {
        let headers = response.headers_mut();
        if let Output::Images { seeds, .. } = &self.output
            && let Some(seed) = seeds.first()
        {
            headers.insert("x-seed", HeaderValue::from(*seed));
        }
        headers.insert("x-steps", HeaderValue::from(self.steps));
        let mut timing = String::new();
        for (name, time) in &self.stages {
            let comma = if timing.is_empty() { "" } else { ", " };
            // A `String` takes every text.
            let _ = write!(timing, "{comma}{name};dur={:.3}", time.as_secs_f64() * 1e3);
        }
        if let Ok(timing) = HeaderValue::from_str(&timing) {
            headers.insert("server-timing", timing);
        }
        let served_by = ServedBy(call.model.name().to_owned());
        response.extensions_mut().insert(served_by);
        response
    }
}

/// The answer to `/invocations`, of a type that the client takes.
///
/// # Errors
/// When it takes none that can hold the result.
pub(super) async fn answer(
    app: &App,
    call: &Call,
    finished: Finished,
    accept: &Accept,
) -> Result<Response, Refusal> {
    let chosen = match &finished.output {
        TaskOutput::Images { images, .. } => accept_images(accept, images.len())?,
        TaskOutput::Json(_) => accept.choose(&[JSON], "the result")?,
        TaskOutput::Raw { content_type, .. } => {
            accept.choose(&[content_type], "the result")?;
            ""
        }
    };
    let format = match chosen {
        "image/jpeg" => ImageFormat::Jpeg(ImageFormat::QUALITY),
        "image/webp" => ImageFormat::Webp,
        _ => ImageFormat::Png,
    };
    let is_json = chosen == JSON;
    let encoded = encoded(app, call, finished, format).await?;
    let response = match &encoded.output {
        Output::Images { files, .. } if !is_json && files.len() == 1 => {
            raw(format.media_type(), files[0].clone())
        }
        Output::Raw {
            content_type,
            bytes,
        } => raw(content_type, bytes.clone()),
        _ => Json(encoded.json()).into_response(),
    };
    Ok(encoded.head(call, response))
}

/// The type in which images come.
///
/// # Errors
/// When the client takes none that holds so many.
pub(super) fn accept_images(accept: &Accept, images: usize) -> Result<&'static str, Refusal> {
    match images {
        1 => accept.choose(&IMAGE_OFFERS, "an image"),
        _ => accept.choose(&[JSON], "a result of several images"),
    }
}

/// The images that the answer to `/invocations` can hold; nothing where it holds any number.
pub(super) fn most_images(accept: &Accept) -> Option<usize> {
    let holds = |images| accept_images(accept, images).is_ok();
    match (holds(2), holds(1)) {
        (true, _) => None,
        (false, true) => Some(1),
        (false, false) => Some(0),
    }
}

fn raw(content_type: &str, bytes: Bytes) -> Response {
    let mut response = bytes.into_response();
    let value = HeaderValue::from_str(content_type)
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}
