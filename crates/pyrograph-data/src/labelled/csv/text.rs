//! The rows of a table of text, whatever it is encoded in and its fields end in.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

use ::csv::{ByteRecord, Reader, ReaderBuilder, Terminator};
use flate2::bufread::MultiGzDecoder;

use super::error::CsvError;
use crate::DataError;

/// What Excel and others put before the first line of UTF-8.
const UTF8_MARK: &[u8] = b"\xEF\xBB\xBF";
/// The same of UTF-16, in both byte orders.
const UTF16_LITTLE: &[u8] = b"\xFF\xFE";
const UTF16_BIG: &[u8] = b"\xFE\xFF";
const GZIP: &[u8] = b"\x1F\x8B";
const ZIP: &[u8] = b"PK\x03\x04";
/// The most bytes of a text of UTF-16, which is held in memory.
const MOST_UTF16: u64 = 1 << 31;
/// The most bytes of a first line.
const MOST_LINE: u64 = 1 << 24;
/// The possible delimiters.
const DELIMITERS: [u8; 4] = *b",;\t|";
/// The buffer that is looked into for what a text is encoded in.
const BUFFER: usize = 1 << 16;

/// A table of text that can be read several times.
pub(super) struct Text<'a> {
    pub(super) path: &'a Path,
    /// Its bytes as it is stored.
    pub(super) length: usize,
    /// What stands for the file in tests.
    memory: Option<&'a [u8]>,
}

impl<'a> Text<'a> {
    pub(super) fn of_file(path: &'a Path) -> Self {
        let metadata = path.metadata();
        Self {
            path,
            length: metadata.map_or(0, |metadata| metadata.len() as usize),
            memory: None,
        }
    }

    #[cfg(test)]
    pub(super) fn of_bytes(path: &'a Path, bytes: &'a [u8]) -> Self {
        Self {
            path,
            length: bytes.len(),
            memory: Some(bytes),
        }
    }

    /// The rows from the first on.
    pub(super) fn rows(&self) -> Result<Rows<'a>, DataError> {
        let mut plain = self.decoded()?;
        let mut line = self.line_of(&mut plain)?;
        let declared = declared_delimiter(&line);
        if declared.is_some() {
            line = self.line_of(&mut plain)?;
        }
        let delimiter = declared.unwrap_or_else(|| delimiter_of(&line));
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .terminator(Terminator::Any(b'\n'))
            .from_reader(self.decoded()?);
        let mut rows = Rows {
            path: self.path,
            reader,
            delimiter,
            ends_in_delimiter: false,
        };
        if declared.is_some() {
            rows.next(&mut ByteRecord::new())?;
        }
        let end = line.iter().rfind(|byte| !b"\r\n".contains(byte));
        rows.ends_in_delimiter = end == Some(&delimiter) && delimiter != b' ';
        Ok(rows)
    }

    /// The next line that is not empty.
    fn line_of(&self, plain: &mut dyn BufRead) -> Result<Vec<u8>, DataError> {
        let mut line = Vec::new();
        while line.trim_ascii().is_empty() {
            line.clear();
            let read = plain.take(MOST_LINE).read_until(b'\n', &mut line);
            let read = read.map_err(|source| DataError::Read {
                path: self.path.into(),
                source,
            })?;
            if read == 0 {
                break;
            }
        }
        Ok(line)
    }

    /// The text in UTF-8, without a mark of its encoding.
    fn decoded(&self) -> Result<Box<dyn BufRead + 'a>, DataError> {
        let unreadable = |source| DataError::Read {
            path: self.path.into(),
            source,
        };
        let not_text = |reason| {
            let path = self.path.into();
            Err(CsvError::NotText { path, reason }.into())
        };
        let mut stored = self.stored().map_err(unreadable)?;
        if stored.fill_buf().map_err(unreadable)?.starts_with(GZIP) {
            let inner = MultiGzDecoder::new(stored);
            stored = Box::new(BufReader::with_capacity(BUFFER, inner));
        }
        let start = stored.fill_buf().map_err(unreadable)?;
        if start.starts_with(ZIP) {
            return not_text("it is a zip archive: unzip it first, or save a workbook as CSV");
        }
        if let Some(reason) = other_text(start) {
            return not_text(reason);
        }
        if start.starts_with(UTF8_MARK) {
            stored.consume(UTF8_MARK.len());
            return Ok(stored);
        }
        let Some(unit) = utf16_units(start) else {
            return Ok(stored);
        };
        let mut bytes = Vec::new();
        let mut limited = stored.take(MOST_UTF16 + 1);
        limited.read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > MOST_UTF16 {
            return not_text("it is UTF-16 of more than 2 GiB: save it as UTF-8");
        }
        if !bytes.len().is_multiple_of(2) {
            return not_text("it is UTF-16 that ends within a character");
        }
        let units: Vec<u16> = bytes
            .chunks_exact(2)
            .map(|pair| unit([pair[0], pair[1]]))
            .collect();
        match String::from_utf16(&units) {
            Ok(text) => {
                let text = text.trim_start_matches('\u{feff}').to_owned();
                Ok(Box::new(Cursor::new(text.into_bytes())))
            }
            Err(_) => not_text("it begins as UTF-16 and is none"),
        }
    }

    fn stored(&self) -> io::Result<Box<dyn BufRead + 'a>> {
        match self.memory {
            Some(bytes) => Ok(Box::new(bytes)),
            None => {
                let file = BufReader::with_capacity(BUFFER, File::open(self.path)?);
                Ok(Box::new(file))
            }
        }
    }
}

