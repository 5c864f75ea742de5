//! Text chunks of PNG files: `tEXt` and `iTXt`.
//!
//! Format: <https://www.w3.org/TR/png-3/#11textinfo>.

use std::{fs, io::Cursor, path::Path};

use image::{ImageFormat, RgbImage};
use pyrograph_base::atomic_write;

use crate::VisionError;

const SIGNATURE: &[u8; 8] = b"\x89PNG\r\n\x1a\n";
/// The signature and the header chunk: length, type, 13 bytes, checksum.
const AFTER_HEADER: usize = SIGNATURE.len() + 4 + 4 + 13 + 4;
/// Length, type and checksum of a chunk.
const FRAME: usize = 12;
/// The longest keyword that the format allows.
const MAX_KEYWORD: usize = 79;

/// Writes `image` as PNG with texts, pairs of a keyword and its text, atomically.
///
/// A text of ASCII goes into a `tEXt` chunk, any other into an uncompressed `iTXt` chunk.
///
/// # Errors
/// [`VisionError::Keyword`] for a keyword that is empty, longer than 79 bytes or not of printable ASCII, and as
/// [`write_png`](crate::write_png).
pub fn write_png_with_text(
    path: impl AsRef<Path>,
    image: &RgbImage,
    texts: &[(&str, &str)],
) -> Result<(), VisionError> {
    let path = path.as_ref();
    let mut bytes = Cursor::new(Vec::new());
    image
        .write_to(&mut bytes, ImageFormat::Png)
        .map_err(|source| VisionError::Encode {
            path: path.into(),
            source,
        })?;
    let plain = bytes.into_inner();
    let (header, rest) = plain.split_at(AFTER_HEADER);
    let mut whole = header.to_vec();
    for (keyword, text) in texts {
        whole.extend(text_chunk(keyword, text)?);
    }
    whole.extend_from_slice(rest);
    Ok(atomic_write(path, &whole)?)
}

/// The texts of a PNG file, pairs of a keyword and its text, in the file's order. Compressed texts
/// are skipped.
///
/// # Errors
/// [`VisionError::Read`] when the file cannot be read, [`VisionError::NoPng`] when it is not a PNG
/// file or is truncated.
pub fn read_png_text(path: impl AsRef<Path>) -> Result<Vec<(String, String)>, VisionError> {
    let path = path.as_ref();
    let bytes = fs::read(path).map_err(|source| VisionError::Read {
        path: path.into(),
        source,
    })?;
    texts_of(&bytes).ok_or_else(|| VisionError::NoPng { path: path.into() })
}

/// One chunk with its length and checksum.
fn text_chunk(keyword: &str, text: &str) -> Result<Vec<u8>, VisionError> {
    let printable = keyword
        .bytes()
        .all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if keyword.is_empty() || keyword.len() > MAX_KEYWORD || !printable {
        return Err(VisionError::Keyword {
            seen: keyword.into(),
        });
    }
    // A zero byte ends the keyword; it may not stand in the text.
    let text = text.replace('\0', " ");
    let mut body = if text.is_ascii() {
        [b"tEXt", keyword.as_bytes(), b"\0"].concat()
    } else {
        // No compression, its method, no language tag, no translated keyword.
        [b"iTXt", keyword.as_bytes(), b"\0\0\0\0\0"].concat()
    };
    body.extend_from_slice(text.as_bytes());
    let length = (body.len() - 4) as u32;
    let checksum = crc32fast::hash(&body);
    Ok([&length.to_be_bytes()[..], &body, &checksum.to_be_bytes()].concat())
}

/// The texts of a whole PNG file; nothing where the bytes are none.
fn texts_of(bytes: &[u8]) -> Option<Vec<(String, String)>> {
    let mut rest = bytes.strip_prefix(SIGNATURE)?;
    let mut texts = Vec::new();
    loop {
        let length = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?) as usize;
        let kind = rest.get(4..8)?;
        let body = rest.get(8..)?.get(..length)?;
        match kind {
            b"IEND" => return Some(texts),
            b"tEXt" => texts.extend(latin_text(body)),
            b"iTXt" => texts.extend(unicode_text(body)),
            _ => {}
        }
        rest = rest.get(length + FRAME..)?;
    }
}

fn latin_text(body: &[u8]) -> Option<(String, String)> {
    let latin = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect();
    let end = body.iter().position(|byte| *byte == 0)?;
    Some((latin(&body[..end]), latin(&body[end + 1..])))
}

fn unicode_text(body: &[u8]) -> Option<(String, String)> {
    let mut parts = body.splitn(2, |byte| *byte == 0);
    let keyword = parts.next()?;
    // Whether it is compressed, the method, then the language tag and the translated keyword.
    let [0, _, tags @ ..] = parts.next()? else {
        return None;
    };
    let text = tags.splitn(3, |byte| *byte == 0).nth(2)?;
    let unicode = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some((unicode(keyword), unicode(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> RgbImage {
        RgbImage::from_fn(3, 2, |x, y| image::Rgb([x as u8, y as u8, 9]))
    }

    #[test]
    fn texts_read_back_and_the_picture_is_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let texts = [
            ("pyrograph", "{\"steps\": 20}"),
            ("Title", "a kitten, 猫 🐈"),
        ];
        write_png_with_text(&path, &image(), &texts).unwrap();
        let read = read_png_text(&path).unwrap();
        let expected = texts.map(|(key, text)| (key.to_owned(), text.to_owned()));
        assert_eq!(read, expected);
        assert_eq!(crate::read_image(&path).unwrap(), image());
    }

    #[test]
    fn a_file_that_is_cut_off_or_no_png_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        write_png_with_text(&path, &image(), &[("k", "v")]).unwrap();
        let bytes = fs::read(&path).unwrap();
        for wrong in [&bytes[..bytes.len() - 13], &bytes[..9], b"JFIF", b""] {
            fs::write(&path, wrong).unwrap();
            assert!(matches!(
                read_png_text(&path),
                Err(VisionError::NoPng { .. })
            ));
        }
    }

    #[test]
    fn a_keyword_that_the_format_does_not_allow_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        for wrong in ["", "ä", &"k".repeat(80)] {
            let refused = write_png_with_text(&path, &image(), &[(wrong, "v")]);
            assert!(matches!(refused, Err(VisionError::Keyword { .. })));
        }
        assert!(!path.exists());
    }
}
