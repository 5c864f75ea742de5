//! The kernel on tiles (AMX-INT8): 16 rows of 64 numbers meet 16 columns of as many, four such pairs at a time.
//!
//! The instructions are written out, since the compiler has no stable names for them. Tiles are filled, multiplied and
//! stored within one piece of assembly; their shapes, whole tiles all of them, are set before a product and released
//! after it.

use std::arch::asm;

use super::{LANES, STRIP, Strip, TILE, WIDE};

/// What `ldtilecfg` reads: bytes of a row and rows of each tile. 0 to 3 hold sums, 4 and 5 rows, 6 and 7 columns.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    zero: [u8; 15],
    bytes: [u16; 16],
    rows: [u8; 16],
}

static WHOLE: Shapes = {
    let mut shapes = Shapes {
        palette: 1,
        zero: [0; 15],
        bytes: [0; 16],
        rows: [0; 16],
    };
    let mut tile = 0;
    while tile < 8 {
        (shapes.bytes[tile], shapes.rows[tile]) = (64, LANES as u8);
        tile += 1;
    }
    shapes
};

/// Sets the shapes of all tiles.
///
/// # Safety
/// The processor has tiles, the system lets the process use them, and nobody relies on their contents.
pub(super) unsafe fn begin() {
    // SAFETY: the instruction reads these 64 bytes; the rest is promised by the caller.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const WHOLE, options(nostack, readonly)) };
}

/// Releases the tiles.
///
/// # Safety
/// As with [`begin`].
pub(super) unsafe fn end() {
    // SAFETY: nobody uses the tiles.
    unsafe { asm!("tilerelease", options(nomem, nostack)) };
}

/// The sums' loads, the products of a step, the place of the next columns, the products of the lower rows, and the
/// sums' stores.
macro_rules! tiles {
    (
        $strip:expr,
        [$($load:literal),*],
        [$($step:literal),*],
        [$($lower_step:literal),*],
        [$($store:literal),*]
    ) => {{
        let Strip { rows, step, starts, tiles, halves, sums, add, .. } = $strip;
        asm!(
            "test {add:e}, {add:e}",
            "je 3f",
            $($load,)*
            "jmp 2f",
            "3:",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "mov {at}, [{starts}]",
            "add {starts}, 8",
            "add {at}, {rows}",
            $($step,)*
            "lea {at}, [{at} + {row_step}*8]",
            "lea {at}, [{at} + {row_step}*8]",
            $($lower_step,)*
            "add {tiles}, {of_step}",
            "dec {steps}",
            "jne 2b",
            $($store,)*
            at = out(reg) _,
            add = in(reg) u32::from(*add),
            rows = in(reg) *rows,
            row_step = in(reg) *step,
            starts = inout(reg) starts.as_ptr() => _,
            steps = inout(reg) starts.len() => _,
            tiles = inout(reg) *tiles => _,
            of_step = in(reg) halves * TILE,
            line = in(reg) 64_usize,
            sums = in(reg) *sums,
            sum_step = in(reg) WIDE * size_of::<i32>(),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }};
}

const _: () = assert!(STRIP == 32 && WIDE == 32 && TILE == 1024); // As the distances below have it.

/// See [`Strip`].
///
/// # Safety
/// As [`Strip`] says; the tiles have the shapes that [`begin`] sets, there is a piece at least, and nobody relies on what tiles hold.
pub(super) unsafe fn write(strip: &Strip<'_>) {
    // SAFETY: rows, pieces and columns are whole tiles, and the loads and stores those that the caller promises.
    unsafe {
        match (strip.count > LANES, strip.halves > 1) {
            (true, true) => tiles!(
                strip,
                [
                    "tileloadd tmm0, [{sums} + {sum_step}*1]",
                    "tileloadd tmm1, [{sums} + {sum_step}*1 + 64]",
                    "tileloadd tmm2, [{sums} + {sum_step}*1 + 2048]",
                    "tileloadd tmm3, [{sums} + {sum_step}*1 + 2112]"
                ],
                [
                    "tileloadd tmm6, [{tiles} + {line}*1]",
                    "tileloadd tmm4, [{at} + {row_step}*1]",
                    "tdpbssd tmm0, tmm4, tmm6",
                    "tileloadd tmm7, [{tiles} + {line}*1 + 1024]",
                    "tdpbssd tmm1, tmm4, tmm7"
                ],
                [
                    "tileloadd tmm5, [{at} + {row_step}*1]",
                    "tdpbssd tmm2, tmm5, tmm6",
                    "tdpbssd tmm3, tmm5, tmm7"
                ],
                [
                    "tilestored [{sums} + {sum_step}*1], tmm0",
                    "tilestored [{sums} + {sum_step}*1 + 64], tmm1",
                    "tilestored [{sums} + {sum_step}*1 + 2048], tmm2",
                    "tilestored [{sums} + {sum_step}*1 + 2112], tmm3"
                ]
            ),
            (true, false) => tiles!(
                strip,
                [
                    "tileloadd tmm0, [{sums} + {sum_step}*1]",
                    "tileloadd tmm2, [{sums} + {sum_step}*1 + 2048]"
                ],
                [
                    "tileloadd tmm6, [{tiles} + {line}*1]",
                    "tileloadd tmm4, [{at} + {row_step}*1]",
                    "tdpbssd tmm0, tmm4, tmm6"
                ],
                [
                    "tileloadd tmm5, [{at} + {row_step}*1]",
                    "tdpbssd tmm2, tmm5, tmm6"
                ],
                [
                    "tilestored [{sums} + {sum_step}*1], tmm0",
                    "tilestored [{sums} + {sum_step}*1 + 2048], tmm2"
                ]
            ),
            (false, true) => tiles!(
                strip,
                [
                    "tileloadd tmm0, [{sums} + {sum_step}*1]",
                    "tileloadd tmm1, [{sums} + {sum_step}*1 + 64]"
                ],
                [
                    "tileloadd tmm6, [{tiles} + {line}*1]",
                    "tileloadd tmm4, [{at} + {row_step}*1]",
                    "tdpbssd tmm0, tmm4, tmm6",
                    "tileloadd tmm7, [{tiles} + {line}*1 + 1024]",
                    "tdpbssd tmm1, tmm4, tmm7"
                ],
                [],
                [
                    "tilestored [{sums} + {sum_step}*1], tmm0",
                    "tilestored [{sums} + {sum_step}*1 + 64], tmm1"
                ]
            ),
            (false, false) => tiles!(
                strip,
                ["tileloadd tmm0, [{sums} + {sum_step}*1]"],
                [
                    "tileloadd tmm6, [{tiles} + {line}*1]",
                    "tileloadd tmm4, [{at} + {row_step}*1]",
                    "tdpbssd tmm0, tmm4, tmm6"
                ],
                [],
                ["tilestored [{sums} + {sum_step}*1], tmm0"]
            ),
        }
    }
}
