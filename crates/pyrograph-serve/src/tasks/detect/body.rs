//! The body of a request for objects.

use pyrograph_models::ssd::DetectorInput;
use pyrograph_vision::{DetectOptions, RgbImage};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{DetectInput, Rules};
use crate::{
    Limits, Refusal, RefusalKind, TaskBody,
    tasks::{
        body::{Whole, image_of, number_within, picture, read},
        schema,
    },
};

/// Objects that the detector is less sure of are left out, where a request names no other score.
const SCORE: f32 = 0.5;
/// The most objects of an image.
const MAX_DETECTIONS: usize = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    image: String,
    parameters: Option<Parameters>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    score_threshold: Option<f64>,
    iou_threshold: Option<f64>,
    max_detections: Option<Whole>,
}

/// The options of a request that names none.
pub(super) fn default_options() -> DetectOptions {
    DetectOptions {
        score_threshold: SCORE,
        ..DetectOptions::default()
    }
}

/// Reads and checks a body.
pub(super) fn parse(
    body: TaskBody,
    rules: &Rules,
    limits: &Limits,
) -> Result<DetectInput, Refusal> {
    match body {
        TaskBody::Image(bytes) => rules.input(&picture(None, &bytes, limits)?, default_options()),
        TaskBody::Json(value) => {
            let body: Body = read(value)?;
            let options = match body.parameters {
                Some(parameters) => parameters.options()?,
                None => default_options(),
            };
            rules.input(&image_of("image", &body.image, limits)?, options)
        }
    }
}

impl Rules {
    /// A request for `image`, which is no longer needed then.
    pub(super) fn input(
        &self,
        image: &RgbImage,
        options: DetectOptions,
    ) -> Result<DetectInput, Refusal> {
        let input = DetectorInput::new(image, &self.config, &self.card);
        let input =
            input.map_err(|error| Refusal::new(RefusalKind::BadRequest, error.to_string()))?;
        Ok(DetectInput { input, options })
    }
}

impl Parameters {
    fn options(self) -> Result<DetectOptions, Refusal> {
        let mut options = default_options();
        if let Some(score) = self.score_threshold {
            options.score_threshold =
                number_within("parameters.score_threshold", score, 0.0..=1.0)? as f32;
        }
        if let Some(overlap) = self.iou_threshold {
            options.iou_threshold =
                number_within("parameters.iou_threshold", overlap, 0.0..=1.0)? as f32;
        }
        if let Some(most) = self.max_detections {
            options.keep = most.count("parameters.max_detections", 1, MAX_DETECTIONS)?;
        }
        Ok(options)
    }
}

/// The JSON schema of a body.
pub(super) fn schema() -> Value {
    let usual = default_options();
    schema::body(
        "An image to look for objects in",
        json!({
            "image": {
                "type": "string", "contentEncoding": "base64",
                "description": "The image: base64 or a data URL. An image as the whole body does too.",
            },
            "parameters": schema::parameters(json!({
                "score_threshold": schema::number(
                    0.0, 1.0, 0.5, "Objects that the detector is less sure of are left out."
                ),
                "iou_threshold": schema::number(
                    0.0, 1.0, 0.45, "Of boxes of one class that overlap by more than this the best stays."
                ),
                "max_detections": schema::whole(
                    1, MAX_DETECTIONS as u64, Some(usual.keep as u64), "At most so many objects."
                ),
            })),
        }),
        &["image"],
    )
}
