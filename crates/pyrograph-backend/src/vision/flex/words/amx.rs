//! The kernel on tiles (AMX): 16 rows of 32 numbers meet 16 columns of as many, four such pairs at a time.
//!
//! The instructions are written out, since the compiler has no stable names for them. Tiles are filled, multiplied and stored within
//! one piece of assembly, so that nothing is expected to stay in them between two pieces; their shapes are set for a strip of rows
//! and released at the end of a product. The compiler uses no tiles.

use std::{
    arch::asm,
    arch::x86_64::{_mm512_add_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps},
};

use burn_std::bf16;

use super::{
    DEEP, LANES, Size,
    tile::{mask, of_bf16},
};

/// Numbers that a tile's row holds.
pub(super) const DEPTH: usize = 32;
/// Rows that two tiles hold.
const ROWS: usize = 2 * LANES;
/// Pieces that are multiplied before the next ones, at most: those of a panel stay in a core's own cache beside the
/// rows that they meet.
const PIECES: usize = 192;

/// Where the pieces of rows begin whose numbers lie one after the other.
static STARTS: [usize; 2 * DEEP / DEPTH] = {
    let mut starts = [0; 2 * DEEP / DEPTH];
    let mut piece = 0;
    while piece < starts.len() {
        starts[piece] = piece * DEPTH;
        piece += 1;
    }
    starts
};

/// What `ldtilecfg` reads: bytes of a row and rows of each tile. 0 to 3 hold sums, 4 and 5 rows, 6 and 7 columns.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    zero: [u8; 15],
    bytes: [u16; 16],
    rows: [u8; 16],
}

impl Shapes {
    /// For so many rows, at most [`ROWS`].
    fn of(rows: usize) -> Self {
        let first = rows.min(LANES) as u8;
        // Tiles that are not in use have a shape too, so that they can be set to 0.
        let second = match rows.saturating_sub(LANES) {
            0 => LANES as u8,
            rows => rows as u8,
        };
        let mut shapes = Self {
            palette: 1,
            zero: [0; 15],
            bytes: [0; 16],
            rows: [0; 16],
        };
        let of_tiles = [first, first, second, second, first, second, 16, 16];
        for (tile, rows) in of_tiles.into_iter().enumerate() {
            (shapes.bytes[tile], shapes.rows[tile]) = (64, rows);
        }
        shapes
    }

    /// # Safety
    /// The processor has tiles, the system lets the process use them, and nobody relies on what they hold.
    unsafe fn set(&self) {
        // SAFETY: the instruction reads these 64 bytes; the rest is promised by the caller.
        unsafe { asm!("ldtilecfg [{}]", in(reg) self, options(nostack, readonly)) };
    }
}

/// [`of_bf16::product`](super::tile::of_bf16::product), by tiles where there are enough numbers for one.
///
/// # Safety
/// As there; the processor has tiles of bf16 too, and the system lets the process use them.
pub(super) unsafe fn product(
    size: Size,
    rows: *const bf16,
    row_step: usize,
    panels: *const u32,
    out: *mut f32,
    out_step: usize,
    add: bool,
) {
    let whole = size.inner / DEPTH * DEPTH;
    if whole > 0 {
        let size = Size {
            inner: whole,
            ..size
        };
        let starts = &STARTS[..whole / DEPTH];
        // SAFETY: these numbers are among those that the caller promises.
        unsafe {
            let walk = Walk::Rows;
            of_pieces(
                walk, size, rows, row_step, starts, panels, out, out_step, add,
            );
        }
    }
    if whole < size.inner || whole == 0 {
        let rest = Size {
            first: size.first + whole / 2,
            inner: size.inner - whole,
            ..size
        };
        // SAFETY: promised by the caller.
        unsafe {
            let rows = rows.add(whole);
            of_bf16::product(
                rest,
                rows,
                row_step,
                panels,
                out,
                out_step,
                add || whole > 0,
            );
        }
    }
}

/// The same with rows in pieces of [`DEPTH`] numbers, which begin at `starts` from a row's place on.
///
/// # Safety
/// As with [`product`]; for each start and row a piece can be read.
#[allow(clippy::too_many_arguments)] // Those of `product`, and the starts.
pub(super) unsafe fn product_of_pieces(
    size: Size,
    rows: *const bf16,
    row_step: usize,
    starts: &[usize],
    panels: *const u32,
    out: *mut f32,
    out_step: usize,
    add: bool,
) {
    let walk = Walk::Taps;
    // SAFETY: promised by the caller.
    unsafe {
        of_pieces(
            walk, size, rows, row_step, starts, panels, out, out_step, add,
        )
    };
}

