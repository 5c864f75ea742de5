//! Pixels in channels-last layout, for convolutions without unfolding: the channels of a pixel, as they lie in memory, are
//! a row of a product, and each tap reads its rows at an offset of its own.
//!
//! At stride 1 an image with its padding is one sequence of pixels. The few products between two lines of outputs are
//! computed too, and not written. Tasks depend on the sizes alone, so that results do not depend on the number of
//! threads.

#![allow(unsafe_code)] // Tasks write outputs that lie side by side.

use std::ops::Range;

use rayon::prelude::*;

use super::{
    super::product::{Shared, Target},
    shape::Shape,
};

/// Pixels of a block: what they see stays in a core's own cache, and so do their products with the weights of a panel.
const PIXELS: usize = 512;
/// Bytes of all images that stay in a core's own cache.
const FEW: usize = 3 << 19;
/// Channels below which too much of a piece would be zeros.
pub(super) const LEAST_CHANNELS: usize = 24;

/// What a task takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tasks {
    /// A panel of outputs and all pixels: the weights are packed by the task that multiplies them.
    Panels,
    /// Some pixels and all outputs.
    Blocks,
}

impl Tasks {
    /// The faster kind for images of `bytes` bytes in all.
    pub(super) fn of_images(bytes: usize) -> Self {
        match bytes <= FEW {
            true => Self::Panels,
            false => Self::Blocks,
        }
    }
}

/// Where the pixels of all images lie.
#[derive(Clone, Copy)]
pub(super) struct Pixels<'a> {
    pub(super) s: &'a Shape,
    /// Numbers from a pixel to the next.
    pub(super) step: usize,
    /// Height and width with the padding.
    pub(super) size: [usize; 2],
}

impl<'a> Pixels<'a> {
    pub(super) fn new(s: &'a Shape, step: usize) -> Self {
        Self {
            s,
            step,
            size: [0, 1].map(|axis| s.image[axis] + 2 * s.padding[axis]),
        }
    }

    /// Numbers of an image, and of all.
    pub(super) fn image(&self) -> usize {
        self.size[0] * self.size[1] * self.step
    }

    pub(super) fn images(&self) -> usize {
        self.s.batch * self.image()
    }

    pub(super) fn taps(&self) -> usize {
        self.s.kernel[0] * self.s.kernel[1]
    }

    /// The offsets of the pieces that an output reads, from its first one on; those of a pixel are at `channels`. All taps
    /// of some channels come before the next channels, since neighbouring outputs read the same pixels.
    pub(super) fn starts(&self, channels: impl Iterator<Item = usize>) -> Vec<usize> {
        let [across, down] = [self.s.dilation[1], self.s.dilation[0] * self.size[1]];
        let of_tap = |tap: usize| {
            let (row, column) = (tap / self.s.kernel[1], tap % self.s.kernel[1]);
            (row * down + column * across) * self.step
        };
        channels
            .flat_map(|channel| (0..self.taps()).map(move |tap| of_tap(tap) + channel))
            .collect()
    }

    /// [`write_lines`] of these images.
    pub(super) fn write_lines<T: Copy + Send + Sync>(
        &self,
        to: &mut [T],
        zero: T,
        write: impl Fn(usize, usize, &mut [T]) + Sync,
    ) {
        write_lines(to, zero, self.step, self.s.image, self.s.padding, write);
    }

    /// The blocks of outputs of all images.
    pub(super) fn blocks(&self) -> Range<usize> {
        0..self.s.batch * self.blocks_of_an_image()
    }

    fn blocks_of_an_image(&self) -> usize {
        let line = match self.s.stride {
            [1, 1] => self.size[1],
            _ => self.s.out[1],
        };
        let lines_at_once = (PIXELS / line).max(1);
        self.s.out[0].div_ceil(lines_at_once)
    }

    /// The image and the lines of outputs of a block.
    pub(super) fn block(&self, number: usize) -> (usize, Range<usize>) {
        let blocks = self.blocks_of_an_image();
        let bound = |block: usize| block * self.s.out[0] / blocks;
        let (item, block) = (number / blocks, number % blocks);
        (item, bound(block)..bound(block + 1))
    }

    /// Rows of products from one line of outputs to the next, and in all of `lines` lines.
    pub(super) fn rows(&self, lines: usize) -> [usize; 2] {
        let (width, padded) = (self.s.out[1], self.size[1]);
        match self.s.stride {
            [1, 1] => [padded, (lines - 1) * padded + width],
            _ => [width, lines * width],
        }
    }

    /// The place of some lines of an image in `outputs` channels.
    ///
    /// # Safety
    /// No other thread may have these lines of these channels meanwhile.
    pub(super) unsafe fn target<'t>(
        &self,
        out: &'t Shared<'_>,
        item: usize,
        lines: &Range<usize>,
        outputs: &Range<usize>,
    ) -> Target<'t> {
        let [height, width] = self.s.out;
        let plane = height * width;
        let first = (item * self.s.channels_out + outputs.start) * plane + lines.start * width;
        // SAFETY: the caller's.
        unsafe { out.block(first, plane, [outputs.len(), lines.len() * width]) }
    }
}

/// Calls `write` with the number of the image, the line and the numbers of each line. Pixels are `step`
/// numbers apart. The padding becomes `zero`.
pub(super) fn write_lines<T: Copy + Send + Sync>(
    to: &mut [T],
    zero: T,
    step: usize,
    [height, width]: [usize; 2],
    [top, left]: [usize; 2],
    write: impl Fn(usize, usize, &mut [T]) + Sync,
) {
    let own = left * step..(left + width) * step;
    let lines = to.par_chunks_mut((width + 2 * left) * step).enumerate();
    lines.for_each(|(number, to)| {
        let (item, row) = (number / (height + 2 * top), number % (height + 2 * top));
        let row = row.wrapping_sub(top);
        if row >= height {
            return to.fill(zero);
        }
        to[..own.start].fill(zero);
        to[own.end..].fill(zero);
        write(item, row, &mut to[own.clone()]);
    });
}
