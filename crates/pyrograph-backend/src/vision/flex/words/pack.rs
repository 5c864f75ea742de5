//! Numbers into panels of pairs.

use std::arch::x86_64::{
    __m256bh, __m256i, __m512, __m512bh, __m512i, __mmask16, _MM_HINT_T0, _mm_prefetch,
    _mm256_maskz_loadu_epi16, _mm512_castps_si512, _mm512_castsi512_ps, _mm512_cvtepu16_epi32,
    _mm512_cvtne2ps_pbh, _mm512_cvtneps_pbh, _mm512_loadu_ps, _mm512_loadu_si512,
    _mm512_mask_storeu_epi16, _mm512_mask_storeu_ps, _mm512_maskz_loadu_epi16,
    _mm512_maskz_loadu_ps, _mm512_or_si512, _mm512_setzero_si512, _mm512_shuffle_i32x4,
    _mm512_slli_epi32, _mm512_storeu_ps, _mm512_storeu_si512, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use burn_std::bf16;

use super::{LANES, tile::mask};

/// Numbers of a vector of pairs.
const PAIRED: usize = 2 * LANES;
/// How far ahead of a weight those that follow it are asked for, in halves of a word.
const AHEAD: usize = 256;

/// A panel of `columns` ≤ 64 columns from `inner` rows that hold one value of each column.
///
/// # Safety
/// `inner` rows of `columns` values, `step` apart, can be read from `from` on, and the words of the panel written to `to`. The
/// processor has these instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
pub(super) unsafe fn rows(
    from: *const f32,
    step: usize,
    inner: usize,
    columns: usize,
    to: *mut u32,
) {
    let vectors = columns.div_ceil(LANES);
    for pair in 0..inner.div_ceil(2) {
        // SAFETY: the loads and stores stay within what the caller promises: masks leave out the columns beyond the last, and the
        // row beyond the last is not read.
        unsafe {
            let first = from.add(2 * pair * step);
            let has_second = 2 * pair + 1 < inner;
            let second = if has_second { first.add(step) } else { first };
            for v in 0..vectors {
                let mask = mask(columns - v * LANES);
                let x = _mm512_maskz_loadu_ps(mask, first.wrapping_add(v * LANES));
                let of_second = if has_second { mask } else { 0 };
                let y = _mm512_maskz_loadu_ps(of_second, second.wrapping_add(v * LANES));
                let to = to.add((pair * vectors + v) * LANES);
                _mm512_storeu_si512(to.cast(), paired(x, y));
            }
        }
    }
}

/// A panel of `columns` ≤ 64 columns that lie one after the other, sizes and steps counted in halves of a word.
///
/// # Safety
/// `columns` times `inner` halves, `step` apart, can be read from `from` on; the rest as with [`rows`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) unsafe fn columns(
    from: *const u16,
    step: usize,
    inner: usize,
    columns: usize,
    to: *mut u32,
) {
    let vectors = columns.div_ceil(LANES);
    for v in 0..vectors {
        let count = (columns - v * LANES).min(LANES);
        for first in (0..inner).step_by(PAIRED) {
            let left = (inner - first).min(PAIRED);
            let mask = u32::MAX >> (PAIRED - left);
            // SAFETY: the mask leaves out what is beyond the end of a column, and columns beyond the last are not read.
            unsafe {
                let from = from.add(v * LANES * step + first);
                let to = to.add((first / 2 * vectors + v) * LANES);
                let mut words = [_mm512_setzero_si512(); LANES];
                // The whole case by itself: its loops have a known length, so that the words stay in registers.
                if count == LANES && left == PAIRED {
                    for (i, words) in words.iter_mut().enumerate() {
                        *words = _mm512_loadu_si512(from.add(i * step).cast());
                    }
                    for (i, words) in turned(words).iter().enumerate() {
                        _mm512_storeu_si512(to.add(i * vectors * LANES).cast(), *words);
                    }
                    continue;
                }
                for (i, words) in words.iter_mut().enumerate().take(count) {
                    *words = _mm512_maskz_loadu_epi16(mask, from.add(i * step).cast());
                }
                for (i, words) in turned(words).iter().enumerate().take(left.div_ceil(2)) {
                    _mm512_storeu_si512(to.add(i * vectors * LANES).cast(), *words);
                }
            }
        }
    }
}

