//! 3×3 convolutions of stride 1 by Winograd's minimal filtering (Lavin and Gray, 2016, arXiv:1509.09308).
//!
//! `Y = Aᵀ[(G·w·Gᵀ) ⊙ (Bᵀ·d·B)]A` for each tile of m×m outputs, d being the (m+2)×(m+2) inputs that they see. Summed over the
//! channels, the product at each of the (m+2)² points is a product of matrices [out, in]·[in, tiles]. F(4×4) takes a quarter
//! of the multiplications of the definition, F(2×2) four ninths. The weight's gradient is the adjoint of the same chain:
//! `∂w = Gᵀ[Σ (A·∂y·Aᵀ) ⊙ (Bᵀ·d·B)]G`.
//!
//! Tiles are walked in blocks of a size that depends on the shape alone, so results do not depend on the number of threads.
//! The transforms of a block stay in the cache between its steps.
//!
//! Error: F(4×4) in f32 is within 2e-5 of the output's scale for the channel counts of these models, F(2×2) within 3e-6.

#![allow(unsafe_code)] // Blocks write their outputs side by side.

#[cfg(test)]
mod tests;
mod tiles;

use std::array::from_fn;

use rayon::prelude::*;

use super::{
    super::Activation,
    conv::Shape,
    features::vectorised,
    lines::affine,
    product::{Into, Matrix, product_by_distant_rows},
    scratch,
};
use tiles::{Planes, Tiles};

/// Taps of the kernel along an axis.
const TAPS: usize = 3;
/// Fewer channels than these leave the products too thin to pay for the transforms.
const LEAST_CHANNELS: usize = 8;
/// Tiles of a block: four vectors of 16, which is what the product's kernel takes at once.
const BLOCK: usize = 64;
/// Values between the rows of a product beyond their own, so that rows do not fall on the same sets of the cache.
const APART: usize = 16;
/// Parts of the sum of a weight gradient, each with an accumulator of its own.
const WEIGHT_PARTS: usize = 8;
/// Values of all those accumulators together (128 MiB); larger weights go another way.
const ACCUMULATED: usize = 1 << 25;

/// One-dimensional F(OUT, 3) over IN = OUT + 2 points: the matrices A, B and G of the formula, as straight-line arithmetic.
trait Minimal<const IN: usize, const OUT: usize>: Sync {
    /// Bᵀ·d.
    fn input(d: [f32; IN]) -> [f32; IN];
    /// G·w.
    fn weight(w: [f32; TAPS]) -> [f32; IN];
    /// Aᵀ·m.
    fn output(m: [f32; IN]) -> [f32; OUT];
    /// A·∂y.
    fn output_adjoint(dy: [f32; OUT]) -> [f32; IN];
    /// Gᵀ·u.
    fn weight_adjoint(u: [f32; IN]) -> [f32; TAPS];
}

/// F(4, 3) at the points 0, ±1, ±2 and ∞.
struct Four;

impl Minimal<6, 4> for Four {
    #[inline(always)]
    fn input([a, b, c, d, e, f]: [f32; 6]) -> [f32; 6] {
        let (even, odd) = (e - 4.0 * c, d - 4.0 * b);
        let (near, twice) = (e - c, 2.0 * (d - b));
        [
            4.0 * a - 5.0 * c + e,
            even + odd,
            even - odd,
            near + twice,
            near - twice,
            4.0 * b - 5.0 * d + f,
        ]
    }

    #[inline(always)]
    fn weight([a, b, c]: [f32; TAPS]) -> [f32; 6] {
        let (outer, wide) = ((a + c) * (-1.0 / 6.0), a * (1.0 / 24.0) + c * (1.0 / 6.0));
        let (middle, half) = (b * (1.0 / 6.0), b * (1.0 / 12.0));
        [
            0.25 * a,
            outer - middle,
            outer + middle,
            wide + half,
            wide - half,
            c,
        ]
    }

    #[inline(always)]
    fn output([a, b, c, d, e, f]: [f32; 6]) -> [f32; 4] {
        let (near, near_odd, far, far_odd) = (b + c, b - c, d + e, d - e);
        [
            a + near + far,
            near_odd + 2.0 * far_odd,
            near + 4.0 * far,
            near_odd + 8.0 * far_odd + f,
        ]
    }

