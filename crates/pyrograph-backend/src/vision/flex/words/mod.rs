//! Matrix products by words of 32 bits, with sums in f32: a word is a number of f32, or a pair of bf16 where the processor multiplies
//! pairs (`vdpbf16ps`).
//!
//! One factor lies in memory row after row, as weights do: a word of each row meets a vector of words of the other factor, which is
//! packed into [`Panels`] first. So weights are read where they lie, and nothing is widened. Where the processor has tiles (AMX), a
//! tile of such rows meets a tile of a panel.

#![allow(unsafe_code)] // The kernels take pointers; each call is guarded by the checks before it.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(not(target_arch = "x86_64"))]
mod elsewhere;
#[cfg(target_arch = "x86_64")]
mod pack;
#[cfg(target_arch = "x86_64")]
mod rounded;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod tile;

#[cfg(not(target_arch = "x86_64"))]
pub(super) use elsewhere::RowsOfPanel;
#[cfg(target_arch = "x86_64")]
pub(super) use {pack::turned, rounded::RowsOfPanel};

use std::marker::PhantomData;

use burn_std::bf16;
#[cfg(not(target_arch = "x86_64"))]
use elsewhere::{amx, pack, tile};

use super::{
    super::exact_products,
    features::{Level, multiplies_bf16, multiplies_tiles},
    product::{Into, Product},
};

/// Words of a vector.
const LANES: usize = 16;
/// Columns of a panel, at most.
pub(super) const WIDE: usize = 4 * LANES;
/// Bytes of a line of the cache.
const LINE: usize = 64;

/// Columns of a panel of `T`: what its kernel takes at once.
pub(super) fn wide<T: Number>() -> usize {
    match T::has_tiles() {
        true => 2 * LANES,
        false => WIDE,
    }
}

/// Numbers from the start of a row of `count` ones to the next: an odd number of lines of the cache, so that
/// neighbouring rows do not compete for the same places in it.
pub(super) fn spread<T>(count: usize) -> usize {
    let line = LINE / size_of::<T>();
    (count.div_ceil(line) | 1) * line
}

/// The kernel of a number type: sizes, rows and the step between them, panels, the output and the
/// step between its rows, and whether products are added to what is there. See `tile` for what the
/// caller promises.
type Kernel<T> = unsafe fn(Size, *const T, usize, *const u32, *mut f32, usize, bool);

/// A number of a word.
pub(super) trait Number: Copy + Default + Sync {
    /// Numbers of a word.
    const A_WORD: usize;

    fn kernel() -> Kernel<Self>;

    /// Whether the processor multiplies words of such numbers.
    fn has_products() -> bool;

    /// Whether it multiplies tiles of them.
    fn has_tiles() -> bool {
        false
    }
}

impl Number for f32 {
    const A_WORD: usize = 1;

    fn kernel() -> Kernel<Self> {
        tile::of_f32::product
    }

    fn has_products() -> bool {
        Level::of_this_machine().has_wide_vectors()
    }
}

impl Number for bf16 {
    const A_WORD: usize = 2;

    fn kernel() -> Kernel<Self> {
        match multiplies_tiles() {
            true => amx::product,
            false => tile::of_bf16::product,
        }
    }

    fn has_products() -> bool {
        multiplies_bf16()
    }

    fn has_tiles() -> bool {
        multiplies_tiles()
    }
}

/// Numbers of a piece of [`Pieces`].
pub(super) const PIECE: usize = amx::DEPTH;

/// Words of a column that a product takes at once: those of a panel fill three quarters of a core's own cache.
const DEEP: usize = 3072;

/// Whether products of bf16 weights run on pairs: where the processor has them, and nobody asked for exact products.
pub(super) fn bf16_is_in_force() -> bool {
    multiplies_bf16() && !exact_products()
}

/// Whether such products run on tiles.
pub(super) fn tiles_are_in_force() -> bool {
    bf16_is_in_force() && multiplies_tiles()
}