/// A panel of the weights [columns, channels, taps] of `columns` ≤ 64 outputs, whose words are pairs of channels: those of a tap and
/// 32 channels, then those of the next tap; channels beyond the last are 0.
///
/// # Safety
/// So many halves of a word can be read from `from` on, and the words of the panel, channels rounded up to 32, written to `to`. The
/// processor has these instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) unsafe fn taps(from: *const u16, [columns, channels, taps]: [usize; 3], to: *mut u32) {
    let vectors = columns.div_ceil(LANES);
    for v in 0..vectors {
        let count = (columns - v * LANES).min(LANES);
        for pair in 0..channels.next_multiple_of(PAIRED) / 2 {
            let seen = channels.saturating_sub(2 * pair).min(2);
            for first in (0..taps).step_by(LANES) {
                let at_once = (taps - first).min(LANES);
                let of_taps = mask(at_once);
                let masks = [1, 2].map(|least| if seen >= least { of_taps } else { 0 });
                let piece = pair / LANES * taps + first;
                let row = piece * LANES + pair % LANES;
                // SAFETY: masks leave out missing taps and channels, and outputs beyond the last are not read.
                unsafe {
                    let from = from.wrapping_add((v * LANES * channels + 2 * pair) * taps + first);
                    let steps = [channels * taps, taps];
                    let to = to.add((row * vectors + v) * LANES);
                    let to_step = LANES * vectors * LANES;
                    match (count, at_once) {
                        // Loops of a known length, so that the words stay in registers.
                        (LANES, 4) => some_taps::<LANES, 4>(from, steps, masks, to, to_step),
                        (LANES, 9) => some_taps::<LANES, 9>(from, steps, masks, to, to_step),
                        (LANES, 16) => some_taps::<LANES, 16>(from, steps, masks, to, to_step),
                        _ => {
                            let counts = [count, at_once];
                            some_taps_of(counts, from, steps, masks, to, to_step);
                        }
                    }
                }
            }
        }
    }
}

/// [`some_taps_of`] for so many outputs and taps.
///
/// # Safety
/// As there.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn some_taps<const COUNT: usize, const TAPS: usize>(
    from: *const u16,
    steps: [usize; 2],
    masks: [__mmask16; 2],
    to: *mut u32,
    to_step: usize,
) {
    // SAFETY: promised by the caller.
    unsafe { some_taps_of([COUNT, TAPS], from, steps, masks, to, to_step) };
}

/// At most 16 taps of two channels of at most 16 outputs: a vector of the outputs' pairs for each tap, `to_step` apart.
/// `steps` leads to the next output and to the second channel; `masks` has the taps of each channel.
///
/// # Safety
/// The taps of the masks can be read, and the vectors written; the processor has these instructions.
#[inline(always)]
unsafe fn some_taps_of(
    [count, taps]: [usize; 2],
    from: *const u16,
    [output, channel]: [usize; 2],
    [low, high]: [__mmask16; 2],
    to: *mut u32,
    to_step: usize,
) {
    // SAFETY: promised by the caller.
    unsafe {
        let mut words = [_mm512_setzero_si512(); LANES];
        for (i, words) in words.iter_mut().enumerate().take(count) {
            let from = from.wrapping_add(i * output);
            _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(AHEAD).cast());
            let x = _mm256_maskz_loadu_epi16(low, from.cast());
            let y = _mm256_maskz_loadu_epi16(high, from.wrapping_add(channel).cast());
            let y = _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(y));
            *words = _mm512_or_si512(_mm512_cvtepu16_epi32(x), y);
        }
        for (tap, words) in turned(words).iter().enumerate().take(taps) {
            _mm512_storeu_si512(to.add(tap * to_step).cast(), *words);
        }
    }
}

/// At most 16 columns of at most 32 rows of f32, column by column in bf16, `to_step` apart.
///
/// # Safety
/// As with [`rows`]; the columns can be written from `to` on.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
pub(super) unsafe fn turned_rows(
    from: *const f32,
    step: usize,
    [rows, columns]: [usize; 2],
    to: *mut bf16,
    to_step: usize,
) {
    let mut pairs = [_mm512_setzero_si512(); LANES];
    // SAFETY: masks leave out what is beyond the columns and the rows, and rows beyond the last are not read.
    unsafe {
        if columns == LANES && rows == PAIRED {
            for (pair, words) in pairs.iter_mut().enumerate() {
                let from = from.add(2 * pair * step);
                *words = paired(_mm512_loadu_ps(from), _mm512_loadu_ps(from.add(step)));
            }
            for (column, words) in turned(pairs).iter().enumerate() {
                _mm512_storeu_si512(to.add(column * to_step).cast(), *words);
            }
            return;
        }
        let (of_columns, of_rows) = (mask(columns), u32::MAX >> (PAIRED - rows));
        for (pair, words) in pairs.iter_mut().enumerate().take(rows.div_ceil(2)) {
            let from = from.add(2 * pair * step);
            let has_second = 2 * pair + 1 < rows;
            let second = if has_second { from.add(step) } else { from };
            let x = _mm512_maskz_loadu_ps(of_columns, from);
            let of_second = if has_second { of_columns } else { 0 };
            *words = paired(x, _mm512_maskz_loadu_ps(of_second, second));
        }
        for (column, words) in turned(pairs).iter().enumerate().take(columns) {
            let to = to.add(column * to_step);
            // Stores of a part of a vector take far longer.
            match rows {
                PAIRED => _mm512_storeu_si512(to.cast(), *words),
                _ => _mm512_mask_storeu_epi16(to.cast(), of_rows, *words),
            }
        }
    }
}

