//! Scores to weights in bf16: a softmax in one pass over a block of scores after their maxima are known.

#![allow(unsafe_code)] // Vectors are read from and written to pointers; see `row`.

use std::arch::x86_64::{
    __m256i, __m512, _mm256_mask_storeu_epi16, _mm256_storeu_si256, _mm512_add_ps,
    _mm512_cvtneps_pbh, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mask_add_ps, _mm512_mask_loadu_ps,
    _mm512_max_ps, _mm512_reduce_add_ps, _mm512_reduce_max_ps, _mm512_roundscale_ps,
    _mm512_scalef_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_sub_ps,
};

use burn_std::bf16;

use super::super::{features::multiplies_bf16, math::exp_below_zero};

const LANES: usize = 16;
/// Vectors that go side by side, so that none waits for the one before.
const AHEAD: usize = 4;
/// 2ʳ − 1 over r on [−½, ½], the highest power first (Cephes' `exp2f`).
const POWERS: [f32; 6] = [
    1.535_336_2e-4,
    1.339_887_4e-3,
    9.618_437e-3,
    5.550_332_4e-2,
    2.402_264_8e-1,
    6.931_472e-1,
];

/// `e^(score·scale − top)` of the `keys` scores of each row in bf16, with the greatest such product so far for `top`,
/// and the sums of them. `rescale` gets the factor for what is summed up of a row so far. `scale` is above 0. Rows of
/// scores, and of weights, lie `steps` apart.
pub(super) fn weigh(
    scores: &[f32],
    to: &mut [bf16],
    keys: usize,
    steps: (usize, usize),
    scale: f32,
    [tops, totals]: [&mut [f32]; 2],
    mut rescale: impl FnMut(usize, f32),
) {
    assert!(multiplies_bf16(), "the processor multiplies bf16");
    let sums = tops.iter_mut().zip(totals);
    let rows = scores.chunks(steps.0).zip(to.chunks_mut(steps.1)).zip(sums);
    for (number, ((row, to), (top, total))) in rows.enumerate() {
        let (row, to) = (&row[..keys], &mut to[..keys]);
        // SAFETY: the processor has the instructions, as was just asked.
        let (above, sum) = unsafe { weigh_row(row, scale, *top, to) };
        let shift = if above == f32::NEG_INFINITY {
            0.0
        } else {
            above
        };
        let factor = exp_below_zero::<true>(*top - shift);
        *total = *total * factor + sum;
        *top = above;
        rescale(number, factor);
    }
}

/// The greatest `score·scale` of a row and those before, and the sum of its weights, which go to `to`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn weigh_row(row: &[f32], scale: f32, top: f32, to: &mut [bf16]) -> (f32, f32) {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    let lowest = _mm512_set1_ps(f32::NEG_INFINITY);
    let (groups, rest) = row.as_chunks::<{ AHEAD * LANES }>();
    let mut greatest = [lowest; AHEAD];
    for group in groups {
        for (values, greatest) in group.as_chunks::<LANES>().0.iter().zip(&mut greatest) {
            *greatest = _mm512_max_ps(*greatest, whole(values));
        }
    }
    for values in rest.chunks(LANES) {
        greatest[0] = _mm512_max_ps(greatest[0], part(values));
    }
    let [a, b, c, d] = greatest;
    let greatest = _mm512_max_ps(_mm512_max_ps(a, b), _mm512_max_ps(c, d));
    let above = (_mm512_reduce_max_ps(greatest) * scale).max(top);
    // A row of −∞ has no top yet.
    let shift = if above == f32::NEG_INFINITY {
        0.0
    } else {
        above
    };

    let scale = _mm512_set1_ps(scale * LOG2_E);
    let shift = _mm512_set1_ps(-shift * LOG2_E);
    let (of_groups, of_rest) = to.as_chunks_mut::<{ AHEAD * LANES }>();
    let mut sums = [_mm512_setzero_ps(); AHEAD];
    for (group, to) in groups.iter().zip(of_groups) {
        let places = to.as_chunks_mut::<LANES>().0.iter_mut().zip(&mut sums);
        for (values, (to, sum)) in group.as_chunks::<LANES>().0.iter().zip(places) {
            let weights = power_of_two(_mm512_fmadd_ps(whole(values), scale, shift));
            *sum = _mm512_add_ps(*sum, weights);
            // SAFETY: `to` has room for sixteen numbers.
            unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), rounded(weights)) };
        }
    }
    for (values, to) in rest.chunks(LANES).zip(of_rest.chunks_mut(LANES)) {
        let mask = mask(values.len());
        let weights = power_of_two(_mm512_fmadd_ps(part(values), scale, shift));
        sums[0] = _mm512_mask_add_ps(sums[0], mask, sums[0], weights);
        // SAFETY: the mask leaves out what is beyond `to`.
        unsafe { _mm256_mask_storeu_epi16(to.as_mut_ptr().cast(), mask, rounded(weights)) };
    }
    let [a, b, c, d] = sums;
    let sum = _mm512_add_ps(_mm512_add_ps(a, b), _mm512_add_ps(c, d));
    (above, _mm512_reduce_add_ps(sum))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn whole(values: &[f32; LANES]) -> __m512 {
    // SAFETY: sixteen numbers.
    unsafe { _mm512_loadu_ps(values.as_ptr()) }
}

