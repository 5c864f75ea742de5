//! Taking pixels out of images, for all channels in the same way.

use super::correlation::{Correlation, Planes};

/// Images that pixels are taken from.
pub(super) struct Source<'a> {
    pub(super) images: &'a [f32],
    pub(super) planes: Planes,
    /// Between what neighbouring outputs see.
    pub(super) step: [usize; 2],
}

impl<'a> Source<'a> {
    /// What the outputs of a correlation see.
    pub(super) fn inputs(c: &Correlation, x: &'a [f32]) -> Self {
        Self {
            images: x,
            planes: c.source,
            step: c.step,
        }
    }

    /// The gradients of the outputs themselves.
    pub(super) fn outputs(c: &Correlation, grad: &'a [f32]) -> Self {
        Self {
            images: grad,
            planes: c.target,
            step: c.target_step,
        }
    }
}

/// Which pixels of a channel go where in a buffer.
pub(super) struct Gather {
    copies: Vec<Copied>,
    /// Begin and end of what lies outside of the image.
    zeros: Vec<[usize; 2]>,
}

/// Pixels side by side, or `step` apart, in the images of channel 0.
struct Copied {
    from: usize,
    to: usize,
    count: usize,
}

impl Gather {
    /// With room for so many rows.
    pub(super) fn with_capacity(rows: usize) -> Self {
        Self {
            copies: Vec::with_capacity(rows),
            zeros: Vec::new(),
        }
    }

    /// Adds `count` pixels of a row of image `image`, from pixel `[y, x]` on and `source.step[1]` apart, to go to place `to`.
    pub(super) fn add(
        &mut self,
        source: &Source<'_>,
        image: usize,
        [y, x]: [isize; 2],
        count: usize,
        to: usize,
    ) {
        let ([height, width], step) = (source.planes.size, source.step[1]);
        let Some(y) = usize::try_from(y).ok().filter(|y| *y < height) else {
            return self.zeros.push([to, to + count]);
        };
        let begin = x.min(0).unsigned_abs().div_ceil(step).min(count);
        let seen = (width as isize - x).max(0) as usize;
        let end = seen.div_ceil(step).clamp(begin, count);
        for [begin, end] in [[0, begin], [end, count]] {
            if begin < end {
                self.zeros.push([to + begin, to + end]);
            }
        }
        if begin < end {
            let x = x.wrapping_add_unsigned(begin * step) as usize;
            let copied = Copied {
                from: image * source.planes.image() + y * width + x,
                to: to + begin,
                count: end - begin,
            };
            self.push(copied, step);
        }
    }

    /// Adds pixels; to those before them, where they go on from there.
    fn push(&mut self, copied: Copied, step: usize) {
        if let Some(last) = self.copies.last_mut()
            && last.to + last.count == copied.to
            && last.from + last.count * step == copied.from
        {
            last.count += copied.count;
            return;
        }
        self.copies.push(copied);
    }

    /// Writes the zeros.
    pub(super) fn clear(&self, to: &mut [f32]) {
        for [begin, end] in &self.zeros {
            to[*begin..*end].fill(0.0);
        }
    }

    /// Writes the pixels of a channel.
    #[inline(always)]
    pub(super) fn copy(&self, source: &Source<'_>, channel: usize, to: &mut [f32]) {
        let images = &source.images[channel * source.planes.pixels()..];
        let step = source.step[1];
        for copied in &self.copies {
            let to = &mut to[copied.to..][..copied.count];
            let from = &images[copied.from..];
            match step {
                1 => copy(&from[..to.len()], to),
                2 => every::<2>(from, to),
                _ => {
                    let pixels = from.iter().step_by(step);
                    to.iter_mut().zip(pixels).for_each(|(to, from)| *to = *from);
                }
            }
        }
    }
}

/// `to[l] = from[l·STEP]`.
#[inline(always)]
fn every<const STEP: usize>(from: &[f32], to: &mut [f32]) {
    let Some(last) = to.len().checked_sub(1) else {
        return;
    };
    let (whole, _) = from.as_chunks::<STEP>();
    let (to, end) = to.split_at_mut(last);
    let whole = &whole[..last];
    for (to, from) in to.iter_mut().zip(whole) {
        *to = from[0];
    }
    end[0] = from[last * STEP];
}

/// `to = from`. Most rows are short: two overlapping copies of a fixed size are quicker than a call.
#[inline(always)]
fn copy(from: &[f32], to: &mut [f32]) {
    #[inline(always)]
    fn twice<const N: usize>(from: &[f32], to: &mut [f32]) {
        let end = to.len() - N;
        to[..N].copy_from_slice(&from[..N]);
        to[end..].copy_from_slice(&from[end..]);
    }
    match to.len() {
        0 => {}
        1 => to[0] = from[0],
        2..4 => twice::<2>(from, to),
        4..8 => twice::<4>(from, to),
        8..16 => twice::<8>(from, to),
        16..=32 => twice::<16>(from, to),
        _ => to.copy_from_slice(from),
    }
}
