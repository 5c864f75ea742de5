//! The segments of a JPEG file: the size, the orientation, and whether the file is whole. The
//! decoder fills what is missing with grey and says nothing.

use std::io::{self, BufRead, Read, Seek, SeekFrom};

use image::metadata::Orientation;

/// The byte that begins every marker; more of them before a marker are fill bytes.
const MARKER: u8 = 0xFF;
/// A marker byte within coded data.
const STUFFED: u8 = 0x00;
const START_OF_IMAGE: u8 = 0xD8;
const END_OF_IMAGE: u8 = 0xD9;
const START_OF_SCAN: u8 = 0xDA;
const EXIF_SEGMENT: u8 = 0xE1;
const EXIF: &[u8] = b"Exif\0\0";
/// Most files end within so many bytes of their end marker.
const TAIL: u64 = 1024;

/// The values of the segments before the first scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JpegHeader {
    /// Width and height in pixels as they are stored; none before a frame was seen.
    pub(crate) size: Option<(u32, u32)>,
    pub(crate) orientation: Orientation,
}

/// The beginning of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// A JPEG up to its first scan.
    Scan(JpegHeader),
    /// A JPEG that ends before its first scan.
    Cut,
    /// Not a JPEG, or a JPEG with segments that only the decoder can check.
    Other,
}

/// Reads the segments from the beginning of the file up to the first scan. Fill bytes before a
/// marker are passed over, as the standard (B.1.1.2) and every decoder do.
pub(crate) fn beginning(file: &mut (impl BufRead + Seek)) -> io::Result<Beginning> {
    file.rewind()?;
    let mut start = [0; 2];
    match file.read_exact(&mut start) {
        Ok(()) if start == [MARKER, START_OF_IMAGE] => {}
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error),
        _ => return Ok(Beginning::Other),
    }
    match find_scan(file) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Beginning::Cut),
        found => found,
    }
}

/// Whether the image's end marker follows its first scan. Segments before it are passed over, as
/// one of them may hold a preview, a JPEG itself; bytes that a camera put behind the end do not
/// matter. A file that is no JPEG is left to the decoder: it is whole.
pub(crate) fn is_whole_jpeg(file: &mut (impl BufRead + Seek)) -> io::Result<bool> {
    match beginning(file)? {
        Beginning::Scan(_) => has_end(file),
        Beginning::Cut => Ok(false),
        Beginning::Other => Ok(true),
    }
}

fn byte(file: &mut impl Read) -> io::Result<u8> {
    let mut byte = [0];
    file.read_exact(&mut byte)?;
    Ok(byte[0])
}

fn find_scan(file: &mut (impl BufRead + Seek)) -> io::Result<Beginning> {
    let mut header = JpegHeader {
        size: None,
        orientation: Orientation::NoTransforms,
    };
    loop {
        // Bytes that belong to no segment are the decoder's to judge: it passes over them too.
        while byte(file)? != MARKER {}
        let mut kind = MARKER;
        while kind == MARKER {
            kind = byte(file)?;
        }
        match kind {
            START_OF_SCAN => return Ok(Beginning::Scan(header)),
            END_OF_IMAGE => return Ok(Beginning::Other),
            // Markers without a segment: stuffing, TEM, restarts and another beginning.
            STUFFED | 0x01 | 0xD0..=START_OF_IMAGE => {}
            kind => {
                if !header.take(kind, file)? {
                    return Ok(Beginning::Other);
                }
            }
        }
    }
}

impl JpegHeader {
    /// Reads the segment of a marker; false for a length that cannot be.
    fn take(&mut self, kind: u8, file: &mut (impl BufRead + Seek)) -> io::Result<bool> {
        let mut length = [0; 2];
        file.read_exact(&mut length)?;
        // The length counts its own two bytes.
        let Some(length) = u16::from_be_bytes(length).checked_sub(2) else {
            return Ok(false);
        };
        // The frame's marker, of which four numbers mean other segments.
        let is_frame = (0xC0..=0xCF).contains(&kind) && !matches!(kind, 0xC4 | 0xC8 | 0xCC);
        match kind {
            _ if is_frame && length >= 5 => {
                let mut frame = [0; 5];
                file.read_exact(&mut frame)?;
                let [_, h1, h0, w1, w0] = frame;
                let number = |high, low| u32::from(u16::from_be_bytes([high, low]));
                self.size = Some((number(w1, w0), number(h1, h0)));
                file.seek_relative(i64::from(length) - 5)?;
            }
            EXIF_SEGMENT => {
                let mut segment = vec![0; length.into()];
                file.read_exact(&mut segment)?;
                if let Some(exif) = segment.strip_prefix(EXIF) {
                    let read = Orientation::from_exif_chunk(exif);
                    self.orientation = read.unwrap_or(Orientation::NoTransforms);
                }
            }
            _ => file.seek_relative(length.into())?,
        }
        Ok(true)
    }
}

/// Whether the end marker follows; it is looked for at the file's end first.
fn has_end(file: &mut (impl BufRead + Seek)) -> io::Result<bool> {
    let scan = file.stream_position()?;
    let end = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(end.saturating_sub(TAIL).max(scan)))?;
    if reaches_end(file)? {
        return Ok(true);
    }
    file.seek(SeekFrom::Start(scan))?;
    reaches_end(file)
}

fn reaches_end(file: &mut impl BufRead) -> io::Result<bool> {
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

    /// The place of the marker in the file.
    fn place_of(bytes: &[u8], marker: u8) -> usize {
        let mut pairs = bytes.windows(2);
        pairs.position(|pair| pair == [MARKER, marker]).unwrap()
    }

    #[test]
    fn fill_bytes_before_any_marker_are_passed_over() {
        let bytes = jpeg(64);
        for marker in [0xDB, 0xC0, 0xC4, START_OF_SCAN, END_OF_IMAGE] {
            let place = place_of(&bytes, marker);
            for fill in 1..=3 {
                let (before, after) = bytes.split_at(place);
                let filled = [before, &vec![MARKER; fill], after].concat();
                assert!(is_whole(&filled), "{marker:x} {fill}");
                let cut = &filled[..filled.len() - 2];
                assert!(!is_whole(cut), "{marker:x} {fill}");
                let read = beginning(&mut Cursor::new(&filled)).unwrap();
                let Beginning::Scan(header) = read else {
                    panic!("{read:?}");
                };
                assert_eq!(header.size, Some((64, 64)));
            }
        }
    }

    #[test]
    fn an_end_marker_long_before_the_end_of_the_file_is_found() {
        let mut bytes = jpeg(64);
        bytes.extend(vec![7; 3 * TAIL as usize]);
        assert!(is_whole(&bytes));
    }
}
