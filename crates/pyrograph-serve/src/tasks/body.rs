//! What the bodies of all tasks have in common.

use std::{fmt, ops::RangeInclusive};

use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use pyrograph_vision::{RgbImage, VisionError, decode_image_within};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, Visitor},
};
use serde_json::{Map, Value};

use crate::{Limits, Refusal, RefusalKind};

/// Base64 with its padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Fields of OpenAI's API that are texts without effect here.
pub(crate) const OPENAI_TEXTS: [&str; 6] = [
    "quality",
    "style",
    "moderation",
    "user",
    "safety_identifier",
    "input_fidelity",
];
/// Fields of OpenAI's API with their values that have no effect here, and those that cannot be served.
pub(crate) const OPENAI_WORDS: [(&str, &[&str], &[&str]); 2] = [
    ("background", &["auto", "opaque"], &["transparent"]),
    ("response_format", &["b64_json"], &["url"]),
];

/// Reads a JSON body. OpenAI's own fields are checked and left out.
pub(super) fn read<T: DeserializeOwned>(body: Value) -> Result<T, Refusal> {
    let Value::Object(mut fields) = body else {
        let seen = kind_of(&body);
        let message = format!("the body is {seen}, but must be a JSON object");
        return Err(Refusal::new(RefusalKind::BadRequest, message));
    };
    take_openai(&mut fields)?;
    // A list would be taken for the parameters in their order.
    if let Some(list @ Value::Array(_)) = fields.get("parameters") {
        let reason = format!("it is {}, but must be an object", kind_of(list));
        return Err(unreadable("parameters", reason));
    }
    serde_path_to_error::deserialize(Value::Object(fields)).map_err(|error| {
        let path = error.path().to_string();
        let reason = in_words(&error.into_inner().to_string(), path.contains('.'));
        match path.as_str() {
            "." => Refusal::new(RefusalKind::BadRequest, format!("the body: {reason}")),
            _ => unreadable(&path, reason),
        }
    })
}

/// A fault of a body in the words of JSON. An unknown field at the top is told of the fields that every body has.
fn in_words(reason: &str, is_below: bool) -> String {
    if let Some(seen) = reason.strip_suffix(", expected f64") {
        return format!("{seen}, expected a number");
    }
    match reason.starts_with("unknown field ") && !is_below {
        true => format!("{reason}, `model`, `stream`, `partial_images`"),
        false => reason.into(),
    }
}

/// A field that does not read.
pub(super) fn unreadable(field: &str, reason: impl fmt::Display) -> Refusal {
    Refusal::new(RefusalKind::BadRequest, format!("`{field}`: {reason}")).of_field(field)
}

/// Checks OpenAI's own fields, which have no effect, and takes them away.
fn take_openai(fields: &mut Map<String, Value>) -> Result<(), Refusal> {
    for name in OPENAI_TEXTS {
        match fields.remove(name) {
            None | Some(Value::Null | Value::String(_)) => {}
            Some(other) => {
                let reason = format!("it is {}, but must be a string", kind_of(&other));
                return Err(unreadable(name, reason));
            }
        }
    }
    for (name, without_effect, impossible) in OPENAI_WORDS {
        let Some(value) = fields.remove(name) else {
            continue;
        };
        let reason = match &value {
            Value::Null => continue,
            Value::String(word) if without_effect.contains(&word.as_str()) => continue,
            Value::String(word) if impossible.contains(&word.as_str()) => {
                format!("`{word}` is not offered: leave the field out")
            }
            Value::String(word) => {
                format!(
                    "it is `{word}`, but must be {}",
                    without_effect.join(" or ")
                )
            }
            other => format!("it is {}, but must be a string", kind_of(other)),
        };
        return Err(unreadable(name, reason));
    }
    Ok(())
}

/// What a value is, in words.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A whole number of any sign: its range is checked later, by [`within`](Self::within).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whole(i128);

