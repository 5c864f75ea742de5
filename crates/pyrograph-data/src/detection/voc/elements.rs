//! The elements of an annotation file that are looked at, by their place in it.

use std::path::Path;

use quick_xml::errors::{IllFormedError, SyntaxError};
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, Event};
use quick_xml::{Error, Reader};

use crate::DataError;
use crate::detection::AnnotationError;

/// An element with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Filename,
    Width,
    Height,
    Name,
    Difficult,
    Truncated,
    Xmin,
    Ymin,
    Xmax,
    Ymax,
}

/// The fields of the image.
const OF_IMAGE: [Field; 3] = [Field::Filename, Field::Width, Field::Height];
/// The fields of every object.
const OF_OBJECT: [Field; 7] = [
    Field::Name,
    Field::Difficult,
    Field::Truncated,
    Field::Xmin,
    Field::Ymin,
    Field::Xmax,
    Field::Ymax,
];
/// The outermost element.
const ROOT: &str = "annotation";
/// The element of an object, within the root.
const OBJECT: &str = "object";

impl Field {
    /// Its place within the root or within its object: the whole of it, so that the name and box of
    /// an object's `part` are not taken for the object's own.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Filename => "filename",
            Self::Width => "size/width",
            Self::Height => "size/height",
            Self::Name => "name",
            Self::Difficult => "difficult",
            Self::Truncated => "truncated",
            Self::Xmin => "bndbox/xmin",
            Self::Ymin => "bndbox/ymin",
            Self::Xmax => "bndbox/xmax",
            Self::Ymax => "bndbox/ymax",
        }
    }
}

/// The values of some fields, without the white space around them.
#[derive(Debug, Default)]
pub(super) struct Values(Vec<(Field, String)>);

impl Values {
    pub(super) fn get(&self, field: Field) -> Option<&str> {
        let mut values = self.0.iter();
        let (_, value) = values.find(|(seen, _)| *seen == field)?;
        Some(value.trim())
    }
}

/// All values of a file.
#[derive(Debug, Default)]
pub(super) struct Elements {
    pub(super) image: Values,
    pub(super) objects: Vec<Values>,
}

impl Elements {
    /// Finds them in the text of a file; `path` is for messages. What else stands in it is left aside.
    ///
    /// # Errors
    /// [`AnnotationError::Xml`] where the text is no XML, ends before its elements do, is no
    /// annotation, or has a field twice.
    pub(super) fn of(text: &str, path: &Path) -> Result<Self, DataError> {
        let mut walk = Walk::default();
        let text = text.trim_start_matches('\u{feff}');
        let mut reader = Reader::from_str(text);
        let wrong = |at: u64, reason: String| -> DataError {
            AnnotationError::Xml {
                path: path.into(),
                line: line_of(text, at),
                reason,
            }
            .into()
        };
        loop {
            let start = reader.buffer_position();
            let event = reader.read_event();
            let event = event.map_err(|error| {
                let reason = in_words(&error) + &walk.place();
                wrong(reader.error_position(), reason)
            })?;
            let walked = match event {
                Event::Start(tag) => walk.opened(tag.name().as_ref()),
                Event::Empty(tag) => walk
                    .opened(tag.name().as_ref())
                    .and_then(|()| walk.closed()),
                Event::End(_) => walk.closed(),
                Event::Text(text) => walk.text(&text.xml10_content()),
                Event::CData(text) => walk.text(&text.xml10_content()),
                Event::GeneralRef(name) => resolve(&name).and_then(|text| walk.text(&text)),
                Event::Eof => break,
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => Ok(()),
            };
            walked.map_err(|reason| wrong(start, reason + &walk.place()))?;
        }
        let end = text.len() as u64;
        match walk.open.last() {
            Some(open) => {
                let reason = format!("it ends within <{open}>{}", walk.place());
                Err(wrong(end, reason))
            }
            None if text.trim().is_empty() => Err(wrong(end, "the file is empty".into())),
            None if walk.roots == 0 => Err(wrong(end, format!("there is no <{ROOT}>"))),
            None => Ok(walk.found),
        }
    }
}