    #[inline(always)]
    fn output_adjoint([a, b, c, d]: [f32; 4]) -> [f32; 6] {
        let (even, odd) = (a + c, b + d);
        let (far_even, far_odd) = (a + 4.0 * c, 2.0 * b + 8.0 * d);
        [
            a,
            even + odd,
            even - odd,
            far_even + far_odd,
            far_even - far_odd,
            d,
        ]
    }

    #[inline(always)]
    fn weight_adjoint([a, b, c, d, e, f]: [f32; 6]) -> [f32; TAPS] {
        let (near, far) = ((b + c) * (1.0 / 6.0), d + e);
        [
            0.25 * a - near + far * (1.0 / 24.0),
            (c - b) * (1.0 / 6.0) + (d - e) * (1.0 / 12.0),
            f - near + far * (1.0 / 6.0),
        ]
    }
}

/// F(2, 3) at the points 0, ±1 and ∞.
struct Two;

impl Minimal<4, 2> for Two {
    #[inline(always)]
    fn input([a, b, c, d]: [f32; 4]) -> [f32; 4] {
        [a - c, b + c, c - b, b - d]
    }

    #[inline(always)]
    fn weight([a, b, c]: [f32; TAPS]) -> [f32; 4] {
        let outer = 0.5 * (a + c);
        [a, outer + 0.5 * b, outer - 0.5 * b, c]
    }

    #[inline(always)]
    fn output([a, b, c, d]: [f32; 4]) -> [f32; 2] {
        [a + b + c, b - c - d]
    }

    #[inline(always)]
    fn output_adjoint([a, b]: [f32; 2]) -> [f32; 4] {
        [a, a + b, a - b, -b]
    }

    #[inline(always)]
    fn weight_adjoint([a, b, c, d]: [f32; 4]) -> [f32; TAPS] {
        let sum = 0.5 * (b + c);
        [a + sum, 0.5 * (b - c), d + sum]
    }
}

/// Which F(m×m) pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    Four,
    Two,
}

impl Plan {
    /// The plan for a shape; none where the definition is better or the formula does not hold.
    pub(super) fn new(s: &Shape) -> Option<Self> {
        let holds = s.kernel == [TAPS; 2] && s.stride == [1, 1] && s.dilation == [1, 1];
        if !holds || s.channels_in.min(s.channels_out) < LEAST_CHANNELS {
            return None;
        }
        let products = |m: usize| {
            let tiles = s.out[0].div_ceil(m) * s.out[1].div_ceil(m);
            tiles * (m + 2) * (m + 2)
        };
        let (four, two) = (products(4), products(2));
        (four.min(two) < s.out_plane() * TAPS * TAPS).then_some(if four <= two {
            Self::Four
        } else {
            Self::Two
        })
    }
}

/// Convolution, bias and activation. `weight` [out, in, 3, 3].
pub(super) fn forward(
    plan: Plan,
    s: &Shape,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    act: Activation,
) -> Vec<f32> {
    match plan {
        Plan::Four => forward_by::<Four, 6, 4>(s, x, weight, bias, act),
        Plan::Two => forward_by::<Two, 4, 2>(s, x, weight, bias, act),
    }
}

/// ∂weight [out, in, 3, 3]; none where the sum of the products would take too much memory.
pub(super) fn weight_gradient(plan: Plan, s: &Shape, x: &[f32], grad: &[f32]) -> Option<Vec<f32>> {
    match plan {
        Plan::Four => weight_gradient_by::<Four, 6, 4>(s, x, grad),
        Plan::Two => weight_gradient_by::<Two, 4, 2>(s, x, grad),
    }
}

