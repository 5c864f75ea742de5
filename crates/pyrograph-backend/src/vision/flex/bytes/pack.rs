//! Numbers into tiles and pixels into rows of bytes, by 512-bit vectors.

use std::arch::x86_64::{
    __m512, __m512i, __mmask16, __mmask64, _mm512_add_ps, _mm512_and_si512, _mm512_castps_si512,
    _mm512_loadu_si512, _mm512_maskz_loadu_epi8, _mm512_maskz_loadu_ps, _mm512_mul_ps,
    _mm512_or_si512, _mm512_permutexvar_epi8, _mm512_set1_epi8, _mm512_set1_epi32, _mm512_set1_ps,
    _mm512_setzero_ps, _mm512_setzero_si512, _mm512_slli_epi32, _mm512_storeu_si512,
    _mm512_xor_si512,
};

use super::{super::words::turned, DEEP, LANES, QUADS, TILE, quantise::ROUNDING};

/// Taps whose numbers of four channels fit into a vector.
pub(super) const MOST_TAPS: usize = LANES;

/// The bytes of a vector that `left` numbers fill.
fn of_bytes(left: usize) -> __mmask64 {
    match left {
        0..64 => (1 << left) - 1,
        _ => __mmask64::MAX,
    }
}

/// The tiles of at most 32 columns of `inner` numbers, `step` apart.
///
/// # Safety
/// They can be read from `from` on, and whole tiles written to `to`. The processor has these instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) unsafe fn columns(
    from: *const i8,
    step: usize,
    [columns, inner]: [usize; 2],
    to: *mut u8,
) {
    let halves = columns.div_ceil(LANES);
    for piece in 0..inner.div_ceil(DEEP) {
        let mask = of_bytes(inner - piece * DEEP);
        for half in 0..halves {
            let count = (columns - half * LANES).min(LANES);
            // SAFETY: the mask leaves out numbers beyond the last, and columns beyond the last are not read.
            unsafe {
                let mut words = [_mm512_setzero_si512(); LANES];
                for (i, words) in words.iter_mut().enumerate().take(count) {
                    let from = from.add((half * LANES + i) * step + piece * DEEP);
                    *words = _mm512_maskz_loadu_epi8(mask, from);
                }
                let to = to.add((piece * halves + half) * TILE);
                for (quad, words) in turned(words).iter().enumerate() {
                    _mm512_storeu_si512(to.add(quad * 64).cast(), *words);
                }
            }
        }
    }
}

/// The tiles of the weights [columns, channels, taps] of at most 32 outputs and [`MOST_TAPS`] taps: those of a tap and
/// 64 channels, then those of the next tap; channels beyond the last are 0.
///
/// # Safety
/// So many numbers can be read from `from` on, and whole tiles written to `to`. The processor has these instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
pub(super) unsafe fn taps(from: *const i8, [columns, channels, taps]: [usize; 3], to: *mut u8) {
    let halves = columns.div_ceil(LANES);
    // A word of each tap: its numbers of four channels.
    let mut places = [0_u8; 64];
    for (place, from) in places.iter_mut().enumerate().take(4 * taps) {
        *from = (place % 4 * taps + place / 4) as u8;
    }
    // SAFETY: masks leave out missing channels, and columns beyond the last are not read.
    unsafe {
        let places = _mm512_loadu_si512(places.as_ptr().cast());
        for half in 0..halves {
            let count = (columns - half * LANES).min(LANES);
            for quad in 0..channels.div_ceil(DEEP) * QUADS {
                let mask = of_bytes(channels.saturating_sub(4 * quad).min(4) * taps);
                let mut words = [_mm512_setzero_si512(); LANES];
                for (i, words) in words.iter_mut().enumerate().take(count) {
                    let weight = ((half * LANES + i) * channels + 4 * quad) * taps;
                    let numbers = _mm512_maskz_loadu_epi8(mask, from.wrapping_add(weight));
                    *words = _mm512_permutexvar_epi8(places, numbers);
                }
                let first = quad / QUADS * taps;
                for (tap, words) in turned(words).iter().enumerate().take(taps) {
                    let tile = to.add(((first + tap) * halves + half) * TILE);
                    _mm512_storeu_si512(tile.add(quad % QUADS * 64).cast(), *words);
                }
            }
        }
    }
}

/// At most 16 pixels of `channels` planes, `step` apart, as whole numbers: each pixel times its inverse, rounded,
/// exclusive or `zero`, in whole pieces `to_step` apart.
///
/// # Safety
/// The pixels of all planes can be read from `from` on, whole pieces of as many pixels written to `to`. The processor has these
/// instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) unsafe fn pixels(
    from: *const f32,
    step: usize,
    channels: usize,
    inverses: &[f32],
    zero: u8,
    to: *mut u8,
    to_step: usize,
) {
    let mask = __mmask16::MAX >> (LANES - inverses.len());
    let zero = _mm512_set1_epi8(zero.cast_signed());
    // SAFETY: the mask leaves out missing pixels, and planes beyond the last are not read.
    unsafe {
        let inverse = _mm512_maskz_loadu_ps(mask, inverses.as_ptr());
        for piece in 0..channels.div_ceil(DEEP) {
            let mut words = [_mm512_setzero_si512(); LANES];
            for (quad, word) in words.iter_mut().enumerate() {
                let first = piece * DEEP + 4 * quad;
                let [mut a, mut b, mut c, mut d] = [_mm512_setzero_ps(); 4];
                let plane = |at: usize| _mm512_maskz_loadu_ps(mask, from.wrapping_add(at * step));
                match channels.saturating_sub(first) {
                    0 => {}
                    1 => a = plane(first),
                    2 => [a, b] = [plane(first), plane(first + 1)],
                    3 => [a, b, c] = [plane(first), plane(first + 1), plane(first + 2)],
                    _ => {
                        [a, b] = [plane(first), plane(first + 1)];
                        [c, d] = [plane(first + 2), plane(first + 3)];
                    }
                }
                let [a, b, c, d] = [a, b, c, d].map(|x| byte(x, inverse));
                let low = _mm512_or_si512(a, _mm512_slli_epi32::<8>(b));
                let high = _mm512_or_si512(c, _mm512_slli_epi32::<8>(d));
                let all = _mm512_or_si512(low, _mm512_slli_epi32::<16>(high));
                *word = _mm512_xor_si512(all, zero);
            }
            for (pixel, words) in turned(words).iter().enumerate().take(inverses.len()) {
                let to = to.add(pixel * to_step + piece * DEEP);
                _mm512_storeu_si512(to.cast(), *words);
            }
        }
    }
}

/// The lowest byte of each rounded product.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn byte(x: __m512, inverse: __m512) -> __m512i {
    let rounded = _mm512_add_ps(_mm512_mul_ps(x, inverse), _mm512_set1_ps(ROUNDING));
    _mm512_and_si512(_mm512_castps_si512(rounded), _mm512_set1_epi32(0xff))
}
