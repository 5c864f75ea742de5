//! A file of annotations in the form of COCO.

use std::fmt;
use std::fs;
use std::path::Path;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::fields::{Corners, List, Scalar};
use crate::DataError;
use crate::detection::AnnotationError;

/// As many names of fields as a message repeats.
const MOST_SHOWN: usize = 12;

/// The lists of a file; what else stands in it is passed over without being kept.
#[derive(Debug)]
pub(super) struct Instances {
    pub(super) images: Vec<Image>,
    pub(super) annotations: Vec<Annotation>,
    pub(super) categories: Vec<Category>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(expecting = "an object with the fields of an image", default)]
#[derive(Default)]
pub(super) struct Image {
    pub(super) id: Scalar,
    pub(super) file_name: Scalar,
    pub(super) width: Scalar,
    pub(super) height: Scalar,
}

#[derive(Debug, serde::Deserialize)]
#[serde(expecting = "an object with the fields of an annotation", default)]
#[derive(Default)]
pub(super) struct Annotation {
    pub(super) id: Scalar,
    pub(super) image_id: Scalar,
    pub(super) category_id: Scalar,
    pub(super) bbox: Corners,
    pub(super) iscrowd: Scalar,
    pub(super) area: Scalar,
}

#[derive(Debug, serde::Deserialize)]
#[serde(expecting = "an object with the fields of a category", default)]
#[derive(Default)]
pub(super) struct Category {
    pub(super) id: Scalar,
    pub(super) name: Scalar,
}

/// The outermost value of a file.
enum Root {
    Object {
        images: Option<List<Image>>,
        annotations: Option<List<Annotation>>,
        categories: Option<List<Category>>,
        /// The names of its other fields.
        others: Vec<String>,
    },
    List {
        is_results: bool,
    },
}

impl<'de> Deserialize<'de> for Root {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct RootVisitor;

        impl<'de> Visitor<'de> for RootVisitor {
            type Value = Root;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with the lists images, annotations and categories")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Root, A::Error> {
                #[derive(Default, serde::Deserialize)]
                #[serde(default)]
                struct Found {
                    score: Scalar,
                }
                let first = items.next_element::<Found>();
                let is_results = matches!(&first, Ok(Some(found)) if found.score.is_there());
                if first.is_ok() {
                    while items.next_element::<IgnoredAny>()?.is_some() {}
                }
                Ok(Root::List { is_results })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Root, A::Error> {
                let (mut images, mut annotations, mut categories) = (None, None, None);
                let mut others = Vec::new();
                while let Some(name) = fields.next_key::<String>()? {
                    match name.as_str() {
                        "images" => images = Some(value(&mut fields, &name)?),
                        "annotations" => annotations = Some(value(&mut fields, &name)?),
                        "categories" => categories = Some(value(&mut fields, &name)?),
                        _ => {
                            fields.next_value::<IgnoredAny>()?;
                            if others.len() < MOST_SHOWN {
                                others.push(name);
                            }
                        }
                    }
                }
                Ok(Root::Object {
                    images,
                    annotations,
                    categories,
                    others,
                })
            }
        }

        fn value<'de, A: MapAccess<'de>, T: Deserialize<'de>>(
            fields: &mut A,
            name: &str,
        ) -> Result<T, A::Error> {
            let value = fields.next_value();
            value.map_err(|error| {
                let error = error.to_string();
                let colon = if error.starts_with('[') { "" } else { ": " };
                de::Error::custom(format_args!("{name}{colon}{error}"))
            })
        }

        from.deserialize_any(RootVisitor)
    }
}