/// Rows of `inner` numbers, each `step` after the one before.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a, T> {
    values: &'a [T],
    rows: usize,
    inner: usize,
    step: usize,
}

impl<'a, T: Number> Rows<'a, T> {
    pub(super) fn new(values: &'a [T], rows: usize, inner: usize, step: usize) -> Self {
        assert!(
            inner <= step && (rows == 0 || values.len() >= (rows - 1) * step + inner),
            "{rows} rows of {inner}, {step} apart, in {} values",
            values.len()
        );
        Self {
            values,
            rows,
            inner,
            step,
        }
    }
}

/// Rows whose numbers lie in pieces of [`PIECE`], which begin at the same places from a row's own on.
#[derive(Clone, Copy)]
pub(super) struct Pieces<'a> {
    values: &'a [bf16],
    rows: usize,
    step: usize,
    starts: &'a [usize],
}

impl<'a> Pieces<'a> {
    /// Rows `step` apart in `values`.
    pub(super) fn new(values: &'a [bf16], rows: usize, step: usize, starts: &'a [usize]) -> Self {
        let last = starts.iter().max().map_or(0, |start| start + PIECE);
        assert!(
            rows == 0 || values.len() >= (rows - 1) * step + last,
            "{rows} rows of pieces, {step} apart, in {} values",
            values.len()
        );
        Self {
            values,
            rows,
            step,
            starts,
        }
    }
}

/// Columns of `inner` numbers each, in panels of [`wide`] columns: a word of every column, then the next words. The last panel has as
/// many vectors as it needs; columns beyond the last one, and the second number of an odd pair, are 0.
#[derive(Clone, Copy)]
pub(super) struct Panels<'a, T> {
    words: &'a [u32],
    inner: usize,
    columns: usize,
    of: PhantomData<T>,
}

impl<'a, T: Number> Panels<'a, T> {
    /// Words that panels of this size take.
    pub(super) fn words(inner: usize, columns: usize) -> usize {
        inner.div_ceil(T::A_WORD) * columns.next_multiple_of(LANES)
    }

    pub(super) fn new(words: &'a [u32], inner: usize, columns: usize) -> Self {
        assert_eq!(
            words.len(),
            Self::words(inner, columns),
            "words of panels of {columns} columns of {inner}"
        );
        Self {
            words,
            inner,
            columns,
            of: PhantomData,
        }
    }
}

/// The size of a product.
#[derive(Clone, Copy)]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // No kernel reads it there.
pub(super) struct Size {
    rows: usize,
    inner: usize,
    columns: usize,
    /// Columns of a panel.
    wide: usize,
    /// Words of a column in its panel, and the first of them that counts.
    panel: usize,
    first: usize,
}

/// Packs a matrix whose rows, `step` apart, are one value of every column each.
pub(super) fn pack_rows(to: &mut [u32], from: &[f32], step: usize, size: [usize; 2]) {
    pack_some_rows(to, [0, size[0]], from, step, size);
}

/// [`pack_rows`] for some of the rows of panels: those from the even number `first` on of `inner` ones.
pub(super) fn pack_some_rows(
    to: &mut [u32],
    [first, inner]: [usize; 2],
    from: &[f32],
    step: usize,
    [rows, columns]: [usize; 2],
) {
    check::<bf16>(from.len(), step, [rows, columns]);
    if rows == 0 {
        return;
    }
    assert!(
        first.is_multiple_of(2) && first + rows <= inner,
        "rows {first} to {} of {inner}",
        first + rows
    );
    each_panel::<bf16>(to, [inner, columns], |to, column, count| {
        let to = &mut to[Panels::<bf16>::words(first, count)..];
        // SAFETY: the rows lie in `from`, as was checked; so many fit into the rest of the panel; the processor has the instructions.
        unsafe {
            pack::rows(
                from.as_ptr().add(column),
                step,
                rows,
                count,
                to.as_mut_ptr(),
            )
        };
    });
}

