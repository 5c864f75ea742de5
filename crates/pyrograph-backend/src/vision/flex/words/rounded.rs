//! Rows of a panel's products on their way to bf16.

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _mm512_cvtne2ps_pbh, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_max_ps, _mm512_setzero_ps, _mm512_storeu_ps, _mm512_storeu_si512,
};

use burn_std::bf16;

use super::{
    super::{super::Activation, lines::activate, product::Target},
    LANES, multiplies_tiles,
};

/// Columns of a panel where the processor has tiles.
const COLUMNS: usize = 2 * LANES;

/// A scale and a shift for each column of a whole panel, and an activation.
pub(in super::super) struct RowsOfPanel<'a> {
    scales: &'a [f32; COLUMNS],
    shifts: &'a [f32; COLUMNS],
    act: Activation,
}

impl<'a> RowsOfPanel<'a> {
    /// None for a part of a panel, and where the processor has no tiles.
    pub(in super::super) fn of([scales, shifts]: [&'a [f32]; 2], act: Activation) -> Option<Self> {
        let (scales, shifts) = (scales.try_into().ok()?, shifts.try_into().ok()?);
        multiplies_tiles().then_some(Self {
            scales,
            shifts,
            act,
        })
    }

    /// Writes `act(x·scale + shift)` of rows in bf16; the rows are left in f32.
    pub(in super::super) fn finish_rounded(&self, rows: &mut [f32], to: &mut Target<'_, bf16>) {
        // SAFETY: a processor with tiles of bf16 has the instructions of AVX-512 on bf16 too.
        unsafe { finish_rounded(rows, self, to) };
    }
}

/// # Safety
/// The processor has these instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
unsafe fn finish_rounded(rows: &mut [f32], by: &RowsOfPanel<'_>, to: &mut Target<'_, bf16>) {
    // SAFETY: the arrays have this many numbers.
    let halves = |from: &[f32; COLUMNS]| unsafe {
        [0, LANES].map(|first| _mm512_loadu_ps(from.as_ptr().add(first)))
    };
    let (scales, shifts) = (halves(by.scales), halves(by.shifts));
    let affine = |row: &[f32; COLUMNS]| {
        let [low, high] = halves(row);
        [
            _mm512_fmadd_ps(low, scales[0], shifts[0]),
            _mm512_fmadd_ps(high, scales[1], shifts[1]),
        ]
    };
    let mut write = |place: usize, [low, high]: [__m512; 2]| {
        let to = to.row(place).first_chunk_mut::<COLUMNS>().expect("a row");
        let numbers = _mm512_cvtne2ps_pbh(high, low);
        // SAFETY: the array has this many numbers, and the vector as many bits.
        unsafe {
            _mm512_storeu_si512(
                to.as_mut_ptr().cast(),
                std::mem::transmute::<__m512bh, __m512i>(numbers),
            )
        };
    };
    match by.act {
        Activation::Identity => {
            for (place, row) in rows.as_chunks::<COLUMNS>().0.iter().enumerate() {
                write(place, affine(row));
            }
        }
        Activation::Relu => {
            let zero = _mm512_setzero_ps();
            for (place, row) in rows.as_chunks::<COLUMNS>().0.iter().enumerate() {
                // What is not a number is the second factor, and stays.
                write(place, affine(row).map(|values| _mm512_max_ps(zero, values)));
            }
        }
        act => {
            for row in rows.as_chunks_mut::<COLUMNS>().0 {
                let [low, high] = affine(row);
                // SAFETY: the row has this many numbers.
                unsafe {
                    _mm512_storeu_ps(row.as_mut_ptr(), low);
                    _mm512_storeu_ps(row.as_mut_ptr().add(LANES), high);
                }
            }
            activate::<true>(rows, act);
            for (place, row) in rows.as_chunks::<COLUMNS>().0.iter().enumerate() {
                write(place, halves(row));
            }
        }
    }
}
