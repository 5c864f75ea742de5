//! Tiles of outputs, and which pixels they see.

use std::{array::from_fn, ops::Range};

use super::correlation::{Correlation, Lattice, Planes};

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

/// Images that windows are taken from.
pub(super) struct Source<'a> {
    pub(super) images: &'a [f32],
    pub(super) planes: Planes,
    /// Between neighbouring pixels of a window.
    pub(super) step: [usize; 2],
}

impl<'a> Source<'a> {
    /// What the outputs of a correlation see; pixels of a window are `step` apart.
    pub(super) fn inputs(c: &Correlation, x: &'a [f32]) -> Self {
        Self {
            images: x,
            planes: c.source,
            step: c.step,
        }
    }

    /// The gradients of the outputs themselves.
    pub(super) fn outputs(c: &Correlation, grad: &'a [f32]) -> Self {
        Self {
            images: grad,
            planes: c.target,
            step: c.target_step,
        }
    }

    fn plane(&self, image: usize, channel: usize) -> &'a [f32] {
        let size = self.planes.pixels();
        &self.images[(image * self.planes.channels + channel) * size..][..size]
    }

    /// Pixels of row `y` from `x` on, `step[1]` apart; zero outside of the image.
    #[inline(always)]
    fn fill(&self, plane: &[f32], [y, x]: [isize; 2], to: &mut [f32]) {
        let [height, width] = self.planes.size;
        let (step, count) = (self.step[1], to.len());
        let Some(row) = usize::try_from(y).ok().filter(|y| *y < height) else {
            to.fill(0.0);
            return;
        };
        let begin = x.min(0).unsigned_abs().div_ceil(step).min(count);
        let seen = (width as isize - x).max(0) as usize;
        let end = seen.div_ceil(step).clamp(begin, count);
        to[..begin].fill(0.0);
        to[end..].fill(0.0);
        if begin == end {
            return;
        }
        let row = &plane[row * width..][..width];
        let row = &row[x.wrapping_add_unsigned(begin * step) as usize..];
        let to = &mut to[begin..end];
        if step == 1 {
            to.copy_from_slice(&row[..to.len()]);
        } else {
            let pixels = row.iter().step_by(step);
            to.iter_mut().zip(pixels).for_each(|(to, from)| *to = *from);
        }
    }

    /// The same pixels: part of the image where they lie there side by side, else written to `padded`.
    #[inline(always)]
    fn line<'b>(&self, plane: &'b [f32], [y, x]: [isize; 2], padded: &'b mut [f32]) -> &'b [f32] {
        let [height, width] = self.planes.size;
        let within = |at: isize, count: usize, size: usize| at >= 0 && at as usize + count <= size;
        if self.step[1] == 1 && within(y, 1, height) && within(x, padded.len(), width) {
            return &plane[y as usize * width + x as usize..][..padded.len()];
        }
        self.fill(plane, [y, x], padded);
        padded
    }

    /// For each tile of a run the pixel at `offset` from what it sees first: `to[place + l]` for tile l.
    #[inline(always)]
    pub(super) fn pixels(&self, channel: usize, run: &Run<'_>, offset: [isize; 2], to: &mut [f32]) {
        let plane = self.plane(run.image, channel);
        let to = &mut to[run.place..][..run.count];
        self.fill(plane, self.seen(run, offset), to);
    }

    /// The windows of W×W pixels of a run, `STEP` outputs apart: pixel (i, j) of window l goes to (i·W + j)·count + place + l.
    #[inline(always)]
    pub(super) fn windows<const W: usize, const STEP: usize>(
        &self,
        channel: usize,
        run: &Run<'_>,
        offset: [isize; 2],
        count: usize,
        to: &mut [f32],
        padded: &mut [f32],
    ) {
        let plane = self.plane(run.image, channel);
        let [y, x] = self.seen(run, offset);
        let padded = &mut padded[..(run.count - 1) * STEP + W];
        for i in 0..W {
            let y = y.wrapping_add_unsigned(i * self.step[0]);
            let line = self.line(plane, [y, x], padded);
            let mut rows = to[i * W * count..][..W * count].chunks_mut(count);
            let rows: [&mut [f32]; W] = from_fn(|_| rows.next().map_or(&mut [][..], |row| row));
            let mut rows = rows.map(|row| &mut row[run.place..][..run.count]);
            for l in 0..run.count {
                let window = &line[l * STEP..][..W];
                for (row, pixel) in rows.iter_mut().zip(window) {
                    row[l] = *pixel;
                }
            }
        }
    }

    /// The first pixel that a run sees at `offset`.
    #[inline(always)]
    fn seen(&self, run: &Run<'_>, offset: [isize; 2]) -> [isize; 2] {
        let first = [run.row, run.column];
        from_fn(|axis| offset[axis].wrapping_add_unsigned(first[axis] * self.step[axis]))
    }
}

impl Run<'_> {
    /// Where the inputs of the lattice begin, seen from `offset`.
    pub(super) fn from(&self, offset: [isize; 2]) -> [isize; 2] {
        from_fn(|axis| self.lattice.from[axis] + offset[axis])
    }

    /// Where the outputs of the lattice begin.
    pub(super) fn to(&self) -> [isize; 2] {
        self.lattice.to.map(|to| to as isize)
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
