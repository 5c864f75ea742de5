//! A plane as lines of one length with zeros about them.

use std::ops::Range;

use super::{
    super::correlation::{Correlation, Lattice, Planes},
    LANES,
    rows::{Rows, copy_rows, deal, join},
};

/// Values of a band's lines, about: they and their sums stay in the cache nearest to a core.
const BAND: usize = 1 << 12;

/// How correlations of one plane lie in lines.
///
/// The pixels that share a residue by the step are a grid of their own, whose rows follow each other `pitch` apart. What a tap of
/// output `(t, u)` sees is then at `tap + t·pitch + u`: for all outputs one line, of which the last `pitch − columns` of a row mean
/// nothing.
pub(super) struct Layout {
    source: Planes,
    target: Planes,
    step: [usize; 2],
    target_step: [usize; 2],
    /// The row that the first line comes from.
    base: isize,
    /// From one row to the next.
    pitch: usize,
    /// Residues by the step that some tap sees.
    seen: [usize; 2],
    /// Rows of a grid beyond those of the outputs.
    more: usize,
    /// Rows of outputs, of which `a_band` are taken at a time.
    rows: usize,
    a_band: usize,
    /// The values of a line of all residues in turn that lie in the image, and the column of the first of them.
    inside: (Range<usize>, usize),
    lattices: Vec<Lattice>,
    /// Of each correlation.
    pub(super) taps: Vec<Vec<Tap>>,
}

/// Where in the lines what a tap sees begins, and which value of a kernel it has.
#[derive(Clone, Copy)]
pub(super) struct Tap {
    pub(super) place: usize,
    pub(super) weight: usize,
}

/// Rows of outputs that are taken at a time.
#[derive(Clone, Copy)]
pub(super) struct Band {
    first: usize,
    rows: usize,
}

impl Layout {
    /// For correlations of one source and one target, of one phase and one lattice each.
    pub(super) fn new(correlations: &[Correlation]) -> Self {
        let Correlation {
            source,
            target,
            step,
            target_step,
            ..
        } = correlations[0];
        let greatest =
            |of: &dyn Fn(&Correlation) -> usize| correlations.iter().map(of).max().unwrap_or(0);
        let offset = |c: &Correlation, axis: usize| c.phases[0].offset[axis];
        let base = [0, 1].map(|axis| {
            let offsets = correlations.iter().map(|c| offset(c, axis));
            offsets.min().unwrap_or(0)
        });
        // From the base to what tap `tap` of output 0 sees.
        let reach = |c: &Correlation, axis: usize, tap: usize| {
            (offset(c, axis) - base[axis]) as usize + tap * c.tap_step[axis]
        };
        let last = [0, 1].map(|axis| greatest(&|c| reach(c, axis, c.taps[axis].saturating_sub(1))));
        let [rows, columns] = [0, 1].map(|axis| greatest(&|c| c.lattices[0].size[axis]));
        let seen = [0, 1].map(|axis| step[axis].min(last[axis] + 1));
        let pitch = columns + last[1] / step[1];
        let bands = (rows * pitch * seen[0] * seen[1]).div_ceil(BAND);
        let mut layout = Self {
            source,
            target,
            step,
            target_step,
            base: base[0],
            pitch,
            seen,
            more: last[0] / step[0],
            rows,
            a_band: rows.div_ceil(bands),
            inside: inside(base[1], source.size[1], 1, pitch * step[1]),
            lattices: correlations.iter().map(|c| c.lattices[0]).collect(),
            taps: Vec::new(),
        };
        let taps = |c: &Correlation| {
            let pairs = (0..c.taps[0]).flat_map(|a| (0..c.taps[1]).map(move |b| [a, b]));
            let tap = |[a, b]: [usize; 2]| Tap {
                place: layout.place([reach(c, 0, a), reach(c, 1, b)]),
                weight: c.kernel.place(&c.phases[0], 0, 0, [a, b]),
            };
            pairs.map(tap).collect()
        };
        layout.taps = correlations.iter().map(taps).collect();
        layout
    }

    /// Values of a plane of the source and of the target.
    pub(super) fn planes(&self) -> [usize; 2] {
        [self.source.pixels(), self.target.pixels()]
    }

    /// How many planes are fetched one after the other, so that the first of them lies in the cache when its sums begin.
    pub(super) fn at_once(&self) -> usize {
        (BAND / self.lines_len()).max(1)
    }

    pub(super) fn bands(&self) -> impl Iterator<Item = Band> {
        let (rows, a_band) = (self.rows, self.a_band);
        (0..rows).step_by(a_band).map(move |first| Band {
            first,
            rows: a_band.min(rows - first),
        })
    }

    /// Values of the sums of one correlation over a band: rows that follow each other `pitch` apart, made up to whole vectors.
    pub(super) fn sums_len(&self) -> usize {
        (self.a_band * self.pitch).next_multiple_of(LANES)
    }

    /// Values of all sums of a band, after room for them in turn.
    pub(super) fn all_sums_len(&self) -> usize {
        self.joined_len() + self.taps.len() * self.sums_len()
    }

