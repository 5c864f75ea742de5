//! The body of a request for pictures.

use pyrograph_diffusion::SchedulerName;
use pyrograph_pipelines::stable_diffusion::{
    ImagePrompt, ImageRequest, ImageStart, RequestRules, SchedulerChoice,
};
use pyrograph_vision::RgbImage;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    ImageInput,
    acceleration::{acceleration, schemas},
    size::{MAX_SIDE, check_pixels, take_size},
};
use crate::{
    Limits, Refusal, RefusalKind,
    tasks::{
        body::{Whole, image_of, number_within, read, seed_of},
        faults::refused,
        schema,
    },
};

/// Guidance of a request that names none.
const GUIDANCE: f64 = 7.5;
/// The largest guidance: beyond it pictures are noise, and latents leave the range of half precision.
const MAX_GUIDANCE: f64 = 100.0;
/// Strengths of diffusers' pipelines.
const IMAGE_STRENGTH: f64 = 0.8;
const INPAINT_STRENGTH: f64 = 1.0;
/// What a request gets that names nothing else.
#[derive(Clone, Copy, Debug)]
pub(super) struct Defaults {
    /// Denoising steps.
    pub(super) steps: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    prompt: String,
    negative_prompt: Option<String>,
    image: Option<String>,
    mask: Option<String>,
    strength: Option<f64>,
    parameters: Option<Parameters>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    num_inference_steps: Option<Whole>,
    guidance_scale: Option<f64>,
    guidance_rescale: Option<f64>,
    width: Option<Whole>,
    height: Option<Whole>,
    seed: Option<Whole>,
    num_images: Option<Whole>,
    scheduler: Option<String>,
    pub(super) cache_interval: Option<Whole>,
    pub(super) cache_branch: Option<Whole>,
    pub(super) gate_step: Option<Whole>,
    pub(super) merge_ratio: Option<f64>,
    pub(super) merge_levels: Option<Whole>,
    pub(super) guidance_from: Option<f64>,
    pub(super) guidance_until: Option<f64>,
}

/// Reads and checks a body.
pub(super) fn parse(
    value: Value,
    rules: &RequestRules,
    defaults: Defaults,
    limits: &Limits,
) -> Result<ImageInput, Refusal> {
    let body: Body = read(value)?;
    let parameters = body.parameters.unwrap_or_default();
    let negative = body.negative_prompt.unwrap_or_default();
    check_length("prompt", &body.prompt, limits)?;
    check_length("negative_prompt", &negative, limits)?;

    // 1. Numbers, before anything is decoded.
    let number = |field, given: Option<f64>, default, most| {
        number_within(field, given.unwrap_or(default), 0.0..=most)
    };
    let count = |field: &str, given: Option<Whole>, default, most: usize| match given {
        Some(given) => given.count(field, 1, most),
        None => Ok(default),
    };
    let side = |field: &str, given: Option<Whole>| match given {
        Some(given) => given.count(field, 1, MAX_SIDE).map(Some),
        None => Ok(None),
    };
    let steps = count(
        "parameters.num_inference_steps",
        parameters.num_inference_steps,
        defaults.steps,
        limits.steps,
    )?;
    let images = count(
        "parameters.num_images",
        parameters.num_images,
        1,
        limits.images,
    )?;
    let seed = seed_of(parameters.seed, images)?;
    let mut request = ImageRequest {
        images: (0..images as u64)
            .map(|place| ImagePrompt {
                prompt: body.prompt.clone(),
                negative: negative.clone(),
                seed: seed + place,
            })
            .collect(),
        steps,
        scheduler: scheduler(parameters.scheduler.as_deref())?,
        guidance: number(
            "parameters.guidance_scale",
            parameters.guidance_scale,
            GUIDANCE,
            MAX_GUIDANCE,
        )?,
        guidance_rescale: number(
            "parameters.guidance_rescale",
            parameters.guidance_rescale,
            0.0,
            1.0,
        )?,
        acceleration: acceleration(&parameters, limits)?,
        width: side("parameters.width", parameters.width)?,
        height: side("parameters.height", parameters.height)?,
        ..ImageRequest::new("", seed)
    };
    let strength = body
        .strength
        .map(|strength| number_within("strength", strength, 0.0..=1.0))
        .transpose()?;

    // 2. Pictures.
    let image = given_image("image", body.image, limits)?;
    let mask = given_image("mask", body.mask, limits)?;
    request.start = start(image, mask, strength, rules)?;
    take_size(&mut request, rules, limits);
    check_pixels(rules.size(&request).map_err(refused)?, rules, limits)?;
    ImageInput::new(request, rules)
}

