//! Recognising files that hold no weights.

/// The begin of the text that git-lfs keeps in the place of a file.
const GIT_LFS: &[u8] = b"version https://git-lfs.github.com/spec";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// The first bytes of other formats, and what to do with files of them.
const MAGICS: [(&[u8], &str); 20] = [
    (
        b"GGUF",
        "a GGUF file, whose quantised weights llama.cpp and its relatives read; take the file that it was made from",
    ),
    (
        b"tjgg",
        "a GGML file, whose weights llama.cpp and its relatives read; take the file that it was made from",
    ),
    (
        b"lmgg",
        "a GGML file, whose weights llama.cpp and its relatives read; take the file that it was made from",
    ),
    (
        b"\x89HDF\r\n\x1a\n",
        "an HDF5 file, as Keras and TensorFlow write weights (.h5); save the tensors as a safetensors file",
    ),
    (
        b"\x93NUMPY",
        "a NumPy array (.npy); save the arrays by name as a safetensors file",
    ),
    (b"PK\x05\x06", "an empty zip archive"),
    (
        b"(dp",
        "a pickle, but not one of torch.save; save a dict of its tensors by torch.save",
    ),
    (
        b"(lp",
        "a pickle, but not one of torch.save; save a dict of its tensors by torch.save",
    ),
    (
        b"}q\x00",
        "a pickle, but not one of torch.save; save a dict of its tensors by torch.save",
    ),
    (b"\x1f\x8b", "a gzip file; unpack it"),
    (b"BZh", "a bzip2 file; unpack it"),
    (b"\xfd7zXZ\0", "an xz file; unpack it"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file; unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive; unpack it"),
    (b"Rar!", "a RAR archive; unpack it"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"\x7fELF", "a program or library (ELF)"),
];
/// Where TFLite and tar keep their magic bytes.
const TFLITE: (usize, &[u8]) = (4, b"TFL3");
const TAR: (usize, &[u8]) = (257, b"ustar");
/// The last bytes of the index of a TensorFlow checkpoint.
const TENSORFLOW_INDEX: &[u8] = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb";
/// An ONNX file is a protobuf message whose first field is its version, up to this as far as ONNX has come.
const ONNX_VERSIONS: std::ops::RangeInclusive<u8> = 1..=20;
/// The tags of the fields that follow: producer, its version, domain, model version, doc string, graph, opset.
const ONNX_FIELDS: [u8; 7] = [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42];
/// The field that other models in protobuf begin with too.
const MESSAGE_OR_NAME: u8 = 0x12;
/// Characters of a text that a message shows.
const SHOWN: usize = 80;
/// Bytes of a text that are looked at.
const LOOKED_AT: usize = 4096;

/// A description of a file that holds no weights, with advice.
pub(super) fn described(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "the file is empty (0 bytes)".into();
    }
    if let Some((_, kind)) = MAGICS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return format!("it is {kind}");
    }
    let has =
        |(at, magic): (usize, &[u8])| bytes.get(at..).is_some_and(|rest| rest.starts_with(magic));
    if has(TFLITE) {
        return "it is a TensorFlow Lite model; take the weights that it was made from".into();
    }
    if has(TAR) {
        return "it is a tar archive; unpack it".into();
    }
    if bytes.ends_with(TENSORFLOW_INDEX) {
        return "it is the index of a TensorFlow checkpoint; save the tensors as a safetensors file".into();
    }
    if let [0x08, version, field, rest @ ..] = bytes
        && ONNX_VERSIONS.contains(version)
        && ONNX_FIELDS.contains(field)
    {
        // ONNX has the name of its producer there, the others a message.
        if *field == MESSAGE_OR_NAME && !is_short_text(rest) {
            return "it is a protobuf message, as TensorFlow (SavedModel) and Core ML write models; save the weights as a \
                    safetensors file"
                .into();
        }
        return "it is an ONNX model, a graph whose weights have no names of layers; take the weights that it was exported from"
            .into();
    }
    if bytes.iter().all(|byte| *byte == 0) {
        return format!(
            "all its {} bytes are 0, as a broken download leaves it",
            bytes.len()
        );
    }
    text_described(bytes).unwrap_or_else(|| {
        let first: Vec<_> = bytes
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!(
            "its content is of no known format (it begins with the bytes {})",
            first.join(" ")
        )
    })
}

