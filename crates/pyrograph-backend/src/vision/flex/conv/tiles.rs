//! Tiles of outputs, and which pixels they see.

use std::ops::Range;

use super::correlation::{Correlation, Lattice};

/// The tiles of m×m outputs of a batch, numbered image by image, lattice by lattice and row by row.
pub(super) struct Tiles {
    m: usize,
    lattices: Vec<Tiled>,
    batch: usize,
    /// Tiles of one image.
    an_image: usize,
}

struct Tiled {
    lattice: Lattice,
    /// The number of its first tile.
    first: usize,
    across: usize,
    count: usize,
}

/// Tiles side by side in one row of one lattice of one image.
pub(super) struct Run<'a> {
    pub(super) image: usize,
    lattice: &'a Lattice,
    /// The first output, in the lattice.
    row: usize,
    column: usize,
    pub(super) count: usize,
    /// The place of its first tile in the block.
    pub(super) place: usize,
}

impl Tiles {
    pub(super) fn new(c: &Correlation, m: usize) -> Self {
        let mut first = 0;
        let lattices = c.lattices.iter().map(|lattice| {
            let [down, across] = lattice.size.map(|size| size.div_ceil(m));
            let count = down * across;
            let tiled = Tiled {
                lattice: *lattice,
                first,
                across,
                count,
            };
            first += count;
            tiled
        });
        let lattices = lattices.collect();
        Self {
            m,
            lattices,
            batch: c.batch,
            an_image: first,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.batch * self.an_image
    }

    /// Ranges of at most `size` tiles, of nearly one size.
    pub(super) fn blocks(&self, size: usize) -> Vec<Range<usize>> {
        let tiles = self.count();
        let blocks = tiles.div_ceil(size);
        let bound = |block: usize| block * tiles / blocks;
        (0..blocks).map(|b| bound(b)..bound(b + 1)).collect()
    }

    /// The runs of a block, in order.
    pub(super) fn runs(&self, block: Range<usize>) -> impl Iterator<Item = Run<'_>> {
        let mut next = block.start;
        std::iter::from_fn(move || {
            if next >= block.end {
                return None;
            }
            let (image, tile) = (next / self.an_image, next % self.an_image);
            let tiled = self.lattices.iter().find(|t| tile < t.first + t.count)?;
            let tile = tile - tiled.first;
            let (row, column) = (tile / tiled.across, tile % tiled.across);
            let count = (tiled.across - column).min(block.end - next);
            let run = Run {
                image,
                lattice: &tiled.lattice,
                row: row * self.m,
                column: column * self.m,
                count,
                place: next - block.start,
            };
            next += count;
            Some(run)
        })
    }
}

impl Run<'_> {
    /// The pixel that the first tile sees first, in the source that these are the steps and the offset of.
    fn first(&self, begin: [isize; 2], step: [usize; 2]) -> [isize; 2] {
        [
            begin[0].wrapping_add_unsigned(self.row * step[0]),
            begin[1].wrapping_add_unsigned(self.column * step[1]),
        ]
    }

    /// Where a tile's inputs begin, `step` lying between those of neighbouring outputs.
    pub(super) fn inputs(&self, offset: [isize; 2], step: [usize; 2]) -> [isize; 2] {
        let begin = [0, 1].map(|axis| self.lattice.from[axis] + offset[axis]);
        self.first(begin, step)
    }

    /// Where its outputs begin.
    pub(super) fn outputs(&self, step: [usize; 2]) -> [isize; 2] {
        self.first(self.lattice.to.map(|to| to as isize), step)
    }

    /// The rows of outputs of a run that the lattice has, of tiles of m×m: their first place in a plane of this width, the distance
    /// of two places, and the number of rows and columns.
    #[inline(always)]
    pub(super) fn targets(&self, m: usize, width: usize, step: [usize; 2]) -> Targets {
        let [rows, columns] = self.lattice.size;
        let row = self.lattice.to[0] + self.row * step[0];
        let column = self.lattice.to[1] + self.column * step[1];
        Targets {
            first: row * width + column,
            apart: [step[0] * width, step[1]],
            rows: m.min(rows - self.row),
            columns: (self.count * m).min(columns - self.column),
        }
    }
}

/// Where in a plane the outputs of a run go.
pub(super) struct Targets {
    pub(super) first: usize,
    pub(super) apart: [usize; 2],
    pub(super) rows: usize,
    pub(super) columns: usize,
}
