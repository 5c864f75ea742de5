//! The labels of a table: numbers, or the names of classes.

use std::collections::BTreeMap;
use std::path::Path;

use ::csv::ByteRecord;

use super::error::CsvError;
use super::text::clean;
use super::{byte, number, numbered_classes};
use crate::DataError;

/// Rows that tell whether labels are numbers.
const LOOKED_AT: usize = 1000;
/// The most classes that names make: more are no labels.
const MOST_CLASSES: usize = 1000;
/// Classes that a remark names.
const NAMED: usize = 5;

/// What is needed where a label is a number.
const NUMBER: &str = "a label, a whole number from 0 to 255,";
/// What is needed where a label is a name.
const NAME: &str = "a label, the name of a class,";

/// Counts the fields of the first rows that are numbers, and those that are words.
#[derive(Default)]
pub(super) struct Kind {
    numbers: usize,
    words: usize,
}

impl Kind {
    /// False where enough was seen.
    pub(super) fn add(&mut self, field: &[u8], delimiter: u8) -> bool {
        let field = clean(field);
        if number(field, delimiter).is_some() {
            self.numbers += 1;
        } else if !field.is_empty() {
            self.words += 1;
        }
        self.numbers + self.words < LOOKED_AT
    }

    fn is_words(&self) -> bool {
        self.words > self.numbers
    }
}

/// The labels that were read.
pub(super) struct Labels {
    column: Option<usize>,
    delimiter: u8,
    /// Each label; of names the place of the first that had it.
    numbers: Vec<usize>,
    /// Where labels are names, each with its place in the order of its first row.
    names: Option<BTreeMap<String, usize>>,
}

impl Labels {
    pub(super) fn new(column: Option<usize>, kind: &Kind, delimiter: u8) -> Self {
        Self {
            column,
            delimiter,
            numbers: Vec::new(),
            names: kind.is_words().then(BTreeMap::new),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Whether a record has a label that can be used; what is needed otherwise.
    pub(super) fn check(&self, record: &ByteRecord) -> Result<(), &'static str> {
        let Some(field) = self.field(record) else {
            return Ok(());
        };
        let (fits, needed) = match self.names {
            None => (byte(field, self.delimiter).is_some(), NUMBER),
            Some(_) => (!field.is_empty(), NAME),
        };
        fits.then_some(()).ok_or(needed)
    }

    /// Adds the label of a record that was checked.
    pub(super) fn add(&mut self, record: &ByteRecord, path: &Path) -> Result<(), DataError> {
        let field = self.field(record).unwrap_or(b"0");
        let Some(names) = &mut self.names else {
            let label = byte(field, self.delimiter).unwrap_or(0);
            self.numbers.push(label.into());
            return Ok(());
        };
        let place = names.len();
        let name = String::from_utf8_lossy(field).into_owned();
        self.numbers.push(*names.entry(name).or_insert(place));
        if names.len() > MOST_CLASSES {
            let reason = format!("holds more than {MOST_CLASSES} different names");
            let path = path.into();
            return Err(CsvError::LabelColumn { path, reason }.into());
        }
        Ok(())
    }

    fn field<'a>(&self, record: &'a ByteRecord) -> Option<&'a [u8]> {
        record.get(self.column?).map(clean)
    }

    /// The labels, the names of the classes, and what is to be said of them.
    pub(super) fn into_classes(self, file: &str) -> (Vec<usize>, Vec<String>, Option<String>) {
        let Some(names) = self.names else {
            let names = numbered_classes(&self.numbers);
            return (self.numbers, names, None);
        };
        // By the order of the names.
        let mut places = vec![0; names.len()];
        names.values().enumerate().for_each(|(sorted, &first)| {
            places[first] = sorted;
        });
        let labels = self.numbers.iter().map(|&first| places[first]).collect();
        let names: Vec<String> = names.into_keys().collect();
        let shown: Vec<&str> = names.iter().take(NAMED).map(String::as_str).collect();
        let more = if names.len() > NAMED { ", …" } else { "" };
        let remark = format!(
            "the labels of {file} are words, each the name of a class, {} in all: {}{more}",
            names.len(),
            shown.join(", ")
        );
        (labels, names, Some(remark))
    }
}
