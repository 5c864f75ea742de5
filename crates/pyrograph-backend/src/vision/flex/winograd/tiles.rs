//! Which pixels a tile sees, and where its outputs go.

#![allow(unsafe_code)] // Blocks write their outputs side by side; see `Planes`.

use std::{array::from_fn, marker::PhantomData, ops::Range};

use super::{APART, BLOCK, Minimal, both_axes};
use crate::vision::flex::{conv::Shape, features::vectorised};

/// Pixels of a row that the tiles of a block can see.
const LINE: usize = 4 * BLOCK + 2;

/// The tiles of m×m outputs of a batch, numbered row by row and image by image.
pub(super) struct Tiles {
    batch: usize,
    down: usize,
    across: usize,
}

/// Tiles side by side in one row of one image.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub(super) image: usize,
    row: usize,
    column: usize,
    count: usize,
    /// The place of its first tile in the block.
    place: usize,
}

impl Tiles {
    pub(super) fn new(s: &Shape, m: usize) -> Self {
        Self {
            batch: s.batch,
            down: s.out[0].div_ceil(m),
            across: s.out[1].div_ceil(m),
        }
    }

    /// Ranges of tiles: as many as fill blocks, of nearly one size.
    pub(super) fn blocks(&self) -> Vec<Range<usize>> {
        let tiles = self.batch * self.down * self.across;
        let blocks = tiles.div_ceil(BLOCK);
        let bound = |block: usize| block * tiles / blocks;
        (0..blocks).map(|b| bound(b)..bound(b + 1)).collect()
    }

    /// The runs of a block, in order.
    pub(super) fn runs(&self, block: Range<usize>) -> impl Iterator<Item = Run> + '_ {
        let mut next = block.start;
        std::iter::from_fn(move || {
            if next >= block.end {
                return None;
            }
            let (row, column) = (next / self.across, next % self.across);
            let count = (self.across - column).min(block.end - next);
            let run = Run {
                image: row / self.down,
                row: row % self.down,
                column,
                count,
                place: next - block.start,
            };
            next += count;
            Some(run)
        })
    }

    /// Bᵀ·d·B of every channel of the inputs, as [in, points, tiles] with rows `APART` further apart.
    pub(super) fn transform_inputs<T: Minimal<IN, OUT>, const IN: usize, const OUT: usize>(
        &self,
        s: &Shape,
        x: &[f32],
        block: Range<usize>,
        to: &mut [f32],
        work: &mut [f32],
    ) {
        let source = Source {
            images: x,
            channels: s.channels_in,
            size: s.image,
            padding: s.padding,
        };
        self.transform::<IN, IN, OUT>(&source, block, to, work, T::input);
    }

    /// A·∂y·Aᵀ of every channel of the outputs' gradient, likewise.
    pub(super) fn transform_gradients<T: Minimal<IN, OUT>, const IN: usize, const OUT: usize>(
        &self,
        s: &Shape,
        grad: &[f32],
        block: Range<usize>,
        to: &mut [f32],
        work: &mut [f32],
    ) {
        let source = Source {
            images: grad,
            channels: s.channels_out,
            size: s.out,
            padding: [0; 2],
        };
        self.transform::<OUT, IN, OUT>(&source, block, to, work, T::output_adjoint);
    }

    /// Windows of W×W pixels, `STEP` apart, through `f` to B×B points.
    fn transform<const W: usize, const B: usize, const STEP: usize>(
        &self,
        source: &Source<'_>,
        block: Range<usize>,
        to: &mut [f32],
        work: &mut [f32],
        f: impl Fn([f32; W]) -> [f32; B],
    ) {
        let count = block.len();
        for (channel, to) in to.chunks_mut(B * B * count + APART).enumerate() {
            let (windows, half) = work.split_at_mut(B * B * count);
            for run in self.runs(block.clone()) {
                source.gather::<W, STEP>(channel, run, count, windows);
            }
            points(windows, half, to, count, &f);
        }
    }
}

