//! Winograd's minimal filtering (Lavin and Gray, 2016, arXiv:1509.09308) for windows that overlap tap by tap.
//!
//! `Y = Aᵀ[(G·w·Gᵀ) ⊙ (Bᵀ·d·B)]A` for each tile of m×m outputs, d being the (m+r−1)² inputs that they see. Summed over the
//! channels, the product at each of these points is a product of matrices [out, in]·[in, tiles]. F(4×4, 3×3) takes a quarter of
//! the multiplications of the definition, F(4×4, 2×2) 39 %. The weight's gradient is the adjoint of the same chain:
//! `∂w = Gᵀ[Σ (A·∂y·Aᵀ) ⊙ (Bᵀ·d·B)]G`.

use std::{array::from_fn, marker::PhantomData, ops::Range};

use super::{
    super::{features::vectorised, scratch},
    correlation::Correlation,
    gather::{Gather, Source},
    interleaved::take_apart,
    method::{Block, Method, by_phase},
    minimal::Minimal,
    tiles::Run,
};

/// Tiles of a block: four vectors of 16, which is what the product's kernel takes at once.
const BLOCK: usize = 64;
/// Output channels whose weights are read together: where they are turned, neighbours share the lines of the cache.
const SIDE_BY_SIDE: usize = 8;

/// F(OUT×OUT, TAPS×TAPS).
pub(super) struct Winograd<T, const TAPS: usize, const IN: usize, const OUT: usize>(PhantomData<T>);

impl<T, const TAPS: usize, const IN: usize, const OUT: usize> Method for Winograd<T, TAPS, IN, OUT>
where
    T: Minimal<TAPS, IN, OUT>,
{
    const POINTS: usize = IN * IN;
    const OUT: usize = OUT;

    fn rows_a_channel(_: &Correlation) -> usize {
        1
    }

    fn block(_: &Correlation) -> usize {
        BLOCK
    }

    fn columns(
        c: &Correlation,
        x: &Source<'_>,
        inputs: Range<usize>,
        block: &Block<'_>,
        to: &mut [f32],
    ) {
        let row = Self::row(block.len());
        for (phase, channels, to) in by_phase(c, inputs, row, to) {
            let lines = Lines::new(block, IN, OUT, x, |run| run.inputs(phase.offset, x.step));
            transformed::<_, IN, IN, OUT>(&lines, x, channels, to, row, T::input);
        }
    }

    fn weights(c: &Correlation, weight: &[f32], outputs: Range<usize>, to: &mut [f32]) {
        let (count, places) = (c.inputs(), TAPS * TAPS);
        let an_output = places * count;
        let taps = taps::<TAPS>(c);
        let is_turned = c.kernel.output < c.kernel.input;
        let at_once = if is_turned { SIDE_BY_SIDE } else { 1 };
        scratch::with_pieces([at_once * an_output, IN * TAPS * count], |[seen, half]| {
            let outputs: Vec<usize> = outputs.collect();
            let groups = outputs.chunks(at_once);
            for (outputs, to) in groups.zip(to.chunks_mut(at_once * IN * IN * count)) {
                for input in 0..count {
                    let first = c.weights_of(input);
                    for (output, seen) in outputs.iter().zip(seen.chunks_mut(an_output)) {
                        let first = first + output * c.kernel.output;
                        for (tap, place) in taps.iter().enumerate() {
                            seen[tap * count + input] = weight[first.wrapping_add_signed(*place)];
                        }
                    }
                }
                let each = seen.chunks(an_output).zip(to.chunks_mut(IN * IN * count));
                for (seen, to) in each.take(outputs.len()) {
                    along_both::<_, TAPS, IN>(seen, half, to, count, T::weight);
                }
            }
        });
    }

    fn outputs<R>(products: &mut [f32], tiles: usize, body: impl FnOnce(&mut [f32]) -> R) -> R {
        let sizes = [OUT * tiles, IN * OUT * tiles, OUT * OUT * tiles];
        scratch::with_pieces(sizes, |[parts, half, values]| {
            outputs::<_, IN, OUT>(products, parts, half, values, tiles, T::output);
            body(values)
        })
    }

    fn gradients(grad: &Source<'_>, outputs: Range<usize>, block: &Block<'_>, to: &mut [f32]) {
        let lines = Lines::new(block, OUT, OUT, grad, |run| run.outputs(grad.step));
        let row = Self::row(block.len());
        transformed::<_, OUT, IN, OUT>(&lines, grad, outputs, to, row, T::output_adjoint);
    }

    fn weight_gradients(c: &Correlation, sums: &[f32], to: &mut [f32]) {
        let (count, taps) = (c.inputs(), taps::<TAPS>(c));
        scratch::with_pieces([TAPS * IN * count, TAPS * TAPS * count], |[half, seen]| {
            along_both::<_, IN, TAPS>(sums, half, seen, count, T::weight_adjoint);
            for input in 0..count {
                let first = c.weights_of(input);
                for (tap, place) in taps.iter().enumerate() {
                    to[first.wrapping_add_signed(*place)] = seen[tap * count + input];
                }
            }
        });
    }
}

