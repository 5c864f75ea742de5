//! Matrix products by the `gemm` crate.

#![allow(unsafe_code)] // `gemm` takes pointers; the one call is guarded by the checks before it.

use std::marker::PhantomData;

use gemm::Parallelism;

/// A matrix in a slice: `rows` × `columns`, one of the two steps being 1.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_step: usize,
    column_step: usize,
}

impl<'a> Matrix<'a> {
    /// Row after row.
    pub(super) fn by_rows(values: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(
            values.len(),
            rows * columns,
            "a matrix of {rows} × {columns}"
        );
        Self {
            values,
            rows,
            columns,
            row_step: columns,
            column_step: 1,
        }
    }

    /// Row after row, each `row_step` values after the one before.
    pub(super) fn by_distant_rows(
        values: &'a [f32],
        rows: usize,
        columns: usize,
        row_step: usize,
    ) -> Self {
        assert!(
            columns <= row_step && rows > 0 && values.len() >= (rows - 1) * row_step + columns,
            "a matrix of {rows} × {columns} with rows {row_step} apart in {} values",
            values.len()
        );
        Self {
            values,
            rows,
            columns,
            row_step,
            column_step: 1,
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// The same values with rows and columns exchanged.
    pub(super) fn transposed(self) -> Self {
        let Self {
            values,
            rows,
            columns,
            row_step,
            column_step,
        } = self;
        Self {
            values,
            rows: columns,
            columns: rows,
            row_step: column_step,
            column_step: row_step,
        }
    }
}

/// What becomes of the values that are in `out` before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Into {
    Overwrite,
    Add,
}

/// `out = a·b` or `out += a·b`, row after row, on this thread alone.
pub(super) fn product(out: &mut [f32], a: Matrix<'_>, b: Matrix<'_>, into: Into) {
    assert_eq!(out.len(), a.rows * b.columns, "the size of a product");
    product_by_distant_rows(out, b.columns, a, b, into);
}

/// [`product`] where the rows of `out` begin `row_step` values apart.
pub(super) fn product_by_distant_rows(
    out: &mut [f32],
    row_step: usize,
    a: Matrix<'_>,
    b: Matrix<'_>,
    into: Into,
) {
    assert!(
        a.rows == 0 || b.columns <= row_step && out.len() >= (a.rows - 1) * row_step + b.columns,
        "the size of a product"
    );
    // SAFETY: `out` holds every value reached by (row_step, 1), and its rows do not overlap, as was checked. It is borrowed mutably,
    // so it does not overlap `a` or `b`, and initialised like any slice.
    unsafe { product_to(out.as_mut_ptr(), row_step, a, b, into) };
}

/// [`product_by_distant_rows`] to where `out` points.
///
/// # Safety
/// The values that `(row_step, 1)` reaches from `out` are the caller's to write (and, for [`Into::Add`], initialised), for as many rows
/// and columns as the product has; its rows do not overlap.
pub(super) unsafe fn product_to(
    out: *mut f32,
    row_step: usize,
    a: Matrix<'_>,
    b: Matrix<'_>,
    into: Into,
) {
    let (rows, inner, columns) = (a.rows, a.columns, b.columns);
    assert_eq!(inner, b.rows, "the inner sizes of a product");
    if rows == 0 || columns == 0 {
        return;
    }
    let step = |step: usize| step as isize;
    // SAFETY: `Matrix` is made only from a slice whose values are reached by its steps, whichever way round; `out` is as the caller
    // promises. A read of `out` happens only for `Into::Add`.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            out,
            1,
            step(row_step),
            into == Into::Add,
            a.values.as_ptr(),
            step(a.column_step),
            step(a.row_step),
            b.values.as_ptr(),
            step(b.column_step),
            step(b.row_step),
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// Values to which threads write blocks of their own.
pub(super) struct Shared<'a> {
    first: *mut f32,
    len: usize,
    borrowed: PhantomData<&'a mut [f32]>,
}

// SAFETY: it is a mutable borrow of plain numbers, and `block`'s contract keeps blocks apart.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    pub(super) fn new(values: &'a mut [f32]) -> Self {
        Self {
            first: values.as_mut_ptr(),
            len: values.len(),
            borrowed: PhantomData,
        }
    }

    /// The block of `[rows, columns]` values from `first` on, whose rows begin `step` apart.
    ///
    /// # Safety
    /// No two blocks that exist at the same time have a common place.
    pub(super) unsafe fn block(
        &self,
        first: usize,
        step: usize,
        [rows, columns]: [usize; 2],
    ) -> Target<'_> {
        let end = first + rows.saturating_sub(1) * step + columns;
        assert!(
            columns <= step && end <= self.len,
            "a block of {rows} × {columns} from {first} on in {} values",
            self.len
        );
        Target {
            // SAFETY: `first` is within the borrowed values, as was just checked.
            first: unsafe { self.first.add(first) },
            step,
            rows,
            columns,
            borrowed: PhantomData,
        }
    }
}

/// A block that belongs to one thread.
pub(super) struct Target<'a> {
    first: *mut f32,
    step: usize,
    rows: usize,
    columns: usize,
    borrowed: PhantomData<&'a mut [f32]>,
}

impl Target<'_> {
    pub(super) fn row(&mut self, row: usize) -> &mut [f32] {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        // SAFETY: the row lies in the block, which is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.first.add(row * self.step), self.columns) }
    }

    /// Writes or adds `a·b`.
    pub(super) fn product(&mut self, a: Matrix<'_>, b: Matrix<'_>, into: Into) {
        assert_eq!(
            [a.rows, b.columns],
            [self.rows, self.columns],
            "the size of a product"
        );
        // SAFETY: the block is borrowed mutably and initialised like any slice, and its rows do not overlap.
        unsafe { product_to(self.first, self.step, a, b, into) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(a: &[f32], b: &[f32], [m, k, n]: [usize; 3]) -> Vec<f32> {
        let at = |i: usize, j: usize| (0..k).map(|l| a[i * k + l] * b[l * n + j]).sum();
        (0..m * n).map(|place| at(place / n, place % n)).collect()
    }

    fn values(count: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 37 % 11) as f32) - 5.0).collect()
    }

    #[test]
    fn products_of_every_layout_agree_with_the_definition() {
        for [m, k, n] in [[1, 1, 1], [3, 5, 2], [17, 9, 33], [2, 0, 3]] {
            let (a, b) = (values(m * k), values(k * n));
            let exact = naive(&a, &b, [m, k, n]);
            let mut out = vec![1.0; m * n];
            let (ma, mb) = (Matrix::by_rows(&a, m, k), Matrix::by_rows(&b, k, n));
            product(&mut out, ma, mb, Into::Overwrite);
            assert_eq!(out, exact);
            product(&mut out, ma, mb, Into::Add);
            assert_eq!(out, exact.iter().map(|v| v * 2.0).collect::<Vec<_>>());
            // (bᵀ·aᵀ)ᵀ = a·b.
            let mut out = vec![0.0; m * n];
            product(&mut out, mb.transposed(), ma.transposed(), Into::Overwrite);
            let turned: Vec<_> = (0..m * n)
                .map(|place| out[place % n * m + place / n])
                .collect();
            assert_eq!(turned, exact);
        }
    }

    #[test]
    #[should_panic(expected = "a matrix of 2 × 3")]
    fn a_matrix_larger_than_its_slice_is_refused() {
        Matrix::by_rows(&[0.0; 5], 2, 3);
    }
}
