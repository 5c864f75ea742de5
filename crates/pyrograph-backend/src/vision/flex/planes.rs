//! Passes over images as planes: the values of one item and channel, which lie together.
//!
//! Planes go to threads in fixed blocks and sums are added up in the order of the planes, so that a result does not depend
//! on the number of threads. Bodies are closures: written in a function of [`vectorised!`](super::features::vectorised), they are
//! compiled for the machine's own vectors.

use rayon::prelude::*;

/// Values that go to a thread at once: enough to be worth its while, few enough to stay in its cache.
const BLOCK: usize = 1 << 14;

/// How many planes of `size` values make a block.
fn planes_a_block(size: usize) -> usize {
    (BLOCK / size.max(1)).max(1)
}

/// A plane that is being changed.
pub(super) struct Plane<'a> {
    pub(super) number: usize,
    /// Where its values are, if not in `values`.
    pub(super) from: Option<&'a [f32]>,
    /// Where they are to be.
    pub(super) values: &'a mut [f32],
}

impl<'a> Plane<'a> {
    /// The values, where they are to be.
    #[inline(always)]
    pub(super) fn in_place(self) -> &'a mut [f32] {
        if let Some(from) = self.from {
            self.values.copy_from_slice(from);
        }
        self.values
    }
}

/// Changes every plane of `values`, which are those of `from` where that is given, else those that are there.
#[inline(always)]
pub(super) fn change(
    from: Option<&[f32]>,
    values: &mut [f32],
    size: usize,
    body: impl Fn(Plane<'_>) + Sync,
) {
    let planes = planes_a_block(size);
    let a_block = planes * size.max(1);
    let block = |(block, values): (usize, &mut [f32])| {
        for (place, values) in values.chunks_mut(size.max(1)).enumerate() {
            let number = block * planes + place;
            let from = from.map(|from| &from[number * size..][..values.len()]);
            body(Plane {
                number,
                from,
                values,
            });
        }
    };
    if values.len() <= BLOCK {
        values.chunks_mut(a_block).enumerate().for_each(block);
    } else {
        values.par_chunks_mut(a_block).enumerate().for_each(block);
    }
}

/// [`change`], yielding two numbers for each plane, in order.
#[inline(always)]
pub(super) fn change_and_sum(
    from: Option<&[f32]>,
    values: &mut [f32],
    size: usize,
    body: impl Fn(Plane<'_>) -> [f32; 2] + Sync,
) -> Vec<[f32; 2]> {
    let mut sums = vec![[0.0; 2]; values.len() / size.max(1)];
    let planes = planes_a_block(size);
    values
        .par_chunks_mut(planes * size.max(1))
        .zip(sums.par_chunks_mut(planes))
        .enumerate()
        .for_each(|(block, (values, sums))| {
            for (place, (values, sums)) in values.chunks_mut(size.max(1)).zip(sums).enumerate() {
                let number = block * planes + place;
                let from = from.map(|from| &from[number * size..][..values.len()]);
                *sums = body(Plane {
                    number,
                    from,
                    values,
                });
            }
        });
    sums
}

/// Yields two numbers for every plane, in order.
#[inline(always)]
pub(super) fn sum(
    values: &[f32],
    size: usize,
    body: impl Fn(usize, &[f32]) -> [f32; 2] + Sync,
) -> Vec<[f32; 2]> {
    let mut sums = vec![[0.0; 2]; values.len() / size.max(1)];
    let planes = planes_a_block(size);
    values
        .par_chunks(planes * size.max(1))
        .zip(sums.par_chunks_mut(planes))
        .enumerate()
        .for_each(|(block, (values, sums))| {
            for (place, (plane, sums)) in values.chunks(size.max(1)).zip(sums).enumerate() {
                *sums = body(block * planes + place, plane);
            }
        });
    sums
}

/// Partial sums that a loop keeps apart, so that it can be vectorised.
const LANES: usize = 64;

/// Σ `of(i)` over `0..count` in a fixed order.
#[inline(always)]
pub(super) fn lane_sum<const N: usize>(count: usize, of: impl Fn(usize) -> [f32; N]) -> [f32; N] {
    let mut lanes = [[0.0_f32; LANES]; N];
    let whole = count / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        for lane in 0..LANES {
            for (lanes, value) in lanes.iter_mut().zip(of(start + lane)) {
                lanes[lane] += value;
            }
        }
    }
    let mut total = lanes.map(|lanes| lanes.iter().sum::<f32>());
    for i in whole..count {
        for (total, value) in total.iter_mut().zip(of(i)) {
            *total += value;
        }
    }
    total
}

/// Adds up the planes of each channel, in f64: `sums` holds the planes [items, channels].
pub(super) fn by_channel(sums: &[[f32; 2]], channels: usize) -> Vec<[f64; 2]> {
    let mut totals = vec![[0.0; 2]; channels];
    for item in sums.chunks(channels.max(1)) {
        for (total, sum) in totals.iter_mut().zip(item) {
            total[0] += f64::from(sum[0]);
            total[1] += f64::from(sum[1]);
        }
    }
    totals
}