/// Where the taps of a kernel stand, from the first one's place on.
fn taps<const TAPS: usize>(c: &Correlation) -> Vec<isize> {
    let [down, across] = c.kernel.tap;
    (0..TAPS * TAPS)
        .map(|tap| (tap / TAPS) as isize * down + (tap % TAPS) as isize * across)
        .collect()
}

/// The lines of the windows that a block of tiles sees in a channel.
///
/// Line i holds the first `step` pixels of row i of every window, and after them those that the last windows of the runs see beyond.
struct Lines {
    gather: Gather,
    tiles: usize,
    /// Pixels of a line; `step` for each tile, and what comes after them.
    line: usize,
    /// The last tile of each run.
    ends: Vec<usize>,
}

impl Lines {
    fn new(
        block: &Block<'_>,
        window: usize,
        step: usize,
        source: &Source<'_>,
        first: impl Fn(&Run<'_>) -> [isize; 2],
    ) -> Self {
        let (beyond, own) = (window - step, step * block.len());
        let line = own + beyond * block.runs.len();
        let mut gather = Gather::with_capacity(2 * window * block.runs.len());
        for (number, run) in block.runs.iter().enumerate() {
            let [y, x] = first(run);
            let width = run.count * step;
            let after = x.wrapping_add_unsigned(width * source.step[1]);
            for i in 0..window {
                let y = y.wrapping_add_unsigned(i * source.step[0]);
                gather.add(
                    source,
                    run.image,
                    [y, x],
                    width,
                    i * line + run.place * step,
                );
                if beyond > 0 {
                    let to = i * line + own + number * beyond;
                    gather.add(source, run.image, [y, after], beyond, to);
                }
            }
        }
        Self {
            gather,
            tiles: block.len(),
            line,
            ends: block
                .runs
                .iter()
                .map(|run| run.place + run.count - 1)
                .collect(),
        }
    }
}

vectorised! {
    /// Windows of W×W pixels, STEP apart, of some channels through `f` to B×B points: `[channels, B, B, tiles]`, channels `row` apart.
    ///
    /// `f` goes down the lines as they are, and then along each, taken apart.
    fn transformed [F, W, B, STEP] [
        F: Fn([f32; W]) -> [f32; B], const W: usize, const B: usize, const STEP: usize
    ] (
        lines: &Lines,
        source: &Source<'_>,
        channels: Range<usize>,
        to: &mut [f32],
        row: usize,
        f: F,
    ) {
        let Lines { gather, tiles: count, line, ends } = lines;
        let (count, line) = (*count, *line);
        let own = STEP * count;
        scratch::with_pieces([W * line, B * line, W * count], |[seen, half, parts]| {
            gather.clear(seen);
            for (channel, to) in channels.zip(to.chunks_mut(row)) {
                gather.copy(source, channel, seen);
                let rows: [&[f32]; W] = from_fn(|i| &seen[i * line..][..line]);
                along(rows, cut(half, line), line, &f);
                for (line, to) in half.chunks(line).zip(to.chunks_mut(B * count)).take(B) {
                    let (own, beyond) = line.split_at(own);
                    take_apart::<STEP>(own, parts, count);
                    for k in 0..W - STEP {
                        let part = (STEP + k) * count;
                        parts.copy_within(k * count + 1..(k + 1) * count, part);
                        for (end, beyond) in ends.iter().zip(beyond.chunks(W - STEP)) {
                            parts[part + end] = beyond[k];
                        }
                    }
                    let columns: [&[f32]; W] = from_fn(|j| &parts[j * count..][..count]);
                    along(columns, cut(to, count), count, &f);
                }
            }
        });
    }
}

vectorised! {
    /// `[A, A, tiles]` through `f` to the lines `[B, tiles, B]` of outputs.
    fn outputs [F, A, B] [F: Fn([f32; A]) -> [f32; B], const A: usize, const B: usize] (
        from: &[f32],
        parts: &mut [f32],
        half: &mut [f32],
        to: &mut [f32],
        count: usize,
        f: F,
    ) {
        for (row, half) in half.chunks_mut(B * count).enumerate().take(A) {
            let columns: [&[f32]; A] = from_fn(|j| &from[(row * A + j) * count..][..count]);
            along(columns, cut(parts, count), count, &f);
            let parts: [&[f32]; B] = from_fn(|j| &parts[j * count..][..count]);
            put_together(parts, half);
        }
        let rows: [&[f32]; A] = from_fn(|i| &half[i * B * count..][..B * count]);
        along(rows, cut(to, B * count), B * count, &f);
    }
}

/// `to[l·B + j] = from[j][l]`.
#[inline(always)]
fn put_together<const B: usize>(from: [&[f32]; B], to: &mut [f32]) {
    let (to, _) = to.as_chunks_mut::<B>();
    for from in &from {
        assert!(from.len() == to.len());
    }
    for (l, to) in to.iter_mut().enumerate() {
        *to = from_fn(|j| from[j][l]);
    }
}

/// The first pieces of `size` values.
#[inline(always)]
fn cut<const N: usize>(memory: &mut [f32], size: usize) -> [&mut [f32]; N] {
    let mut pieces = memory.chunks_mut(size);
    from_fn(|_| pieces.next().map_or(&mut [][..], |piece| piece))
}

vectorised! {
    /// `f` along the columns and then along the rows of `count` matrices A×A at once, which lie side by side: value (i, j) of
    /// matrix l is at (i·A + j)·count + l. `half` has room for B×A of them.
    fn along_both [F, A, B] [F: Fn([f32; A]) -> [f32; B], const A: usize, const B: usize] (
        from: &[f32],
        half: &mut [f32],
        to: &mut [f32],
        count: usize,
        f: F,
    ) {
        let (row, row_after) = (A * count, B * count);
        let rows: [&[f32]; A] = from_fn(|i| &from[i * row..][..row]);
        along(rows, cut(half, row), row, &f);
        for (from, to) in half.chunks(row).zip(to.chunks_mut(row_after)).take(B) {
            let columns: [&[f32]; A] = from_fn(|j| &from[j * count..][..count]);
            along(columns, cut(to, count), count, &f);
        }
    }
}

#[inline(always)]
fn along<const A: usize, const B: usize>(
    from: [&[f32]; A],
    mut to: [&mut [f32]; B],
    count: usize,
    f: &impl Fn([f32; A]) -> [f32; B],
) {
    // The lengths, once more where the compiler sees them.
    for from in &from {
        assert!(from.len() == count);
    }
    for to in &to {
        assert!(to.len() == count);
    }
    for l in 0..count {
        let values = f(from_fn(|i| from[i][l]));
        for (to, value) in to.iter_mut().zip(values) {
            to[l] = value;
        }
    }
}