/// Refuses a text that is too long.
fn check_length(field: &str, text: &str, limits: &Limits) -> Result<(), Refusal> {
    let (seen, most) = (text.len(), limits.prompt_bytes);
    if seen <= most {
        return Ok(());
    }
    let message = format!("`{field}` has {seen} bytes, but must have at most {most}");
    Err(Refusal::new(RefusalKind::TooLarge, message).of_field(field))
}

fn given_image(
    field: &str,
    text: Option<String>,
    limits: &Limits,
) -> Result<Option<RgbImage>, Refusal> {
    text.map(|text| image_of(field, &text, limits)).transpose()
}

fn start(
    image: Option<RgbImage>,
    mask: Option<RgbImage>,
    strength: Option<f64>,
    rules: &RequestRules,
) -> Result<ImageStart, Refusal> {
    let missing = |field: &str, why: &str| {
        Refusal::new(RefusalKind::Invalid, format!("`{field}` is missing, {why}")).of_field(field)
    };
    Ok(match (image, mask) {
        (Some(image), Some(mask)) => ImageStart::Inpaint {
            image,
            mask,
            strength: strength.unwrap_or(INPAINT_STRENGTH),
        },
        (None, Some(_)) => return Err(missing("image", "of which `mask` shows a part")),
        (image, None) if rules.is_inpainting() => {
            let field = if image.is_none() { "image" } else { "mask" };
            return Err(missing(field, "but the model is for inpainting alone"));
        }
        (Some(image), None) => ImageStart::Image {
            image,
            strength: strength.unwrap_or(IMAGE_STRENGTH),
        },
        (None, None) if strength.is_some_and(|strength| strength < 1.0) => {
            return Err(missing("image", "which `strength` is about"));
        }
        (None, None) => ImageStart::Noise,
    })
}

/// The scheduler by its name; the checkpoint's own where none is given.
fn scheduler(name: Option<&str>) -> Result<SchedulerChoice, Refusal> {
    let field = "parameters.scheduler";
    let name = match name {
        None => None,
        Some(name) => {
            let known = name
                .parse()
                .ok()
                .filter(|name| SchedulerName::ALL.contains(name));
            let names = SchedulerName::ALL.map(SchedulerName::as_str).join(", ");
            let shown: String = name.chars().take(40).collect();
            Some(known.ok_or_else(|| {
                Refusal::invalid(field, format!("`{shown}`"), &format!("one of {names}"))
            })?)
        }
    };
    Ok(SchedulerChoice {
        name,
        ..SchedulerChoice::default()
    })
}

/// The JSON schema of a body.
pub(super) fn schema(defaults: Defaults, limits: &Limits, rules: Option<&RequestRules>) -> Value {
    let names = SchedulerName::ALL.map(SchedulerName::as_str);
    let mut names: Vec<&str> = names.to_vec();
    names.extend(SchedulerName::ALL.iter().flat_map(|name| name.aliases()));
    let side = |name: &str, axis: usize| {
        let factor = rules.map_or(8, RequestRules::factor);
        let own = rules.map(|rules| rules.own_size()[axis] as u64);
        let description = format!(
            "{name} in pixels, a multiple of {factor}; width · height is at most {}.",
            limits.pixels
        );
        schema::whole(1, MAX_SIDE as u64, own, &description)
    };
    let mut prompt = schema::text("What the picture shows.");
    prompt["type"] = json!("string");
    prompt["maxLength"] = limits.prompt_bytes.into();
    let mut negative = schema::text("What the picture does not show.");
    negative["maxLength"] = limits.prompt_bytes.into();
    let mut parameters = schema::parameters(json!({
        "num_inference_steps": schema::whole(
            1, limits.steps as u64, Some(defaults.steps as u64), "Denoising steps."
        ),
        "guidance_scale": schema::number(
            0.0, MAX_GUIDANCE, GUIDANCE, "Classifier-free guidance; 1 and below is off."
        ),
        "guidance_rescale": schema::number(
            0.0, 1.0, 0.0, "Share of the guided output that is rescaled."
        ),
        "width": side("Width", 0),
        "height": side("Height", 1),
        "seed": schema::seed("Seed of the first picture, the next has the next; random by default."),
        "num_images": schema::whole(1, limits.images as u64, Some(1), "Pictures."),
        "scheduler": schema::word(&names, "The scheduler; the checkpoint's own by default."),
    }));
    if let Some(properties) = parameters["properties"].as_object_mut() {
        properties.extend(schemas(limits));
    }
    schema::body(
        "Pictures from a prompt",
        json!({
            "prompt": prompt,
            "negative_prompt": negative,
            "image": schema::image("A picture to start from: base64 or a data URL."),
            "mask": schema::image("White where the picture is painted anew; of the size of `image`."),
            "strength": schema::number(
                0.0, 1.0, IMAGE_STRENGTH,
                "Share of the steps that are taken from `image` on; 1 by default with a mask."
            ),
            "parameters": parameters,
        }),
        &["prompt"],
    )
}
