//! The body of a request for sprites.

use pyrograph_pipelines::{
    PipelineError,
    sprites::{SpriteRequest, SpriteRules, class_rows, parse_context},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    SpriteInput,
    sampler::{asked_steps, default_steps_of, sampler, samplers},
};
use crate::{
    Limits, Refusal, RefusalKind,
    tasks::{
        body::{Whole, kind_of, number_within, read, seed_of, unreadable},
        faults::refused,
        schema,
    },
};

/// The largest guidance either way.
const MAX_GUIDANCE: f64 = 100.0;
/// The largest weight of a context's entry either way.
const MAX_WEIGHT: f64 = 1000.0;
/// The largest enlargement; pixels are bounded too.
const MAX_SCALE: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    context: Option<Value>,
    parameters: Option<Parameters>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    num_inference_steps: Option<Whole>,
    guidance_scale: Option<f64>,
    seed: Option<Whole>,
    num_images: Option<Whole>,
    sampler: Option<String>,
    scale: Option<Whole>,
}

/// Reads and checks a body.
pub(super) fn parse(
    value: Value,
    rules: &SpriteRules,
    default_steps: usize,
    limits: &Limits,
) -> Result<SpriteInput, Refusal> {
    let body: Body = read(value)?;
    let parameters = body.parameters.unwrap_or_default();
    let count = |field: &str, given: Option<Whole>, most| {
        given.map(|given| given.count(field, 1, most)).transpose()
    };
    let most_steps = limits.steps.min(rules.timesteps());
    let steps = count(
        "parameters.num_inference_steps",
        parameters.num_inference_steps,
        most_steps,
    )?;
    let guidance = parameters.guidance_scale.unwrap_or(1.0);
    let guidance = number_within(
        "parameters.guidance_scale",
        guidance,
        -MAX_GUIDANCE..=MAX_GUIDANCE,
    )?;
    let scale = count("parameters.scale", parameters.scale, MAX_SCALE)?.unwrap_or(1);
    check_pixels(scale, rules, limits)?;
    let images = count(
        "parameters.num_images",
        parameters.num_images,
        limits.images,
    )?;
    let contexts = contexts(body.context, images, rules, limits)?;
    let sampler = sampler(parameters.sampler.as_deref())?;
    let sampler = match steps {
        Some(steps) => asked_steps(sampler, steps, rules, limits)?,
        None => default_steps_of(sampler, default_steps, rules, limits)?,
    };
    let seed = seed_of(parameters.seed, contexts.len())?;
    let requests = (0..).zip(contexts).map(|(place, context)| SpriteRequest {
        seed: seed + place,
        guidance,
        ..SpriteRequest::new(sampler, vec![context])
    });
    let requests: Vec<_> = requests.collect();
    let mut steps = 0;
    for request in &requests {
        steps = rules.check(request).map_err(refused)?;
    }
    Ok(SpriteInput {
        requests,
        // At most `MAX_SCALE`.
        scale: scale as u32,
        steps,
    })
}

/// Refuses enlarged sprites of too many pixels.
fn check_pixels(scale: usize, rules: &SpriteRules, limits: &Limits) -> Result<(), Refusal> {
    let side = (rules.config().height * scale) as u64;
    if scale == 1 || side * side <= limits.pixels {
        return Ok(());
    }
    let allowed = format!(
        "so that an image has at most {} pixels; it would be {side} × {side}",
        limits.pixels
    );
    Err(Refusal::invalid("parameters.scale", scale, &allowed))
}

/// One context for each of `count` images: those of the body in even shares, class after class without any.
fn contexts(
    given: Option<Value>,
    count: Option<usize>,
    rules: &SpriteRules,
    limits: &Limits,
) -> Result<Vec<Vec<f32>>, Refusal> {
    let names = rules.context_names();
    let Some(given) = given else {
        let (rows, _) = class_rows(&names, 1);
        return Ok(rows.into_iter().cycle().take(count.unwrap_or(1)).collect());
    };
    let rows = match given {
        Value::Array(items) if !items.is_empty() && !items[0].is_number() => {
            if items.len() > limits.images {
                let allowed = format!("at most {}, one for each image", limits.images);
                let seen = format!("a list of {} contexts", items.len());
                return Err(Refusal::invalid("context", seen, &allowed));
            }
            (0..)
                .zip(items)
                .map(|(place, item): (usize, _)| {
                    context(&format!("context[{place}]"), item, &names)
                })
                .collect::<Result<Vec<_>, _>>()?
        }
        one => vec![context("context", one, &names)?],
    };
    let count = count.unwrap_or(rows.len());
    if rows.len() > count {
        let seen = format!("a list of {} contexts", rows.len());
        let allowed = format!("of at most {count}, the number in `parameters.num_images`");
        return Err(Refusal::invalid("context", seen, &allowed));
    }
    // An even share for each, the rest to the first ones.
    Ok((0..count)
        .map(|place| rows[place * rows.len() / count].clone())
        .collect())
}