/// Packs columns that lie one after the other, `step` apart.
pub(super) fn pack_columns<T: Number>(
    to: &mut [u32],
    from: &[T],
    step: usize,
    [inner, columns]: [usize; 2],
) {
    check::<T>(from.len(), step, [columns, inner]);
    if inner == 0 {
        return;
    }
    each_panel::<T>(to, [inner, columns], |to, first, count| {
        // SAFETY: the columns lie in `from`, as was checked; the panel is as large as it has to be; the processor has the instructions.
        // As many numbers as fit into a word take its 32 bits.
        unsafe {
            let from = from.as_ptr().add(first * step).cast();
            let sizes = [step, inner].map(|numbers| numbers * (2 / T::A_WORD));
            pack::columns(from, sizes[0], sizes[1], count, to.as_mut_ptr());
        }
    });
}

/// Packs the weights [columns, channels, taps] of a kernel in [`Pieces`]: those of a tap and [`PIECE`] channels, then of the next tap.
/// The inner size of the panels is that of whole pieces; channels beyond the last are 0.
pub(super) fn pack_taps(to: &mut [u32], weight: &[bf16], [columns, channels, taps]: [usize; 3]) {
    let inner = channels.next_multiple_of(PIECE) * taps;
    check::<bf16>(weight.len(), channels * taps, [columns, channels * taps]);
    each_panel::<bf16>(to, [inner, columns], |to, first, count| {
        let weight = &weight[first * channels * taps..];
        // SAFETY: the weights of these outputs are there, as was checked, and the panel is as large as it has to be; the processor has
        // the instructions.
        unsafe {
            pack::taps(
                weight.as_ptr().cast(),
                [count, channels, taps],
                to.as_mut_ptr(),
            )
        };
    });
}

fn check<T: Number>(len: usize, step: usize, [rows, columns]: [usize; 2]) {
    assert!(T::has_products(), "the processor multiplies such words");
    assert!(
        columns <= step && (rows == 0 || len >= (rows - 1) * step + columns),
        "a matrix of {rows} × {columns} with rows {step} apart in {len} values"
    );
}

/// The panels of `to`, with the number of the first column and of columns of each.
fn each_panel<T: Number>(
    to: &mut [u32],
    [inner, columns]: [usize; 2],
    mut body: impl FnMut(&mut [u32], usize, usize),
) {
    assert_eq!(
        to.len(),
        Panels::<T>::words(inner, columns),
        "words of panels"
    );
    let wide = wide::<T>();
    let panel = Panels::<T>::words(inner, wide).max(1);
    for (number, to) in to.chunks_mut(panel).enumerate() {
        let first = number * wide;
        body(to, first, wide.min(columns - first));
    }
}

/// Rounds numbers to the nearest bf16, ties to even.
pub(super) fn narrow(from: &[f32], to: &mut [bf16]) {
    assert_eq!(from.len(), to.len(), "numbers to be rounded");
    if multiplies_bf16() {
        // SAFETY: both have this many numbers; the processor has the instructions.
        unsafe { pack::narrow(from.as_ptr(), from.len(), to.as_mut_ptr()) };
    } else {
        for (to, from) in to.iter_mut().zip(from) {
            *to = bf16::from_f32(*from);
        }
    }
}

/// Rounds a matrix whose rows, `step` apart, are one value of each column, and writes it column by column, each `to_step` after the
/// one before.
pub(super) fn narrow_columns(
    to: &mut [bf16],
    to_step: usize,
    from: &[f32],
    step: usize,
    [inner, columns]: [usize; 2],
) {
    check::<bf16>(from.len(), step, [inner, columns]);
    assert!(
        inner <= to_step && (columns == 0 || to.len() >= (columns - 1) * to_step + inner),
        "{columns} columns of {inner}, {to_step} apart, in {} numbers",
        to.len()
    );
    // Few rows at a time, so that the next columns of each are still on their way to the core.
    for row in (0..inner).step_by(2 * LANES) {
        for first in (0..columns).step_by(LANES) {
            let size = [(inner - row).min(2 * LANES), (columns - first).min(LANES)];
            // SAFETY: the rows lie in `from` and the columns in `to`, as was checked; the processor has the
            // instructions.
            unsafe {
                let to = to.as_mut_ptr().add(first * to_step + row);
                let from = from.as_ptr().add(row * step + first);
                pack::turned_rows(from, step, size, to, to_step);
            }
        }
    }
}

