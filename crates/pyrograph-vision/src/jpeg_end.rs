//! Whether a JPEG file is whole: the decoder fills what is missing with grey, and says nothing.

use std::io::{self, BufRead, Seek, SeekFrom};

/// What begins every marker.
const MARKER: u8 = 0xFF;
const START_OF_IMAGE: u8 = 0xD8;
const END_OF_IMAGE: u8 = 0xD9;
const START_OF_SCAN: u8 = 0xDA;

/// Whether the image's end marker follows its first scan. Segments before it are passed over, as one of them may hold a preview, a
/// JPEG itself; whatever a camera put behind the end does not matter. What is no JPEG at all is left to the decoder: it is whole.
///
/// The file is read from its beginning.
pub(crate) fn is_whole_jpeg(file: &mut (impl BufRead + Seek)) -> io::Result<bool> {
    file.rewind()?;
    match find_scan(file) {
        Ok(true) => has_end(file),
        Ok(false) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Goes to the first scan; false where a marker ought to be and is not.
fn find_scan(file: &mut (impl BufRead + Seek)) -> io::Result<bool> {
    let mut start = [0; 2];
    file.read_exact(&mut start)?;
    if start != [MARKER, START_OF_IMAGE] {
        return Ok(false);
    }
    loop {
        let mut segment = [0; 4];
        file.read_exact(&mut segment)?;
        let [marker, kind, high, low] = segment;
        if marker != MARKER {
            return Ok(false);
        }
        if kind == START_OF_SCAN {
            return Ok(true);
        }
        // The length counts its own two bytes.
        let length = i64::from(u16::from_be_bytes([high, low])) - 2;
        file.seek(SeekFrom::Current(length))?;
    }
}

fn has_end(file: &mut impl BufRead) -> io::Result<bool> {
    let mut follows_marker = false;
    loop {
        let bytes = file.fill_buf()?;
        if bytes.is_empty() {
            return Ok(false);
        }
        if follows_marker && bytes[0] == END_OF_IMAGE
            || bytes.windows(2).any(|pair| pair == [MARKER, END_OF_IMAGE])
        {
            return Ok(true);
        }
        follows_marker = bytes.last() == Some(&MARKER);
        let length = bytes.len();
        file.consume(length);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{RgbImage, codecs::jpeg::JpegEncoder};

    use super::*;

    fn jpeg(side: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let noise = RgbImage::from_fn(side, side, |x, y| {
            [(x * 37) as u8, (y * 91) as u8, (x * y) as u8].into()
        });
        JpegEncoder::new(&mut bytes).encode_image(&noise).unwrap();
        bytes
    }

    fn is_whole(bytes: &[u8]) -> bool {
        is_whole_jpeg(&mut Cursor::new(bytes)).unwrap()
    }

    #[test]
    fn a_file_is_whole_until_its_last_byte_is_gone() {
        let bytes = jpeg(64);
        assert!(is_whole(&bytes));
        for length in [2, 10, 300, bytes.len() / 2, bytes.len() - 1] {
            assert!(!is_whole(&bytes[..length]), "{length} of {}", bytes.len());
        }
    }

    #[test]
    fn a_preview_within_is_no_end_and_a_film_behind_it_no_matter() {
        let (image, preview) = (jpeg(64), jpeg(8));
        let mut segment = vec![MARKER, 0xE1];
        segment.extend((preview.len() as u16 + 2).to_be_bytes());
        segment.extend(&preview);
        let whole = [&image[..2], &segment, &image[2..]].concat();
        assert!(is_whole(&whole));
        assert!(!is_whole(&whole[..whole.len() / 2]));
        assert!(is_whole(&[&whole[..], &[0; 100_000]].concat()));
    }

    #[test]
    fn what_is_no_jpeg_is_left_to_the_decoder() {
        assert!(is_whole(b"GIF89a, as it happens"));
    }
}
