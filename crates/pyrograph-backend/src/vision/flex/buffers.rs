//! Buffers that are used again: the memory of a tensor that is dropped serves the next one of its size, so that a loop over layers
//! allocates nothing of weight after its first round, and nothing is zeroed that is overwritten anyway.

#![allow(unsafe_code)] // burn's `Bytes` takes memory of other owners by an unsafe contract; see `Buffer`.

use std::{
    collections::BTreeMap,
    mem::{self, MaybeUninit},
    ops::{Deref, DerefMut},
};

use burn_std::{AllocationController, AllocationProperty, Bytes};
use parking_lot::Mutex;

use super::super::buffer_cache;

/// Smaller buffers are the allocator's.
const LEAST: usize = 1 << 12;

/// Bytes of a large page.
#[cfg(target_os = "linux")]
const LARGE_PAGE: usize = 2 << 20;

/// Values of a buffer (16 MiB) whose pages are costly to get.
const COSTLY: usize = 1 << 22;

static SHELF: Mutex<Shelf> = Mutex::new(Shelf {
    by_size: BTreeMap::new(),
    values: 0,
    on_loan: 0,
    most: 0,
    now: 0,
});

/// A network's pass is over when the memory on loan falls below its peak divided by this number.
const PASS: usize = 16;

/// Unused buffers.
struct Shelf {
    by_size: BTreeMap<usize, Pile>,
    /// Values of unused buffers.
    values: usize,
    /// Values of the buffers on loan, and the peak of this number since the pass began.
    on_loan: usize,
    most: usize,
    /// Buffers given so far.
    now: u64,
}

/// Unused buffers of one size.
#[derive(Default)]
struct Pile {
    buffers: Vec<Vec<f32>>,
    last_given: u64,
}

impl Shelf {
    /// Returns an unused buffer of `size` values, if there is one, and the buffers to free before a new one is allocated. A
    /// large request also takes a buffer of up to twice its size: the system needs longer to provide new memory of that
    /// size than most layers need to compute.
    fn take(&mut self, size: usize, kept: usize) -> (Option<Vec<f32>>, Vec<Vec<f32>>) {
        let most = if size >= COSTLY { 2 * size } else { size };
        let mut piles = self.by_size.range_mut(size..=most);
        let found = piles.find_map(|(_, pile)| pile.buffers.pop());
        let lent = found.as_ref().map_or(size, Vec::len);
        self.on_loan += lent;
        self.most = self.most.max(self.on_loan);
        if found.is_some() {
            self.values -= lent;
            return (found, Vec::new());
        }
        (None, self.trim(self.room(kept)))
    }

    /// Takes a buffer back, and returns the buffers to free.
    fn give(&mut self, buffer: Vec<f32>, kept: usize) -> Vec<Vec<f32>> {
        self.now += 1;
        self.on_loan -= buffer.len();
        if self.on_loan < self.most / PASS {
            self.most = self.on_loan;
        }
        self.values += buffer.len();
        let pile = self.by_size.entry(buffer.len()).or_default();
        pile.buffers.push(buffer);
        pile.last_given = self.now;
        self.trim(self.room(kept))
    }

    /// The limit of unused values: `kept`, or within a pass the difference between the peak and the values on loan, if that is
    /// more. So a pass reuses its large buffers without raising its peak.
    fn room(&self, kept: usize) -> usize {
        kept.max(self.most - self.on_loan)
    }

    /// Yields what is beyond `kept` values: of the sizes that were not given for longest.
    fn trim(&mut self, kept: usize) -> Vec<Vec<f32>> {
        let mut gone = Vec::new();
        while self.values > kept {
            let piles = self
                .by_size
                .values_mut()
                .filter(|pile| !pile.buffers.is_empty());
            let Some(oldest) = piles.min_by_key(|pile| pile.last_given) else {
                break;
            };
            if let Some(buffer) = oldest.buffers.pop() {
                self.values -= buffer.len();
                gone.push(buffer);
            }
        }
        gone
    }
}

/// Values that lie unused at most.
fn kept() -> usize {
    buffer_cache() / size_of::<f32>()
}

/// Frees what is beyond the bound.
pub(in super::super) fn trim() {
    let gone = SHELF.lock().trim(kept());
    drop(gone); // After the lock.
}

/// Values of a line of the cache.
pub(super) const LINE: usize = 16;

/// Values before the first one that begins a line: loads and stores of tiles and vectors that lie across lines take far longer.
pub(super) fn before_line(values: &[f32]) -> usize {
    values.as_ptr().align_offset(LINE * size_of::<f32>())
}

/// Numbers on loan, from the beginning of a line of the cache on. What they hold at first is left over from earlier use.
pub(super) struct Buffer {
    /// At least `len` values and those of a line, all of them initialised.
    values: Vec<f32>,
    first: usize,
    len: usize,
}

impl Buffer {
    pub(super) fn new(len: usize) -> Self {
        let size = size_class(len + LINE - 1);
        let (found, gone) = match size {
            LEAST.. => SHELF.lock().take(size, kept()),
            _ => (None, Vec::new()),
        };
        drop(gone); // After the lock.
        let values = found.unwrap_or_else(|| zeros(size));
        Self {
            first: before_line(&values),
            values,
            len,
        }
    }

    /// The memory as burn's, which comes back here when the last tensor on it is dropped.
    pub(super) fn into_bytes(self) -> Bytes {
        let len = self.len * size_of::<f32>();
        // SAFETY: all values of a buffer are initialised, and `len` of them belong to it.
        unsafe { Bytes::from_controller(Box::new(self), len) }
    }
}

