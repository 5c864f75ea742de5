//! The files of MNIST and its relatives (Fashion-MNIST, EMNIST, KMNIST), also inside gzip.
//!
//! As with `.npy` files, headers are not trusted: the claimed size is checked against the length of
//! the file before memory is allocated, and no more data than the header claims is kept from gzip.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::{LONGEST_SIDE, LabelledImages, numbered_classes};
use crate::DataError;

/// Unsigned bytes (8) in three dimensions.
const IMAGES: [u8; 4] = [0, 0, 8, 3];
/// Unsigned bytes in one dimension.
const LABELS: [u8; 4] = [0, 0, 8, 1];
/// QMNIST's labels: integers of 32 bits (12) in two dimensions, of which the first column is the class.
const ROWS_OF_LABELS: [u8; 4] = [0, 0, 12, 2];
/// The largest label.
const LARGEST_LABEL: i32 = 255;
/// How a file inside gzip starts.
const GZIP: [u8; 2] = [0x1F, 0x8B];
/// The most bytes that deflate makes of one (zlib's documentation: 1032 to 1).
const GZIP_RATIO: u128 = 1032;
/// The most bytes that are read of one file: twenty times MNIST.
const MOST_BYTES: u128 = 1 << 30;

impl LabelledImages {
    /// Reads a pair of idx files, the format of MNIST: images of unsigned bytes (count, height,
    /// width) and labels of unsigned bytes (count), or QMNIST's rows of integers, of which the
    /// first is the class. Gzip is recognised by the contents of the file.
    ///
    /// The names of the classes are numbers, from 0 to the largest label, at least to 9.
    ///
    /// # Errors
    /// [`DataError`] names the file with what was seen and what is allowed: [`Read`](DataError::Read) also for damaged
    /// gzip, [`NotIdx`](DataError::NotIdx), [`Shape`](DataError::Shape) for sides of 0 or beyond 65535,
    /// [`Empty`](DataError::Empty), [`TooLarge`](DataError::TooLarge) beyond 1 GiB,
    /// [`Truncated`](DataError::Truncated), [`TrailingBytes`](DataError::TrailingBytes),
    /// [`CountMismatch`](DataError::CountMismatch), [`Range`](DataError::Range) for a label beyond 255.
    pub fn from_idx(
        images_path: impl AsRef<Path>,
        labels_path: impl AsRef<Path>,
    ) -> Result<LabelledImages, DataError> {
        let (images_path, labels_path) = (images_path.as_ref(), labels_path.as_ref());
        let images = IdxFile::open(images_path)?.read(&[IMAGES], "images")?;
        let labels = IdxFile::open(labels_path)?.read(&[LABELS, ROWS_OF_LABELS], "labels")?;
        let [count, height, width] = images.shape[..] else {
            unreachable!("the dimensions are those of the magic number");
        };
        if count != labels.shape[0] {
            return Err(DataError::CountMismatch {
                images_path: images_path.into(),
                // Both arrays are in memory, so their sides fit.
                images: count as usize,
                labels_path: labels_path.into(),
                labels: labels.shape[0] as usize,
            });
        }
        let numbers = labels.into_labels()?;
        let names = numbered_classes(&numbers);
        Self::new(
            images.bytes,
            1,
            height as usize,
            width as usize,
            numbers,
            names,
        )
    }
}

/// An array of bytes with its sides.
struct Array {
    shape: Vec<u64>,
    bytes: Vec<u8>,
}

impl Array {
    /// The labels: each byte, or the first number of each row.
    fn into_labels(self) -> Result<Vec<usize>, DataError> {
        let [_, columns] = self.shape[..] else {
            return Ok(self.bytes.into_iter().map(Into::into).collect());
        };
        // The array is in memory, so its sides fit.
        let rows = self.bytes.chunks_exact(4 * columns as usize);
        rows.map(|row| {
            let class = i32::from_be_bytes([row[0], row[1], row[2], row[3]]);
            let known = usize::try_from(class)
                .ok()
                .filter(|_| class <= LARGEST_LABEL);
            known.ok_or(DataError::Range {
                what: "a label of an idx file",
                seen: class.into(),
                allowed: "0 to 255",
            })
        })
        .collect()
    }
}

/// An idx file that has not been read yet.
struct IdxFile<'a> {
    path: &'a Path,
    reader: Box<dyn Read>,
    /// The most bytes that can come out of the reader.
    bound: u128,
}

