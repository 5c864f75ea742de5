//! Values that stand side by side, taken apart and put together.

#![allow(unsafe_code)] // Shuffles of AVX-512, for which compilers emit gathers.

#[cfg(target_arch = "x86_64")]
use super::super::features::Level;

/// `to[j·count + l] = from[l·STEP + j]`.
#[inline(always)]
pub(super) fn take_apart<const STEP: usize>(from: &[f32], to: &mut [f32], count: usize) {
    let (from, _) = from.as_chunks::<STEP>();
    let from = &from[..count];
    let done = fours_taken_apart(from.as_flattened(), to, STEP, count);
    for (j, to) in to.chunks_mut(count).take(STEP).enumerate() {
        for (to, from) in to[done..].iter_mut().zip(&from[done..]) {
            *to = from[j];
        }
    }
}

/// [`take_apart`] for STEP 4 and as many whole vectors as there are; yields how many of `count` that are.
#[inline(always)]
fn fours_taken_apart(from: &[f32], to: &mut [f32], step: usize, count: usize) -> usize {
    #[cfg(target_arch = "x86_64")]
    if step == 4 && Level::of_this_machine() == Level::Avx512 {
        // SAFETY: the machine was just asked for these features.
        return unsafe { avx512::fours(from, to, count) };
    }
    let _ = (from, to, step, count);
    0
}

/// `to[2·l] = even[l]`, `to[2·l + 1] = odd[l]`.
pub(super) fn put_together(even: &[f32], odd: &[f32], to: &mut [f32]) {
    let done = vectors_put_together(even, odd, to);
    let (pairs, _) = to.as_chunks_mut::<2>();
    let rest = even[done..].iter().zip(&odd[done..]);
    for (pair, (even, odd)) in pairs[done..].iter_mut().zip(rest) {
        *pair = [*even, *odd];
    }
}

/// [`put_together`] for as many whole vectors as there are; yields how many values of each that are.
fn vectors_put_together(even: &[f32], odd: &[f32], to: &mut [f32]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if Level::of_this_machine() == Level::Avx512 {
        // SAFETY: the machine was just asked for these features.
        return unsafe { avx512::pairs(even, odd, to) };
    }
    let _ = (even, odd, to);
    0
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::{
        _mm512_loadu_ps, _mm512_permutex2var_ps, _mm512_setr_epi32, _mm512_shuffle_f32x4,
        _mm512_storeu_ps,
    };

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
    pub(super) fn pairs(even: &[f32], odd: &[f32], to: &mut [f32]) -> usize {
        let first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        let second =
            _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        let sources = even.as_chunks::<16>().0.iter().zip(odd.as_chunks::<16>().0);
        let mut done = 0;
        for (to, (even, odd)) in to.as_chunks_mut::<32>().0.iter_mut().zip(sources) {
            // SAFETY: each load is of an array of sixteen numbers, and the two stores are of one of thirty-two.
            unsafe {
                let (even, odd) = (
                    _mm512_loadu_ps(even.as_ptr()),
                    _mm512_loadu_ps(odd.as_ptr()),
                );
                _mm512_storeu_ps(to.as_mut_ptr(), _mm512_permutex2var_ps(even, first, odd));
                let to = to.as_mut_ptr().add(16);
                _mm512_storeu_ps(to, _mm512_permutex2var_ps(even, second, odd));
            }
            done += 16;
        }
        done
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
    pub(super) fn fours(from: &[f32], to: &mut [f32], count: usize) -> usize {
        let (vectors, _) = from.as_chunks::<64>();
        let mut parts = to.chunks_mut(count);
        let mut part = || parts.next().unwrap_or_default().as_chunks_mut::<16>().0;
        let (first, second, third, fourth) = (part(), part(), part(), part());
        // Of two vectors of fours: their first and second values, and their third and fourth.
        let low = _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29);
        let high = _mm512_setr_epi32(2, 6, 10, 14, 18, 22, 26, 30, 3, 7, 11, 15, 19, 23, 27, 31);
        let parts = first.iter_mut().zip(second).zip(third).zip(fourth);
        for (from, (((first, second), third), fourth)) in vectors.iter().zip(parts) {
            let (from, _) = from.as_chunks::<16>();
            // SAFETY: each load and store is of an array of sixteen numbers.
            unsafe {
                let [a, b, c, d] = [0, 1, 2, 3].map(|i| _mm512_loadu_ps(from[i].as_ptr()));
                let [low_ab, low_cd] =
                    [(a, b), (c, d)].map(|(a, b)| _mm512_permutex2var_ps(a, low, b));
                let [high_ab, high_cd] =
                    [(a, b), (c, d)].map(|(a, b)| _mm512_permutex2var_ps(a, high, b));
                let halves = |a, b| {
                    let first = _mm512_shuffle_f32x4::<0b01_00_01_00>(a, b);
                    (first, _mm512_shuffle_f32x4::<0b11_10_11_10>(a, b))
                };
                let (one, two) = halves(low_ab, low_cd);
                let (three, four) = halves(high_ab, high_cd);
                _mm512_storeu_ps(first.as_mut_ptr(), one);
                _mm512_storeu_ps(second.as_mut_ptr(), two);
                _mm512_storeu_ps(third.as_mut_ptr(), three);
                _mm512_storeu_ps(fourth.as_mut_ptr(), four);
            }
        }
        (count / 16 * 16).min(vectors.len() * 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_come_to_their_places() {
        for count in [1, 15, 16, 17, 32, 45] {
            let [even, odd] = [0, 1].map(|first| {
                let values = (0..count).map(|i| (2 * i + first) as f32);
                values.collect::<Vec<_>>()
            });
            let mut to = vec![-1.0; 2 * count];
            put_together(&even, &odd, &mut to);
            assert!(to.iter().enumerate().all(|(i, v)| *v == i as f32), "{to:?}");
        }
    }

    #[test]
    fn every_value_comes_to_its_place() {
        for count in [1, 15, 16, 17, 32, 45] {
            let from: Vec<f32> = (0..4 * count).map(|i| i as f32).collect();
            let mut to = vec![-1.0; 4 * count];
            take_apart::<4>(&from, &mut to, count);
            for (place, value) in to.iter().enumerate() {
                assert_eq!(
                    *value,
                    (place % count * 4 + place / count) as f32,
                    "{count}"
                );
            }
            take_apart::<2>(&from, &mut to, count);
            for (place, value) in to[..2 * count].iter().enumerate() {
                assert_eq!(
                    *value,
                    (place % count * 2 + place / count) as f32,
                    "{count}"
                );
            }
        }
    }
}
