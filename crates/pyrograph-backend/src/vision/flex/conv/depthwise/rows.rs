//! Moving rows of numbers.

/// Blocks that even and odd numbers are parted and joined by.
const PAIRS: usize = 16;

/// Rows that begin so far from each other.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) values: &'a [f32],
    pub(super) apart: usize,
}

/// Copies so many rows of so many values to rows of `to` that are `apart` from each other. They are often so short that a call for each
/// would take longer.
#[inline(always)]
pub(super) fn copy_rows(size: [usize; 2], from: Rows<'_>, to: &mut [f32], apart: usize) {
    match size[1] {
        64.. => each_row(size, from, to, apart, |to, from| to.copy_from_slice(from)),
        16..64 => each_row(size, from, to, apart, copy_ends::<16>),
        8..16 => each_row(size, from, to, apart, copy_ends::<8>),
        4..8 => each_row(size, from, to, apart, copy_ends::<4>),
        _ => each_row(size, from, to, apart, copy_ends::<1>),
    }
}

#[inline(always)]
fn each_row(
    [rows, columns]: [usize; 2],
    from: Rows<'_>,
    to: &mut [f32],
    apart: usize,
    copy: impl Fn(&mut [f32], &[f32]),
) {
    for row in 0..rows {
        let from = &from.values[row * from.apart..][..columns];
        copy(&mut to[row * apart..][..columns], from);
    }
}

/// Copies a row of N values or more by N at a time, the last of which may overlap.
#[inline(always)]
fn copy_ends<const N: usize>(to: &mut [f32], from: &[f32]) {
    if let (Some(to), Some(from)) = (to.last_chunk_mut::<N>(), from.last_chunk::<N>()) {
        *to = *from;
    }
    let (to, from) = (to.as_chunks_mut::<N>().0, from.as_chunks::<N>().0);
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
}

/// Value `i·step + r` of `from` becomes value `i` of row `r` of `to`, for the first `rows` of them; the rows are `apart` from each other,
/// which is a multiple of [`PAIRS`].
#[inline(always)]
pub(super) fn deal(from: &[f32], step: usize, to: &mut [f32], apart: usize, rows: usize) {
    if (step, rows) == (2, 2) {
        let (even, odd) = to[..2 * apart].split_at_mut(apart);
        let (even, odd) = (
            even.as_chunks_mut::<PAIRS>().0,
            odd.as_chunks_mut::<PAIRS>().0,
        );
        let from = from.as_chunks::<{ 2 * PAIRS }>().0;
        for ((from, even), odd) in from.iter().zip(even).zip(odd) {
            let (mut a, mut b) = ([0.0; PAIRS], [0.0; PAIRS]);
            for i in 0..PAIRS {
                a[i] = from[2 * i];
                b[i] = from[2 * i + 1];
            }
            (*even, *odd) = (a, b);
        }
        return;
    }
    for (row, to) in to.chunks_mut(apart).take(rows).enumerate() {
        let from = from[row..].iter().step_by(step);
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    }
}

/// The reverse: value `i` of row `r` of `from`, of which there are so many, becomes value `i·step + r` of `to`.
#[inline(always)]
pub(super) fn join(from: &[f32], rows: usize, to: &mut [f32], step: usize) {
    let apart = from.len() / rows;
    if (step, rows) == (2, 2) {
        let (even, odd) = from.split_at(apart);
        let (even, odd) = (even.as_chunks::<PAIRS>().0, odd.as_chunks::<PAIRS>().0);
        let to = to.as_chunks_mut::<{ 2 * PAIRS }>().0;
        for ((to, even), odd) in to.iter_mut().zip(even).zip(odd) {
            let mut both = [0.0; 2 * PAIRS];
            for i in 0..PAIRS {
                both[2 * i] = even[i];
                both[2 * i + 1] = odd[i];
            }
            *to = both;
        }
        return;
    }
    for (row, from) in from.chunks(apart).enumerate() {
        let to = to[row..].iter_mut().step_by(step);
        to.zip(from).for_each(|(to, from)| *to = *from);
    }
}
