//! Matrix products by words of 32 bits, with sums in f32: a word is a number of f32, or a pair of bf16 where the processor multiplies
//! pairs (`vdpbf16ps`).
//!
//! One factor lies in memory row after row, as weights do: a word of each row meets a vector of words of the other factor, which is
//! packed into [`Panels`] first. So weights are read where they lie, and nothing is widened.

#![allow(unsafe_code)] // The kernels take pointers; each call is guarded by the checks before it.

#[cfg(not(target_arch = "x86_64"))]
mod elsewhere;
#[cfg(target_arch = "x86_64")]
mod pack;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod tile;

use std::marker::PhantomData;

use burn_std::bf16;
#[cfg(not(target_arch = "x86_64"))]
use elsewhere::{pack, tile};

use super::{
    super::exact_products,
    features::{Level, multiplies_bf16},
    product::{Into, Product},
};

/// Words of a vector.
const LANES: usize = 16;
/// Columns of a panel: what the kernel takes at once.
pub(super) const WIDE: usize = 4 * LANES;

/// The kernel of a number type: sizes, rows and the step between them, panels, the output and the
/// step between its rows, and whether products are added to what is there. See `tile` for what the
/// caller promises.
type Kernel<T> = unsafe fn(Size, *const T, usize, *const u32, *mut f32, usize, bool);

/// A number of a word.
pub(super) trait Number: Copy + Default + Sync {
    /// Numbers of a word.
    const A_WORD: usize;
    const KERNEL: Kernel<Self>;

    /// Whether the processor multiplies words of such numbers.
    fn has_products() -> bool;
}

impl Number for f32 {
    const A_WORD: usize = 1;
    const KERNEL: Kernel<Self> = tile::of_f32::product;

    fn has_products() -> bool {
        Level::of_this_machine().has_wide_vectors()
    }
}

impl Number for bf16 {
    const A_WORD: usize = 2;
    const KERNEL: Kernel<Self> = tile::of_bf16::product;

    fn has_products() -> bool {
        multiplies_bf16()
    }
}

/// Words of a column that a product takes at once: those of a panel fill three quarters of a core's own cache.
const DEEP: usize = 3072;

/// Whether products of bf16 weights run on pairs: where the processor has them, and nobody asked for exact products.
pub(super) fn bf16_is_in_force() -> bool {
    multiplies_bf16() && !exact_products()
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

/// Columns of `inner` numbers each, in panels of [`WIDE`] columns: a word of every column, then the next words. The last panel has as
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
    let panel = Panels::<T>::words(inner, WIDE).max(1);
    for (number, to) in to.chunks_mut(panel).enumerate() {
        let first = number * WIDE;
        body(to, first, WIDE.min(columns - first));
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

/// Rounds a matrix whose rows, `step` apart, are one value of each column, and writes it column by column.
pub(super) fn narrow_columns(
    to: &mut [bf16],
    from: &[f32],
    step: usize,
    [inner, columns]: [usize; 2],
) {
    check::<bf16>(from.len(), step, [inner, columns]);
    assert_eq!(to.len(), inner * columns, "numbers to be rounded");
    for first in (0..columns).step_by(LANES) {
        let count = LANES.min(columns - first);
        // SAFETY: the rows lie in `from` and the columns in `to`, as was checked; the processor has the instructions.
        unsafe {
            let to = to.as_mut_ptr().add(first * inner);
            pack::turned_rows(from.as_ptr().wrapping_add(first), step, inner, count, to);
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
        let words = panels.words.as_ptr();
        // Panels of which much more than a part fits into a core's own cache are taken part by part.
        let part = DEEP * T::A_WORD;
        for first in (0..rows.inner.max(1)).step_by(part) {
            let size = Size {
                rows: rows.rows,
                inner: part.min(rows.inner - first),
                columns: panels.columns,
                panel: rows.inner.div_ceil(T::A_WORD),
                first: first / T::A_WORD,
            };
            let add = into == Into::Add || first > 0;
            // SAFETY: rows and panels are made only from slices that hold them; `out` is as the caller promises; the processor has the
            // instructions, as was just asked.
            unsafe {
                let rows_from = rows.values.as_ptr().wrapping_add(first);
                (T::KERNEL)(size, rows_from, rows.step, words, out, row_step, add);
            }
        }
    }
}