impl Instances {
    /// Reads a file.
    ///
    /// # Errors
    /// [`DataError::Read`], [`AnnotationError::Encoding`], [`AnnotationError::Json`] and
    /// [`AnnotationError::NoInstances`].
    pub(super) fn read(path: &Path) -> Result<Self, DataError> {
        let bytes = fs::read(path).map_err(|source| DataError::Read {
            path: path.into(),
            source,
        })?;
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        if matches!(
            text,
            [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [0, b'{', ..] | [b'{', 0, ..]
        ) {
            return Err(AnnotationError::Encoding {
                path: path.into(),
                reason: "it is in the encoding UTF-16, and JSON is in UTF-8: save it so".into(),
            }
            .into());
        }
        let wrong = |error, text: &[u8]| json_fault(path, &error, text);
        let root: Root = match serde_json::from_slice(text) {
            Ok(root) => root,
            Err(error) => {
                // Python writes NaN and Infinity, which JSON has not. Only where nothing else helps, as it copies the text.
                let Some(text) = with_null_for_nan(text) else {
                    return Err(wrong(error, text));
                };
                serde_json::from_slice(&text).map_err(|error| wrong(error, &text))?
            }
        };
        Self::of(root).map_err(|seen| {
            AnnotationError::NoInstances {
                path: path.into(),
                seen,
            }
            .into()
        })
    }

    fn of(root: Root) -> Result<Self, String> {
        let (images, annotations, categories, mut others) = match root {
            Root::List { is_results: true } => {
                return Err("a list of detections, as an evaluation takes them".into());
            }
            Root::List { is_results: false } => return Err("a list".into()),
            Root::Object {
                images,
                annotations,
                categories,
                others,
            } => (images, annotations, categories, others),
        };
        let lists = [
            ("images", images.is_some()),
            ("annotations", annotations.is_some()),
            ("categories", categories.is_some()),
        ];
        match (images, annotations, categories) {
            (Some(images), Some(annotations), Some(categories)) => Ok(Self {
                images: images.0,
                annotations: annotations.0,
                categories: categories.0,
            }),
            _ => {
                let missing = lists.iter().filter(|(_, is_there)| !is_there);
                let missing: Vec<_> = missing.map(|(name, _)| *name).collect();
                let there = lists.iter().filter(|(_, is_there)| *is_there);
                others.splice(0..0, there.map(|(name, _)| (*name).to_owned()));
                others.truncate(MOST_SHOWN);
                Err(format!(
                    "an object without {}; its fields are: {}",
                    missing.join(" and "),
                    if others.is_empty() {
                        "none".into()
                    } else {
                        others.join(", ")
                    }
                ))
            }
        }
    }
}

/// The error in words, with line and column; the item that it is in stands before it.
fn json_fault(path: &Path, error: &serde_json::Error, text: &[u8]) -> DataError {
    let (line, column) = (error.line(), error.column());
    let said = error.to_string();
    let place = format!(" at line {line} column {column}");
    let said = said.strip_suffix(&place).unwrap_or(&said);
    let (item, said) = match said.split_once("]: ") {
        Some((item, said)) => (format!("{item}]: "), said),
        None => (String::new(), said),
    };
    let of_type = said.split_once("invalid type: ");
    let of_type =
        of_type.and_then(|(place, types)| Some((place, types.split_once(", expected ")?)));
    let reason = if text.trim_ascii().is_empty() {
        "the file is empty".into()
    } else if said.contains("EOF while parsing") {
        format!("{item}the file ends too early: it was cut off")
    } else if text.trim_ascii_start().starts_with(b"<") {
        "it is XML or a web page, and no JSON".into()
    } else if let Some((place, (seen, needed))) = of_type {
        format!("{item}{place}there is {seen} where {needed} is needed")
    } else {
        format!("{item}no JSON that can be read: {said}")
    };
    AnnotationError::Json {
        path: path.into(),
        line,
        column,
        reason,
    }
    .into()
}

/// The text with `null` for the numbers that JSON has not, outside of its strings; none without any.
fn with_null_for_nan(text: &[u8]) -> Option<Vec<u8>> {
    const NO_NUMBERS: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];
    let mut clean = Vec::with_capacity(text.len());
    let (mut rest, mut is_string, mut found) = (text, false, false);
    while let [byte, after @ ..] = rest {
        let number = NO_NUMBERS
            .iter()
            .find(|name| !is_string && rest.starts_with(name));
        if let Some(name) = number {
            clean.extend(b"null");
            rest = &rest[name.len()..];
            found = true;
            continue;
        }
        clean.push(*byte);
        rest = after;
        match (byte, after) {
            (b'"', _) => is_string = !is_string,
            (b'\\', [escaped, after @ ..]) if is_string => {
                clean.push(*escaped);
                rest = after;
            }
            _ => {}
        }
    }
    found.then_some(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_json_has_not_are_null_outside_of_strings() {
        let text = br#"{"a": [NaN, -Infinity], "NaN \" NaN": Infinity}"#;
        let clean = with_null_for_nan(text).unwrap();
        assert_eq!(clean, br#"{"a": [null, null], "NaN \" NaN": null}"#);
        assert!(with_null_for_nan(br#"{"NaN": 1}"#).is_none());
    }
}
