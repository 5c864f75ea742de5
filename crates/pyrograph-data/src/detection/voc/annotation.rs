//! One annotation file of Pascal VOC.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use pyrograph_vision::BoundingBox;

use super::elements::{Elements, Field};
use crate::DataError;
use crate::detection::{BoxObject, VocCorners};

/// The largest annotation file read; VOC's own take a few kilobytes.
const MOST_BYTES: u64 = 64 << 20;
/// As many characters of a wrong value as an error repeats.
const MOST_QUOTED: usize = 60;

/// What an annotation file says.
#[derive(Debug)]
pub(super) struct Annotation {
    /// The image's file name, which many tools write with an extension that it has not.
    pub(super) filename: Option<String>,
    /// Width and height of the image in pixels.
    pub(super) size: (u32, u32),
    /// The class of each object, and its box; the class of the latter is not looked up yet.
    pub(super) objects: Vec<(String, BoxObject)>,
}

impl Annotation {
    /// Reads a file.
    ///
    /// # Errors
    /// [`DataError::Read`], [`DataError::TooLarge`] and those of [`parse`](Self::parse).
    pub(super) fn read(path: &Path, corners: VocCorners) -> Result<Self, DataError> {
        let unreadable = |source| DataError::Read {
            path: path.into(),
            source,
        };
        let file = File::open(path).map_err(unreadable)?;
        let mut text = String::new();
        // One more than allowed shows whether there is more.
        let mut reader = file.take(MOST_BYTES + 1);
        reader.read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > MOST_BYTES {
            return Err(DataError::TooLarge {
                what: format!("the annotation file {}", path.display()),
                bytes: text.len() as u128,
                allowed: "64 MiB",
            });
        }
        Self::parse(&text, path, corners)
    }

    /// Reads the text of a file; `path` is for messages.
    ///
    /// # Errors
    /// [`DataError::Xml`], [`DataError::AnnotationLacks`] and [`DataError::AnnotationValue`], with what is wrong.
    pub(super) fn parse(text: &str, path: &Path, corners: VocCorners) -> Result<Self, DataError> {
        let elements = Elements::of(text, path)?;
        let file = Fields { path, object: None };
        let fields = &elements.image;
        let size = (
            file.number(fields.get(Field::Width), Field::Width)?,
            file.number(fields.get(Field::Height), Field::Height)?,
        );
        for (field, side) in [(Field::Width, size.0), (Field::Height, size.1)] {
            if side == 0 {
                return Err(file.refused(field, "0", "a number of pixels from 1"));
            }
        }
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
                let number: f64 = at.number(fields.get(field), field)?;
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
                truncated: at.flag(fields.get(Field::Truncated), Field::Truncated)?,
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
    fn number<T: FromStr + Numeric>(
        &self,
        seen: Option<&str>,
        field: Field,
    ) -> Result<T, DataError> {
        let seen = seen.ok_or_else(|| self.lacks(field))?;
        let number = seen.parse();
        number.map_err(|_| self.refused(field, seen, T::ALLOWED))
    }

    /// Not set where the element is missing or empty.
    fn flag(&self, seen: Option<&str>, field: Field) -> Result<bool, DataError> {
        match seen {
            None | Some("" | "0") => Ok(false),
            Some("1") => Ok(true),
            Some(seen) => Err(self.refused(field, seen, "0 or 1")),
        }
    }

    fn lacks(&self, field: Field) -> DataError {
        DataError::AnnotationLacks {
            path: self.path.into(),
            place: match self.object {
                Some(number) => format!("object {number}"),
                None => "the annotation".into(),
            },
            missing: field.path(),
        }
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

/// Numbers in a file, by what is allowed for them.
trait Numeric {
    const ALLOWED: &'static str;
}

impl Numeric for u32 {
    const ALLOWED: &'static str = "a whole number of pixels from 1";
}

impl Numeric for f64 {
    const ALLOWED: &'static str = "a number of pixels";
}
