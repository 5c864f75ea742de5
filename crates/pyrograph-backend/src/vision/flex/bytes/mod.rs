//! Matrix products of whole numbers of 8 bits, with sums of 32 bits: activations that are quantised as they come meet
//! weights in int8.
//!
//! One factor lies in memory row after row, in pieces of [`DEEP`] numbers; a tap of a convolution is a distance. The
//! other factor is packed into [`Panel`]s of tiles: a word of four numbers of each of 16 columns, then their next four.
//! All kernels take this form and give the same sums: tiles (AMX-INT8), VNNI on vectors of 512 and of 256 bits, AVX2,
//! and a loop for other processors.

#![allow(unsafe_code)] // The kernels take pointers; each call is guarded by the checks before it.

#[cfg(target_arch = "x86_64")]
mod amx;
mod finish;
#[cfg(target_arch = "x86_64")]
mod pack;
mod plain;
mod quantise;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod vectors;

use std::ops::{Range, RangeInclusive};

#[cfg(target_arch = "x86_64")]
use super::features::Level;
use super::{
    features::{ByteProducts, multiply_bytes_by, vectorised},
    scratch,
};
pub(super) use finish::{Columns, Stores, With, fence, turn_into, write_rows};
use quantise::largest_of_pixels;
pub(super) use quantise::{Scale, largest, quantise};

/// Numbers of a piece of a row.
pub(super) const DEEP: usize = 64;
/// Columns of a panel.
pub(super) const WIDE: usize = 32;
/// Columns of a tile.
const LANES: usize = 16;
/// Words of a column of a tile.
const QUADS: usize = DEEP / 4;
/// Bytes of a tile.
const TILE: usize = DEEP * LANES;
/// Rows that a kernel takes at once.
pub(super) const STRIP: usize = 32;
/// Pieces that all rows meet before the next ones: their tiles stay in the cache nearest to the core.
const PIECES: usize = 20;
/// Bytes of rows that meet the panels one after the other, where a sum is taken in several parts.
const CACHED: usize = 3 << 18;
/// Numbers of a row up to which every sum fits into 32 bits, by each kernel: 255 · 128 · 65,536 < 2³¹.
const MOST_INNER: usize = 1 << 16;
/// Numbers of a row for which these products serve: of fewer, too much of a piece would be zeros.
pub(super) const INNER: RangeInclusive<usize> = 24..=MOST_INNER;

/// What products of whole numbers run on.
pub(super) fn kernel() -> ByteProducts {
    multiply_bytes_by()
}

/// What an activation of 0 is for these products: VNNI takes numbers without a sign, 128 too large, which the sums'
/// first values undo.
pub(super) fn zero(by: ByteProducts) -> u8 {
    match by {
        #[cfg(target_arch = "x86_64")]
        ByteProducts::Vnni512 | ByteProducts::Vnni256 => 0x80,
        _ => 0,
    }
}

/// Bytes from one row of `inner` numbers to the next: whole pieces, an odd number of them, so that rows do not fall on
/// the same sets of the cache.
pub(super) fn row_step(inner: usize) -> usize {
    (inner.div_ceil(DEEP) | 1) * DEEP
}

/// Rows after the last one that kernels may read.
pub(super) const BEYOND: usize = LANES;

/// Where the pieces of rows begin whose numbers lie one after the other.
pub(super) fn starts(inner: usize) -> Vec<usize> {
    (0..inner).step_by(DEEP).collect()
}

/// Rows of bytes in pieces of [`DEEP`], which begin at the same places from a row's own on.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    bytes: &'a [u8],
    rows: usize,
    step: usize,
    starts: &'a [usize],
}

impl<'a> Rows<'a> {
    /// Rows `step` apart in `bytes`, which go on for [`BEYOND`] rows at least.
    pub(super) fn new(bytes: &'a [u8], rows: usize, step: usize, starts: &'a [usize]) -> Self {
        let last = starts.iter().max().map_or(0, |start| start + DEEP);
        let read = rows.next_multiple_of(LANES);
        assert!(
            read == 0 || bytes.len() >= (read - 1) * step + last,
            "{read} rows of pieces, {step} apart, in {} bytes",
            bytes.len()
        );
        Self {
            bytes,
            rows,
            step,
            starts,
        }
    }
}

/// At most [`WIDE`] columns: the values that their sums begin with, and their tiles.
#[derive(Clone, Copy)]
pub(super) struct Panel<'a> {
    first: &'a [i32; WIDE],
    tiles: &'a [u8],
    columns: usize,
}