fn forward_by<T: Minimal<IN, OUT>, const IN: usize, const OUT: usize>(
    s: &Shape,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    act: Activation,
) -> Vec<f32> {
    let weight = transformed_weight::<T, IN, OUT>(s, weight);
    let weight_step = IN * IN * s.channels_in;
    let tiles = Tiles::new(s, OUT);
    let mut out = vec![0.0; s.batch * s.channels_out * s.out_plane()];
    let planes = Planes::new(&mut out, s.out);
    tiles.blocks().into_par_iter().for_each(|block| {
        let count = block.len();
        let step = IN * IN * count + APART;
        let sizes = [
            s.channels_in * step,
            s.channels_out * step,
            2 * IN * IN * count,
        ];
        scratch::with(sizes.iter().sum(), |memory| {
            let [inputs, products, work] = cut(memory, sizes);
            tiles.transform_inputs::<T, IN, OUT>(s, x, block.clone(), inputs, work);
            for point in 0..IN * IN {
                let (from_weight, from) = (point * s.channels_in, point * count);
                product_by_distant_rows(
                    &mut products[from..],
                    step,
                    Matrix::by_distant_rows(
                        &weight[from_weight..],
                        s.channels_out,
                        s.channels_in,
                        weight_step,
                    ),
                    Matrix::by_distant_rows(&inputs[from..], s.channels_in, count, step),
                    Into::Overwrite,
                );
            }
            let (half, values) = work.split_at_mut(IN * IN * count);
            for (channel, products) in products.chunks(step).enumerate() {
                let values = &mut values[..OUT * OUT * count];
                outputs::<T, IN, OUT>(products, half, values, count);
                let bias = bias.map_or(0.0, |bias| bias[channel]);
                if bias != 0.0 || act != Activation::Identity {
                    finish(values, bias, act);
                }
                for run in tiles.runs(block.clone()) {
                    let plane = run.image * s.channels_out + channel;
                    // SAFETY: a tile is in one block only, and a thread has the block for itself.
                    unsafe { planes.write::<OUT>(plane, run, values, count) };
                }
            }
        });
    });
    out
}

fn weight_gradient_by<T: Minimal<IN, OUT>, const IN: usize, const OUT: usize>(
    s: &Shape,
    x: &[f32],
    grad: &[f32],
) -> Option<Vec<f32>> {
    let step = IN * IN * s.channels_in;
    let size = s.channels_out * step;
    let tiles = Tiles::new(s, OUT);
    let blocks = tiles.blocks();
    let parts = WEIGHT_PARTS.min(blocks.len()).min(ACCUMULATED / size);
    if parts < 2 {
        return None;
    }
    let sums: Vec<Vec<f32>> = blocks
        .par_chunks(blocks.len().div_ceil(parts))
        .map(|blocks| {
            let mut sum = vec![0.0; size];
            for block in blocks {
                let count = block.len();
                let row = IN * IN * count + APART;
                let sizes = [
                    s.channels_in * row,
                    s.channels_out * row,
                    2 * IN * IN * count,
                ];
                scratch::with(sizes.iter().sum(), |memory| {
                    let [inputs, grads, work] = cut(memory, sizes);
                    tiles.transform_inputs::<T, IN, OUT>(s, x, block.clone(), inputs, work);
                    tiles.transform_gradients::<T, IN, OUT>(s, grad, block.clone(), grads, work);
                    for point in 0..IN * IN {
                        let from = point * count;
                        let inputs =
                            Matrix::by_distant_rows(&inputs[from..], s.channels_in, count, row);
                        product_by_distant_rows(
                            &mut sum[point * s.channels_in..],
                            step,
                            Matrix::by_distant_rows(&grads[from..], s.channels_out, count, row),
                            inputs.transposed(),
                            Into::Add,
                        );
                    }
                });
            }
            sum
        })
        .collect();
    let mut out = vec![0.0; s.channels_out * s.channels_in * TAPS * TAPS];
    out.par_chunks_mut(s.channels_in * TAPS * TAPS)
        .enumerate()
        .for_each(|(channel, out)| {
            let count = s.channels_in;
            let sizes = [step, step, TAPS * TAPS * count];
            scratch::with(sizes.iter().sum(), |memory| {
                let [total, half, taps] = cut(memory, sizes);
                total.fill(0.0);
                for sum in &sums {
                    add(total, &sum[channel * step..]);
                }
                taps_of::<T, IN, OUT>(total, half, taps, count);
                for (input, out) in out.chunks_mut(TAPS * TAPS).enumerate() {
                    for (tap, out) in out.iter_mut().enumerate() {
                        *out = taps[tap * count + input];
                    }
                }
            });
        });
    Some(out)
}