    /// The sums of each correlation.
    #[inline(always)]
    pub(super) fn each_sums<'a>(&self, sums: &'a mut [f32]) -> impl Iterator<Item = &'a mut [f32]> {
        sums[self.joined_len()..].chunks_exact_mut(self.sums_len())
    }

    /// Room for the sums of the residues of a row in turn.
    fn joined_len(&self) -> usize {
        match self.target_step[1] {
            1 => 0,
            step => step * self.sums_len(),
        }
    }

    /// Values of the lines of a band, with room for those of all residues in turn before them, and as much behind them as the last
    /// tap sees there.
    pub(super) fn lines_len(&self) -> usize {
        self.mixed_len() * self.seen[0]
            + self.seen[0] * self.seen[1] * self.grid()
            + self.sums_len()
    }

    /// Room for the lines of one residue of rows and all of columns in turn.
    fn mixed_len(&self) -> usize {
        match self.step[1] {
            1 => 0,
            step => step * self.grid(),
        }
    }

    /// Values of the grid of one residue.
    fn grid(&self) -> usize {
        ((self.a_band + self.more) * self.pitch).next_multiple_of(LANES)
    }

    /// Where the pixel so far from the base lies.
    fn place(&self, reach: [usize; 2]) -> usize {
        let [rows, columns] = [0, 1].map(|axis| reach[axis] % self.step[axis]);
        let [row, column] = [0, 1].map(|axis| reach[axis] / self.step[axis]);
        let grid = (rows * self.seen[1] + columns) * self.grid();
        self.mixed_len() * self.seen[0] + grid + row * self.pitch + column
    }

    /// Fetches what the outputs of a band see, as many rows as a whole one has. What lies outside of the image on the left and on
    /// the right is zero already, and in a plane of one band what lies above and below.
    #[inline(always)]
    pub(super) fn gather(&self, plane: &[f32], band: Band, lines: &mut [f32]) {
        let ([height, width], step) = (self.source.size, self.step[1]);
        let (count, pitch) = (self.a_band + self.more, self.pitch * step);
        let (columns, x) = (self.inside.0.clone(), self.inside.1);
        let (mixed, grids) = lines.split_at_mut(self.mixed_len() * self.seen[0]);
        for residue in 0..self.seen[0] {
            let y = self.base + (band.first * self.step[0] + residue) as isize;
            let (rows, y) = inside(y, height, self.step[0], count);
            let grids = &mut grids[residue * self.seen[1] * self.grid()..];
            let to = match step {
                1 => &mut grids[..count * pitch],
                _ => &mut mixed[residue * self.mixed_len()..][..count * pitch],
            };
            if self.a_band < self.rows {
                to[..rows.start * pitch].fill(0.0);
                to[rows.end * pitch..].fill(0.0);
            }
            if !rows.is_empty() && !columns.is_empty() {
                let from = Rows {
                    values: &plane[y * width + x..],
                    apart: self.step[0] * width,
                };
                let to = &mut to[rows.start * pitch + columns.start..];
                copy_rows([rows.len(), columns.len()], from, to, pitch);
            }
            if step > 1 {
                let mixed = &mixed[residue * self.mixed_len()..][..self.mixed_len()];
                deal(mixed, step, grids, self.grid(), self.seen[1]);
            }
        }
    }

    /// Fetches the outputs' own gradients of a band of rows. What lies between the rows is zero already.
    #[inline(always)]
    pub(super) fn lay_out(&self, grad: &[f32], band: Band, lines: &mut [f32]) {
        let width = self.target.size[1];
        let grad = Rows {
            values: &grad[band.first * width..],
            apart: width,
        };
        copy_rows([band.rows, width], grad, lines, self.pitch);
        lines[band.rows * self.pitch..].fill(0.0);
    }

    /// Takes the sums of a band of rows to where they belong.
    #[inline(always)]
    pub(super) fn spread(&self, sums: &mut [f32], band: Band, out: &mut [f32]) {
        let (width, step) = (self.target.size[1], self.target_step[1]);
        let (joined, mut sums) = sums.split_at_mut(self.joined_len());
        // Correlations whose outputs share their rows follow each other.
        for group in self.lattices.chunk_by(|a, b| a.to[0] == b.to[0]) {
            let (of_group, rest) = sums.split_at_mut(group.len() * self.sums_len());
            sums = rest;
            let [height, _] = group[0].size;
            let rows = band.rows.min(height.saturating_sub(band.first));
            if rows == 0 {
                continue;
            }
            let values = match step {
                1 => &*of_group,
                _ => {
                    join(of_group, group.len(), joined, step);
                    &*joined
                }
            };
            let from = Rows {
                values,
                apart: self.pitch * step,
            };
            let y = group[0].to[0] + band.first * self.target_step[0];
            let out = &mut out[y * width..];
            copy_rows([rows, width], from, out, self.target_step[0] * width);
        }
    }
}

/// Which of `count` values, `step` pixels of an axis of `size` apart from pixel `first` on, lie in the image, and where the first of
/// them lies there.
#[inline(always)]
fn inside(first: isize, size: usize, step: usize, count: usize) -> (Range<usize>, usize) {
    let begin = first.min(0).unsigned_abs().div_ceil(step).min(count);
    let end = ((size as isize - first).max(0) as usize).div_ceil(step);
    let pixel = first + (begin * step) as isize;
    (begin..end.clamp(begin, count), pixel.max(0) as usize)
}