/// # Safety
/// As with [`product_of_pieces`].
#[allow(clippy::too_many_arguments)] // Those of `product_of_pieces`, and the walk.
unsafe fn of_pieces(
    walk: Walk,
    size: Size,
    rows: *const bf16,
    row_step: usize,
    starts: &[usize],
    panels: *const u32,
    out: *mut f32,
    out_step: usize,
    add: bool,
) {
    assert_eq!(size.inner, starts.len() * DEPTH, "numbers of the pieces");
    let mut shaped = 0;
    let at_once = starts.len().div_ceil(starts.len().div_ceil(PIECES).max(1));
    for (part, starts) in starts.chunks(at_once.max(1)).enumerate() {
        for column in (0..size.columns).step_by(2 * LANES) {
            let panel = column / size.wide * size.wide;
            let word_step = size
                .wide
                .min((size.columns - panel).next_multiple_of(LANES));
            let first_word = size.first + part * at_once * DEPTH / 2;
            let word = panel * size.panel + first_word * word_step + (column - panel);
            let columns = (size.columns - column).min(2 * LANES);
            for first in (0..size.rows).step_by(ROWS) {
                let count = ROWS.min(size.rows - first);
                if count != shaped {
                    // SAFETY: nobody uses the tiles.
                    unsafe { Shapes::of(count).set() };
                    shaped = count;
                }
                // SAFETY: rows, panels and outputs are among those that the caller promises.
                unsafe {
                    let block = Block {
                        walk,
                        rows: rows.add(first * row_step),
                        row_step,
                        starts,
                        words: panels.add(word),
                        word_step,
                        out: out.add(first * out_step + column),
                        out_step,
                        add: add || part > 0,
                    };
                    block.write([count, columns]);
                }
            }
        }
    }
    // SAFETY: nobody uses the tiles.
    unsafe { asm!("tilerelease", options(nomem, nostack)) };
}

/// How often the kernel reads the numbers of a row.
#[derive(Clone, Copy)]
enum Walk {
    /// Once for each panel: rows are loaded past L1.
    Rows,
    /// Several times, since neighbouring taps read the same pixels: rows are loaded through L1.
    Taps,
}

/// At most two tiles of rows and two of columns.
struct Block<'a> {
    walk: Walk,
    rows: *const bf16,
    row_step: usize,
    starts: &'a [usize],
    words: *const u32,
    /// Words from one row of a tile of columns to the next.
    word_step: usize,
    out: *mut f32,
    out_step: usize,
    add: bool,
}

