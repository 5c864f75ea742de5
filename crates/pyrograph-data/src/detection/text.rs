//! The text of annotation files and lists, in whatever encoding they are.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::AnnotationError;
use crate::DataError;

/// The largest file read; VOC's own take a few kilobytes.
const MOST_BYTES: u64 = 64 << 20;
/// An XML declaration is the first line of its file.
const DECLARATION: usize = 200;

/// The text of an XML file: in the encoding of its byte order mark, the one that it declares, or UTF-8.
///
/// # Errors
/// [`DataError::Read`], [`DataError::TooLarge`] and [`AnnotationError::Encoding`].
pub(super) fn xml_text(path: &Path) -> Result<String, DataError> {
    let bytes = read(path, "the annotation file")?;
    decoded_xml(&bytes).map_err(|reason| {
        AnnotationError::Encoding {
            path: path.into(),
            reason,
        }
        .into()
    })
}

/// The text of a list: in the encoding of its byte order mark, or UTF-8.
///
/// # Errors
/// As [`xml_text`].
pub(super) fn list_text(path: &Path) -> Result<String, DataError> {
    let bytes = read(path, "the list")?;
    let text = match Encoding::for_bom(&bytes) {
        Some((encoding, mark)) => decoded(&bytes[mark..], encoding),
        None => decoded(&bytes, UTF_8),
    };
    text.map_err(|reason| {
        AnnotationError::Encoding {
            path: path.into(),
            reason,
        }
        .into()
    })
}

fn read(path: &Path, what: &str) -> Result<Vec<u8>, DataError> {
    let unreadable = |source| DataError::Read {
        path: path.into(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    // One more than allowed shows whether there is more.
    let mut reader = file.take(MOST_BYTES + 1);
    reader.read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(DataError::TooLarge {
            what: format!("{what} {}", path.display()),
            bytes: bytes.len() as u128,
            allowed: "64 MiB",
        });
    }
    Ok(bytes)
}

fn decoded_xml(bytes: &[u8]) -> Result<String, String> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return decoded(&bytes[mark..], encoding);
    }
    // Without a mark, the first letter of a file shows the encodings that take two bytes each.
    match bytes {
        [b'<', 0, ..] => return decoded(bytes, UTF_16LE),
        [0, b'<', ..] => return decoded(bytes, UTF_16BE),
        _ => {}
    }
    let Some(label) = declared_encoding(bytes) else {
        return decoded(bytes, UTF_8);
    };
    let encoding = encoding_named(label).ok_or_else(|| {
        format!("it declares the encoding {label:?}, which is not known: save it as UTF-8")
    })?;
    // The declaration was read byte by byte, so it is not true: .NET writes it before UTF-8.
    let is_wide = encoding == UTF_16LE || encoding == UTF_16BE;
    decoded(bytes, if is_wide { UTF_8 } else { encoding })
}

/// The encoding of that name: as the web spells it, as Python does, or by the number of Windows' code page.
fn encoding_named(label: &str) -> Option<&'static Encoding> {
    let known = |label: &str| Encoding::for_label_no_replacement(label.as_bytes());
    let small = label.to_ascii_lowercase();
    let plain = small.replace(['-', '_'], "");
    let as_page = match plain.trim_start_matches("cp").trim_start_matches("windows") {
        "932" => "shift_jis",
        "936" => "gbk",
        "949" => "euc-kr",
        "950" => "big5",
        "65001" => "utf-8",
        _ => "",
    };
    let names = [&small, &small.replace('_', "-"), &plain, as_page];
    names.into_iter().find_map(known)
}

/// The encoding in `<?xml … encoding="…"?>`.
fn declared_encoding(bytes: &[u8]) -> Option<&str> {
    let start = &bytes[..bytes.len().min(DECLARATION)];
    let end = start.windows(2).position(|pair| pair == b"?>")?;
    let text = std::str::from_utf8(&start[..end]).ok()?;
    let text = text.trim_start().strip_prefix("<?xml")?;
    let (_, value) = text.split_once("encoding")?;
    let value = value.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    value[1..].split(quote).next()
}

