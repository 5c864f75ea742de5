//! Images as lines of numbers: a label and then the pixels, as MNIST is often handed around.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use super::{LabelledImages, numbered_classes};
use crate::DataError;

/// What Excel and others put before the first line.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// The characters of a wrong field that an error quotes.
const QUOTED: usize = 40;
const LABEL: &str = "a label, a whole number from 0 to 255,";
const PIXEL: &str = "a pixel, a whole number from 0 to 255,";

impl LabelledImages {
    /// Reads a CSV file with a line for each image: the label and then the pixels row by row, all whole numbers from 0
    /// to 255. The images are grey and square.
    ///
    /// A first line that does not start with a number is a header and is left out, as is one that numbers the columns
    /// of images of 16 by 16 and more (0, 1, 2, …: what pandas writes for columns without names). Lines may end in
    /// CRLF, fields stand in quotes or between spaces, and whole numbers may carry a `.0`; empty lines are left out.
    /// Classes are named by numbers, from 0 to the largest label or to 9, whichever is more.
    ///
    /// # Errors
    /// [`DataError::Read`], [`DataError::Empty`] where no image is in it, [`DataError::CsvColumns`] unless the pixels
    /// fill a square, [`DataError::CsvRow`] and [`DataError::CsvField`] with the line and column of what is wrong.
    pub fn from_csv(path: impl AsRef<Path>) -> Result<LabelledImages, DataError> {
        let path = path.as_ref();
        let mut table = Table::new(path);
        let unreadable = |source| DataError::Read {
            path: path.into(),
            source,
        };
        let mut reader = BufReader::new(File::open(path).map_err(unreadable)?);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).map_err(unreadable)? > 0 {
            table.add(&line)?;
            line.clear();
        }
        table.into_images()
    }
}

/// What has been read so far.
struct Table<'a> {
    path: &'a Path,
    /// Lines seen, empty ones included.
    lines: usize,
    /// The columns of the first line that is not empty, and the side of the images.
    layout: Option<(usize, usize)>,
    pixels: Vec<u8>,
    labels: Vec<usize>,
}

impl<'a> Table<'a> {
    fn new(path: &'a Path) -> Self {
        let (pixels, labels) = (Vec::new(), Vec::new());
        Self {
            path,
            lines: 0,
            layout: None,
            pixels,
            labels,
        }
    }

    /// Adds a line, with or without its end.
    fn add(&mut self, line: &[u8]) -> Result<(), DataError> {
        self.lines += 1;
        let mut line = line;
        if self.lines == 1 {
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        }
        let line = line.trim_ascii();
        if line.is_empty() {
            return Ok(());
        }
        let seen = line.split(|&byte| byte == b',').count();
        let columns = match self.layout {
            Some((columns, _)) => columns,
            None => {
                self.layout = Some((seen, self.side(seen)?));
                if is_header(line) {
                    return Ok(());
                }
                seen
            }
        };
        if seen != columns {
            return Err(DataError::CsvRow {
                path: self.path.into(),
                line: self.lines,
                seen,
                expected: columns,
            });
        }
        for (column, field) in fields(line).enumerate() {
            match number(field) {
                Some(byte) if column == 0 => self.labels.push(byte.into()),
                Some(byte) => self.pixels.push(byte),
                None => return Err(self.wrong(column, field)),
            }
        }
        Ok(())
    }

    /// The side of the images in lines of `columns`.
    fn side(&self, columns: usize) -> Result<usize, DataError> {
        let pixels = columns - 1; // A line has at least one column.
        let side = pixels.isqrt();
        if pixels == 0 || side * side != pixels {
            return Err(DataError::CsvColumns {
                path: self.path.into(),
                seen: columns,
            });
        }
        Ok(side)
    }

    fn wrong(&self, column: usize, field: &[u8]) -> DataError {
        let text = String::from_utf8_lossy(field);
        DataError::CsvField {
            path: self.path.into(),
            line: self.lines,
            column: column + 1,
            seen: text.chars().take(QUOTED).collect(),
            allowed: if column == 0 { LABEL } else { PIXEL },
        }
    }

    fn into_images(self) -> Result<LabelledImages, DataError> {
        let Some((_, side)) = self.layout.filter(|_| !self.labels.is_empty()) else {
            return Err(DataError::Empty {
                path: self.path.into(),
            });
        };
        let names = numbered_classes(&self.labels);
        LabelledImages::new(self.pixels, 1, side, side, self.labels, names)
    }
}

/// Whether a first line names the columns.
fn is_header(line: &[u8]) -> bool {
    let starts_with_a_number = fields(line)
        .next()
        .and_then(|field| str::from_utf8(field).ok())
        .is_some_and(|field| field.parse::<f64>().is_ok());
    if !starts_with_a_number {
        // A word before nothing but pixels is a damaged label, unless the pixels count the columns.
        let pixels = || fields(line).skip(1).filter_map(|f| str::from_utf8(f).ok());
        let all_are_pixels = pixels().all(|field| field.parse::<u8>().is_ok());
        let counts_from = |first: usize| {
            let numbers = pixels().enumerate();
            numbers
                .take(256)
                .all(|(place, field)| field == (first + place).to_string())
        };
        return !all_are_pixels
            || (pixels().nth(1).is_some() && (counts_from(0) || counts_from(1)));
    }
    // Column 256 cannot be a pixel of the value 256, so that nothing but a header has it.
    let mut counted = fields(line).enumerate();
    fields(line).nth(256).is_some()
        && counted.all(|(column, field)| field == column.to_string().as_bytes())
}