/// The format of a text that is not a table.
fn other_text(start: &[u8]) -> Option<&'static str> {
    let start = start.strip_prefix(UTF8_MARK).unwrap_or(start);
    let start = start.trim_ascii_start();
    let start = start[..start.len().min(20)].to_ascii_lowercase();
    let begins = |words: &[&[u8]]| words.iter().any(|word| start.starts_with(word));
    if begins(&[b"<!doctype", b"<html", b"<?xml"]) {
        return Some("it is a web page or XML, as a failed download leaves it");
    }
    let is_pointer = begins(&[b"version https://git-"]);
    is_pointer.then_some("it is a pointer of git-lfs instead of the file: run `git lfs pull`")
}

/// The byte order of a text that begins as UTF-16 does, with or without its mark.
fn utf16_units(start: &[u8]) -> Option<fn([u8; 2]) -> u16> {
    let little: fn([u8; 2]) -> u16 = u16::from_le_bytes;
    let big: fn([u8; 2]) -> u16 = u16::from_be_bytes;
    if start.starts_with(UTF16_LITTLE) {
        return Some(little);
    }
    if start.starts_with(UTF16_BIG) {
        return Some(big);
    }
    match start {
        [1..=127, 0, 1..=127, 0, ..] => Some(little),
        [0, 1..=127, 0, 1..=127, ..] => Some(big),
        _ => None,
    }
}

/// The rows of a text.
pub(super) struct Rows<'a> {
    path: &'a Path,
    reader: Reader<Box<dyn BufRead + 'a>>,
    delimiter: u8,
    /// Whether the first row ends in a delimiter: rows then have one field less than they seem to.
    ends_in_delimiter: bool,
}

impl Rows<'_> {
    /// The delimiter of fields.
    pub(super) fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// Bytes of text that were read.
    pub(super) fn bytes(&self) -> usize {
        self.reader.position().byte() as usize
    }

    /// Reads the next row that is not empty; false at the end.
    pub(super) fn next(&mut self, record: &mut ByteRecord) -> Result<bool, DataError> {
        loop {
            let read = self.reader.read_byte_record(record);
            let found = read.map_err(|error| DataError::Read {
                path: self.path.into(),
                source: error.into(),
            })?;
            if found && self.delimiter == b' ' {
                without_empty_fields(record);
            }
            if self.ends_in_delimiter && record.iter().next_back().is_some_and(<[u8]>::is_empty) {
                record.truncate(record.len() - 1);
            }
            if !found || !record.iter().all(|field| clean(field).is_empty()) || record.len() > 1 {
                return Ok(found);
            }
        }
    }
}

