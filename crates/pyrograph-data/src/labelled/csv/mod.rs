//! Images as lines of numbers: a label and the pixels, as MNIST is often handed around.

mod columns;
mod edges;
mod error;
mod labels;
mod names;
mod text;

use std::path::Path;

use ::csv::ByteRecord;

use self::columns::{Columns, Role};
use self::edges::Edges;
pub use self::error::CsvError;
use self::labels::{Kind, Labels};
use self::text::{Text, clean};
use super::{LabelledImages, LabelledReader, LabelledReading, Split, levels, numbered_classes};
use crate::DataError;
use crate::faults::FaultList;
use crate::listing::name_of;

/// The characters of a wrong field that an error quotes.
const QUOTED: usize = 40;
const PIXEL: &str = "a pixel, a whole number from 0 to 255,";
const PIXEL_OF_ONE: &str =
    "a pixel, a whole number from 0 to 255 (or --white-level 1 for pixels from 0 to 1),";
const PIXEL_BELOW: &str = "a pixel, a number from 0 to the white level,";
/// The class of images without labels.
const UNLABELLED: &str = "unlabelled";
/// Rows between two reports of progress.
const ROWS_A_REPORT: usize = 500;

impl LabelledImages {
    /// Reads a CSV file with a line for each image: a label and the pixels row by row, whole numbers from 0 to 255.
    /// The images are grey and square. Labels that are words name their classes.
    ///
    /// The header says which column holds the labels (`label`, `class`, `target`, `y` and the like, or the one that is
    /// not numbered as the others are), which are no pixels (no name, `index`, `id`), and the order of the pixels.
    /// Without a header the label comes first, or last where only the last column looks like labels.
    ///
    /// A first line that does not start with a number is a header, as is one that numbers the columns of images of 4
    /// by 4 and more (0, 1, 2, …: what pandas writes for columns without names). Fields end in commas, semicolons,
    /// tabs, bars or spaces, lines in LF or CRLF; fields stand in quotes or between spaces, and whole numbers may carry
    /// a `.0` or be `True` and `False`; empty lines are left out, and so is Excel's `sep=;`. The file may be UTF-8 or UTF-16, also inside gzip. Where no pixel is above 1,
    /// 1 is white. Classes are named by numbers, from 0 to the largest label or to 9, whichever is more.
    ///
    /// A [`LabelledReader`] says what it guessed, and can be told otherwise.
    ///
    /// # Errors
    /// [`DataError::Read`], [`DataError::Empty`] where no image is in it, and a [`CsvError`]:
    /// [`CsvError::NotText`], [`CsvError::Columns`] unless the pixels fill a square,
    /// [`CsvError::NoLabel`], [`CsvError::LabelColumn`], [`CsvError::Row`] and
    /// [`CsvError::Field`] with the line and column of what is wrong.
    pub fn from_csv(path: impl AsRef<Path>) -> Result<LabelledImages, DataError> {
        let reader = LabelledReader::strict(Split::Train);
        Ok(read(&reader, path.as_ref(), &mut |_, _| ())?.images)
    }
}

