//! Reading numpy's `.npy` files, without trusting their headers.
//!
//! A reader of our own, because the shape is the user's claim: it is checked against the length
//! of the file before anything of its size is allocated.

mod header;

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::DataError;
pub(crate) use header::Header;

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// The longest header that is read; numpy's own limit is 10 000 bytes.
const MAX_HEADER: u64 = 64 * 1024;

/// An `.npy` file whose header has been read.
#[derive(Debug)]
pub(crate) struct NpyFile {
    path: PathBuf,
    header: Header,
    /// Bytes after the header.
    present: u64,
    rest: BufReader<File>,
}

impl NpyFile {
    /// Reads the header of the file.
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let unreadable = |source| DataError::Read {
            path: path.into(),
            source,
        };
        let file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(unreadable(io::ErrorKind::IsADirectory.into()));
        }
        let mut rest = BufReader::new(file);
        let mut start = Vec::new();
        rest.by_ref()
            .take(6)
            .read_to_end(&mut start)
            .map_err(unreadable)?;
        if start != MAGIC {
            return Err(DataError::NotNpy {
                path: path.into(),
                seen: start,
            });
        }
        let unusable = |reason| DataError::NpyHeader {
            path: path.into(),
            reason,
        };
        let ends = |_| unusable("the file ends within it".into());
        let mut version = [0; 2];
        rest.read_exact(&mut version).map_err(ends)?;
        // The length of the header takes two bytes in version 1, and four in 2 and 3.
        let length_bytes = match version[0] {
            1 => 2,
            2 | 3 => 4,
            major => return Err(unusable(format!("version {major}: allowed are 1, 2 and 3"))),
        };
        let mut length = [0; 8];
        rest.read_exact(&mut length[..length_bytes]).map_err(ends)?;
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER {
            return Err(unusable(format!(
                "{length} bytes long: allowed are {MAX_HEADER}"
            )));
        }
        let mut text = Vec::new();
        rest.by_ref()
            .take(length)
            .read_to_end(&mut text)
            .map_err(unreadable)?;
        if (text.len() as u64) < length {
            return Err(unusable("the file ends within it".into()));
        }
        let header = header::parse(&text).map_err(unusable)?;
        let before = (MAGIC.len() + version.len() + length_bytes) as u64 + length;
        let present = metadata.len().saturating_sub(before);
        Ok(Self {
            path: path.into(),
            header,
            present,
            rest,
        })
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// The bytes of the array, `item_size` for each number. What follows the array, as when a
    /// file holds several, is ignored as numpy ignores it.
    pub(crate) fn into_bytes(mut self, item_size: usize) -> Result<Vec<u8>, DataError> {
        if self.header.fortran_order {
            return Err(DataError::FortranOrder { path: self.path });
        }
        let shape = &self.header.shape;
        let multiply = |product: u128, &side: &u64| product.checked_mul(side.into());
        let needed = shape
            .iter()
            .try_fold(item_size as u128, multiply)
            .unwrap_or(u128::MAX);
        let truncated = |present| DataError::Truncated {
            path: self.path.clone(),
            shape: shape.clone(),
            needed,
            present,
        };
        let length = match u64::try_from(needed) {
            Ok(length) if length <= self.present => length,
            _ => return Err(truncated(self.present)),
        };
        // Not longer than the file. Should that shrink now, the end is reached early.
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        let read = self.rest.by_ref().take(length).read_to_end(&mut bytes);
        read.map_err(|source| DataError::Read {
            path: self.path.clone(),
            source,
        })?;
        if (bytes.len() as u64) < length {
            return Err(truncated(bytes.len() as u64));
        }
        Ok(bytes)
    }
}

/// How the numbers of an array become `f64`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NumberType {
    big_endian: bool,
    kind: u8,
    size: usize,
}

impl NumberType {
    /// In words, for errors.
    pub(crate) const ALLOWED: &'static str =
        "float32, float64, bool and integers of 8 to 64 bits (f4, f8, b1, i1 to i8, u1 to u8)";

    /// Understands numpy's name of a type; `None` where it is not one of plain real numbers.
    pub(crate) fn parse(dtype: &str) -> Option<Self> {
        let (order, name) = match dtype.as_bytes() {
            [order @ (b'<' | b'>' | b'|' | b'='), name @ ..] => (*order, name),
            name => (b'=', name),
        };
        let (kind, size) = match name {
            [kind @ b'f', size @ (b'4' | b'8')] => (*kind, size),
            [kind @ (b'i' | b'u'), size @ (b'1' | b'2' | b'4' | b'8')] => (*kind, size),
            [kind @ b'b', size @ b'1'] => (*kind, size),
            _ => return None,
        };
        let big_endian = order == b'>' || (order == b'=' && cfg!(target_endian = "big"));
        Some(Self {
            big_endian,
            kind,
            size: usize::from(size - b'0'),
        })
    }

    /// Bytes of a number.
    pub(crate) fn size(self) -> usize {
        self.size
    }

    /// The numbers in `bytes`.
    pub(crate) fn numbers(self, bytes: &[u8]) -> impl Iterator<Item = f64> + '_ {
        bytes
            .chunks_exact(self.size)
            .map(move |number| self.number(number))
    }

    fn number(self, bytes: &[u8]) -> f64 {
        // Little-endian, in the lower bytes.
        let mut word = [0; 8];
        word[..self.size].copy_from_slice(bytes);
        if self.big_endian {
            word[..self.size].reverse();
        }
        let word = u64::from_le_bytes(word);
        match (self.kind, self.size) {
            (b'f', 4) => f64::from(f32::from_bits(word as u32)),
            (b'f', _) => f64::from_bits(word),
            (b'i', size) => {
                // The shift to the top and back spreads the sign.
                let unused = 64 - 8 * size as u32;
                ((word << unused) as i64 >> unused) as f64
            }
            _ => word as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_type_are_read() {
        let read = |dtype: &str, bytes: &[u8]| {
            NumberType::parse(dtype)
                .unwrap()
                .numbers(bytes)
                .collect::<Vec<_>>()
        };
        assert_eq!(read("<f8", &0.25_f64.to_le_bytes()), [0.25]);
        assert_eq!(read(">f8", &0.25_f64.to_be_bytes()), [0.25]);
        assert_eq!(read("<f4", &(-1.5_f32).to_le_bytes()), [-1.5]);
        assert_eq!(read("|i1", &[255, 1]), [-1.0, 1.0]);
        assert_eq!(read("|u1", &[255, 1]), [255.0, 1.0]);
        assert_eq!(read("|b1", &[0, 1]), [0.0, 1.0]);
        assert_eq!(read(">i2", &[255, 254]), [-2.0]);
        assert_eq!(read("<u4", &7_u32.to_le_bytes()), [7.0]);
        assert_eq!(read("<i8", &(-9_i64).to_le_bytes()), [-9.0]);
    }

    #[test]
    fn other_types_are_not_known() {
        for dtype in [
            "", "<f2", "<c16", "|O", "<U5", "|S3", "<M8", "f", "<f88", "|V3",
        ] {
            assert!(NumberType::parse(dtype).is_none(), "{dtype}");
        }
    }
}