/// Whether the bytes are a length below 128 followed by that number of letters.
fn is_short_text(bytes: &[u8]) -> bool {
    let Some((length, rest)) = bytes.split_first() else {
        return false;
    };
    let text = rest.iter().take(usize::from(*length));
    *length < 128
        && text
            .copied()
            .all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

fn text_described(bytes: &[u8]) -> Option<String> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Some("it is text in UTF-16".into());
    }
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let text = bytes.trim_ascii_start();
    if text.starts_with(GIT_LFS) {
        return Some(
            "it is a git-lfs pointer in the place of the weights; `git lfs pull` fetches them"
                .into(),
        );
    }
    let begin = &bytes[..bytes.len().min(LOOKED_AT)];
    let begin = String::from_utf8_lossy(begin);
    // A character may be cut at the end of the part that is looked at.
    let is_text = |c: char| !c.is_control() || c.is_ascii_whitespace();
    let readable = begin
        .chars()
        .filter(|c| is_text(*c) && *c != char::REPLACEMENT_CHARACTER);
    if readable.count() + 1 < begin.chars().count() {
        return None;
    }
    let words: Vec<_> = begin.split_whitespace().collect();
    let words = words.join(" ");
    let mut shown: String = words.chars().take(SHOWN).collect();
    if shown.len() < words.len() {
        shown.push('…');
    }
    Some(match text.first() {
        None => "it is text, all of it blank".into(),
        Some(b'<') => format!(
            "it is a web page (HTML or XML), as a failed download leaves it; it begins: {shown}"
        ),
        Some(b'{' | b'[') => {
            format!("it is JSON text and no index of weights; it begins: {shown}")
        }
        _ => format!("it is text; it begins: {shown}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_formats_are_named() {
        let tar = [&[b'a'; 257][..], b"ustar\x0000"].concat();
        let index = [&[1_u8, 200, 0][..], TENSORFLOW_INDEX].concat();
        for (bytes, words) in [
            (&b""[..], "the file is empty"),
            (b"GGUF\x03\0\0\0", "a GGUF file"),
            (b"\x1c\0\0\0TFL3\x14\0", "TensorFlow Lite"),
            (b"\x08\x08\x12\x07pytorch\x1a\x052.1.0", "an ONNX model"),
            (b"\x08\x0a:\xff\x01", "an ONNX model"),
            (b"\x08\x01\x12\xfa\x12\x0a\x2d", "TensorFlow (SavedModel)"),
            (b"\x08\x01\x12\x05\x0a\x03abc", "Core ML"),
            (b"(dp0\nVa\np1\n", "a pickle, but not one of torch.save"),
            (b"\x89HDF\r\n\x1a\n\0\0", "as Keras"),
            (b"\x93NUMPY\x01\0", "a NumPy array"),
            (b"\x1f\x8b\x08\0", "a gzip file; unpack it"),
            (&tar, "a tar archive"),
            (&index, "a TensorFlow checkpoint"),
            (&[0; 64], "all its 64 bytes are 0"),
            (b"\xef\xbb\xbf<html><body>Quota", "a web page (HTML"),
            (
                b"  {\"error\": \"Repository not found\"}",
                "Repository not found",
            ),
            (
                b"Access to model\nis restricted",
                "it is text; it begins: Access to model is restricted",
            ),
            (b"\xff\xfe<\0h\0", "text in UTF-16"),
            (
                b"\x01\x02\x03\x04\x05\x06\x07\x08\x09",
                "the bytes 01 02 03 04 05 06 07 08",
            ),
        ] {
            let found = described(bytes);
            assert!(found.contains(words), "{found}: {words}");
        }
    }

    #[test]
    fn a_long_text_is_shown_in_part() {
        let text = "é ".repeat(5000);
        let found = described(text.as_bytes());
        assert!(
            found.starts_with("it is text") && found.ends_with('…'),
            "{found}"
        );
        assert!(found.chars().count() < 120, "{found}");
    }
}
