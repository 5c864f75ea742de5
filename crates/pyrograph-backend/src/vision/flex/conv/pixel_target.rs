//! Where convolutions on tiles write their outputs.

#![allow(unsafe_code)] // Tasks write pixels of their own.

use std::ops::Range;

use burn_std::bf16;

use super::{
    super::product::{Shared, Target},
    finish::FinishOfChannels,
};

/// Images pixel by pixel, to which tasks write pixels of their own.
pub(super) struct PixelTarget<'a, T> {
    pub(super) out: Shared<'a, T>,
    /// Height and width with the padding.
    pub(super) size: [usize; 2],
    pub(super) padding: [usize; 2],
    /// Numbers from a pixel to the next.
    pub(super) step: usize,
}

impl<'a> PixelTarget<'a, f32> {
    /// [batch, height · width, channels].
    pub(super) fn of_rows(out: &'a mut [f32], [_, channels, height, width]: [usize; 4]) -> Self {
        Self {
            out: Shared::new(out),
            size: [height, width],
            padding: [0, 0],
            step: channels,
        }
    }
}

/// Pixels of a line of an image.
#[derive(Clone, Copy)]
pub(super) struct LinePart {
    pub(super) item: usize,
    pub(super) row: usize,
    /// The first one.
    pub(super) column: usize,
    /// Columns from one to the next.
    pub(super) apart: usize,
}

impl<T> PixelTarget<'_, T> {
    /// Some channels of `count` pixels.
    ///
    /// # Safety
    /// No other thread may have these channels of the pixels meanwhile.
    unsafe fn pixels(
        &self,
        part: LinePart,
        count: usize,
        channels: &Range<usize>,
    ) -> Target<'_, T> {
        let line = part.item * self.size[0] + part.row + self.padding[0];
        let pixel = line * self.size[1] + part.column + self.padding[1];
        let first = pixel * self.step + channels.start;
        // SAFETY: the caller's.
        unsafe {
            self.out
                .block(first, part.apart * self.step, [count, channels.len()])
        }
    }
}

/// Where the outputs of a convolution go.
pub(super) enum Outputs<'a> {
    /// [batch, out, height, width].
    Planes(Shared<'a>),
    /// [batch, height · width, out].
    Rows(PixelTarget<'a, f32>),
    /// To the next layer, which reads bf16.
    Pixels(PixelTarget<'a, bf16>),
}

impl Outputs<'_> {
    /// Finishes the products [pixels, channels] of a part of a line and writes them, where outputs lie pixel by pixel.
    ///
    /// # Safety
    /// No other thread may have these channels of the pixels meanwhile.
    pub(super) unsafe fn write_pixels(
        &self,
        part: LinePart,
        products: &mut [f32],
        finish: &FinishOfChannels,
    ) {
        let channels = &finish.channels;
        let count = products.len() / channels.len();
        match self {
            Self::Planes(_) => unreachable!("a line of planes is not written pixel by pixel"),
            Self::Rows(out) => {
                finish.apply(products);
                // SAFETY: the caller's.
                let mut to = unsafe { out.pixels(part, count, channels) };
                for (place, from) in products.chunks_exact(channels.len()).enumerate() {
                    to.row(place).copy_from_slice(from);
                }
            }
            Self::Pixels(out) => {
                // SAFETY: the caller's.
                let mut to = unsafe { out.pixels(part, count, channels) };
                finish.round(products, &mut to);
            }
        }
    }
}