/// Takes out the fields between spaces that follow each other, and numpy's sign before a header.
fn without_empty_fields(record: &mut ByteRecord) {
    let position = record.position().cloned();
    let is_field = |field: &&[u8]| !clean(field).is_empty() && *field != b"#";
    let fields = record.iter().filter(is_field);
    let mut kept: ByteRecord = fields.collect();
    kept.set_position(position);
    *record = kept;
}

/// A field without quotes and spaces around it.
pub(super) fn clean(field: &[u8]) -> &[u8] {
    let field = field.trim_ascii();
    let within = |quote: &[u8]| field.strip_prefix(quote)?.strip_suffix(quote);
    let inner = within(b"\"").or_else(|| within(b"'"));
    inner.unwrap_or(field).trim_ascii()
}

/// The delimiter that a first line such as Excel's `sep=;` declares.
fn declared_delimiter(line: &[u8]) -> Option<u8> {
    match clean(line).to_ascii_lowercase().as_slice() {
        [b's', b'e', b'p', b'=', delimiter] if DELIMITERS.contains(delimiter) => Some(*delimiter),
        // The tab is no part of the line without the spaces around it.
        b"sep=" => Some(b'\t'),
        _ => None,
    }
}

/// The delimiter of a line: the most frequent one outside quotes. Semicolons are preferred to
/// commas if they give a label and a square of pixels, since commas may be decimal commas.
fn delimiter_of(line: &[u8]) -> u8 {
    let mut counts = [0_usize; DELIMITERS.len()];
    let mut is_quoted = false;
    for &byte in line {
        is_quoted ^= byte == b'"';
        let place = DELIMITERS.iter().position(|&delimiter| delimiter == byte);
        if let Some(place) = place.filter(|_| !is_quoted) {
            counts[place] += 1;
        }
    }
    let [commas, semicolons, ..] = counts;
    let squares = |pixels: usize| pixels.isqrt().pow(2) == pixels;
    if commas > 0 && semicolons > 3 && (squares(semicolons) || squares(semicolons + 1)) {
        return b';';
    }
    let most = counts.iter().copied().max().unwrap_or(0);
    if most == 0 {
        return if line.trim_ascii().contains(&b' ') {
            b' '
        } else {
            b','
        };
    }
    let place = counts.iter().position(|&count| count == most);
    place.map_or(b',', |place| DELIMITERS[place])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excel_s_line_names_what_fields_end_in() {
        for (line, delimiter) in [
            (&b"sep=;\r\n"[..], Some(b';')),
            (b"SEP=,\n", Some(b',')),
            (b"\"sep=|\"\n", Some(b'|')),
            (b"sep=\t\r\n", Some(b'\t')),
            (b"sep=x\n", None),
            (b"label;a;b\n", None),
        ] {
            assert_eq!(declared_delimiter(line), delimiter, "{line:?}");
        }
    }

    #[test]
    fn fields_end_in_what_is_most_frequent() {
        for (line, delimiter) in [
            ("5,0,0,0,1", b','),
            ("label;a;b;c;d", b';'),
            ("5\t0\t0", b'\t'),
            ("5|0|0", b'|'),
            ("5 0 0", b' '),
            ("5", b','),
            ("\"a;b;c\",1", b','),
            // Decimal commas.
            ("5;0,5;0,25;1,0;0,0", b';'),
        ] {
            assert_eq!(delimiter_of(line.as_bytes()), delimiter, "{line}");
        }
    }
}
