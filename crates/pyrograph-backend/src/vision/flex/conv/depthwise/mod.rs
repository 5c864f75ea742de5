//! Convolutions in which every channel has a kernel of its own and sees no other (depthwise; Howard et al., 2017).
//!
//! There is too little arithmetic for a matrix product: nine multiplications to an output. A plane is laid out in lines of one
//! length with zeros about it (see [`layout`]), so that every tap is one line that runs on over all rows, and an output row of ten
//! pixels costs no more than its share. What the sums at the ends of rows come to is left behind.
//!
//! Planes go to threads in fixed blocks and sums are added up in the order of the planes: a result does not depend on the number
//! of threads.

mod layout;
mod rows;
#[cfg(test)]
mod tests;

use rayon::prelude::*;

use super::{
    super::{super::Activation, features::vectorised, lines::affine, math::fused, scratch},
    Finish, Shape,
    correlation::Correlation,
};
use layout::{Layout, Tap};

/// Values that go to a thread at once, in whole planes: enough to be worth its while.
const BLOCK: usize = 1 << 14;
/// Sums that are taken at once: some whole vectors of every machine.
const LANES: usize = 32;
/// Taps whose sums of products with the gradient are taken at once.
const AT_ONCE: usize = 3;

/// Convolution, bias and activation. `weight` [channels, 1, kh, kw].
pub(super) fn forward(s: &Shape, x: &[f32], weight: &[f32], finish: Finish<'_>, out: &mut [f32]) {
    let plane = [Correlation::of(&s.of_a_plane())];
    correlate(&Layout::new(&plane), s.channels_in, x, weight, finish, out);
}

/// ∂x [batch, channels, height, width], or a transposed convolution.
pub(super) fn input_gradient(
    s: &Shape,
    weight: &[f32],
    grad: &[f32],
    finish: Finish<'_>,
    out: &mut [f32],
) {
    let residues = Correlation::input_gradients(&s.of_a_plane());
    correlate(
        &Layout::new(&residues),
        s.channels_in,
        grad,
        weight,
        finish,
        out,
    );
}

/// ∂weight [channels, 1, kh, kw]. One number of a channel that is not finite may make the gradients of all its taps no numbers, also
/// of those that did not see it: what lies between the rows is multiplied by zero.
pub(super) fn weight_gradient(s: &Shape, x: &[f32], grad: &[f32], out: &mut [f32]) {
    let layout = Layout::new(&[Correlation::of(&s.of_a_plane())]);
    let area = s.kernel[0] * s.kernel[1];
    let mut sums = vec![0.0; s.batch * s.channels_in * area];
    products(&layout, x, grad, &mut sums);
    for (place, out) in out.iter_mut().enumerate() {
        let items = sums[place..].iter().step_by(s.channels_in * area);
        *out = items.map(|sum| f64::from(*sum)).sum::<f64>() as f32;
    }
}

/// How many planes of these sizes make a block.
fn planes_a_block(sizes: [usize; 2]) -> usize {
    (BLOCK / sizes[0].max(sizes[1])).max(1)
}

vectorised! {
    /// The correlations of `layout` for every plane of `x`, with the kernel of its channel.
    fn correlate(
        layout: &Layout,
        channels: usize,
        x: &[f32],
        weight: &[f32],
        finish: Finish<'_>,
        out: &mut [f32],
    ) {
        let [from, to] = layout.planes();
        let planes = planes_a_block([from, to]);
        let area = weight.len() / channels;
        let at_once = layout.at_once();
        let (lines_len, sums_len) = (layout.lines_len(), layout.all_sums_len());
        let block = |(block, (x, out)): (usize, (&[f32], &mut [f32]))| {
            let pairs = x.chunks(at_once * from).zip(out.chunks_mut(at_once * to));
            scratch::with_pieces([at_once * lines_len, at_once * sums_len], |[lines, sums]| {
                lines.fill(0.0);
                for (place, (x, out)) in pairs.enumerate() {
                    let first = block * planes + place * at_once;
                    for band in layout.bands() {
                        for (x, lines) in x.chunks(from).zip(lines.chunks_mut(lines_len)) {
                            layout.gather(x, band, lines);
                        }
                        let each = lines.chunks(lines_len).zip(sums.chunks_mut(sums_len));
                        for (number, (lines, sums)) in each.take(x.len() / from).enumerate() {
                            let channel = (first + number) % channels;
                            let kernel = &weight[channel * area..][..area];
                            for (taps, sums) in layout.taps.iter().zip(layout.each_sums(sums)) {
                                correlate_lines::<FUSED>(taps, kernel, finish.of(channel), lines, sums);
                                if finish.act != Activation::Identity {
                                    affine::<FUSED>(None, sums, 1.0, 0.0, finish.act);
                                }
                            }
                        }
                        for (out, sums) in out.chunks_mut(to).zip(sums.chunks_mut(sums_len)) {
                            layout.spread(sums, band, out);
                        }
                    }
                }
            });
        };
        x.par_chunks(planes * from)
            .zip(out.par_chunks_mut(planes * to))
            .enumerate()
            .for_each(block);
    }
}

/// `sums[i] = shift + Σ scale·kernel[tap]·lines[tap + i]`.
#[inline(always)]
fn correlate_lines<const FUSED: bool>(
    taps: &[Tap],
    kernel: &[f32],
    (scale, shift): (f32, f32),
    lines: &[f32],
    sums: &mut [f32],
) {
    let numbers = (scale, shift);
    // 3×3, and what a stride of 2 leaves of it.
    if let Ok(taps) = taps.try_into() {
        correlate_few::<FUSED, 9>(taps, kernel, numbers, lines, sums);
    } else if let Ok(taps) = taps.try_into() {
        correlate_few::<FUSED, 4>(taps, kernel, numbers, lines, sums);
    } else if let Ok(taps) = taps.try_into() {
        correlate_few::<FUSED, 2>(taps, kernel, numbers, lines, sums);
    } else if let Ok(taps) = taps.try_into() {
        correlate_few::<FUSED, 1>(taps, kernel, numbers, lines, sums);
    } else {
        correlate_many::<FUSED>(taps, kernel, numbers, lines, sums);
    }
}