/// The fields of a line, without quotes and spaces around them.
fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&byte| byte == b',').map(|field| {
        let field = field.trim_ascii();
        let inner = field
            .strip_prefix(b"\"")
            .and_then(|f| f.strip_suffix(b"\""));
        inner.unwrap_or(field).trim_ascii()
    })
}

/// The byte that a field holds.
fn number(field: &[u8]) -> Option<u8> {
    let text = str::from_utf8(field).ok()?;
    // By far the most are plain, and this is where the time goes. A sign is left to the other way.
    if let Ok(byte) = text.parse() {
        return Some(byte);
    }
    let number: f64 = text.parse().ok()?;
    // Checked to be a whole number of a byte's range.
    ((0.0..=255.0).contains(&number) && number.fract() == 0.0).then_some(number as u8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<LabelledImages, DataError> {
        let mut table = Table::new(Path::new("digits.csv"));
        text.split_inclusive('\n')
            .try_for_each(|line| table.add(line.as_bytes()))?;
        table.into_images()
    }

    #[test]
    fn a_label_and_four_pixels_are_an_image_of_two_by_two() {
        let set = read("3,0,1,2,255\n12,9,8,7,6").unwrap();
        assert_eq!((set.len(), set.height(), set.width()), (2, 2, 2));
        assert_eq!(
            (set.pixels(0), set.labels()),
            (&[0, 1, 2, 255][..], &[3, 12][..])
        );
        // Up to the largest label, as 9 is less.
        assert_eq!(set.class_names().len(), 13);
    }

    #[test]
    fn headers_line_ends_quotes_spaces_and_empty_lines_change_nothing() {
        let plain = read("3,0,1,2,255\n4,9,8,7,6\n").unwrap();
        for text in [
            "label,a,b,c,d\n3,0,1,2,255\n4,9,8,7,6\n",
            "\u{feff}label,a,b,c,d\r\n3,0,1,2,255\r\n4,9,8,7,6\r\n\r\n",
            "\"label\",\"1x1\",\"1x2\",\"2x1\",\"2x2\"\n\n\"3\",0, 1 ,2,255\n4,9,8,7,6\n",
            "3.0,0.0,1.0,2.0,255.0\n4,9,8,7,6",
        ] {
            assert_eq!(read(text).unwrap(), plain, "{text:?}");
        }
    }

    #[test]
    fn a_header_of_plain_column_numbers_is_no_image() {
        let header: Vec<String> = (0..=256).map(|column| column.to_string()).collect();
        let row = vec!["7"; 257].join(",");
        let set = read(&format!("{}\n{row}\n", header.join(","))).unwrap();
        assert_eq!((set.len(), set.height(), set.label(0)), (1, 16, 7));
        // Where pixels could have these values it is an image.
        assert_eq!(read("0,1,2,3,4").unwrap().len(), 1);
    }

    #[test]
    fn a_wrong_field_is_named_with_its_line_and_column() {
        for (field, column) in [
            ("300", 3),
            ("-1", 3),
            ("word", 3),
            ("", 3),
            ("0.5", 3),
            ("NaN", 3),
        ] {
            let error = read(&format!(
                "label,a,b,c,d\r\n1,2,3,4,5\r\n1,2,{field},4,5\r\n"
            ));
            let error = error.unwrap_err();
            let DataError::CsvField {
                line: 3,
                column: seen_column,
                seen,
                ..
            } = &error
            else {
                panic!("{error}");
            };
            assert_eq!((*seen_column, seen.as_str()), (column, field));
            let text = error.to_string();
            assert!(text.contains("digits.csv, line 3, column 3"), "{text}");
        }
        let error = read("1,2,3,4,5\n-7,2,3,4,5").unwrap_err().to_string();
        assert!(
            error.contains("line 2, column 1") && error.contains("a label"),
            "{error}"
        );
    }

    #[test]
    fn short_and_long_rows_are_named() {
        for (row, columns) in [
            ("1,2,3,4", 4),
            ("1,2,3,4,5,6", 6),
            ("1", 1),
            ("1,2,3,4,5,", 6),
        ] {
            let error = read(&format!("1,2,3,4,5\n{row}\n")).unwrap_err();
            assert!(
                matches!(error, DataError::CsvRow { line: 2, seen, expected: 5, .. } if seen == columns),
                "{error}"
            );
        }
    }

    #[test]
    fn columns_that_are_no_square_and_files_without_images_are_refused() {
        for text in ["1,2,3,4", "7", "label;a;b\n1;2;3"] {
            assert!(
                matches!(read(text), Err(DataError::CsvColumns { .. })),
                "{text}"
            );
        }
        for text in ["", "\n\n", "label,pixel\n"] {
            assert!(
                matches!(read(text), Err(DataError::Empty { .. })),
                "{text:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(rows in proptest::collection::vec((0_u8..12, any::<[u8; 9]>()), 1..20)) {
            let mut text = String::new();
            for (label, pixels) in &rows {
                let pixels = pixels.map(|pixel| pixel.to_string()).join(",");
                text += &format!("{label},{pixels}\n");
            }
            let set = read(&text).unwrap();
            prop_assert_eq!(set.len(), rows.len());
            for (index, (label, pixels)) in rows.iter().enumerate() {
                prop_assert_eq!((set.label(index), set.pixels(index)), (usize::from(*label), &pixels[..]));
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "[0-9a,.\\-\"\r\n ]{0,80}") {
            let _ = read(&text);
        }
    }
}
