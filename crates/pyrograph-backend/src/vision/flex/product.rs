//! Matrix products: those of f32 by the `gemm` crate.

#![allow(unsafe_code)] // Products are written to pointers; the checks before each call guard it.

use std::{marker::PhantomData, ops::Range};

use gemm::Parallelism;

use super::words;

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

    /// The values, and those from one row to the next, of a matrix that lies row after row.
    pub(super) fn by_its_rows(&self) -> (&'a [f32], usize) {
        assert_eq!(self.column_step, 1, "a matrix row after row");
        (self.values, self.row_step)
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

impl Into {
    /// For a part of a sum that has its terms from `first` on.
    pub(super) fn after(first: usize) -> Self {
        match first {
            0 => Self::Overwrite,
            _ => Self::Add,
        }
    }
}

/// Two factors whose product can be written.
pub(super) trait Product {
    /// Rows and columns of the product.
    fn size(&self) -> [usize; 2];

    /// Writes the product, or adds it, on this thread alone.
    ///
    /// # Safety
    /// The values that `(row_step, 1)` reaches from `out` are the caller's to write (and, for [`Into::Add`], initialised), for as many
    /// rows and columns as the product has; its rows do not overlap.
    unsafe fn write(&self, out: *mut f32, row_step: usize, into: Into);
}

/// `a·b`.
impl Product for (Matrix<'_>, Matrix<'_>) {
    fn size(&self) -> [usize; 2] {
        [self.0.rows, self.1.columns]
    }

    unsafe fn write(&self, out: *mut f32, row_step: usize, into: Into) {
        let (a, b) = self;
        let (rows, inner, columns) = (a.rows, a.columns, b.columns);
        assert_eq!(inner, b.rows, "the inner sizes of a product");
        if rows == 0 || columns == 0 {
            return;
        }
        let step = |step: usize| step as isize;
        // SAFETY: `Matrix` is made only from a slice whose values are reached by its steps, whichever way round; `out` is as the
        // caller promises. A read of `out` happens only for `Into::Add`.
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
}

/// `out = a·b` or `out += a·b`, row after row, on this thread alone.
pub(super) fn product(out: &mut [f32], a: Matrix<'_>, b: Matrix<'_>, into: Into) {
    assert_eq!(out.len(), a.rows * b.columns, "the size of a product");
    product_by_distant_rows(out, b.columns, &(a, b), into);
}

/// A product where the rows of `out` begin `row_step` values apart.
pub(super) fn product_by_distant_rows(
    out: &mut [f32],
    row_step: usize,
    factors: &impl Product,
    into: Into,
) {
    let [rows, columns] = factors.size();
    assert!(
        rows == 0 || columns <= row_step && out.len() >= (rows - 1) * row_step + columns,
        "the size of a product"
    );
    // SAFETY: `out` holds every value reached by (row_step, 1), and its rows do not overlap, as was checked. It is borrowed mutably,
    // so it does not overlap the factors, and initialised like any slice.
    unsafe { factors.write(out.as_mut_ptr(), row_step, into) };
}

/// Values to which threads write blocks of their own.
pub(super) struct Shared<'a, T = f32> {
    first: *mut T,
    len: usize,
    borrowed: PhantomData<&'a mut [T]>,
}

// SAFETY: it is a mutable borrow of plain numbers, and `block`'s contract keeps blocks apart.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(super) fn new(values: &'a mut [T]) -> Self {
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
    ) -> Target<'_, T> {
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
pub(super) struct Target<'a, T = f32> {
    first: *mut T,
    step: usize,
    rows: usize,
    columns: usize,
    borrowed: PhantomData<&'a mut [T]>,
}

impl<'a, T> Target<'a, T> {
    /// `values` as a block of rows that begin `step` apart.
    pub(super) fn of(values: &'a mut [T], step: usize, [rows, columns]: [usize; 2]) -> Self {
        assert!(
            columns <= step && values.len() >= rows.saturating_sub(1) * step + columns,
            "a block of {rows} × {columns} in {} values",
            values.len()
        );
        Self {
            first: values.as_mut_ptr(),
            step,
            rows,
            columns,
            borrowed: PhantomData,
        }
    }
}

impl<T> Target<'_, T> {
    /// Rows and columns.
    pub(super) fn size(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// Some of the rows.
    pub(super) fn rows(&mut self, first: usize, count: usize) -> Target<'_, T> {
        assert!(
            first + count <= self.rows,
            "rows {first} to {} of {}",
            first + count,
            self.rows
        );
        Target {
            // SAFETY: the row lies in the block, or is the one after its last.
            first: unsafe { self.first.add(first * self.step) },
            rows: count,
            ..*self
        }
    }

    /// Some of the rows and columns.
    pub(super) fn part(
        &mut self,
        rows: &Range<usize>,
        column: usize,
        count: usize,
    ) -> Target<'_, T> {
        assert!(
            column + count <= self.columns,
            "columns {column} to {} of {}",
            column + count,
            self.columns
        );
        let part = self.rows(rows.start, rows.len());
        Target {
            // SAFETY: the columns are among those of the rows.
            first: unsafe { part.first.add(column) },
            columns: count,
            ..part
        }
    }

    pub(super) fn row(&mut self, row: usize) -> &mut [T] {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        // SAFETY: the row lies in the block, which is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.first.add(row * self.step), self.columns) }
    }
}

impl Target<'_> {
    /// Writes a matrix by its columns to as many rows of the block, from place `first` of each on: `from` has `size[0]` rows of
    /// `size[1]` values, `step` apart.
    pub(super) fn turn_from(&mut self, first: usize, from: &[f32], step: usize, size: [usize; 2]) {
        assert!(
            size[1] == self.rows && first + size[0] <= self.columns,
            "{size:?} values from {first} on of rows of {}",
            self.columns
        );
        // SAFETY: the places lie in the rows of the block, as was just checked, which is borrowed mutably.
        unsafe { words::turn(self.first.add(first), self.step, from, step, size) };
    }

    /// Writes or adds a product.
    pub(super) fn product(&mut self, factors: &impl Product, into: Into) {
        assert_eq!(
            factors.size(),
            [self.rows, self.columns],
            "the size of a product"
        );
        // SAFETY: the block is borrowed mutably and initialised like any slice, and its rows do not overlap.
        unsafe { factors.write(self.first, self.step, into) };
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
