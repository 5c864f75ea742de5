//! Images and labels from the rows of a table.

use std::path::Path;

use ::csv::ByteRecord;

use super::columns::{Columns, Role};
use super::error::CsvError;
use super::labels::{Kind, Labels};
use super::text::clean;
use super::{byte, number};
use crate::DataError;
use crate::faults::FaultList;
use crate::labelled::{LabelledImages, LabelledReader, LabelledReading, levels};
use crate::listing::name_of;

/// The characters of a wrong field that an error quotes.
const QUOTED: usize = 40;
const PIXEL: &str = "a pixel, a whole number from 0 to 255,";
const PIXEL_OF_ONE: &str =
    "a pixel, a whole number from 0 to 255 (or --white-level 1 for pixels from 0 to 1),";
const PIXEL_BELOW: &str = "a pixel, a number from 0 to the white level,";
/// The class of images without labels.
const UNLABELLED: &str = "unlabelled";

/// What has been read so far.
pub(super) struct Table<'a> {
    reader: &'a LabelledReader,
    columns: &'a Columns,
    path: &'a Path,
    delimiter: u8,
    name: String,
    pub(super) faults: FaultList,
    pub(super) rows: usize,
    pixels: Vec<u8>,
    labels: Labels,
    lines: Vec<String>,
    /// The pixels of the row that is being read.
    row: Vec<u8>,
}

impl<'a> Table<'a> {
    pub(super) fn new(
        reader: &'a LabelledReader,
        columns: &'a Columns,
        kind: &Kind,
        path: &'a Path,
        delimiter: u8,
    ) -> Self {
        Self {
            reader,
            columns,
            path,
            delimiter,
            name: name_of(path),
            faults: FaultList::new(reader.options.faults),
            rows: 0,
            pixels: Vec::new(),
            labels: Labels::new(columns.label, kind, delimiter),
            lines: Vec::new(),
            row: vec![0; columns.side * columns.side],
        }
    }

    pub(super) fn add(&mut self, record: &ByteRecord) -> Result<(), DataError> {
        self.rows += 1;
        let line = record.position().map_or(0, |place| place.line() as usize);
        let read = self.read_row(record, line);
        if self.faults.keep(read)?.is_some() {
            self.labels.add(record, self.path)?;
            self.pixels.extend_from_slice(&self.row);
            self.lines.push(format!("{}:{line}", self.name));
        }
        Ok(())
    }

    /// Reads the pixels of a record to `row`, and checks its label.
    fn read_row(&mut self, record: &ByteRecord, line: usize) -> Result<(), DataError> {
        if record.len() != self.columns.roles.len() {
            return Err(CsvError::Row {
                path: self.path.into(),
                line,
                seen: record.len(),
                expected: self.columns.roles.len(),
            }
            .into());
        }
        for (column, (field, role)) in record.iter().zip(&self.columns.roles).enumerate() {
            let field = clean(field);
            match *role {
                Role::Other => {}
                Role::Label => {
                    let checked = self.labels.check(record);
                    checked.map_err(|needed| self.wrong(line, column, field, needed))?;
                }
                Role::Pixel(place) => {
                    let level = match self.reader.options.white_level {
                        None => byte(field, self.delimiter),
                        Some(white) => share(field, self.delimiter, white),
                    };
                    let Some(level) = level else {
                        return Err(self.wrong(line, column, field, self.allowed_pixel(field)));
                    };
                    self.row[place] = level;
                }
            }
        }
        Ok(())
    }

    fn allowed_pixel(&self, field: &[u8]) -> &'static str {
        match (
            self.reader.options.white_level,
            number(field, self.delimiter),
        ) {
            (Some(_), _) => PIXEL_BELOW,
            (None, Some(number)) if (0.0..1.0).contains(&number) => PIXEL_OF_ONE,
            (None, _) => PIXEL,
        }
    }

    fn wrong(&self, line: usize, column: usize, field: &[u8], allowed: &'static str) -> DataError {
        let text = String::from_utf8_lossy(field);
        CsvError::Field {
            path: self.path.into(),
            line,
            column: column + 1,
            seen: text.chars().take(QUOTED).collect(),
            allowed,
        }
        .into()
    }

    pub(super) fn into_reading(mut self) -> Result<LabelledReading, DataError> {
        self.faults.check(self.path, self.rows)?;
        if self.labels.is_empty() {
            self.faults.nothing_left(self.path, self.rows)?;
            return Err(DataError::Empty {
                path: self.path.into(),
            });
        }
        let has_labels = self.columns.label.is_some();
        let (labels, mut names, words) = self.labels.into_classes(&self.name);
        if !has_labels {
            names = vec![UNLABELLED.into()];
        }
        let side = self.columns.side;
        let set = LabelledImages::new(self.pixels, 1, side, side, labels, names)?;
        let mut reading = LabelledReading::of(set.with_item_names(self.lines)?);
        reading.has_labels = has_labels;
        reading.remarks.extend(self.columns.remarks.iter().cloned());
        reading.remarks.extend(words);
        reading.remarks.extend(self.faults.remark());
        if self.reader.options.white_level.is_none() && largest(&reading.images) == 1 {
            reading.images.stretch(1);
            reading.white_level = Some(1);
            reading.remarks.push(format!(
                "no pixel of {} is above 1: 0 is taken for black and 1 for white; say --white-level 255 if white is \
                 255",
                self.name
            ));
        }
        reading
            .remarks
            .extend(levels::remark_on_dark(&reading.images, None));
        Ok(reading)
    }
}

fn largest(set: &LabelledImages) -> u8 {
    set.pixels.iter().copied().max().unwrap_or(0)
}

/// The byte of a number from 0 to `white`, rounded to the nearest.
fn share(field: &[u8], delimiter: u8, white: u16) -> Option<u8> {
    let white = f64::from(white.max(1));
    let number = number(field, delimiter)?;
    // Checked to lie in a byte's range.
    (0.0..=white)
        .contains(&number)
        .then(|| (number * 255.0 / white).round() as u8)
}
