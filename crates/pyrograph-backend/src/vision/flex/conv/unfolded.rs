//! The definition as one matrix product: what each tap sees of each channel is a row of the columns.

use super::{
    super::product::Matrix,
    correlation::Correlation,
    method::{Block, Method},
    tiles::Source,
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

    fn columns(c: &Correlation, x: &Source<'_>, input: usize, block: &Block<'_>, to: &mut [f32]) {
        let (phase, channel) = (
            &c.phases[input / c.source.channels],
            input % c.source.channels,
        );
        let row = Self::row(block.len());
        for (tap, to) in to.chunks_mut(row).enumerate() {
            let tap = [tap / c.taps[1], tap % c.taps[1]];
            let offset =
                [0, 1].map(|axis| phase.offset[axis] + (tap[axis] * c.tap_step[axis]) as isize);
            for run in &block.runs {
                x.pixels(channel, run, run.from(offset), to);
            }
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
            && c.lattices[0].size == c.source.size;
        if !is_itself || first + block.len() > pixels {
            return None;
        }
        let image = &x.images[image * c.source.image()..][..c.source.image()];
        let channels = c.source.channels;
        Some(Matrix::by_distant_rows(&image[first..], channels, block.len(), pixels))
    }

    fn weights(c: &Correlation, weight: &[f32], output: usize, to: &mut [f32]) {
        let mut to = to.iter_mut();
        for phase in &c.phases {
            for input in 0..c.source.channels {
                for ky in 0..c.taps[0] {
                    for kx in 0..c.taps[1] {
                        if let Some(to) = to.next() {
                            *to = weight[c.kernel.place(phase, output, input, [ky, kx])];
                        }
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

    fn gradients(grad: &Source<'_>, output: usize, block: &Block<'_>, to: &mut [f32]) {
        for run in &block.runs {
            grad.pixels(output, run, run.to(), to);
        }
    }

    fn weight_gradients(_: &Correlation, sums: &[f32], to: &mut [f32]) {
        to.copy_from_slice(sums);
    }
}
