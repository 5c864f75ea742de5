//! Images as lines of numbers, a label and the pixels: a common form of MNIST.

mod columns;
mod edges;
mod error;
mod labels;
mod names;
mod table;
mod text;

use std::path::Path;

use ::csv::ByteRecord;

use self::columns::Columns;
use self::edges::Edges;
pub use self::error::CsvError;
use self::labels::Kind;
use self::table::Table;
use self::text::{Text, clean};
use super::{LabelledImages, LabelledReader, LabelledReading, Split, numbered_classes};
use crate::DataError;

/// Rows between two reports of progress.
const ROWS_A_REPORT: usize = 500;

impl LabelledImages {
    /// Reads a CSV file with a line for each image: a label and the pixels row by row, whole numbers from 0 to 255.
    /// The images are grey and square.
    ///
    /// The header tells the label column (`label`, `class`, `target`, `y` and the like, or the
    /// column whose name does not fit the numbering of the others), columns that are not pixels (no
    /// name, `index`, `id`), and the order of the pixels. Without a header the label is the first
    /// column, or the last one if only the last column looks like labels.
    ///
    /// A first line that does not start with a number is a header; so is a line that numbers the
    /// columns of images of 4 by 4 and more (0, 1, 2, …, which pandas writes for columns without
    /// names). Fields end in commas, semicolons, tabs, bars or spaces, lines in LF or CRLF. Fields
    /// may be in quotes or have spaces around them; whole numbers may have a `.0` or be `True` and
    /// `False`. Empty lines and Excel's `sep=;` are ignored. The file may be UTF-8 or UTF-16, also
    /// inside gzip. If no pixel is above 1, the white level is 1. If the labels are words, they
    /// name the classes; otherwise the classes are numbers, from 0 to the largest label, at least
    /// to 9.
    ///
    /// A [`LabelledReader`] reports its guesses and has options to override them.
    ///
    /// # Errors
    /// [`DataError::Read`], [`DataError::Empty`] if the file has no image, and a [`CsvError`]:
    /// [`CsvError::NotText`], [`CsvError::Columns`] unless the pixels fill a square,
    /// [`CsvError::NoLabel`], [`CsvError::LabelColumn`], [`CsvError::Row`] and [`CsvError::Field`]
    /// with the line and column of the fault.
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

/// The roles of the columns, and whether the first row is a header.
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

#[cfg(test)]
mod tests;