/// G·w·Gᵀ as [out, points, in].
fn transformed_weight<T: Minimal<IN, OUT>, const IN: usize, const OUT: usize>(
    s: &Shape,
    weight: &[f32],
) -> Vec<f32> {
    let count = s.channels_in;
    let mut out = vec![0.0; s.channels_out * IN * IN * count];
    out.par_chunks_mut(IN * IN * count)
        .zip(weight.par_chunks(count * TAPS * TAPS))
        .for_each(|(out, weight)| {
            let sizes = [TAPS * TAPS * count, IN * TAPS * count];
            scratch::with(sizes.iter().sum(), |memory| {
                let [taps, half] = cut(memory, sizes);
                for (input, weight) in weight.chunks(TAPS * TAPS).enumerate() {
                    for (tap, value) in weight.iter().enumerate() {
                        taps[tap * count + input] = *value;
                    }
                }
                points_of::<T, IN, OUT>(taps, half, out, count);
            });
        });
    out
}

vectorised! {
    /// Aᵀ·m·A of one channel.
    fn outputs [T, IN, OUT] [T: Minimal<IN, OUT>, const IN: usize, const OUT: usize] (
        products: &[f32],
        half: &mut [f32],
        values: &mut [f32],
        count: usize,
    ) {
        both_axes(products, half, values, count, T::output);
    }
}

vectorised! {
    /// Bias and activation of one channel.
    fn finish(values: &mut [f32], bias: f32, act: Activation) {
        affine(values, 1.0, bias, act);
    }
}

vectorised! {
    /// G·w·Gᵀ of the weights of one output channel.
    fn points_of [T, IN, OUT] [T: Minimal<IN, OUT>, const IN: usize, const OUT: usize] (
        taps: &[f32],
        half: &mut [f32],
        points: &mut [f32],
        count: usize,
    ) {
        both_axes(taps, half, points, count, T::weight);
    }
}

vectorised! {
    /// Gᵀ·u·G of the weights of one output channel.
    fn taps_of [T, IN, OUT] [T: Minimal<IN, OUT>, const IN: usize, const OUT: usize] (
        points: &[f32],
        half: &mut [f32],
        taps: &mut [f32],
        count: usize,
    ) {
        both_axes(points, half, taps, count, T::weight_adjoint);
    }
}

vectorised! {
    /// Adds `values` to `total`.
    fn add(total: &mut [f32], values: &[f32]) {
        total.iter_mut().zip(values).for_each(|(total, v)| *total += v);
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
    f: impl Fn([f32; A]) -> [f32; B],
) {
    for column in 0..A {
        let from: [&[f32]; A] = from_fn(|i| &from[(i * A + column) * count..][..count]);
        let mut rows = half.chunks_mut(A * count);
        let to: [&mut [f32]; B] = from_fn(|_| match rows.next() {
            Some(row) => &mut row[column * count..][..count],
            None => &mut [],
        });
        along(from, to, count, &f);
    }
    for (from, to) in half.chunks(A * count).zip(to.chunks_mut(B * count)).take(B) {
        let from: [&[f32]; A] = from_fn(|i| &from[i * count..][..count]);
        let mut columns = to.chunks_mut(count);
        let to: [&mut [f32]; B] = from_fn(|_| columns.next().map_or(&mut [][..], |c| c));
        along(from, to, count, &f);
    }
}

#[inline(always)]
fn along<const A: usize, const B: usize>(
    from: [&[f32]; A],
    mut to: [&mut [f32]; B],
    count: usize,
    f: impl Fn([f32; A]) -> [f32; B],
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

/// `memory` cut into pieces of these sizes.
fn cut<const N: usize>(memory: &mut [f32], sizes: [usize; N]) -> [&mut [f32]; N] {
    let mut rest = memory;
    sizes.map(|size| {
        let (piece, after) = std::mem::take(&mut rest).split_at_mut(size);
        rest = after;
        piece
    })
}
