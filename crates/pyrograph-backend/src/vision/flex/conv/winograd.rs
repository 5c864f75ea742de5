//! Winograd's minimal filtering (Lavin and Gray, 2016, arXiv:1509.09308) for windows that overlap tap by tap.
//!
//! `Y = Aᵀ[(G·w·Gᵀ) ⊙ (Bᵀ·d·B)]A` for each tile of m×m outputs, d being the (m+r−1)² inputs that they see. Summed over the
//! channels, the product at each of these points is a product of matrices [out, in]·[in, tiles]. F(4×4, 3×3) takes a quarter of
//! the multiplications of the definition, F(4×4, 2×2) 39 %. The weight's gradient is the adjoint of the same chain:
//! `∂w = Gᵀ[Σ (A·∂y·Aᵀ) ⊙ (Bᵀ·d·B)]G`.

use std::{array::from_fn, marker::PhantomData};

use super::{
    super::{features::vectorised, scratch},
    correlation::Correlation,
    method::{Block, Method},
    minimal::Minimal,
    tiles::Source,
};

/// Tiles of a block: four vectors of 16, which is what the product's kernel takes at once.
const BLOCK: usize = 64;

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

    fn columns(c: &Correlation, x: &Source<'_>, input: usize, block: &Block<'_>, to: &mut [f32]) {
        let phase = &c.phases[input / c.source.channels];
        let from = From {
            source: x,
            channel: input % c.source.channels,
            offset: Some(phase.offset),
        };
        transformed::<_, IN, IN, OUT>(from, block, to, T::input);
    }

    fn weights(c: &Correlation, weight: &[f32], output: usize, to: &mut [f32]) {
        let count = c.inputs();
        scratch::with_pieces([TAPS * TAPS * count, IN * TAPS * count], |[taps, half]| {
            let places = Places::<TAPS>::of(c);
            for (input, phase, channel) in places.inputs() {
                for (tap, place) in places.of_taps(phase, output, channel).enumerate() {
                    taps[tap * count + input] = weight[place];
                }
            }
            along_both::<_, TAPS, IN>(taps, half, to, count, T::weight);
        });
    }

    fn outputs<R>(products: &mut [f32], tiles: usize, body: impl FnOnce(&mut [f32]) -> R) -> R {
        scratch::with_pieces([OUT * IN * tiles, OUT * OUT * tiles], |[half, values]| {
            along_both::<_, IN, OUT>(products, half, values, tiles, T::output);
            body(values)
        })
    }

    fn gradients(grad: &Source<'_>, output: usize, block: &Block<'_>, to: &mut [f32]) {
        let from = From {
            source: grad,
            channel: output,
            offset: None,
        };
        transformed::<_, OUT, IN, OUT>(from, block, to, T::output_adjoint);
    }

    fn weight_gradients(c: &Correlation, sums: &[f32], to: &mut [f32]) {
        let count = c.inputs();
        scratch::with_pieces([TAPS * IN * count, TAPS * TAPS * count], |[half, taps]| {
            along_both::<_, IN, TAPS>(sums, half, taps, count, T::weight_adjoint);
            let places = Places::<TAPS>::of(c);
            for (input, phase, channel) in places.inputs() {
                for (tap, place) in places.of_taps(phase, 0, channel).enumerate() {
                    to[place] = taps[tap * count + input];
                }
            }
        });
    }
}

/// Where the taps of a kernel stand.
struct Places<'a, const TAPS: usize>(&'a Correlation);

impl<'a, const TAPS: usize> Places<'a, TAPS> {
    fn of(c: &'a Correlation) -> Self {
        Self(c)
    }

    /// Every input as its number, phase and channel.
    fn inputs(&self) -> impl Iterator<Item = (usize, usize, usize)> + use<TAPS> {
        let channels = self.0.source.channels;
        (0..self.0.inputs()).map(move |input| (input, input / channels, input % channels))
    }

    fn of_taps(&self, phase: usize, output: usize, channel: usize) -> impl Iterator<Item = usize> {
        let phase = &self.0.phases[phase];
        (0..TAPS * TAPS).map(move |tap| {
            let tap = [tap / TAPS, tap % TAPS];
            self.0.kernel.place(phase, output, channel, tap)
        })
    }
}

/// A channel of images, and where the first output's window begins: at an offset from where a lattice's inputs do, or where its
/// outputs do.
struct From<'a> {
    source: &'a Source<'a>,
    channel: usize,
    offset: Option<[isize; 2]>,
}

vectorised! {
    /// Windows of W×W pixels, STEP apart, through `f` to B×B points: `[B, B, tiles]`.
    fn transformed [F, W, B, STEP] [
        F: Fn([f32; W]) -> [f32; B], const W: usize, const B: usize, const STEP: usize
    ] (from: From<'_>, block: &Block<'_>, to: &mut [f32], f: F) {
        let count = block.len();
        let sizes = [W * W * count, B * W * count, count * STEP + W];
        scratch::with_pieces(sizes, |[windows, half, padded]| {
            for run in &block.runs {
                let offset = from.offset.map_or(run.to(), |offset| run.from(offset));
                from.source.windows::<W, STEP>(from.channel, run, offset, count, windows, padded);
            }
            both_axes(windows, half, to, count, &f);
        });
    }
}

vectorised! {
    /// `f` along both axes of `count` matrices A×A; see [`both_axes`].
    fn along_both [F, A, B] [F: Fn([f32; A]) -> [f32; B], const A: usize, const B: usize] (
        from: &[f32],
        half: &mut [f32],
        to: &mut [f32],
        count: usize,
        f: F,
    ) {
        both_axes(from, half, to, count, &f);
    }
}

/// `f` along the columns and then along the rows of `count` matrices A×A at once, which lie side by side: value (i, j) of
/// matrix l is at (i·A + j)·count + l. `half` has room for B×A of them.
#[inline(always)]
fn both_axes<const A: usize, const B: usize>(
    from: &[f32],
    half: &mut [f32],
    to: &mut [f32],
    count: usize,
    f: &impl Fn([f32; A]) -> [f32; B],
) {
    for column in 0..A {
        let from: [&[f32]; A] = from_fn(|i| &from[(i * A + column) * count..][..count]);
        let mut rows = half.chunks_mut(A * count);
        let to: [&mut [f32]; B] = from_fn(|_| match rows.next() {
            Some(row) => &mut row[column * count..][..count],
            None => &mut [],
        });
        along(from, to, count, f);
    }
    for (from, to) in half
        .chunks(A * count)
        .zip(to.chunks_mut(B * count))
        .take(B)
    {
        let from: [&[f32]; A] = from_fn(|i| &from[i * count..][..count]);
        let mut columns = to.chunks_mut(count);
        let to: [&mut [f32]; B] = from_fn(|_| columns.next().map_or(&mut [][..], |c| c));
        along(from, to, count, f);
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