/// The XML error in plain words.
fn in_words(error: &Error) -> String {
    match error {
        Error::IllFormed(IllFormedError::MismatchedEndTag { expected, found }) => {
            format!("there is </{found}> where </{expected}> is needed")
        }
        Error::IllFormed(IllFormedError::UnmatchedEndTag(name)) => {
            format!("there is </{name}>, but no <{name}> before it")
        }
        Error::IllFormed(IllFormedError::UnclosedReference) => {
            "there is an & that begins no name: write &amp; for it".into()
        }
        Error::Syntax(SyntaxError::UnclosedTag) => "a tag has no end: the file was cut off".into(),
        other => other.to_string(),
    }
}

/// The line of the byte at `at`, from 1.
fn line_of(text: &str, at: u64) -> usize {
    // A position beyond the text is that of its end.
    let at = usize::try_from(at).unwrap_or(text.len()).min(text.len());
    let ends = text.as_bytes()[..at].iter().filter(|&&byte| byte == b'\n');
    ends.count() + 1
}

/// The value of `&name;`; files define no entities of their own.
fn resolve(name: &BytesRef<'_>) -> Result<String, String> {
    if let Some(character) = name.resolve_char_ref().map_err(|error| error.to_string())? {
        return Ok(character.into());
    }
    let text = name.xml10_content();
    let known = resolve_predefined_entity(&text).map(str::to_owned);
    known.ok_or_else(|| format!("&{text}; is not known"))
}

/// The place in a file.
#[derive(Default)]
struct Walk {
    /// The elements around this place, the outermost first.
    open: Vec<String>,
    found: Elements,
    /// Outermost elements so far.
    roots: usize,
}

impl Walk {
    /// The object that this place is in, as the end of a sentence.
    fn place(&self) -> String {
        match self.open.get(1).map(String::as_str) {
            Some(OBJECT) => format!(", in object {}", self.found.objects.len()),
            _ => String::new(),
        }
    }

    fn opened(&mut self, name: &str) -> Result<(), String> {
        if self.open.is_empty() {
            self.roots += 1;
            if name != ROOT || self.roots > 1 {
                return Err(format!("there is <{name}> where one <{ROOT}> is needed"));
            }
        }
        self.open.push(name.to_owned());
        if self.open.len() == 2 && name == OBJECT {
            self.found.objects.push(Values::default());
        }
        if let Some((field, values)) = self.field() {
            if values.get(field).is_some() {
                return Err(format!("there is a second {}", field.path()));
            }
            values.0.push((field, String::new()));
        }
        Ok(())
    }

    fn closed(&mut self) -> Result<(), String> {
        // The reader refuses an end without its beginning.
        self.open.pop();
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), String> {
        if self.open.is_empty() && !text.trim().is_empty() {
            return Err("there is text outside all elements".into());
        }
        if let Some((field, values)) = self.field()
            && let Some((_, value)) = values.0.iter_mut().find(|(seen, _)| *seen == field)
        {
            value.push_str(text);
        }
        Ok(())
    }

    /// The field at this place, and the values that it belongs to.
    fn field(&mut self) -> Option<(Field, &mut Values)> {
        let inner = self.open.get(1..)?;
        let (fields, within, values) = match inner.first().map(String::as_str) {
            // There is a last object: it was added when it was opened.
            Some(OBJECT) => (&OF_OBJECT[..], &inner[1..], self.found.objects.last_mut()?),
            _ => (&OF_IMAGE[..], inner, &mut self.found.image),
        };
        let is_here = |field: &&Field| {
            field
                .path()
                .split('/')
                .eq(within.iter().map(String::as_str))
        };
        let field = fields.iter().find(is_here)?;
        Some((*field, values))
    }
}
