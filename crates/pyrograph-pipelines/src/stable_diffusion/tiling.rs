//! Decoding by overlapping tiles, so that the memory of a decoder does not grow with the picture.

/// Share of a tile that its neighbour covers too.
const OVERLAP: f64 = 0.25;

/// How a plane of latents is cut, as diffusers cuts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tiles {
    /// Side of a tile in latents.
    side: usize,
    /// Latents from one tile's start to the next.
    stride: usize,
    /// Pixels over which two tiles are blended.
    blend: usize,
    /// Pixels that a tile contributes.
    kept: usize,
}

/// A decoded tile: three planes.
#[derive(Clone, Debug, Default)]
pub(super) struct Tile {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) values: Vec<f32>,
}

impl Tiles {
    /// Tiles of `side` latents for a decoder that enlarges by `factor`.
    pub(super) fn new(side: usize, factor: usize) -> Self {
        let pixels = side * factor;
        let blend = (pixels as f64 * OVERLAP) as usize;
        Self {
            side,
            stride: ((side as f64 * (1.0 - OVERLAP)) as usize).max(1),
            blend,
            kept: pixels - blend,
        }
    }

    /// The picture of `height` × `width` latents; `decode` is given the ranges of rows and of columns of each tile.
    pub(super) fn decode<E>(
        &self,
        [height, width]: [usize; 2],
        factor: usize,
        mut decode: impl FnMut([std::ops::Range<usize>; 2]) -> Result<Tile, E>,
    ) -> Result<Tile, E> {
        let mut picture = Tile {
            width: width * factor,
            height: height * factor,
            values: vec![0.0; 3 * width * height * factor * factor],
        };
        let mut above: Vec<Tile> = Vec::new();
        for (row, top) in (0..height).step_by(self.stride).enumerate() {
            let mut tiles: Vec<Tile> = Vec::new();
            for (column, left) in (0..width).step_by(self.stride).enumerate() {
                let rows = top..(top + self.side).min(height);
                let columns = left..(left + self.side).min(width);
                let mut tile = decode([rows, columns])?;
                if let Some(upper) = above.get(column) {
                    tile.blend(upper, self.blend, Direction::Down);
                }
                if let Some(earlier) = tiles.last() {
                    tile.blend(earlier, self.blend, Direction::Right);
                }
                picture.place(&tile, row * self.kept, column * self.kept, self.kept);
                tiles.push(tile);
            }
            above = tiles;
        }
        Ok(picture)
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Down,
    Right,
}

impl Tile {
    fn index(&self, channel: usize, y: usize, x: usize) -> usize {
        (channel * self.height + y) * self.width + x
    }

    /// Fades from the end of `earlier` to the beginning of this tile.
    fn blend(&mut self, earlier: &Self, extent: usize, direction: Direction) {
        let (own, other, across) = match direction {
            Direction::Down => (self.height, earlier.height, self.width.min(earlier.width)),
            Direction::Right => (self.width, earlier.width, self.height.min(earlier.height)),
        };
        let extent = extent.min(own).min(other);
        for channel in 0..3 {
            for step in 0..extent {
                let share = step as f32 / extent as f32;
                for place in 0..across {
                    let (from, to) = match direction {
                        Direction::Down => (
                            earlier.index(channel, other - extent + step, place),
                            self.index(channel, step, place),
                        ),
                        Direction::Right => (
                            earlier.index(channel, place, other - extent + step),
                            self.index(channel, place, step),
                        ),
                    };
                    self.values[to] =
                        earlier.values[from] * (1.0 - share) + self.values[to] * share;
                }
            }
        }
    }

    /// Copies the first `kept` rows and columns of `tile` to (`top`, `left`), as far as they lie inside.
    fn place(&mut self, tile: &Self, top: usize, left: usize, kept: usize) {
        let rows = tile.height.min(kept).min(self.height.saturating_sub(top));
        let columns = tile.width.min(kept).min(self.width.saturating_sub(left));
        for channel in 0..3 {
            for y in 0..rows {
                let (from, to) = (tile.index(channel, y, 0), self.index(channel, top + y, left));
                self.values[to..to + columns].copy_from_slice(&tile.values[from..from + columns]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    /// A decoder whose pixels tell their own place.
    fn decode(factor: usize, [rows, columns]: [std::ops::Range<usize>; 2]) -> Tile {
        let (height, width) = (rows.len() * factor, columns.len() * factor);
        let values = (0..3 * height * width).map(|index| {
            let (y, x) = (index / width % height, index % width);
            ((rows.start * factor + y) * 1000 + columns.start * factor + x) as f32
        });
        Tile {
            width,
            height,
            values: values.collect(),
        }
    }

    #[test]
    fn tiles_of_a_decoder_without_a_view_of_its_neighbours_give_the_whole_picture() {
        for (height, width, side) in [(8, 8, 8), (13, 20, 8), (9, 31, 4), (3, 3, 8)] {
            let factor = 4;
            let whole = decode(factor, [0..height, 0..width]);
            let tiled = Tiles::new(side, factor)
                .decode([height, width], factor, |ranges| {
                    Ok::<_, Infallible>(decode(factor, ranges))
                })
                .unwrap();
            assert_eq!((tiled.width, tiled.height), (whole.width, whole.height));
            for (seen, expected) in tiled.values.iter().zip(&whole.values) {
                assert!((seen - expected).abs() < 0.05, "{seen} {expected}");
            }
        }
    }
}
