//! Packing and products for processors without instructions for them.

use super::{DEEP, LANES, QUADS, Strip, TILE, WIDE};

/// Writes the tiles of columns whose numbers `number` names by column and place.
pub(super) fn pack(
    tiles: &mut [u8],
    columns: usize,
    pieces: usize,
    number: impl Fn(usize, usize) -> i8,
) {
    let halves = columns.div_ceil(LANES);
    for (tile, to) in tiles.chunks_mut(TILE).enumerate().take(pieces * halves) {
        let (piece, half) = (tile / halves, tile % halves);
        for (place, to) in to.iter_mut().enumerate() {
            let (quad, word) = (place / 4 / LANES, place / 4 % LANES);
            let column = half * LANES + word;
            let of_column = piece * DEEP + quad * 4 + place % 4;
            let value = if column < columns {
                number(column, of_column)
            } else {
                0
            };
            *to = value.cast_unsigned();
        }
    }
}

/// See [`Strip`].
///
/// # Safety
/// As [`Strip`] says.
pub(super) unsafe fn write(strip: &Strip<'_>) {
    // SAFETY: the bytes and the sums are those that the caller promises.
    let (tiles, all) = unsafe {
        (
            std::slice::from_raw_parts(strip.tiles, strip.starts.len() * strip.halves * TILE),
            std::slice::from_raw_parts_mut(strip.sums, strip.count * WIDE),
        )
    };
    for (row, all) in all.chunks_mut(WIDE).enumerate() {
        for half in 0..strip.halves {
            let mut sums = [0_i32; LANES];
            for (piece, start) in strip.starts.iter().enumerate() {
                // SAFETY: the piece of the row is one that the caller promises.
                let bytes = unsafe {
                    std::slice::from_raw_parts(strip.rows.add(row * strip.step + start), DEEP)
                };
                let tile = &tiles[(piece * strip.halves + half) * TILE..][..TILE];
                add_products(bytes, tile, &mut sums);
            }
            let to = &mut all[half * LANES..][..LANES];
            for (to, sum) in to.iter_mut().zip(sums) {
                *to = if strip.add { *to + sum } else { sum };
            }
        }
    }
}

/// Adds the products of a row's piece and a tile.
fn add_products(bytes: &[u8], tile: &[u8], sums: &mut [i32; LANES]) {
    let quads = bytes
        .as_chunks::<4>()
        .0
        .iter()
        .zip(tile.as_chunks::<64>().0);
    for (row, columns) in quads.take(QUADS) {
        let row = row.map(|byte| i32::from(byte.cast_signed()));
        for (sum, column) in sums.iter_mut().zip(columns.as_chunks::<4>().0) {
            for (row, column) in row.iter().zip(column) {
                *sum += row * i32::from(column.cast_signed());
            }
        }
    }
}
