//! The kernels on vectors: VNNI, whose products are those of bytes without a sign and bytes with one, and AVX2.

use std::arch::x86_64::{
    __m256i, __m512i, _mm_cvtepi8_epi16, _mm_cvtsi32_si128, _mm_loadu_si128, _mm256_add_epi32,
    _mm256_broadcastq_epi64, _mm256_cvtepi8_epi16, _mm256_dpbusd_avx_epi32, _mm256_hadd_epi32,
    _mm256_loadu_si256, _mm256_madd_epi16, _mm256_permute4x64_epi64, _mm256_set1_epi32,
    _mm256_setzero_si256, _mm256_storeu_si256, _mm512_dpbusd_epi32, _mm512_loadu_si512,
    _mm512_set1_epi32, _mm512_storeu_si512,
};

use super::{LANES, QUADS, Strip, TILE, WIDE};

/// Columns of a vector of 256 bits.
const NARROW: usize = LANES / 2;

/// Rows that each kernel takes at once: as many as their sums leave registers.
const ROWS_OF_512: usize = 8;
const ROWS_OF_256: usize = 4;
const ROWS_OF_AVX2: usize = 2;

impl Strip<'_> {
    /// The four numbers `quad` of the piece from `start` on of a row.
    ///
    /// # Safety
    /// They can be read.
    #[inline(always)]
    unsafe fn word(&self, row: usize, start: usize, quad: usize) -> i32 {
        // SAFETY: promised by the caller.
        unsafe {
            let at = self.rows.add(row * self.step + start + 4 * quad);
            at.cast::<i32>().read_unaligned()
        }
    }
}

/// See [`Strip`].
///
/// # Safety
/// As [`Strip`] says. The processor has these instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) unsafe fn vnni512(strip: &Strip<'_>) {
    for row in (0..strip.count).step_by(ROWS_OF_512) {
        // SAFETY: the rows are among the promised ones.
        unsafe {
            match strip.halves {
                1 => rows_of_512::<1>(strip, row),
                _ => rows_of_512::<2>(strip, row),
            }
        }
    }
}

/// # Safety
/// As with [`vnni512`], for `ROWS_OF_512` rows from `row` on.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
unsafe fn rows_of_512<const V: usize>(strip: &Strip<'_>, row: usize) {
    let place = |r: usize, v: usize| strip.sums.wrapping_add((row + r) * WIDE + v * LANES);
    // SAFETY: reads and writes are those that the caller promises.
    unsafe {
        let mut sums = [[_mm512_set1_epi32(0); V]; ROWS_OF_512];
        for (r, sums) in sums.iter_mut().enumerate() {
            for (v, sum) in sums.iter_mut().enumerate() {
                let from = match strip.add {
                    true => place(r, v).cast_const(),
                    false => strip.first.as_ptr().add(v * LANES),
                };
                *sum = _mm512_loadu_si512(from.cast());
            }
        }
        let mut tiles = strip.tiles;
        for start in strip.starts {
            for quad in 0..QUADS {
                let mut columns = [_mm512_set1_epi32(0); V];
                for (v, columns) in columns.iter_mut().enumerate() {
                    let from: *const __m512i = tiles.add(v * TILE + quad * 64).cast();
                    *columns = _mm512_loadu_si512(from);
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let word = _mm512_set1_epi32(strip.word(row + r, *start, quad));
                    for (sum, columns) in sums.iter_mut().zip(columns) {
                        *sum = _mm512_dpbusd_epi32(*sum, word, columns);
                    }
                }
            }
            tiles = tiles.add(V * TILE);
        }
        for (r, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                _mm512_storeu_si512(place(r, v).cast(), *sum);
            }
        }
    }
}

/// See [`Strip`].
///
/// # Safety
/// As [`Strip`] says. The processor has these instructions.
#[target_feature(enable = "avx2,avxvnni")]
pub(super) unsafe fn vnni256(strip: &Strip<'_>) {
    for half in 0..strip.halves {
        for row in (0..strip.count).step_by(ROWS_OF_256) {
            // SAFETY: the rows are among the promised ones.
            unsafe { rows_of_256(strip, row, half) };
        }
    }
}