/// The sums' loads, the products of a step, in which the registers of rows and words are at their places, the lower rows' products,
/// and the sums' stores. `lower` moves the place of rows, and of outputs, by the rows of a tile.
macro_rules! tiles {
    (
        $block:expr,
        [$($load:literal),*],
        [$($lower_load:literal),*],
        [$($step:expr),*],
        [$($lower_step:expr),*],
        [$($store:literal),*],
        [$($lower_store:literal),*]
    ) => {{
        let Block { rows, row_step, starts, words, word_step, out, out_step, add, .. } = $block;
        asm!(
            "test {add:e}, {add:e}",
            "je 3f",
            $($load,)*
            "lea {at}, [{out} + {out_step}*8]",
            "lea {at}, [{at} + {out_step}*8]",
            $($lower_load,)*
            "jmp 2f",
            "3:",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "mov {at}, [{starts}]",
            "add {starts}, 8",
            "lea {at}, [{rows} + {at}*2]",
            $($step,)*
            "lea {at}, [{at} + {row_step}*8]",
            "lea {at}, [{at} + {row_step}*8]",
            $($lower_step,)*
            "lea {words}, [{words} + {word_step}*8]",
            "lea {words}, [{words} + {word_step}*8]",
            "dec {steps}",
            "jne 2b",
            $($store,)*
            "lea {at}, [{out} + {out_step}*8]",
            "lea {at}, [{at} + {out_step}*8]",
            $($lower_store,)*
            at = out(reg) _,
            add = in(reg) u32::from(*add),
            rows = in(reg) *rows,
            row_step = in(reg) row_step * size_of::<bf16>(),
            starts = inout(reg) starts.as_ptr() => _,
            steps = inout(reg) starts.len() => _,
            words = inout(reg) *words => _,
            word_step = in(reg) word_step * size_of::<u32>(),
            out = in(reg) *out,
            out_step = in(reg) out_step * size_of::<f32>(),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }};
}

/// Writes a block of one of four shapes, its rows loaded by this instruction.
macro_rules! shapes {
    ($block:expr, $load:literal, [$rows:expr, $columns:expr]) => {
        match ($rows > LANES, $columns > LANES) {
            (true, true) => tiles!(
                $block,
                [
                    "tileloadd tmm0, [{out} + {out_step}*1]",
                    "tileloadd tmm1, [{out} + {out_step}*1 + 64]"
                ],
                [
                    "tileloadd tmm2, [{at} + {out_step}*1]",
                    "tileloadd tmm3, [{at} + {out_step}*1 + 64]"
                ],
                [
                    concat!($load, " tmm4, [{at} + {row_step}*1]"),
                    "tileloadd tmm6, [{words} + {word_step}*1]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tileloadd tmm7, [{words} + {word_step}*1 + 64]",
                    "tdpbf16ps tmm1, tmm4, tmm7"
                ],
                [
                    concat!($load, " tmm5, [{at} + {row_step}*1]"),
                    "tdpbf16ps tmm2, tmm5, tmm6",
                    "tdpbf16ps tmm3, tmm5, tmm7"
                ],
                [
                    "tilestored [{out} + {out_step}*1], tmm0",
                    "tilestored [{out} + {out_step}*1 + 64], tmm1"
                ],
                [
                    "tilestored [{at} + {out_step}*1], tmm2",
                    "tilestored [{at} + {out_step}*1 + 64], tmm3"
                ]
            ),
            (true, false) => tiles!(
                $block,
                ["tileloadd tmm0, [{out} + {out_step}*1]"],
                ["tileloadd tmm2, [{at} + {out_step}*1]"],
                [
                    concat!($load, " tmm4, [{at} + {row_step}*1]"),
                    "tileloadd tmm6, [{words} + {word_step}*1]",
                    "tdpbf16ps tmm0, tmm4, tmm6"
                ],
                [
                    concat!($load, " tmm5, [{at} + {row_step}*1]"),
                    "tdpbf16ps tmm2, tmm5, tmm6"
                ],
                ["tilestored [{out} + {out_step}*1], tmm0"],
                ["tilestored [{at} + {out_step}*1], tmm2"]
            ),
            (false, true) => tiles!(
                $block,
                [
                    "tileloadd tmm0, [{out} + {out_step}*1]",
                    "tileloadd tmm1, [{out} + {out_step}*1 + 64]"
                ],
                [],
                [
                    concat!($load, " tmm4, [{at} + {row_step}*1]"),
                    "tileloadd tmm6, [{words} + {word_step}*1]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tileloadd tmm7, [{words} + {word_step}*1 + 64]",
                    "tdpbf16ps tmm1, tmm4, tmm7"
                ],
                [],
                [
                    "tilestored [{out} + {out_step}*1], tmm0",
                    "tilestored [{out} + {out_step}*1 + 64], tmm1"
                ],
                []
            ),
            (false, false) => tiles!(
                $block,
                ["tileloadd tmm0, [{out} + {out_step}*1]"],
                [],
                [
                    concat!($load, " tmm4, [{at} + {row_step}*1]"),
                    "tileloadd tmm6, [{words} + {word_step}*1]",
                    "tdpbf16ps tmm0, tmm4, tmm6"
                ],
                [],
                ["tilestored [{out} + {out_step}*1], tmm0"],
                []
            ),
        }
    };
}

impl Block<'_> {
    /// # Safety
    /// As with [`product`], for so many rows and columns; rows of tiles and words of whole vectors can be read.
    unsafe fn write(&self, [rows, columns]: [usize; 2]) {
        if columns.is_multiple_of(LANES) {
            // SAFETY: promised by the caller.
            return unsafe { self.write_vectors([rows, columns]) };
        }
        // Tiles are stored whole, so columns that do not fill one go elsewhere first.
        let mut sums = Sums([[0.0; 2 * LANES]; ROWS]);
        let block = Block {
            out: sums.0.as_mut_ptr().cast(),
            out_step: 2 * LANES,
            add: false,
            ..*self
        };
        // SAFETY: the sums have room for four tiles; the rest is promised by the caller.
        unsafe {
            block.write_vectors([rows, columns]);
            for (row, sums) in sums.0.iter().enumerate().take(rows) {
                put(
                    &sums[..columns],
                    self.out.add(row * self.out_step),
                    self.add,
                );
            }
        }
    }

    /// # Safety
    /// As with [`write`](Self::write), and the last vector's outputs are the caller's, all of them.
    unsafe fn write_vectors(&self, [rows, columns]: [usize; 2]) {
        // SAFETY: tiles have as many rows as there are; loads and stores are of those that the caller promises.
        unsafe {
            match self.walk {
                Walk::Rows => shapes!(self, "tileloaddt1", [rows, columns]),
                Walk::Taps => shapes!(self, "tileloadd", [rows, columns]),
            }
        }
    }
}

/// The sums of four tiles.
#[repr(C, align(64))]
struct Sums([[f32; 2 * LANES]; ROWS]);

/// Writes a row of sums, or adds it.
///
/// # Safety
/// `to` points to as many values, which are the caller's to write and, to be added to, initialised. The processor has AVX-512.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn put(sums: &[f32], to: *mut f32, add: bool) {
    for (v, sums) in sums.chunks(LANES).enumerate() {
        let mask = mask(sums.len());
        // SAFETY: the mask leaves out what is beyond the sums, here and there.
        unsafe {
            let to = to.add(v * LANES);
            let mut values = _mm512_maskz_loadu_ps(mask, sums.as_ptr());
            if add {
                values = _mm512_add_ps(values, _mm512_maskz_loadu_ps(mask, to));
            }
            _mm512_mask_storeu_ps(to, mask, values);
        }
    }
}