fn decoded(bytes: &[u8], encoding: &'static Encoding) -> Result<String, String> {
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes);
    match text {
        Some(text) => Ok(text.into_owned()),
        None if encoding == UTF_8 => {
            let valid =
                std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
            let lines = bytes[..valid].iter().filter(|&&byte| byte == b'\n').count();
            Err(format!(
                "line {} is no UTF-8, and no other encoding is declared: save the file as UTF-8",
                lines + 1
            ))
        }
        None => {
            let name = encoding.name();
            Err(format!(
                "it is not in the encoding that it states, {name}: save it as UTF-8"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xml(encoding: &str, name: &[u8]) -> Vec<u8> {
        let head = format!("<?xml version=\"1.0\" encoding='{encoding}'?><name>");
        [head.as_bytes(), name, b"</name>"].concat()
    }

    #[test]
    fn a_declared_encoding_is_the_one_of_the_text() {
        // Python's `str.encode`.
        for (encoding, bytes, text) in [
            ("GBK", &b"\xcf\xb8\xb0\xfb"[..], "细胞"),
            ("gb2312", b"\xcf\xb8\xb0\xfb", "细胞"),
            ("Big5", b"\xb2\xd3\xad\x4d", "細胞"),
            ("Shift_JIS", b"\x8d\xd7\x96\x45", "細胞"),
            ("ISO-2022-JP", b"\x1b$B:YK&\x1b(B", "細胞"),
            ("EUC-KR", b"\xbc\xbc\xc6\xf7", "세포"),
            ("windows-1251", b"\xea\xeb\xe5\xf2\xea\xe0", "клетка"),
            ("ISO-8859-1", b"Zellk\xf6rper", "Zellkörper"),
            ("latin-1", b"Zellk\xf6rper", "Zellkörper"),
            ("iso_8859_1", b"Zellk\xf6rper", "Zellkörper"),
            ("cp936", b"\xcf\xb8\xb0\xfb", "细胞"),
            ("CP949", b"\xbc\xbc\xc6\xf7", "세포"),
            ("cp1251", b"\xea\xeb\xe5\xf2\xea\xe0", "клетка"),
            ("utf_8", "Zellkörper".as_bytes(), "Zellkörper"),
            ("utf-8", "Zellkörper".as_bytes(), "Zellkörper"),
            // .NET's writers of strings declare it before UTF-8.
            ("utf-16", "Zellkörper".as_bytes(), "Zellkörper"),
        ] {
            let read = decoded_xml(&xml(encoding, bytes)).unwrap();
            assert!(
                read.contains(&format!("<name>{text}</name>")),
                "{encoding}: {read}"
            );
        }
    }

    #[test]
    fn wide_letters_are_known_by_their_mark_or_their_zeros() {
        let wide: Vec<u16> = "<name>細胞</name>".encode_utf16().collect();
        let little: Vec<u8> = wide.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = wide.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        for bytes in [
            little.clone(),
            big.clone(),
            [&b"\xff\xfe"[..], &little].concat(),
            [&b"\xfe\xff"[..], &big].concat(),
            [&b"\xef\xbb\xbf"[..], "<name>細胞</name>".as_bytes()].concat(),
        ] {
            assert_eq!(decoded_xml(&bytes).unwrap(), "<name>細胞</name>");
        }
    }

    #[test]
    fn text_of_no_known_encoding_is_refused() {
        let text = decoded_xml(b"<a>\n\xb8\xb0</a>").unwrap_err();
        assert!(text.starts_with("line 2 is no UTF-8"), "{text}");
        let text = decoded_xml(&xml("klingon", b"x")).unwrap_err();
        assert!(text.contains("\"klingon\""), "{text}");
        let text = decoded_xml(&xml("Shift_JIS", b"\xff\xff")).unwrap_err();
        assert!(text.contains("Shift_JIS"), "{text}");
    }
}