/// # Safety
/// As with [`vnni256`], for `ROWS_OF_256` rows from `row` on.
#[inline]
#[target_feature(enable = "avx2,avxvnni")]
unsafe fn rows_of_256(strip: &Strip<'_>, row: usize, half: usize) {
    let column = |v: usize| half * LANES + v * NARROW;
    let place = |r: usize, v: usize| strip.sums.wrapping_add((row + r) * WIDE + column(v));
    // SAFETY: reads and writes are those that the caller promises.
    unsafe {
        let mut sums = [[_mm256_setzero_si256(); 2]; ROWS_OF_256];
        for (r, sums) in sums.iter_mut().enumerate() {
            for (v, sum) in sums.iter_mut().enumerate() {
                let from = match strip.add {
                    true => place(r, v).cast_const(),
                    false => strip.first.as_ptr().add(column(v)),
                };
                *sum = _mm256_loadu_si256(from.cast());
            }
        }
        for (piece, start) in strip.starts.iter().enumerate() {
            let tile = strip.tiles.add((piece * strip.halves + half) * TILE);
            for quad in 0..QUADS {
                let columns = [0, 32].map(|at| {
                    let from: *const __m256i = tile.wrapping_add(quad * 64 + at).cast();
                    _mm256_loadu_si256(from)
                });
                for (r, sums) in sums.iter_mut().enumerate() {
                    let word = _mm256_set1_epi32(strip.word(row + r, *start, quad));
                    for (sum, columns) in sums.iter_mut().zip(columns) {
                        *sum = _mm256_dpbusd_avx_epi32(*sum, word, columns);
                    }
                }
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                _mm256_storeu_si256(place(r, v).cast(), *sum);
            }
        }
    }
}

/// See [`Strip`]. Products of numbers of 16 bits and the sums of two of them are exact.
///
/// # Safety
/// As [`Strip`] says. The processor has these instructions.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn avx2(strip: &Strip<'_>) {
    for half in 0..strip.halves {
        for row in (0..strip.count).step_by(ROWS_OF_AVX2) {
            // SAFETY: the rows are among the promised ones.
            unsafe { rows_of_avx2(strip, row, half) };
        }
    }
}

/// # Safety
/// As with [`avx2`], for `ROWS_OF_AVX2` rows from `row` on.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn rows_of_avx2(strip: &Strip<'_>, row: usize, half: usize) {
    let place = |r: usize, v: usize| {
        let column = half * LANES + v * NARROW;
        strip.sums.wrapping_add((row + r) * WIDE + column)
    };
    // SAFETY: reads and writes are those that the caller promises.
    unsafe {
        // Two sums of each of four columns to a vector.
        let mut sums = [[_mm256_setzero_si256(); 4]; ROWS_OF_AVX2];
        for (piece, start) in strip.starts.iter().enumerate() {
            let tile = strip.tiles.add((piece * strip.halves + half) * TILE);
            for quad in 0..QUADS {
                let columns = [0, 16, 32, 48].map(|at| {
                    let from = tile.wrapping_add(quad * 64 + at).cast();
                    _mm256_cvtepi8_epi16(_mm_loadu_si128(from))
                });
                for (r, sums) in sums.iter_mut().enumerate() {
                    let word = _mm_cvtsi32_si128(strip.word(row + r, *start, quad));
                    let word = _mm256_broadcastq_epi64(_mm_cvtepi8_epi16(word));
                    for (sum, columns) in sums.iter_mut().zip(columns) {
                        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(word, columns));
                    }
                }
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            for v in 0..2 {
                // Columns 0, 1, 4, 5, 2, 3, 6, 7, and then in order.
                let both = _mm256_hadd_epi32(sums[2 * v], sums[2 * v + 1]);
                let mut sum = _mm256_permute4x64_epi64::<0b1101_1000>(both);
                let to = place(r, v);
                if strip.add {
                    sum = _mm256_add_epi32(sum, _mm256_loadu_si256(to.cast_const().cast()));
                }
                _mm256_storeu_si256(to.cast(), sum);
            }
        }
    }
}
