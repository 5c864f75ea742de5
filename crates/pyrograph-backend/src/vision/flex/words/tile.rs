//! The kernel: some rows and one panel at a time.

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, __mmask16, _mm512_castsi512_ps, _mm512_dpbf16_ps, _mm512_fmadd_ps,
};

use super::LANES;

/// Rows that go across all panels before the next ones: they stay in the cache nearest to the core.
const STRIP: usize = 48;

/// The lanes that `left` values fill.
#[inline(always)]
pub(super) fn mask(left: usize) -> __mmask16 {
    if left >= LANES {
        __mmask16::MAX
    } else {
        (1 << left) - 1
    }
}

/// The products of one type of numbers: a module for its processors' instructions.
macro_rules! products {
    ($name:ident, $number:ty, $a_word:literal, $features:literal, $multiplied:ident) => {
        pub(super) mod $name {
            use std::arch::x86_64::{
                __m512, __mmask16, _mm512_add_ps, _mm512_loadu_si512, _mm512_mask_storeu_ps,
                _mm512_maskz_loadu_ps, _mm512_set1_epi32, _mm512_setzero_ps, _mm512_storeu_ps,
            };

            use super::{
                super::{LANES, Size},
                STRIP, mask,
            };

            /// `out = rows·panels`, or added to what is there.
            ///
            /// # Safety
            /// `size.rows` rows of `size.inner` numbers, `row_step` apart, can be read from `rows` on, and the panels of as many columns from
            /// `panels` on. `(out_step, 1)` reaches, from `out` on, values that are the caller's to write (and, to be added to, initialised); rows
            /// of them do not overlap. The processor has these instructions.
            #[target_feature(enable = $features)]
            pub(in super::super) unsafe fn product(
                size: Size,
                rows: *const $number,
                row_step: usize,
                panels: *const u32,
                out: *mut f32,
                out_step: usize,
                add: bool,
            ) {
                for first in (0..size.rows).step_by(STRIP) {
                    let strip = STRIP.min(size.rows - first);
                    for column in (0..size.columns).step_by(size.wide) {
                        let columns = size.wide.min(size.columns - column);
                        // SAFETY: the rows of the strip and the columns of the panel are among those that the caller promises.
                        unsafe {
                            let job = Strip {
                                rows: rows.add(first * row_step),
                                row_step,
                                count: strip,
                                inner: size.inner,
                                panel: panels.add(
                                    column * size.panel
                                        + size.first * columns.next_multiple_of(LANES),
                                ),
                                columns,
                                out: out.add(first * out_step + column),
                                out_step,
                                add,
                            };
                            // As many rows as keep most of the registers busy.
                            match columns.div_ceil(LANES) {
                                4 => job.run::<6, 4>(),
                                3 => job.run::<8, 3>(),
                                2 => job.run::<12, 2>(),
                                _ => job.run::<16, 1>(),
                            }
                        }
                    }
                }
            }

            /// Some rows and a panel of V vectors.
            struct Strip {
                rows: *const $number,
                row_step: usize,
                count: usize,
                inner: usize,
                panel: *const u32,
                columns: usize,
                out: *mut f32,
                out_step: usize,
                add: bool,
            }

            impl Strip {
                /// R rows at a time.
                ///
                /// # Safety
                /// As with [`product`], for these rows and columns.
                #[inline]
                #[target_feature(enable = $features)]
                unsafe fn run<const R: usize, const V: usize>(&self) {
                    let whole = self.count / R * R;
                    // SAFETY: the rows are among the promised ones.
                    unsafe {
                        for row in (0..whole).step_by(R) {
                            self.tile::<R, V>(row);
                        }
                        let mut row = whole;
                        if self.count - row >= 4 && R > 4 {
                            self.tile::<4, V>(row);
                            row += 4;
                        }
                        for row in row..self.count {
                            self.tile::<1, V>(row);
                        }
                    }
                }

                /// # Safety
                /// As with [`product`], for R rows from `row` on.
                #[inline]
                #[target_feature(enable = $features)]
                unsafe fn tile<const R: usize, const V: usize>(&self, row: usize) {
                    // SAFETY: reads and writes are those that the caller promises: `inner` numbers of each row (an odd one by itself), the words of
                    // the panel, and, by masks, the columns that there are.
                    unsafe {
                        let mut sums = [[_mm512_setzero_ps(); V]; R];
                        let (mut rows, mut panel) =
                            (self.rows.add(row * self.row_step), self.panel);
                        for _ in 0..self.inner / $a_word {
                            step(&mut sums, panel, |r| {
                                rows.add(r * self.row_step).cast::<i32>().read_unaligned()
                            });
                            panel = panel.add(V * LANES);
                            rows = rows.add($a_word);
                        }
                        if !self.inner.is_multiple_of($a_word) {
                            step(&mut sums, panel, |r| {
                                i32::from(rows.add(r * self.row_step).cast::<u16>().read())
                            });
                        }
                        for (r, sums) in sums.iter().enumerate() {
                            for (v, sum) in sums.iter().enumerate() {
                                let mask = mask(self.columns - v * LANES);
                                let to = self.out.add((row + r) * self.out_step + v * LANES);
                                let value = match self.add {
                                    true => _mm512_add_ps(*sum, _mm512_maskz_loadu_ps(mask, to)),
                                    false => *sum,
                                };
                                match mask {
                                    __mmask16::MAX => _mm512_storeu_ps(to, value),
                                    _ => _mm512_mask_storeu_ps(to, mask, value),
                                }
                            }
                        }
                    }
                }
            }

            /// Adds the products of a word of each row with those of the panel.
            ///
            /// # Safety
            /// V vectors can be read from `panel` on. The processor has these instructions.
            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn step<const R: usize, const V: usize>(
                sums: &mut [[__m512; V]; R],
                panel: *const u32,
                word: impl Fn(usize) -> i32,
            ) {
                let mut columns = [_mm512_set1_epi32(0); V];
                for (v, columns) in columns.iter_mut().enumerate() {
                    // SAFETY: promised by the caller.
                    *columns = unsafe { _mm512_loadu_si512(panel.add(v * LANES).cast()) };
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let word = _mm512_set1_epi32(word(r));
                    for (sum, columns) in sums.iter_mut().zip(columns) {
                        *sum = super::$multiplied(*sum, word, columns);
                    }
                }
            }
        }
    };
}

products!(
    of_f32,
    f32,
    1,
    "avx512f,avx512bw,avx512dq,avx512vl",
    multiplied
);
products!(
    of_bf16,
    burn_std::bf16,
    2,
    "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16",
    multiplied_pairs
);

/// `sum + a·b`.
#[inline]
#[target_feature(enable = "avx512f")]
fn multiplied(sum: __m512, a: __m512i, b: __m512i) -> __m512 {
    _mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), sum)
}

/// `sum + a·b` of pairs.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn multiplied_pairs(sum: __m512, a: __m512i, b: __m512i) -> __m512 {
    _mm512_dpbf16_ps(sum, numbers(a), numbers(b))
}

#[inline(always)]
fn numbers(words: __m512i) -> __m512bh {
    // SAFETY: both are 64 bytes, and any bits are a value of either.
    unsafe { std::mem::transmute(words) }
}
