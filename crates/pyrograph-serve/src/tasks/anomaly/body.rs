//! The body of a request for a score.

use pyrograph_pipelines::anomaly::{Method, SearchConfig, values_of};
use pyrograph_vision::RgbImage;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{AnomalyInput, Rules};
use crate::{
    Limits, Refusal, RefusalKind, TaskBody,
    tasks::{
        body::{Whole, image_of, picture, read},
        faults::refused,
        schema,
    },
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    image: String,
    parameters: Option<Parameters>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    method: Option<String>,
    steps: Option<Whole>,
    seed: Option<Whole>,
    heatmap: Option<bool>,
}

/// Reads and checks a body.
pub(super) fn parse(
    body: TaskBody,
    rules: &Rules,
    limits: &Limits,
) -> Result<AnomalyInput, Refusal> {
    match body {
        TaskBody::Image(bytes) => {
            let mut input = input(Parameters::default(), rules, limits)?;
            input.values = rules.values(&picture(None, &bytes, limits)?)?;
            Ok(input)
        }
        TaskBody::Json(value) => {
            let body: Body = read(value)?;
            let parameters = body.parameters.unwrap_or_default();
            let mut input = input(parameters, rules, limits)?;
            input.values = rules.values(&image_of("image", &body.image, limits)?)?;
            Ok(input)
        }
    }
}

/// A request without its image.
fn input(parameters: Parameters, rules: &Rules, limits: &Limits) -> Result<AnomalyInput, Refusal> {
    let method = match parameters.method {
        None => rules.default_method()?,
        Some(name) => rules.method(&name)?,
    };
    let mut search = rules.search(method);
    if let Some(steps) = parameters.steps {
        search.steps = steps.count("parameters.steps", 1, limits.steps)?;
    }
    if let Some(seed) = parameters.seed {
        search.seed = seed.within("parameters.seed", 0..=u64::MAX)?;
    }
    search.check().map_err(refused)?;
    Ok(AnomalyInput {
        values: Vec::new(),
        method,
        search,
        heatmap: parameters.heatmap.unwrap_or(false),
    })
}

impl Rules {
    /// The encoder where it is calibrated, else the search, else whatever is.
    pub(super) fn default_method(&self) -> Result<Method, Refusal> {
        let calibrated = |method: &Method| self.card.calibrations.contains_key(method);
        let order = [Method::Encoder, Method::Search, Method::Warm];
        order.into_iter().find(calibrated).ok_or_else(|| {
            let message = "the model has no threshold yet: run `pyrograph anomaly fit`";
            Refusal::new(RefusalKind::Invalid, message)
        })
    }

    /// Names of the methods that are calibrated.
    fn methods(&self) -> Vec<&'static str> {
        self.card
            .calibrations
            .keys()
            .map(|method| method.name())
            .collect()
    }

    fn method(&self, name: &str) -> Result<Method, Refusal> {
        let known = self
            .card
            .calibrations
            .keys()
            .find(|method| method.name() == name);
        known.copied().ok_or_else(|| {
            let shown: String = name.chars().take(40).collect();
            let allowed = format!("one that is calibrated: {}", self.methods().join(", "));
            Refusal::invalid("parameters.method", format!("`{shown}`"), &allowed)
        })
    }

    /// The search that the threshold of `method` was drawn with.
    pub(super) fn search(&self, method: Method) -> SearchConfig {
        let calibration = self.card.calibrations.get(&method);
        calibration.and_then(|line| line.search).unwrap_or_default()
    }

    fn values(&self, image: &RgbImage) -> Result<Vec<f32>, Refusal> {
        values_of(image, &self.config, self.card.normalisation).map_err(refused)
    }
}

/// The JSON schema of a body.
pub(super) fn schema(limits: &Limits, rules: Option<&Rules>) -> Value {
    let methods = match rules {
        Some(rules) => rules.methods(),
        None => Method::ALL.map(Method::name).to_vec(),
    };
    schema::body(
        "An image to score",
        json!({
            "image": {
                "type": "string", "contentEncoding": "base64",
                "description": "The image: base64 or a data URL. An image as the whole body does too.",
            },
            "parameters": schema::parameters(json!({
                "method": schema::word(&methods, "How the image's twin is found; the encoder by default, where it is calibrated."),
                "steps": schema::whole(
                    1, limits.steps as u64, None, "Steps of a search; those of its calibration by default."
                ),
                "seed": schema::seed("Seed of the search's starts; that of its calibration by default."),
                "heatmap": {
                    "type": ["boolean", "null"], "default": false,
                    "description": "Whether to draw what differs from the twin, as a PNG in base64.",
                },
            })),
        }),
        &["image"],
    )
}