/// Bytes of the values that a panel's sums begin with.
const FIRST: usize = WIDE * size_of::<i32>();

impl<'a> Panel<'a> {
    /// Bytes of a panel of so many pieces, at most.
    pub(super) fn bytes(pieces: usize) -> usize {
        FIRST + pieces * 2 * TILE
    }

    /// The panel that was packed into `memory`.
    pub(super) fn new(memory: &'a [u8], columns: usize, pieces: usize) -> Self {
        assert!(
            (1..=WIDE).contains(&columns),
            "{columns} columns of a panel"
        );
        let (first, tiles) = memory.split_at(FIRST);
        Self {
            first: bytemuck::cast_ref(first.first_chunk::<FIRST>().expect("split there")),
            tiles: &tiles[..pieces * columns.div_ceil(LANES) * TILE],
            columns,
        }
    }

    /// Packs `columns` columns of `inner` numbers, one after the other.
    pub(super) fn pack(
        by: ByteProducts,
        memory: &'a mut [u8],
        weight: &[i8],
        [columns, inner]: [usize; 2],
    ) -> Self {
        assert_eq!(weight.len(), columns * inner, "numbers of a panel");
        Self::pack_by(by, memory, columns, inner.div_ceil(DEEP), |tiles| {
            #[cfg(target_arch = "x86_64")]
            if Level::of_this_machine().has_wide_vectors() {
                // SAFETY: the numbers are there and the tiles whole, as was checked; the processor has the
                // instructions.
                unsafe {
                    pack::columns(weight.as_ptr(), inner, [columns, inner], tiles.as_mut_ptr())
                };
                return;
            }
            plain::pack(tiles, columns, inner.div_ceil(DEEP), |column, place| {
                let is_there = place < inner;
                if is_there {
                    weight[column * inner + place]
                } else {
                    0
                }
            });
        })
    }

    /// Packs the weights [columns, channels, taps] of a convolution: those of a tap and [`DEEP`] channels, then of the
    /// next tap.
    pub(super) fn pack_taps(
        by: ByteProducts,
        memory: &'a mut [u8],
        weight: &[i8],
        [columns, channels, taps]: [usize; 3],
    ) -> Self {
        assert_eq!(
            weight.len(),
            columns * channels * taps,
            "numbers of a panel"
        );
        let pieces = channels.div_ceil(DEEP) * taps;
        Self::pack_by(by, memory, columns, pieces, |tiles| {
            #[cfg(target_arch = "x86_64")]
            if taps <= pack::MOST_TAPS && has_byte_shuffles() {
                // SAFETY: the numbers are there and the tiles whole, as was checked; the processor has the
                // instructions.
                unsafe {
                    pack::taps(
                        weight.as_ptr(),
                        [columns, channels, taps],
                        tiles.as_mut_ptr(),
                    )
                };
                return;
            }
            plain::pack(tiles, columns, pieces, |column, place| {
                let (piece, number) = (place / DEEP, place % DEEP);
                let (channel, tap) = (piece / taps * DEEP + number, piece % taps);
                let is_there = channel < channels;
                if is_there {
                    weight[(column * channels + channel) * taps + tap]
                } else {
                    0
                }
            });
        })
    }

    fn pack_by(
        by: ByteProducts,
        memory: &'a mut [u8],
        columns: usize,
        pieces: usize,
        pack: impl FnOnce(&mut [u8]),
    ) -> Self {
        let halves = columns.div_ceil(LANES);
        let (first, tiles) = memory.split_at_mut(FIRST);
        let tiles = &mut tiles[..pieces * halves * TILE];
        pack(tiles);
        let first: &mut [i32] = bytemuck::cast_slice_mut(first);
        first.fill(0);
        let zero = i32::from(zero(by));
        if zero != 0 {
            for (number, tile) in tiles.chunks(TILE).enumerate() {
                add_words(tile, &mut first[number % halves * LANES..][..LANES]);
            }
            first.iter_mut().for_each(|sum| *sum *= -zero);
        }
        Self::new(memory, columns, pieces)
    }
}

vectorised! {
    /// Adds the numbers of each column of a tile.
    fn add_words(tile: &[u8], to: &mut [i32]) {
        for (place, word) in tile.as_chunks::<4>().0.iter().enumerate() {
            let sum: i32 = word.iter().map(|byte| i32::from(byte.cast_signed())).sum();
            to[place % LANES] += sum;
        }
    }
}