/// Rounds `count` numbers to bf16.
///
/// # Safety
/// So many can be read from `from` and written to `to`. The processor has these instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
pub(super) unsafe fn narrow(from: *const f32, count: usize, to: *mut bf16) {
    let whole = count / PAIRED * PAIRED;
    // SAFETY: every place is below `count`.
    unsafe {
        for first in (0..whole).step_by(PAIRED) {
            let low = _mm512_loadu_ps(from.add(first));
            let high = _mm512_loadu_ps(from.add(first + LANES));
            let both = words(_mm512_cvtne2ps_pbh(high, low));
            _mm512_storeu_si512(to.add(first).cast(), both);
        }
        for place in whole..count {
            to.add(place).write(bf16::from_f32(from.add(place).read()));
        }
    }
}

/// Words of the numbers of two vectors, those of `first` in the lower halves.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn paired(first: __m512, second: __m512) -> __m512i {
    let low = _mm512_cvtepu16_epi32(halves(_mm512_cvtneps_pbh(first)));
    let high = _mm512_cvtepu16_epi32(halves(_mm512_cvtneps_pbh(second)));
    _mm512_or_si512(low, _mm512_slli_epi32::<16>(high))
}

fn halves(numbers: __m256bh) -> __m256i {
    // SAFETY: both are 32 bytes, and any bits are a value of either.
    unsafe { std::mem::transmute(numbers) }
}

fn words(numbers: __m512bh) -> __m512i {
    // SAFETY: both are 64 bytes, and any bits are a value of either.
    unsafe { std::mem::transmute(numbers) }
}

/// A matrix of at most 16×16 numbers of f32 with rows and columns exchanged.
///
/// # Safety
/// `rows` rows of `columns` numbers, `step` apart, can be read from `from` on, and as many columns of `rows` numbers, `to_step` apart,
/// written from `to` on. The processor has these instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) unsafe fn turned_block(
    from: *const f32,
    step: usize,
    [rows, columns]: [usize; 2],
    to: *mut f32,
    to_step: usize,
) {
    let (of_rows, of_columns) = (mask(rows), mask(columns));
    // SAFETY: masks leave out what is beyond the rows and the columns, and rows beyond the last are not read.
    unsafe {
        let mut words = [_mm512_setzero_si512(); LANES];
        if rows == LANES && columns == LANES {
            for (row, words) in words.iter_mut().enumerate() {
                *words = _mm512_loadu_si512(from.add(row * step).cast());
            }
            for (column, words) in turned(words).iter().enumerate() {
                _mm512_storeu_si512(to.add(column * to_step).cast(), *words);
            }
            return;
        }
        for (row, words) in words.iter_mut().enumerate().take(rows) {
            let row = _mm512_maskz_loadu_ps(of_columns, from.add(row * step));
            *words = _mm512_castps_si512(row);
        }
        for (column, words) in turned(words).iter().enumerate().take(columns) {
            let (to, values) = (to.add(column * to_step), _mm512_castsi512_ps(*words));
            match rows {
                LANES => _mm512_storeu_ps(to, values),
                _ => _mm512_mask_storeu_ps(to, of_rows, values),
            }
        }
    }
}

/// A matrix of 16×16 words with rows and columns exchanged.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(in super::super) fn turned(mut r: [__m512i; LANES]) -> [__m512i; LANES] {
    let mut t = r;
    // Within each quarter of the vectors: pairs of words, then of pairs.
    for i in 0..8 {
        t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    for i in 0..4 {
        r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
        r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
    // And the quarters themselves.
    for i in 0..4 {
        t[i] = _mm512_shuffle_i32x4::<0x88>(r[i], r[i + 4]);
        t[i + 4] = _mm512_shuffle_i32x4::<0xdd>(r[i], r[i + 4]);
        t[i + 8] = _mm512_shuffle_i32x4::<0x88>(r[i + 8], r[i + 12]);
        t[i + 12] = _mm512_shuffle_i32x4::<0xdd>(r[i + 8], r[i + 12]);
    }
    for i in 0..8 {
        r[i] = _mm512_shuffle_i32x4::<0x88>(t[i], t[i + 8]);
        r[i + 8] = _mm512_shuffle_i32x4::<0xdd>(t[i], t[i + 8]);
    }
    r
}
