//! How a correlation becomes matrix products.

use std::ops::Range;

use super::{
    super::product::Matrix,
    correlation::{Correlation, Phase},
    gather::Source,
    tiles::{Run, Tiles},
};

/// Values between the rows of a product beyond their own, so that rows do not fall on the same sets of the cache.
const APART: usize = 16;

/// A correlation as products `[outputs, rows]·[rows, tiles]`, one at each of a number of points.
///
/// The columns of a block of n tiles are `[rows, points, n]`, their products `[outputs, points, n]`, both with rows
/// [`row`](Self::row) apart; weights are `[outputs, points, rows]`.
pub(super) trait Method: Sync {
    /// Products, each with columns and weights of its own.
    const POINTS: usize;
    /// Outputs of a tile along an axis.
    const OUT: usize;

    /// Rows of the columns for each input channel, the phases being counted apart.
    fn rows_a_channel(c: &Correlation) -> usize;

    /// Tiles whose columns and products stay in a core's own cache.
    fn block(c: &Correlation) -> usize;

    /// Writes the columns of some input channels.
    fn columns(
        c: &Correlation,
        x: &Source<'_>,
        inputs: Range<usize>,
        block: &Block<'_>,
        to: &mut [f32],
    );

    /// The columns as they lie in the input itself, where they do; the outputs then have the same places.
    fn columns_in_place<'a>(_: &Correlation, _: &Source<'a>, _: &Block<'_>) -> Option<Matrix<'a>> {
        None
    }

    /// Writes the weights of some output channels.
    fn weights(c: &Correlation, weight: &[f32], outputs: Range<usize>, to: &mut [f32]);

    /// The weights as they are, where that is what [`weights`](Self::weights) would write.
    fn weights_in_place<'a>(_: &Correlation, _: &'a [f32]) -> Option<&'a [f32]> {
        None
    }

    /// Takes the products of an output channel to its outputs `[OUT, tiles, OUT]`, and hands them to `body`.
    fn outputs<R>(products: &mut [f32], tiles: usize, body: impl FnOnce(&mut [f32]) -> R) -> R;

    /// Writes the factors of the weights' gradients that the gradients of some output channels are, in the form of the products.
    fn gradients(grad: &Source<'_>, outputs: Range<usize>, block: &Block<'_>, to: &mut [f32]);

    /// Takes the gradients `[points, rows]` of an output channel's weights to those of the kernel, `to` being its part for this channel.
    fn weight_gradients(c: &Correlation, sums: &[f32], to: &mut [f32]);

    /// Rows of the columns.
    fn rows(c: &Correlation) -> usize {
        c.inputs() * Self::rows_a_channel(c)
    }

    /// Values from one row of columns or products to the next.
    fn row(tiles: usize) -> usize {
        Self::POINTS * tiles + APART
    }
}

/// Some of the tiles.
pub(super) struct Block<'a> {
    /// Their numbers.
    pub(super) range: Range<usize>,
    pub(super) runs: Vec<Run<'a>>,
}

impl<'a> Block<'a> {
    pub(super) fn new(tiles: &'a Tiles, range: Range<usize>) -> Self {
        Self {
            runs: tiles.runs(range.clone()).collect(),
            range,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.range.len()
    }
}

/// The parts of a range of inputs that lie in one phase each: the phase, the channels, and their part of `to`.
pub(super) fn by_phase<'a>(
    c: &'a Correlation,
    inputs: Range<usize>,
    a_channel: usize,
    to: &'a mut [f32],
) -> impl Iterator<Item = (&'a Phase, Range<usize>, &'a mut [f32])> {
    let (mut next, mut rest) = (inputs.start, to);
    std::iter::from_fn(move || {
        let channels = c.source.channels;
        let (phase, first) = (next / channels, next % channels);
        let count = (channels - first).min(inputs.end - next);
        if count == 0 {
            return None;
        }
        next += count;
        let (part, after) = std::mem::take(&mut rest).split_at_mut(count * a_channel);
        rest = after;
        Some((&c.phases[phase], first..first + count, part))
    })
}