/// A context: weights by names, or as numbers.
fn context(field: &str, value: Value, names: &[String]) -> Result<Vec<f32>, Refusal> {
    let row = match value {
        Value::String(text) if text.len() > 1024 => {
            let message = format!(
                "`{field}` has {} bytes, but must have at most 1024",
                text.len()
            );
            return Err(Refusal::new(RefusalKind::TooLarge, message).of_field(field));
        }
        Value::String(text) => {
            parse_context(&text, names).map_err(|error| unread_context(field, error))?
        }
        Value::Array(items) => {
            let numbers: Option<Vec<f32>> = items
                .iter()
                .map(|item| item.as_f64().map(|number| number as f32))
                .collect();
            let numbers =
                numbers.ok_or_else(|| unreadable(field, "every entry must be a number"))?;
            if numbers.len() != names.len() {
                let allowed = format!("{}, for {}", names.len(), names.join(", "));
                let seen = format!("a list of {} numbers", numbers.len());
                return Err(Refusal::invalid(field, seen, &allowed));
            }
            numbers
        }
        other => {
            let seen = kind_of(&other);
            let reason = format!("it is {seen}, but must be a string or a list of numbers");
            return Err(unreadable(field, reason));
        }
    };
    for weight in &row {
        number_within(field, (*weight).into(), -MAX_WEIGHT..=MAX_WEIGHT)?;
    }
    Ok(row)
}

/// The refusal of a context, with the form that bodies are documented to have.
fn unread_context(field: &str, error: PipelineError) -> Refusal {
    let PipelineError::ContextForm { seen } = error else {
        return refused(error).of_field(field);
    };
    let allowed = "NAME or NAME:WEIGHT, several with commas, such as hero:0.5,food:0.5";
    Refusal::invalid(field, format!("`{seen}`"), allowed)
}

/// The JSON schema of a body.
pub(super) fn schema(steps: usize, limits: &Limits, rules: Option<&SpriteRules>) -> Value {
    let mut names: Vec<&str> = Vec::new();
    for name in samplers() {
        names.push(name.as_str());
        names.extend(name.aliases());
    }
    let classes = match rules {
        Some(rules) => rules.context_names().join(", "),
        None => "the model's".into(),
    };
    let most_steps = rules.map_or(limits.steps, |rules| limits.steps.min(rules.timesteps()));
    let one =
        json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "number"}}]});
    schema::body(
        "Sprites",
        json!({
            "context": {
                "anyOf": [
                    {"type": "null"}, one["anyOf"][0], one["anyOf"][1],
                    {"type": "array", "items": one, "maxItems": limits.images},
                ],
                "description": format!(
                    "What a sprite shows: a class as `hero`, a mix as `hero:0.5,food:0.5`, one weight for each class, or a list of \
                     these for several images. Classes: {classes}. Class after class by default."
                ),
            },
            "parameters": schema::parameters(json!({
                "num_inference_steps": schema::whole(
                    1, most_steps as u64, Some(steps as u64), "Denoising steps."
                ),
                "guidance_scale": schema::number(
                    -MAX_GUIDANCE, MAX_GUIDANCE, 1.0, "Classifier-free guidance; 1 is off."
                ),
                "seed": schema::seed("Seed of the first image, the next has the next; random by default."),
                "num_images": schema::whole(
                    1, limits.images as u64, None, "Images; as many as contexts by default."
                ),
                "sampler": schema::word(&names, "The sampler; ddim by default."),
                "scale": schema::whole(
                    1, MAX_SCALE as u64, Some(1), "Pixels of the result for one of the sprite, in each direction."
                ),
            })),
        }),
        &[],
    )
}
