//! The planes of an output, to which the threads write their own tiles.

#![allow(unsafe_code)] // Threads write outputs that lie side by side; see `Outputs`.

use std::{array::from_fn, marker::PhantomData};

use super::{correlation::Planes, tiles::Run};

/// An output [batch, channels, height, width] that is written in tiles.
pub(super) struct Outputs<'a> {
    first: *mut f32,
    len: usize,
    planes: Planes,
    step: [usize; 2],
    borrowed: PhantomData<&'a mut [f32]>,
}

// SAFETY: it is a mutable borrow of plain numbers, and `write`'s contract keeps writes apart.
unsafe impl Sync for Outputs<'_> {}

impl<'a> Outputs<'a> {
    /// `step` lies between the neighbouring outputs of a lattice.
    pub(super) fn new(out: &'a mut [f32], planes: Planes, step: [usize; 2]) -> Self {
        Self {
            first: out.as_mut_ptr(),
            len: out.len(),
            planes,
            step,
            borrowed: PhantomData,
        }
    }

    /// Writes the tiles of m×m outputs of a run: output (i, j) of tile l comes from (i·m + j)·count + place + l.
    ///
    /// # Safety
    /// No two calls at the same time have the same channel and a common tile.
    pub(super) unsafe fn write(
        &self,
        channel: usize,
        run: &Run<'_>,
        m: usize,
        values: &[f32],
        count: usize,
    ) {
        // SAFETY: the same contract.
        unsafe {
            match m {
                1 => self.write_tiles::<1>(channel, run, values, count),
                2 => self.write_tiles::<2>(channel, run, values, count),
                _ => self.write_tiles::<4>(channel, run, values, count),
            }
        }
    }

    #[inline(always)]
    unsafe fn write_tiles<const M: usize>(
        &self,
        channel: usize,
        run: &Run<'_>,
        values: &[f32],
        count: usize,
    ) {
        let plane = (run.image * self.planes.channels + channel) * self.planes.pixels();
        let targets = run.targets(M, self.planes.size[1], self.step);
        let [down, across] = targets.apart;
        for i in 0..targets.rows {
            let start = plane + targets.first + i * down;
            let rows = &values[i * M * count..][..M * count];
            let lines: [&[f32]; M] = from_fn(|j| &rows[j * count + run.place..][..run.count]);
            let last = start + (targets.columns - 1) * across;
            assert!(targets.columns > 0 && last < self.len, "a row of the output");
            let put = |column: usize, value: f32| {
                debug_assert!(column < targets.columns, "a place of the row");
                // SAFETY: all places of the row lie in the borrowed slice, as was just checked, and they belong to the tiles of
                // this run, which no other call writes.
                unsafe { self.first.add(start + column * across).write(value) };
            };
            let whole = targets.columns / M;
            for l in 0..whole {
                for (j, line) in lines.iter().enumerate() {
                    put(l * M + j, line[l]);
                }
            }
            for (j, line) in lines[..targets.columns - whole * M].iter().enumerate() {
                put(whole * M + j, line[whole]);
            }
        }
    }
}
