//! Rows of a panel's products on their way to bf16.

use std::arch::x86_64::{_mm512_cvtne2ps_pbh, _mm512_storeu_si512};

use burn_std::bf16;

use super::{
    super::{
        super::Activation,
        lines::for_activation,
        math::{self, fused},
        product::Target,
    },
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
        let (scales, shifts) = (scales.as_array()?, shifts.as_array()?);
        multiplies_tiles().then_some(Self {
            scales,
            shifts,
            act,
        })
    }

    /// Writes `act(x·scale + shift)` of rows in bf16.
    pub(in super::super) fn finish_rounded(&self, rows: &[f32], to: &mut Target<'_, bf16>) {
        let (rows, _) = rows.as_chunks::<COLUMNS>();
        // SAFETY: a processor with tiles of bf16 has the instructions of AVX-512 on bf16 too.
        unsafe { finish_rounded(rows, self, to) };
    }
}

/// # Safety
/// The processor has these instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
unsafe fn finish_rounded(rows: &[[f32; COLUMNS]], by: &RowsOfPanel<'_>, to: &mut Target<'_, bf16>) {
    let (scales, shifts) = (by.scales, by.shifts);
    macro_rules! each {
        ($act:expr) => {
            for (place, row) in rows.iter().enumerate() {
                let finished: [f32; COLUMNS] = std::array::from_fn(|column| {
                    let before = fused::<true>(row[column], scales[column], shifts[column]);
                    math::value::<true>(before, $act)
                });
                let to = to.row(place).first_chunk_mut::<COLUMNS>().expect("a row");
                // SAFETY: both are arrays of this many numbers.
                unsafe {
                    let [low, high] = std::mem::transmute::<[f32; COLUMNS], [_; 2]>(finished);
                    let numbers = _mm512_cvtne2ps_pbh(high, low);
                    _mm512_storeu_si512(to.as_mut_ptr().cast(), std::mem::transmute(numbers));
                }
            }
        };
    }
    for_activation!(by.act, each);
}