/// A matrix of f32 by its columns: `from` has rows of `columns` numbers, `step` apart; columns of `rows` go to `to`, `to_step` apart.
///
/// # Safety
/// The places of these columns are the caller's to write.
pub(super) unsafe fn turn(
    to: *mut f32,
    to_step: usize,
    from: &[f32],
    step: usize,
    [rows, columns]: [usize; 2],
) {
    check::<f32>(from.len(), step, [rows, columns]);
    for row in (0..rows).step_by(LANES) {
        for column in (0..columns).step_by(LANES) {
            let size = [rows - row, columns - column].map(|size| size.min(LANES));
            // SAFETY: the block lies in `from`, as was checked, and in what the caller promises; the processor has the instructions.
            unsafe {
                let from = from.as_ptr().add(row * step + column);
                let to = to.add(column * to_step + row);
                pack::turned_block(from, step, size, to, to_step);
            }
        }
    }
}

/// `rows·panels`.
impl<T: Number> Product for (Rows<'_, T>, Panels<'_, T>) {
    fn size(&self) -> [usize; 2] {
        [self.0.rows, self.1.columns]
    }

    unsafe fn write(&self, out: *mut f32, row_step: usize, into: Into) {
        let (rows, panels) = self;
        assert_eq!(rows.inner, panels.inner, "the inner sizes of a product");
        assert!(T::has_products(), "the processor multiplies such words");
        let (words, kernel) = (panels.words.as_ptr(), T::kernel());
        // Panels of which much more than a part fits into a core's own cache are taken part by part.
        let part = DEEP * T::A_WORD;
        for first in (0..rows.inner.max(1)).step_by(part) {
            let size = Size {
                rows: rows.rows,
                inner: part.min(rows.inner - first),
                columns: panels.columns,
                wide: wide::<T>(),
                panel: rows.inner.div_ceil(T::A_WORD),
                first: first / T::A_WORD,
            };
            let add = into == Into::Add || first > 0;
            // SAFETY: rows and panels are made only from slices that hold them; `out` is as the caller promises; the processor has the
            // instructions, as was just asked.
            unsafe {
                let rows_from = rows.values.as_ptr().wrapping_add(first);
                kernel(size, rows_from, rows.step, words, out, row_step, add);
            }
        }
    }
}

/// `rows·panels`, where [`tiles_are_in_force`].
impl Product for (Pieces<'_>, Panels<'_, bf16>) {
    fn size(&self) -> [usize; 2] {
        [self.0.rows, self.1.columns]
    }

    unsafe fn write(&self, out: *mut f32, row_step: usize, into: Into) {
        let (rows, panels) = self;
        let inner = rows.starts.len() * PIECE;
        assert_eq!(inner, panels.inner, "the inner sizes of a product");
        assert!(multiplies_tiles(), "the processor multiplies tiles");
        let size = Size {
            rows: rows.rows,
            inner,
            columns: panels.columns,
            wide: wide::<bf16>(),
            panel: inner.div_ceil(bf16::A_WORD),
            first: 0,
        };
        // SAFETY: rows and panels are made only from slices that hold them; `out` is as the caller promises; the processor has tiles,
        // as was just asked.
        unsafe {
            let (values, words) = (rows.values.as_ptr(), panels.words.as_ptr());
            let add = into == Into::Add;
            amx::product_of_pieces(
                size,
                values,
                rows.step,
                rows.starts,
                words,
                out,
                row_step,
                add,
            );
        }
    }
}