/// Less than a vector; −∞ beyond.
#[inline]
#[target_feature(enable = "avx512f")]
fn part(values: &[f32]) -> __m512 {
    let lowest = _mm512_set1_ps(f32::NEG_INFINITY);
    // SAFETY: the mask leaves out what is beyond the values.
    unsafe { _mm512_mask_loadu_ps(lowest, mask(values.len()), values.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512bf16")]
fn rounded(weights: __m512) -> __m256i {
    // SAFETY: both are 32 bytes, and any bits are a value of either.
    unsafe { std::mem::transmute(_mm512_cvtneps_pbh(weights)) }
}

/// The first `count` lanes of a vector.
#[inline(always)]
fn mask(count: usize) -> u16 {
    match count {
        0..LANES => (1 << count) - 1,
        _ => u16::MAX,
    }
}

/// 2ˣ for x ≤ 0, to 2e-7 of its value; 0 far below.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn power_of_two(x: __m512) -> __m512 {
    const NEAREST: i32 = 8;
    // The second operand where one is no number.
    let x = _mm512_max_ps(_mm512_set1_ps(-160.0), x);
    let whole = _mm512_roundscale_ps::<NEAREST>(x);
    let rest = _mm512_sub_ps(x, whole);
    let [first, powers @ ..] = POWERS;
    let mut sum = _mm512_set1_ps(first);
    for power in powers {
        sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(power));
    }
    let sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(1.0));
    _mm512_scalef_ps(sum, whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The softmax of rows that come in two blocks.
    #[test]
    fn weights_are_those_of_a_softmax_over_blocks() {
        if !multiplies_bf16() {
            return;
        }
        let scale = 0.7;
        for keys in [1, 15, 16, 17, 63, 64, 65, 200] {
            let score = |place: usize| ((place * 7919 % 101) as f32 - 50.0) * 0.9;
            let blocks: [Vec<f32>; 2] =
                [0, 1].map(|b| (0..2 * keys).map(|i| score(i + b * 31)).collect());
            let (mut tops, mut totals) = ([f32::NEG_INFINITY; 2], [0.0; 2]);
            let mut weights = vec![bf16::ZERO; 2 * keys];
            let mut factors = [0.0; 2];
            for block in &blocks {
                let sums = [&mut tops[..], &mut totals];
                let steps = (keys, keys);
                weigh(
                    block,
                    &mut weights,
                    keys,
                    steps,
                    scale,
                    sums,
                    |row, factor| factors[row] = factor,
                );
            }
            for row in 0..2 {
                let of = |b: usize| &blocks[b][row * keys..][..keys];
                let all = || of(0).iter().chain(of(1)).map(|x| f64::from(x * scale));
                let top = all().fold(f64::NEG_INFINITY, f64::max);
                let total: f64 = all().map(|x| (x - top).exp()).sum();
                assert!((f64::from(tops[row]) - top).abs() < 1e-5);
                assert!(
                    (f64::from(totals[row]) / total - 1.0).abs() < 1e-5,
                    "{keys}"
                );
                for (weight, x) in weights[row * keys..].iter().zip(of(1)) {
                    let exact = (f64::from(x * scale) - top).exp();
                    let off = (weight.to_f64() - exact).abs();
                    assert!(off <= exact / 250.0 + 1e-30, "{keys}: {weight}, {exact}");
                }
                let before = of(0).iter().map(|x| f64::from(x * scale));
                let before = before.fold(f64::NEG_INFINITY, f64::max);
                assert!((f64::from(factors[row]) - (before - top).exp()).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn scores_that_are_minus_infinity_or_no_numbers_stay_what_they_are() {
        if !multiplies_bf16() {
            return;
        }
        let inf = f32::NEG_INFINITY;
        let scores = [inf, inf, inf, 0.0, inf, 1.0, f32::NAN, 0.0, 0.0];
        let (mut tops, mut totals) = ([inf; 3], [0.0; 3]);
        let mut weights = [bf16::ONE; 9];
        let sums = [&mut tops[..], &mut totals];
        weigh(&scores, &mut weights, 3, (3, 3), 1.0, sums, |_, _| {});
        assert_eq!(weights[..3], [bf16::ZERO; 3]);
        assert_eq!(totals[0], 0.0);
        assert_eq!(weights[4], bf16::ZERO);
        assert!(totals[2].is_nan() && weights[6].is_nan());
    }
}