/// Whether bytes of a vector are shuffled by one instruction.
#[cfg(target_arch = "x86_64")]
fn has_byte_shuffles() -> bool {
    Level::of_this_machine().has_wide_vectors() && std::arch::is_x86_feature_detected!("avx512vbmi")
}

/// What a kernel takes at once: sums `[STRIP][WIDE]` of `count` rows and the columns of a panel, written, or added to
/// what is there.
///
/// `starts` of as many pieces as there are tiles of a half from `tiles` on, the halves of a piece one after the other.
/// Of each row up to the next multiple of 16 of `count` the pieces can be read; sums of as many rows can be written.
/// There is a row at least.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // The loop reads neither pointers' steps nor first values.
struct Strip<'a> {
    rows: *const u8,
    step: usize,
    count: usize,
    starts: &'a [usize],
    tiles: *const u8,
    /// Tiles side by side: 1 or 2.
    halves: usize,
    first: &'a [i32; WIDE],
    sums: *mut i32,
    add: bool,
}

/// Whether sums of so many pieces are taken in one part.
pub(super) fn is_one_part(pieces: usize) -> bool {
    pieces <= PIECES
}

/// The products of rows and some panels: `finish` gets the number of a panel, some rows, and their sums `[rows, WIDE]`.
///
/// Where a sum is taken in one part, some rows meet all panels before the next rows do. Else so many rows that they
/// stay in a core's own cache meet a part of a panel, then the next part, then the next panel.
pub(super) fn products(
    by: ByteProducts,
    rows: &Rows<'_>,
    panels: &[Panel<'_>],
    mut finish: impl FnMut(usize, Range<usize>, &[i32]),
) {
    let (pieces, count) = (rows.starts.len(), rows.rows);
    assert!(
        pieces > 0 && pieces * DEEP <= MOST_INNER,
        "{pieces} pieces of a row"
    );
    let parts = pieces.div_ceil(PIECES);
    let at_once = match is_one_part(pieces) {
        true => STRIP,
        false => (CACHED / rows.step).next_multiple_of(STRIP),
    };
    scratch::with_numbers(at_once * WIDE, |sums: &mut [i32]| {
        let sums_of = |first: usize| (first % at_once * WIDE)..(first % at_once + STRIP) * WIDE;
        // SAFETY: `by` is in force, or asked for by a test that has the instructions; nobody uses tiles from here to
        // the end.
        let _tiles = unsafe { Tiles::of(by) };
        if is_one_part(pieces) {
            for first in (0..count).step_by(STRIP) {
                for (number, panel) in panels.iter().enumerate() {
                    let sums = &mut sums[sums_of(first)];
                    let range = write(by, rows, panel, 0..pieces, first, sums);
                    finish(number, range.clone(), &sums[..range.len() * WIDE]);
                }
            }
            return;
        }
        let bound = |part: usize| part * pieces / parts;
        for block in (0..count).step_by(at_once) {
            let strips = || (block..count.min(block + at_once)).step_by(STRIP);
            for (number, panel) in panels.iter().enumerate() {
                for part in 0..parts {
                    for first in strips() {
                        let sums = &mut sums[sums_of(first)];
                        let own = bound(part)..bound(part + 1);
                        let range = write(by, rows, panel, own, first, sums);
                        if part + 1 == parts {
                            finish(number, range.clone(), &sums[..range.len() * WIDE]);
                        }
                    }
                }
            }
        }
    });
}

/// The shapes of tiles, which are released with it.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // There are no tiles.
struct Tiles(ByteProducts);

impl Tiles {
    /// Sets them, where products run on tiles.
    ///
    /// # Safety
    /// The processor has the instructions of `by`, and nobody else uses tiles on this thread while this value lives.
    unsafe fn of(by: ByteProducts) -> Self {
        #[cfg(target_arch = "x86_64")]
        if by == ByteProducts::Tiles {
            // SAFETY: promised by the caller.
            unsafe { amx::begin() };
        }
        Self(by)
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        #[cfg(target_arch = "x86_64")]
        if self.0 == ByteProducts::Tiles {
            // SAFETY: promised by the caller of `of`.
            unsafe { amx::end() };
        }
    }
}

/// Writes the sums of some pieces of the rows from `first` on, a strip of them, or adds all but the first pieces'.
/// Yields the rows.
fn write(
    by: ByteProducts,
    rows: &Rows<'_>,
    panel: &Panel<'_>,
    pieces: Range<usize>,
    first: usize,
    sums: &mut [i32],
) -> Range<usize> {
    let halves = panel.columns.div_ceil(LANES);
    let of_piece = halves * TILE;
    assert!(sums.len() == STRIP * WIDE && panel.tiles.len() == rows.starts.len() * of_piece);
    let strip = Strip {
        rows: rows.bytes[first * rows.step..].as_ptr(),
        step: rows.step,
        count: STRIP.min(rows.rows - first),
        starts: &rows.starts[pieces.clone()],
        tiles: panel.tiles[pieces.start * of_piece..].as_ptr(),
        halves,
        first: panel.first,
        sums: sums.as_mut_ptr(),
        add: pieces.start > 0,
    };
    // SAFETY: rows and panels are made only from slices that hold them, and the sums of a strip were just counted; `by`
    // is in force, or asked for by a test that has the instructions.
    unsafe { write_by(by, &strip) };
    first..first + strip.count
}

/// # Safety
/// As [`Strip`] says, and the processor has the instructions of `by`.
unsafe fn write_by(by: ByteProducts, strip: &Strip<'_>) {
    // SAFETY: promised by the caller.
    unsafe {
        match by {
            #[cfg(target_arch = "x86_64")]
            ByteProducts::Tiles => amx::write(strip),
            #[cfg(target_arch = "x86_64")]
            ByteProducts::Vnni512 => vectors::vnni512(strip),
            #[cfg(target_arch = "x86_64")]
            ByteProducts::Vnni256 => vectors::vnni256(strip),
            #[cfg(target_arch = "x86_64")]
            ByteProducts::Avx2 => vectors::avx2(strip),
            ByteProducts::Baseline => plain::write(strip),
        }
    }
}

/// Quantises pixels of `channels` planes, `step` apart, to rows `to_step` apart, each by a scale of its own, which is
/// written.
pub(super) fn quantise_tokens(
    from: &[f32],
    step: usize,
    channels: usize,
    zero: u8,
    to: &mut [u8],
    to_step: usize,
    scales: &mut [f32],
) {
    let count = scales.len();
    // Planes lie far apart, often on the same sets of the cache: they are read once.
    scratch::with_pieces(
        [channels * count, count, count],
        |[copy, most, inverses]| {
            let most: &mut [u32] = bytemuck::cast_slice_mut(most);
            largest_of_pixels(from, step, copy, most);
            for ((most, inverse), scale) in most.iter().zip(&mut *inverses).zip(scales) {
                let of_pixel = Scale::of(*most);
                (*inverse, *scale) = (of_pixel.inverse, of_pixel.scale);
            }
            quantise_pixels(copy, count, channels, inverses, zero, to, to_step);
        },
    );
}

/// Quantises pixels of `channels` planes, `step` apart, to rows `to_step` apart, each pixel by its inverse.
pub(super) fn quantise_pixels(
    from: &[f32],
    step: usize,
    channels: usize,
    inverses: &[f32],
    zero: u8,
    to: &mut [u8],
    to_step: usize,
) {
    let count = inverses.len();
    assert!(
        count <= step
            && channels.next_multiple_of(DEEP) <= to_step
            && (channels == 0 || from.len() >= (channels - 1) * step + count)
            && to.len() >= count * to_step,
        "{count} pixels of {channels} planes, {step} apart, in {} values, for {} bytes",
        from.len(),
        to.len()
    );
    #[cfg(target_arch = "x86_64")]
    if Level::of_this_machine().has_wide_vectors() {
        for (part, inverses) in inverses.chunks(LANES).enumerate() {
            let first = part * LANES;
            let from = from.as_ptr().wrapping_add(first);
            // SAFETY: the pixels of all planes and whole pieces of them are there, as was checked; the processor has
            // the instructions.
            unsafe {
                let to = to.as_mut_ptr().add(first * to_step);
                pack::pixels(from, step, channels, inverses, zero, to, to_step);
            }
        }
        return;
    }
    for (pixel, (inverse, to)) in inverses.iter().zip(to.chunks_mut(to_step)).enumerate() {
        for (channel, to) in to.iter_mut().enumerate().take(channels) {
            *to = quantise::byte(from[channel * step + pixel], *inverse) ^ zero;
        }
    }
}