impl<'a> IdxFile<'a> {
    fn open(path: &'a Path) -> Result<Self, DataError> {
        let unreadable = |source| DataError::Read {
            path: path.into(),
            source,
        };
        let file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(unreadable(io::ErrorKind::IsADirectory.into()));
        }
        let length = u128::from(metadata.len());
        let mut plain = BufReader::new(file);
        let is_gzip = plain.fill_buf().map_err(unreadable)?.starts_with(&GZIP);
        Ok(if is_gzip {
            Self {
                path,
                reader: Box::new(BufReader::new(MultiGzDecoder::new(plain))),
                bound: length * GZIP_RATIO,
            }
        } else {
            Self {
                path,
                reader: Box::new(plain),
                bound: length,
            }
        })
    }

    /// Reads the whole file, which has to start with one of `magics`, by rights the first.
    fn read(mut self, magics: &[[u8; 4]], what: &'static str) -> Result<Array, DataError> {
        let mut header = Vec::new();
        self.read_up_to(4, &mut header)?;
        let Some(magic) = magics.iter().find(|magic| header == **magic) else {
            return Err(DataError::NotIdx {
                path: self.path.into(),
                what,
                seen: header,
                expected: magics[0],
            });
        };
        let header_length = 4 + 4 * usize::from(magic[3]);
        let cut = self.read_up_to(header_length - 4, &mut header)?;
        if header.len() < header_length {
            let plain =
                || io::Error::new(io::ErrorKind::UnexpectedEof, "it ends within its header");
            return Err(self.unreadable(cut.unwrap_or_else(plain)));
        }
        let sides = header[4..].chunks_exact(4);
        let shape: Vec<u64> = sides
            .map(|side| u32::from_be_bytes([side[0], side[1], side[2], side[3]]).into())
            .collect();
        let bytes_each = if *magic == ROWS_OF_LABELS { 4 } else { 1 };
        let needed = self.check(&shape, bytes_each)?;
        let mut bytes = Vec::new();
        // One more than there should be shows whether something follows, and at its end gzip checks its checksum.
        let reserved = bytes.try_reserve_exact(needed + 1);
        reserved.map_err(|_| self.too_large(needed as u128, "what memory is free"))?;
        let cut = self.read_up_to(needed + 1, &mut bytes)?;
        if bytes.len() < needed {
            return Err(self.truncated(&shape, needed as u128, bytes.len() as u64));
        }
        if bytes.len() > needed {
            return Err(DataError::TrailingBytes {
                path: self.path.into(),
                shape,
                needed: needed as u64,
            });
        }
        match cut {
            // Nothing is missing but the checksum that would prove it.
            Some(source) => Err(self.unreadable(source)),
            None => Ok(Array { shape, bytes }),
        }
    }

    /// The bytes that an array of this shape takes, if the file can hold them.
    fn check(&self, shape: &[u64], bytes_each: u128) -> Result<usize, DataError> {
        if shape[0] == 0 {
            let path = self.path.into();
            return Err(DataError::Empty { path });
        }
        if shape[1..]
            .iter()
            .any(|side| !(1..=LONGEST_SIDE as u64).contains(side))
        {
            return Err(DataError::Shape {
                path: self.path.into(),
                seen: shape.into(),
                allowed: "(count, height, width) with sides from 1 to 65535",
            });
        }
        // Three numbers of 32 bits fit.
        let items: u128 = shape.iter().map(|&side| u128::from(side)).product();
        let needed = bytes_each * items;
        if needed > self.bound {
            // Where it stands in gzip, no more than the bound can be there.
            return Err(self.truncated(shape, needed, self.bound as u64));
        }
        if needed > MOST_BYTES {
            return Err(self.too_large(needed, "1 GiB"));
        }
        // At most 2³⁰.
        Ok(needed as usize)
    }

    /// Adds up to `length` bytes, fewer where the file ends before. With the error if it is the gzip in it that ends
    /// before its time; what came out of it has been added.
    fn read_up_to(
        &mut self,
        length: usize,
        bytes: &mut Vec<u8>,
    ) -> Result<Option<io::Error>, DataError> {
        let mut limited = self.reader.by_ref().take(length as u64);
        match limited.read_to_end(bytes) {
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Some(error)),
            Err(source) => Err(self.unreadable(source)),
        }
    }

    fn unreadable(&self, source: io::Error) -> DataError {
        DataError::Read {
            path: self.path.into(),
            source,
        }
    }

    fn truncated(&self, shape: &[u64], needed: u128, present: u64) -> DataError {
        DataError::Truncated {
            path: self.path.into(),
            shape: shape.into(),
            needed,
            present,
        }
    }

    fn too_large(&self, needed: u128, allowed: &'static str) -> DataError {
        DataError::TooLarge {
            what: format!("the array in {}", self.path.display()),
            bytes: needed,
            allowed,
        }
    }
}
