//! The definition as one matrix product: what each tap sees of each channel is a row of the columns.

use std::ops::Range;

use super::{
    super::{features::vectorised, product::Matrix},
    correlation::Correlation,
    gather::{Gather, Source},
    method::{Block, Method, by_phase},
};

/// Columns of a block that stay in a core's own cache (512 KiB).
const COLUMNS: usize = 1 << 17;

pub(super) struct Unfolded;

impl Method for Unfolded {
    const POINTS: usize = 1;
    const OUT: usize = 1;

    fn rows_a_channel(c: &Correlation) -> usize {
        c.taps[0] * c.taps[1]
    }

    fn block(c: &Correlation) -> usize {
        (COLUMNS / Self::rows(c).max(1)).clamp(64, 512) / 16 * 16
    }

    fn columns(
        c: &Correlation,
        x: &Source<'_>,
        inputs: Range<usize>,
        block: &Block<'_>,
        to: &mut [f32],
    ) {
        let row = Self::row(block.len());
        let a_channel = Self::rows_a_channel(c) * row;
        for (phase, channels, to) in by_phase(c, inputs, a_channel, to) {
            let taps = Self::rows_a_channel(c);
            let mut gather = Gather::with_capacity(taps * block.runs.len());
            for tap in 0..taps {
                let at = [tap / c.taps[1], tap % c.taps[1]];
                let offset =
                    [0, 1].map(|axis| phase.offset[axis] + (at[axis] * c.tap_step[axis]) as isize);
                for run in &block.runs {
                    let seen = run.inputs(offset, x.step);
                    gather.add(x, run.image, seen, run.count, tap * row + run.place);
                }
            }
            gathered(&gather, x, channels, a_channel, to);
        }
    }

    fn columns_in_place<'a>(
        c: &Correlation,
        x: &Source<'a>,
        block: &Block<'_>,
    ) -> Option<Matrix<'a>> {
        let [phase] = c.phases.as_slice() else {
            return None;
        };
        let pixels = c.source.pixels();
        let (image, first) = (block.range.start / pixels, block.range.start % pixels);
        let is_itself = c.taps == [1, 1]
            && c.step == [1, 1]
            && phase.offset == [0, 0]
            && c.lattices.len() == 1
            && c.lattices[0].size == c.source.size
            && c.target.size == c.source.size;
        if !is_itself || first + block.len() > pixels {
            return None;
        }
        let image = &x.images[image * c.source.image()..][..c.source.image()];
        let channels = c.source.channels;
        Some(Matrix::by_distant_rows(
            &image[first..],
            channels,
            block.len(),
            pixels,
        ))
    }

    fn weights(c: &Correlation, weight: &[f32], outputs: Range<usize>, to: &mut [f32]) {
        let [rows, columns] = c.taps;
        let taps = (0..rows * columns).map(|tap| [tap / columns, tap % columns]);
        for (output, to) in outputs.zip(to.chunks_mut(Self::rows(c))) {
            let mut to = to.iter_mut();
            for phase in &c.phases {
                for input in 0..c.source.channels {
                    for (tap, to) in taps.clone().zip(&mut to) {
                        *to = weight[c.kernel.place(phase, output, input, tap)];
                    }
                }
            }
        }
    }

    fn weights_in_place<'a>(c: &Correlation, weight: &'a [f32]) -> Option<&'a [f32]> {
        c.has_plain_kernel().then_some(weight)
    }

    fn outputs<R>(products: &mut [f32], tiles: usize, body: impl FnOnce(&mut [f32]) -> R) -> R {
        body(&mut products[..tiles])
    }

    fn gradients(grad: &Source<'_>, outputs: Range<usize>, block: &Block<'_>, to: &mut [f32]) {
        let mut gather = Gather::with_capacity(block.runs.len());
        for run in &block.runs {
            gather.add(
                grad,
                run.image,
                run.outputs(grad.step),
                run.count,
                run.place,
            );
        }
        gathered(&gather, grad, outputs, Self::row(block.len()), to);
    }

    fn weight_gradients(_: &Correlation, sums: &[f32], to: &mut [f32]) {
        to.copy_from_slice(sums);
    }
}

vectorised! {
    /// Some channels, each into `a_channel` values.
    fn gathered(
        gather: &Gather,
        source: &Source<'_>,
        channels: Range<usize>,
        a_channel: usize,
        to: &mut [f32],
    ) {
        for (channel, to) in channels.zip(to.chunks_mut(a_channel)) {
            gather.clear(to);
            gather.copy(source, channel, to);
        }
    }
}