/// Allocates `size` zeros. Linux is asked to use large pages for a large buffer: each page fault then provides 2 MiB, and the
/// processor needs few page-table entries for the whole buffer.
pub(super) fn zeros(size: usize) -> Vec<f32> {
    let values = vec![0.0; size];
    #[cfg(target_os = "linux")]
    if size_of_val(&*values) >= 2 * LARGE_PAGE {
        let first = values.as_ptr().align_offset(LARGE_PAGE / size_of::<f32>());
        let whole = (size - first) * size_of::<f32>() / LARGE_PAGE * LARGE_PAGE;
        // SAFETY: the pages lie within the vector, and the call changes none of its values. An answer that refuses
        // leaves them small.
        unsafe {
            let first = values.as_ptr().add(first).cast_mut();
            libc::madvise(first.cast(), whole, libc::MADV_HUGEPAGE);
        }
    }
    values
}

/// Eight sizes to each power of two, so that near sizes share buffers and at most an eighth is wasted.
fn size_class(len: usize) -> usize {
    if len < LEAST {
        return len;
    }
    len.next_multiple_of(len.next_power_of_two() / 16)
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let values = mem::take(&mut self.values);
        if values.len() >= LEAST {
            let gone = SHELF.lock().give(values, kept());
            drop(gone); // After the lock.
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[self.first..][..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[self.first..][..self.len]
    }
}

impl AllocationController for Buffer {
    fn alloc_align(&self) -> usize {
        align_of::<f32>()
    }

    fn property(&self) -> AllocationProperty {
        AllocationProperty::Other
    }

    unsafe fn memory_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        let values = &mut self.values[self.first..];
        // SAFETY: the bytes of the vector, borrowed as long as it is; the caller writes initialised data alone.
        unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), size_of_val(values)) }
    }

    fn memory(&self) -> &[MaybeUninit<u8>] {
        let values = &self.values[self.first..];
        // SAFETY: the bytes of the vector, borrowed as long as it is.
        unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: usize = 1 << 20;

    fn empty() -> Shelf {
        Shelf {
            by_size: BTreeMap::new(),
            values: 0,
            on_loan: 0,
            most: 0,
            now: 0,
        }
    }

    /// A buffer of `size` values from the shelf, or a new one.
    fn lent(shelf: &mut Shelf, size: usize) -> Vec<f32> {
        let (buffer, _) = shelf.take(size, KEPT);
        buffer.unwrap_or_else(|| vec![0.0; size])
    }

    #[test]
    fn a_buffer_comes_back_and_the_sizes_longest_unused_go_first() {
        let mut shelf = empty();
        let mut buffer = lent(&mut shelf, LEAST);
        buffer.fill(1.0);
        assert!(shelf.give(buffer, KEPT).is_empty());
        let buffer = lent(&mut shelf, LEAST);
        assert_eq!(buffer, vec![1.0; LEAST]);
        assert_eq!((shelf.values, shelf.on_loan), (0, LEAST));
        assert!(shelf.give(buffer, KEPT).is_empty());
        let small: Vec<_> = (0..8).map(|_| lent(&mut shelf, KEPT / 10)).collect();
        let large = lent(&mut shelf, KEPT / 4);
        for buffer in small {
            assert!(shelf.give(buffer, KEPT).is_empty());
        }
        let gone = shelf.give(large, KEPT);
        let of_size = |size: usize| gone.iter().filter(|buffer| buffer.len() == size).count();
        assert_eq!([of_size(LEAST), of_size(KEPT / 10)], [1, 1]);
        assert_eq!(shelf.values, 7 * (KEPT / 10) + KEPT / 4);
        assert_eq!((shelf.trim(0).len(), shelf.values), (8, 0));
    }

    #[test]
    fn a_pass_keeps_its_large_buffers_and_never_more_than_its_most() {
        let mut shelf = empty();
        let input = lent(&mut shelf, KEPT);
        let sizes = [2 * KEPT, 3 * KEPT];
        let layer: Vec<_> = sizes.map(|size| lent(&mut shelf, size)).into();
        for buffer in layer {
            assert!(shelf.give(buffer, KEPT).is_empty(), "within the pass");
        }
        assert_eq!(
            (shelf.on_loan, shelf.values, shelf.most),
            (KEPT, 5 * KEPT, 6 * KEPT)
        );
        // One of another size drives out those for which there is no room beside it.
        let (found, gone) = shelf.take(4 * KEPT, KEPT);
        assert!(found.is_none());
        assert_eq!(gone.iter().map(Vec::len).sum::<usize>(), 5 * KEPT);
        assert!(shelf.on_loan + shelf.values <= shelf.most);
        assert!(shelf.give(vec![0.0; 4 * KEPT], KEPT).is_empty());
        let gone = shelf.give(input, KEPT);
        assert_eq!(
            gone.iter().map(Vec::len).sum::<usize>(),
            4 * KEPT,
            "after the pass"
        );
        assert_eq!((shelf.on_loan, shelf.values, shelf.most), (0, KEPT, 0));
    }

    #[test]
    fn sizes_waste_an_eighth_at_most() {
        for len in [1, LEAST - 1, LEAST, LEAST + 1, 100_000, 1_000_000] {
            let size = size_class(len);
            assert!((len..=len + len / 8).contains(&size), "{len}: {size}");
            assert_eq!(size_class(size), size);
        }
    }
}
