//! Whether image files are whole, by their ends.

use std::io::{self, BufRead, Seek, SeekFrom};

use crate::jpeg::is_whole_jpeg;

/// The format of a file whose end is missing; none where it is there, or where the format does not say.
pub(crate) fn missing_end(file: &mut (impl BufRead + Seek)) -> io::Result<Option<&'static str>> {
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
    if !is_whole_jpeg(file)? {
        return Ok(Some("JPEG"));
    }
    file.rewind()?;
    let mut start = [0; 12];
    if let Err(error) = file.read_exact(&mut start) {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => Ok(None),
            _ => Err(error),
        };
    }
    let length = file.seek(SeekFrom::End(0))?;
    if start.starts_with(PNG) {
        let is_whole = ends_as_png(file, PNG.len() as u64, length)?;
        return Ok((!is_whole).then_some("PNG"));
    }
    let [b'R', b'I', b'F', b'F', a, b, c, d, b'W', b'E', b'B', b'P'] = start else {
        return Ok(None);
    };
    // The size of the rest, after these eight bytes.
    let stated = u64::from(u32::from_le_bytes([a, b, c, d])) + 8;
    Ok((stated > length).then_some("WebP"))
}

/// Whether the chunks of a PNG, from `at` on, go to the one that ends it.
fn ends_as_png(file: &mut (impl BufRead + Seek), mut at: u64, length: u64) -> io::Result<bool> {
    /// The length and the name before, and the checksum after the content of a chunk.
    const AROUND: u64 = 12;
    while at + AROUND <= length {
        file.seek(SeekFrom::Start(at))?;
        let mut head = [0; 8];
        file.read_exact(&mut head)?;
        let [a, b, c, d, name @ ..] = head;
        at += u64::from(u32::from_be_bytes([a, b, c, d])) + AROUND;
        if name == *b"IEND" {
            return Ok(at <= length);
        }
    }
    Ok(false)
}
