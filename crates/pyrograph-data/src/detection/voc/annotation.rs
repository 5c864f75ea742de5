//! One annotation file of Pascal VOC.

use std::path::Path;

use pyrograph_vision::BoundingBox;

use super::elements::{Elements, Field};
use crate::DataError;
use crate::detection::AnnotationError;
use crate::detection::text::xml_text;
use crate::detection::{BoxObject, VocCorners};

/// As many characters of a wrong value as an error repeats.
const MOST_QUOTED: usize = 60;

/// The contents of an annotation file.
#[derive(Debug)]
pub(super) struct Annotation {
    /// The image's file name, which many tools write with an extension that it has not.
    pub(super) filename: Option<String>,
    /// Width and height of the image in pixels; none where one of them is missing or 0, as some tools write it.
    pub(super) size: Option<(u32, u32)>,
    /// The class of each object, and its box; the class of the latter is not looked up yet.
    pub(super) objects: Vec<(String, BoxObject)>,
}

impl Annotation {
    /// Reads a file.
    ///
    /// # Errors
    /// [`DataError::Read`], [`DataError::TooLarge`], [`AnnotationError::Encoding`] and those of [`parse`](Self::parse).
    pub(super) fn read(path: &Path, corners: VocCorners) -> Result<Self, DataError> {
        Self::parse(&xml_text(path)?, path, corners)
    }

    /// Reads the text of a file; `path` is for messages.
    ///
    /// # Errors
    /// [`AnnotationError::Xml`], [`AnnotationError::Lacks`] and [`DataError::AnnotationValue`], with what is wrong.
    pub(super) fn parse(text: &str, path: &Path, corners: VocCorners) -> Result<Self, DataError> {
        let elements = Elements::of(text, path)?;
        let file = Fields { path, object: None };
        let fields = &elements.image;
        let side = |field| file.side(fields.get(field), field);
        let size = match (side(Field::Width)?, side(Field::Height)?) {
            (Some(width), Some(height)) => Some((width, height)),
            _ => None,
        };
        let offset = match corners {
            VocCorners::ZeroBased => 0.0,
            VocCorners::OneBased => 1.0,
        };
        let object = |(index, fields): (usize, &super::elements::Values)| {
            let at = Fields {
                path,
                object: Some(index + 1),
            };
            let name = fields.get(Field::Name).filter(|name| !name.is_empty());
            let name = name.ok_or_else(|| at.lacks(Field::Name))?;
            let corner = |field| -> Result<f32, DataError> {
                // In double precision, so that the 1 is taken off before anything is rounded.
                let number = at.number(fields.get(field), field)?;
                Ok((number - offset) as f32)
            };
            let object = BoxObject {
                bbox: BoundingBox {
                    x1: corner(Field::Xmin)?,
                    y1: corner(Field::Ymin)?,
                    x2: corner(Field::Xmax)?,
                    y2: corner(Field::Ymax)?,
                },
                class: 0,
                difficult: at.flag(fields.get(Field::Difficult), Field::Difficult)?,
                // Nothing depends on it, so that other words than 0 and 1 do not matter.
                truncated: at
                    .flag(fields.get(Field::Truncated), Field::Truncated)
                    .unwrap_or(false),
                crowd: false,
                area: None,
            };
            Ok((name.to_owned(), object))
        };
        let objects = elements.objects.iter().enumerate().map(object);
        Ok(Self {
            objects: objects.collect::<Result<_, DataError>>()?,
            filename: fields.get(Field::Filename).map(str::to_owned),
            size,
        })
    }
}

/// The fields of the image or of one object, as values.
struct Fields<'a> {
    path: &'a Path,
    /// The number of the object, from 1; none for the image.
    object: Option<usize>,
}

impl Fields<'_> {
    fn number(&self, seen: Option<&str>, field: Field) -> Result<f64, DataError> {
        let seen = seen.ok_or_else(|| self.lacks(field))?;
        let number = seen.parse();
        number.map_err(|_| self.refused(field, seen, "a number of pixels"))
    }

    /// A side of the image; `None` if it is missing or 0.
    fn side(&self, seen: Option<&str>, field: Field) -> Result<Option<u32>, DataError> {
        let Some(seen) = seen.filter(|seen| !seen.is_empty()) else {
            return Ok(None);
        };
        let number: Option<f64> = seen.parse().ok();
        let whole = number.filter(|n| n.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(n));
        match whole {
            Some(0.0) => Ok(None),
            // Within the range of the type.
            Some(number) => Ok(Some(number as u32)),
            None => {
                let allowed = "a whole number of pixels, or 0 for that of the image file";
                Err(self.refused(field, seen, allowed))
            }
        }
    }

    /// False if the element is missing or empty, or says that the flag was not set.
    fn flag(&self, seen: Option<&str>, field: Field) -> Result<bool, DataError> {
        let Some(seen) = seen else { return Ok(false) };
        match seen.to_ascii_lowercase().as_str() {
            "" | "0" | "0.0" | "false" | "no" | "unspecified" => Ok(false),
            "1" | "1.0" | "true" | "yes" => Ok(true),
            _ => Err(self.refused(field, seen, "0 or 1")),
        }
    }

    fn lacks(&self, field: Field) -> DataError {
        AnnotationError::Lacks {
            path: self.path.into(),
            place: match self.object {
                Some(number) => format!("object {number}"),
                None => "the annotation".into(),
            },
            missing: field.path(),
            allowed: "",
        }
        .into()
    }

    fn refused(&self, field: Field, seen: &str, allowed: &str) -> DataError {
        let name = field.path();
        DataError::AnnotationValue {
            path: self.path.into(),
            place: match self.object {
                Some(number) => format!("{name} of object {number}").into(),
                None => name.into(),
            },
            seen: seen.chars().take(MOST_QUOTED).collect(),
            allowed: allowed.into(),
        }
    }
}
