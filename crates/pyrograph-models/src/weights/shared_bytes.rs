//! Bytes of a mapped file or of the heap, shared between their users.

use std::{fs::File, io, ops::Deref, ops::Range, path::Path, sync::Arc};

use burn_std::{AllocationProperty, Bytes};
use memmap2::Mmap;

/// A read-only range of bytes. A clone and a slice share the bytes with the original.
#[derive(Clone)]
pub(crate) struct SharedBytes(Source);

#[derive(Clone)]
enum Source {
    Mapped(Arc<Mmap>, Range<usize>),
    Owned(bytes::Bytes),
}

impl SharedBytes {
    /// Maps a regular file; reads anything else, such as a pipe, to its end.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let kind = file.metadata()?;
        if kind.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if !kind.is_file() || kind.len() == 0 {
            return Ok(Self::owned(std::fs::read(path)?));
        }
        let map = map(&file)?;
        let range = 0..map.len();
        Ok(Self(Source::Mapped(Arc::new(map), range)))
    }

    pub(crate) fn owned(bytes: Vec<u8>) -> Self {
        Self(Source::Owned(bytes.into()))
    }

    /// The bytes of a burn tensor, which are not copied.
    pub(crate) fn of_tensor(bytes: Bytes) -> Self {
        Self(Source::Owned(bytes::Bytes::from_owner(TensorBytes(bytes))))
    }

    /// A part of the bytes; none where `range` is not within them.
    pub(crate) fn slice(&self, range: Range<usize>) -> Option<Self> {
        if range.start > range.end || range.end > self.len() {
            return None;
        }
        Some(Self(match &self.0 {
            Source::Mapped(map, from) => Source::Mapped(
                Arc::clone(map),
                from.start + range.start..from.start + range.end,
            ),
            Source::Owned(bytes) => Source::Owned(bytes.slice(range)),
        }))
    }

    /// The bytes as a tensor of a backend holds them, without a copy; none where they do not lie at
    /// a multiple of `align`.
    pub(crate) fn to_tensor_bytes(&self, align: usize) -> Option<Bytes> {
        if !self.as_ptr().addr().is_multiple_of(align) {
            return None;
        }
        Some(match &self.0 {
            Source::Mapped(..) => Bytes::from_shared(
                bytes::Bytes::from_owner(self.clone()),
                AllocationProperty::File,
            ),
            Source::Owned(bytes) => Bytes::from_shared(bytes.clone(), AllocationProperty::Native),
        })
    }

    /// Gives the pages of a mapped range back to the system, which reads them from the file again when they are needed.
    pub(crate) fn release(&self) {
        if let Source::Mapped(map, range) = &self.0 {
            release(map, range);
        }
    }

    /// Whether the bytes are those of a mapped file.
    pub(crate) fn is_mapped(&self) -> bool {
        matches!(self.0, Source::Mapped(..))
    }
}

impl Deref for SharedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Source::Mapped(map, range) => &map[range.clone()],
            Source::Owned(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for SharedBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// Lets the shared bytes own those of a tensor.
struct TensorBytes(Bytes);

impl AsRef<[u8]> for TensorBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[allow(unsafe_code)]
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: The map is read-only, and every offset is checked against the length at the time of mapping; all bytes are valid
    // values of all types that are read. The bytes change only when somebody writes into the file in its place instead of
    // replacing it by renaming, as we and the hub's client do. Whoever holds a model keeps its files from that: a write in
    // place (`torch.save` onto the same path) changes the numbers, and a shorter file ends the process with SIGBUS.
    unsafe { Mmap::map(file) }
}

#[cfg(unix)]
#[allow(unsafe_code)]
fn release(map: &Mmap, range: &Range<usize>) {
    // SAFETY: Pages of a read-only map of a file hold nothing but the file's bytes: after MADV_DONTNEED a read brings the
    // same bytes back. A failure costs memory alone.
    let _ = unsafe {
        map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, range.start, range.len())
    };
}

#[cfg(not(unix))]
fn release(_: &Mmap, _: &Range<usize>) {}