/// [`correlate_lines`] with all taps in one loop.
#[inline(always)]
fn correlate_few<const FUSED: bool, const TAPS: usize>(
    taps: &[Tap; TAPS],
    kernel: &[f32],
    (scale, shift): (f32, f32),
    lines: &[f32],
    sums: &mut [f32],
) {
    let mut seen = [[].as_slice(); TAPS];
    let mut weights = [0.0; TAPS];
    for tap in 0..TAPS {
        seen[tap] = line(lines, taps[tap], sums.len());
        weights[tap] = kernel[taps[tap].weight] * scale;
    }
    for (at, sums) in sums.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        let mut lanes = [shift; LANES];
        for tap in 0..TAPS {
            add_product::<FUSED>(&mut lanes, &seen[tap][at], &[weights[tap]; LANES]);
        }
        *sums = lanes;
    }
}

/// [`correlate_lines`] tap by tap.
#[inline(always)]
fn correlate_many<const FUSED: bool>(
    taps: &[Tap],
    kernel: &[f32],
    (scale, shift): (f32, f32),
    lines: &[f32],
    sums: &mut [f32],
) {
    for (at, sums) in sums.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        let mut sum = [shift; LANES];
        for tap in taps {
            let seen = line(&lines[at * LANES..], *tap, LANES);
            add_product::<FUSED>(&mut sum, &seen[0], &[kernel[tap.weight] * scale; LANES]);
        }
        *sums = sum;
    }
}

/// `count` values of what a tap sees, in whole vectors.
#[inline(always)]
fn line(lines: &[f32], tap: Tap, count: usize) -> &[[f32; LANES]] {
    lines[tap.place..][..count].as_chunks().0
}

/// `sums += a·b`.
#[inline(always)]
fn add_product<const FUSED: bool>(sums: &mut [f32; LANES], a: &[f32; LANES], b: &[f32; LANES]) {
    for lane in 0..LANES {
        sums[lane] = fused::<FUSED>(a[lane], b[lane], sums[lane]);
    }
}

vectorised! {
    /// For every plane the sums of what each tap saw times the gradient of the output: `sums` [planes, taps].
    fn products(layout: &Layout, x: &[f32], grad: &[f32], sums: &mut [f32]) {
        let [from, to] = layout.planes();
        let planes = planes_a_block([from, to]);
        let taps = &layout.taps[0];
        let area = taps.len();
        let block = |((x, grad), sums): ((&[f32], &[f32]), &mut [f32])| {
            let sizes = [layout.lines_len(), layout.sums_len(), area * LANES];
            scratch::with_pieces(sizes, |[lines, grads, lanes]| {
                // What lies between the rows of the gradient stays zero.
                lines.fill(0.0);
                grads.fill(0.0);
                let (lanes, _) = lanes.as_chunks_mut::<LANES>();
                let each = x.chunks(from).zip(grad.chunks(to)).zip(sums.chunks_mut(area));
                for ((x, grad), sums) in each {
                    lanes.fill([0.0; LANES]);
                    for band in layout.bands() {
                        layout.gather(x, band, lines);
                        layout.lay_out(grad, band, grads);
                        for (taps, lanes) in taps.chunks(AT_ONCE).zip(lanes.chunks_mut(AT_ONCE)) {
                            add_products::<FUSED>(lines, taps, grads, lanes);
                        }
                    }
                    for (tap, lanes) in taps.iter().zip(&*lanes) {
                        sums[tap.weight] = total(lanes);
                    }
                }
            });
        };
        x.par_chunks(planes * from)
            .zip(grad.par_chunks(planes * to))
            .zip(sums.par_chunks_mut(planes * area))
            .for_each(block);
    }
}

/// Adds the products of what each of some taps saw with the gradients to its lanes.
#[inline(always)]
fn add_products<const FUSED: bool>(
    lines: &[f32],
    taps: &[Tap],
    grads: &[f32],
    lanes: &mut [[f32; LANES]],
) {
    let line = |tap: usize| line(lines, taps[tap], grads.len());
    let (grads, _) = grads.as_chunks::<LANES>();
    if let ([first, second, third], 3) = (&mut *lanes, taps.len()) {
        let lines = [line(0), line(1), line(2)];
        // Each in a variable of its own, else they do not stay in registers.
        let (mut a, mut b, mut c) = (*first, *second, *third);
        for (at, grads) in grads.iter().enumerate() {
            add_product::<FUSED>(&mut a, &lines[0][at], grads);
            add_product::<FUSED>(&mut b, &lines[1][at], grads);
            add_product::<FUSED>(&mut c, &lines[2][at], grads);
        }
        (*first, *second, *third) = (a, b, c);
        return;
    }
    for (tap, lanes) in lanes.iter_mut().enumerate() {
        let mut sums = *lanes;
        for (line, grads) in line(tap).iter().zip(grads) {
            add_product::<FUSED>(&mut sums, line, grads);
        }
        *lanes = sums;
    }
}

/// The sum of all, in a fixed order.
#[inline(always)]
fn total(lanes: &[f32; LANES]) -> f32 {
    let mut sums = [0.0; 8];
    for lanes in lanes.as_chunks::<8>().0 {
        for (sum, lane) in sums.iter_mut().zip(lanes) {
            *sum += lane;
        }
    }
    sums.iter().sum()
}
