//! Matrix products of bf16 numbers with sums in f32, on processors that multiply pairs of them (`vdpbf16ps`).
//!
//! One factor lies in memory row after row, as weights do: a pair of neighbours in a row is one word, which meets a vector of words
//! of the other factor. That one is packed into [`Panels`] first. So weights are read where they lie, and nothing is widened.

#![allow(unsafe_code)] // The kernels take pointers; each call is guarded by the checks before it.

#[cfg(not(target_arch = "x86_64"))]
mod elsewhere;
#[cfg(target_arch = "x86_64")]
mod pack;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod tile;

use burn_std::bf16;
#[cfg(not(target_arch = "x86_64"))]
use elsewhere::{pack, tile};

use super::{
    super::exact_products,
    features::multiplies_bf16,
    product::{Into, Product},
};

/// Words of a vector.
const LANES: usize = 16;
/// Columns of a panel: what the kernel takes at once.
pub(super) const WIDE: usize = 4 * LANES;

/// Whether products of bf16 weights run on pairs: where the processor has them, and nobody asked for exact products.
pub(super) fn is_in_force() -> bool {
    multiplies_bf16() && !exact_products()
}

/// Rows of `inner` numbers, each `step` after the one before.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    values: &'a [bf16],
    rows: usize,
    inner: usize,
    step: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn new(values: &'a [bf16], rows: usize, inner: usize, step: usize) -> Self {
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

/// Columns of `inner` numbers each, in panels of [`WIDE`] columns: pair after pair, and of each pair a word for every column. The
/// last panel has as many vectors as it needs; columns beyond the last one, and the second number of an odd pair, are 0.
#[derive(Clone, Copy)]
pub(super) struct Panels<'a> {
    words: &'a [u32],
    inner: usize,
    columns: usize,
}

impl<'a> Panels<'a> {
    /// Words that panels of this size take.
    pub(super) fn words(inner: usize, columns: usize) -> usize {
        inner.div_ceil(2) * columns.next_multiple_of(LANES)
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
        }
    }
}

/// The size of a product.
#[derive(Clone, Copy)]
struct Size {
    rows: usize,
    inner: usize,
    columns: usize,
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
    check(from.len(), step, [rows, columns]);
    if rows == 0 {
        return;
    }
    assert!(
        first.is_multiple_of(2) && first + rows <= inner,
        "rows {first} to {} of {inner}",
        first + rows
    );
    each_panel(to, [inner, columns], |to, column, count| {
        let to = &mut to[Panels::words(first, count)..];
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
pub(super) fn pack_columns(
    to: &mut [u32],
    from: &[bf16],
    step: usize,
    [inner, columns]: [usize; 2],
) {
    check(from.len(), step, [columns, inner]);
    if inner == 0 {
        return;
    }
    each_panel(to, [inner, columns], |to, first, count| {
        // SAFETY: the columns lie in `from`, as was checked; the rest likewise.
        unsafe {
            let from = from.as_ptr().add(first * step);
            pack::columns(from, step, inner, count, to.as_mut_ptr());
        }
    });
}

fn check(len: usize, step: usize, [rows, columns]: [usize; 2]) {
    assert!(multiplies_bf16(), "the processor multiplies bf16");
    assert!(
        columns <= step && (rows == 0 || len >= (rows - 1) * step + columns),
        "a matrix of {rows} × {columns} with rows {step} apart in {len} values"
    );
}

/// The panels of `to`, with the number of the first column and of columns of each.
fn each_panel(
    to: &mut [u32],
    [inner, columns]: [usize; 2],
    mut body: impl FnMut(&mut [u32], usize, usize),
) {
    assert_eq!(to.len(), Panels::words(inner, columns), "words of panels");
    let panel = Panels::words(inner, WIDE).max(1);
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
    check(from.len(), step, [inner, columns]);
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
impl Product for (Rows<'_>, Panels<'_>) {
    fn size(&self) -> [usize; 2] {
        [self.0.rows, self.1.columns]
    }

    unsafe fn write(&self, out: *mut f32, row_step: usize, into: Into) {
        let (rows, panels) = self;
        assert_eq!(rows.inner, panels.inner, "the inner sizes of a product");
        assert!(multiplies_bf16(), "the processor multiplies bf16");
        let size = Size {
            rows: rows.rows,
            inner: rows.inner,
            columns: panels.columns,
        };
        // SAFETY: rows and panels are made only from slices that hold them; `out` is as the caller promises; the processor has the
        // instructions, as was just asked.
        unsafe {
            tile::product(
                size,
                rows.values.as_ptr(),
                rows.step,
                panels.words.as_ptr(),
                out,
                row_step,
                into == Into::Add,
            );
        }
    }
}