impl Whole {
    /// The number, where it is in `range`.
    pub(super) fn within(self, field: &str, range: RangeInclusive<u64>) -> Result<u64, Refusal> {
        let number = u64::try_from(self.0).ok();
        number
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                let allowed = format!("{} to {}", range.start(), range.end());
                Refusal::invalid(field, self.0, &allowed)
            })
    }

    /// The number, where it is from `least` to `most`.
    pub(super) fn count(self, field: &str, least: usize, most: usize) -> Result<usize, Refusal> {
        let number = self.within(field, least as u64..=most as u64)?;
        // Not above `most`.
        Ok(number as usize)
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Numbers;

        impl Visitor<'_> for Numbers {
            type Value = Whole;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a whole number")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Whole, E> {
                Ok(Whole(number.into()))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Whole, E> {
                Ok(Whole(number.into()))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Whole, E> {
                match number.fract() == 0.0 {
                    // Beyond its range a cast gives the nearest number, which is refused later.
                    true => Ok(Whole(number as i128)),
                    false => Err(E::invalid_value(
                        serde::de::Unexpected::Float(number),
                        &self,
                    )),
                }
            }
        }

        deserializer.deserialize_any(Numbers)
    }
}

/// A number in `range`.
pub(super) fn number_within(
    field: &str,
    number: f64,
    range: RangeInclusive<f64>,
) -> Result<f64, Refusal> {
    match range.contains(&number) {
        true => Ok(number),
        false => {
            let allowed = format!("{} to {}", range.start(), range.end());
            Err(Refusal::invalid(field, number, &allowed))
        }
    }
}

/// The seed that is given, or a random one below 2³². Each of `images` images has the next one.
pub(super) fn seed_of(given: Option<Whole>, images: usize) -> Result<u64, Refusal> {
    match given {
        Some(seed) => {
            let seed = seed.within("parameters.seed", 0..=u64::MAX)?;
            let last = u64::MAX - (images as u64).saturating_sub(1);
            let allowed =
                || format!("at most {last} with {images} images, each of which has the next seed");
            match seed <= last {
                true => Ok(seed),
                false => Err(Refusal::invalid("parameters.seed", seed, &allowed())),
            }
        }
        None => Ok((uuid::Uuid::new_v4().as_u128() >> 96) as u64),
    }
}

/// The image in the field `field`: base64, or a data URL.
pub(super) fn image_of(field: &str, text: &str, limits: &Limits) -> Result<RgbImage, Refusal> {
    if text.starts_with("http://") || text.starts_with("https://") {
        return Err(unreadable(
            field,
            "URLs are not fetched: send base64 or a data URL",
        ));
    }
    let encoded = match text.strip_prefix("data:") {
        None => text,
        Some(url) => match url.split_once(',') {
            Some((kind, data)) if kind.ends_with(";base64") => data,
            _ => return Err(unreadable(field, "the data URL does not hold base64")),
        },
    };
    let bytes = match encoded.contains(|c: char| c.is_ascii_whitespace()) {
        false => BASE64.decode(encoded),
        true => BASE64.decode(encoded.split_ascii_whitespace().collect::<String>()),
    };
    let bytes = bytes.map_err(|error| unreadable(field, format!("it is no base64: {error}")))?;
    picture(Some(field), &bytes, limits)
}

/// The image of an encoded one that is a whole body, such as that of [`TaskBody::Image`](crate::TaskBody::Image): PNG, JPEG, GIF,
/// BMP or WebP, told apart by their contents. Its header is held to `limits` before anything is decoded: a small file may hold an
/// image of gigabytes.
///
/// # Errors
/// [`RefusalKind::TooLarge`] beyond [`Limits::input_pixels`], [`RefusalKind::BadRequest`] for what is no whole image.
pub fn decode_image(bytes: &[u8], limits: &Limits) -> Result<RgbImage, Refusal> {
    picture(None, bytes, limits)
}

/// An encoded image: of a field, or the whole body.
pub(super) fn picture(
    field: Option<&str>,
    bytes: &[u8],
    limits: &Limits,
) -> Result<RgbImage, Refusal> {
    let name = field.unwrap_or("the body");
    decode_image_within(bytes, name, limits.input_pixels).map_err(|error| {
        let kind = match error {
            VisionError::TooManyPixels { .. } | VisionError::TooManyBytes { .. } => {
                RefusalKind::TooLarge
            }
            _ => RefusalKind::BadRequest,
        };
        let refusal = Refusal::new(kind, error.to_string());
        match field {
            Some(field) => refusal.of_field(field),
            None => refusal,
        }
    })
}

/// The refusal before a model is loaded.
pub(super) fn not_loaded() -> Refusal {
    Refusal::new(RefusalKind::Unavailable, "the model is not loaded yet")
}

/// The refusal of an encoded image by a task that reads JSON alone.
pub(super) fn not_json() -> Refusal {
    let message = "the body is an image, but this model reads application/json";
    Refusal::new(RefusalKind::MediaType, message)
}

#[cfg(test)]
mod tests;