vectorised! {
    /// Windows of one channel through `f` along both axes.
    fn points [F, W, B] [F: Fn([f32; W]) -> [f32; B], const W: usize, const B: usize] (
        windows: &[f32],
        half: &mut [f32],
        to: &mut [f32],
        count: usize,
        f: F,
    ) {
        both_axes(windows, half, to, count, f);
    }
}

/// Images that windows are taken from.
struct Source<'a> {
    images: &'a [f32],
    channels: usize,
    size: [usize; 2],
    padding: [usize; 2],
}

impl Source<'_> {
    /// The windows of a run: pixel (i, j) of window l is at (i·W + j)·count + l; 0 outside of the image.
    #[inline(always)]
    fn gather<const W: usize, const STEP: usize>(
        &self,
        channel: usize,
        run: Run,
        count: usize,
        windows: &mut [f32],
    ) {
        let [height, width] = self.size;
        let plane = (run.image * self.channels + channel) * height * width;
        let plane = &self.images[plane..][..height * width];
        // The pixels of a row that the run sees, in the padded image.
        let (first, span) = (run.column * STEP, (run.count - 1) * STEP + W);
        let mut padded = [0.0; LINE];
        let padded = &mut padded[..span];
        for i in 0..W {
            let y = (run.row * STEP + i).checked_sub(self.padding[0]);
            let line = match y.filter(|y| *y < height) {
                Some(y) => self.line(&plane[y * width..][..width], first, padded),
                None => {
                    padded.fill(0.0);
                    &*padded
                }
            };
            let mut rows = windows[i * W * count..][..W * count].chunks_mut(count);
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

    /// The pixels of a row of the padded image from `first` on: part of `row` itself where no padding is seen.
    #[inline(always)]
    fn line<'a>(&self, row: &'a [f32], first: usize, padded: &'a mut [f32]) -> &'a [f32] {
        let (padding, span) = (self.padding[1], padded.len());
        if first >= padding && first + span <= row.len() + padding {
            return &row[first - padding..][..span];
        }
        let begin = padding.saturating_sub(first).min(span);
        let end = (row.len() + padding)
            .saturating_sub(first)
            .clamp(begin, span);
        padded[..begin].fill(0.0);
        padded[end..].fill(0.0);
        if begin < end {
            padded[begin..end].copy_from_slice(&row[first + begin - padding..][..end - begin]);
        }
        padded
    }
}

/// The planes of an output, to which the threads write their own tiles.
pub(super) struct Planes<'a> {
    first: *mut f32,
    len: usize,
    size: [usize; 2],
    borrowed: PhantomData<&'a mut [f32]>,
}

// SAFETY: it is a mutable borrow of plain numbers, and `write`'s contract keeps writes apart.
unsafe impl Sync for Planes<'_> {}

impl<'a> Planes<'a> {
    pub(super) fn new(out: &'a mut [f32], size: [usize; 2]) -> Self {
        Self {
            first: out.as_mut_ptr(),
            len: out.len(),
            size,
            borrowed: PhantomData,
        }
    }

    /// Writes the tiles of a run: output (i, j) of tile l comes from (i·OUT + j)·count + l.
    ///
    /// # Safety
    /// No two calls at the same time have the same plane and a common tile.
    #[inline(always)]
    pub(super) unsafe fn write<const OUT: usize>(
        &self,
        plane: usize,
        run: Run,
        values: &[f32],
        count: usize,
    ) {
        let [height, width] = self.size;
        let column = run.column * OUT;
        let columns = (run.count * OUT).min(width - column);
        for i in 0..OUT.min(height - run.row * OUT) {
            let start = (plane * height + run.row * OUT + i) * width + column;
            assert!(start + columns <= self.len, "a row of the output");
            // SAFETY: the row lies in the borrowed slice, as was just checked, and these outputs belong to the tiles of this
            // run, which no other call writes.
            let row = unsafe { std::slice::from_raw_parts_mut(self.first.add(start), columns) };
            let rows = &values[i * OUT * count..][..OUT * count];
            let lines: [&[f32]; OUT] = from_fn(|j| &rows[j * count + run.place..][..run.count]);
            for (l, tile) in row.chunks_mut(OUT).enumerate() {
                for (to, line) in tile.iter_mut().zip(lines) {
                    *to = line[l];
                }
            }
        }
    }
}