/// Reads a table from a file.
pub(super) fn read(
    reader: &LabelledReader,
    path: &Path,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<LabelledReading, DataError> {
    read_text(reader, &Text::of_file(path), progress)
}

fn read_text(
    reader: &LabelledReader,
    text: &Text<'_>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<LabelledReading, DataError> {
    let path = text.path;
    let (columns, has_header) = columns_of(reader, text)?;
    if columns.label.is_none() && !reader.unlabelled {
        return Err(columns.without_label(path));
    }
    let kind = kind_of_labels(text, &columns, has_header)?;
    let mut rows = text.rows()?;
    let mut table = Table::new(reader, &columns, &kind, path, rows.delimiter());
    let mut record = ByteRecord::new();
    let mut is_first = true;
    while rows.next(&mut record)? && !table.faults.is_full() {
        let is_header = std::mem::take(&mut is_first) && has_header;
        if !is_header {
            table.add(&record)?;
        }
        if table.rows % ROWS_A_REPORT == 1 {
            progress(rows.bytes(), text.length.max(rows.bytes()));
        }
    }
    table.into_reading()
}

/// What the columns hold, and whether the first row is a header.
fn columns_of(reader: &LabelledReader, text: &Text<'_>) -> Result<(Columns, bool), DataError> {
    let wanted = &reader.options.label_column;
    let mut rows = text.rows()?;
    let mut record = ByteRecord::new();
    if !rows.next(&mut record)? {
        return Err(DataError::Empty {
            path: text.path.into(),
        });
    }
    let first: Vec<&[u8]> = record.iter().map(clean).collect();
    if first.iter().any(|field| field.contains(&b'\r')) {
        return Err(CsvError::NotText {
            path: text.path.into(),
            reason: "its lines end in carriage returns alone: save it with LF or CRLF",
        }
        .into());
    }
    let edges_of = |first: usize, last: usize, has_header: bool| {
        let mut rows = text.rows()?;
        let mut record = ByteRecord::new();
        let mut edges = Edges::new(first, last);
        let mut is_header = has_header;
        while rows.next(&mut record)? {
            if !std::mem::take(&mut is_header) {
                edges.add(&record);
            }
        }
        Ok(edges)
    };
    let total = first.len();
    if names::is_header(&first) {
        let named = first
            .iter()
            .map(|field| String::from_utf8_lossy(field).into_owned());
        let mut named: Vec<String> = named.collect();
        if rows.next(&mut record)? && record.len() == named.len() + 1 {
            // R gives the column of row names no name; others end lines, but for the header, in a separator.
            let has_end = record.iter().next_back().is_some_and(|f| f.is_empty());
            named.insert(if has_end { named.len() } else { 0 }, String::new());
        }
        let mut edges = |first, last| edges_of(first, last, true);
        let columns = Columns::named(&named, wanted, text.path, &mut edges)?;
        return Ok((columns, true));
    }
    let edges = edges_of(0, total - 1, false)?;
    Ok((Columns::numbered(&edges, total, wanted, text.path)?, false))
}

/// Whether the labels are numbers, by those of the first rows.
fn kind_of_labels(text: &Text<'_>, columns: &Columns, has_header: bool) -> Result<Kind, DataError> {
    let mut kind = Kind::default();
    let Some(label) = columns.label else {
        return Ok(kind);
    };
    let mut rows = text.rows()?;
    let mut record = ByteRecord::new();
    if has_header {
        rows.next(&mut record)?;
    }
    while rows.next(&mut record)? {
        if !kind.add(record.get(label).unwrap_or_default(), rows.delimiter()) {
            break;
        }
    }
    Ok(kind)
}

/// What has been read so far.
struct Table<'a> {
    reader: &'a LabelledReader,
    columns: &'a Columns,
    path: &'a Path,
    delimiter: u8,
    name: String,
    faults: FaultList,
    rows: usize,
    pixels: Vec<u8>,
    labels: Labels,
    lines: Vec<String>,
    /// The pixels of the row that is being read.
    row: Vec<u8>,
}

impl<'a> Table<'a> {
    fn new(
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

    fn add(&mut self, record: &ByteRecord) -> Result<(), DataError> {
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

    fn into_reading(mut self) -> Result<LabelledReading, DataError> {
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

/// The number that a field holds; a comma in it is a decimal one where fields do not end in commas, and `True` is 1.
fn number(field: &[u8], delimiter: u8) -> Option<f64> {
    let text = str::from_utf8(field).ok()?;
    for (word, value) in [("true", 1.0), ("false", 0.0)] {
        if text.eq_ignore_ascii_case(word) {
            return Some(value);
        }
    }
    if delimiter != b',' && text.contains(',') {
        return text.replace(',', ".").parse().ok();
    }
    text.parse().ok()
}

/// The byte that a field holds.
fn byte(field: &[u8], delimiter: u8) -> Option<u8> {
    // By far the most are plain, and this is where the time goes. A sign is left to the other way.
    if let Some(byte) = str::from_utf8(field)
        .ok()
        .and_then(|text| text.parse().ok())
    {
        return Some(byte);
    }
    let number = number(field, delimiter)?;
    // Checked to be a whole number of a byte's range.
    ((0.0..=255.0).contains(&number) && number.fract() == 0.0).then_some(number as u8)
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

#[cfg(test)]
mod tests;
