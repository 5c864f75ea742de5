//! The planes of an output, to which the threads write their own tiles.

#![allow(unsafe_code)] // Threads write outputs that lie side by side; see `Outputs`.

use std::marker::PhantomData;

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

    /// Writes the tiles of m×m outputs of a run: output (i, j) of tile l comes from (i·count + place + l)·m + j.
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
        let plane = (run.image * self.planes.channels + channel) * self.planes.pixels();
        let targets = run.targets(m, self.planes.size[1], self.step);
        let [down, across] = targets.apart;
        for i in 0..targets.rows {
            let start = plane + targets.first + i * down;
            let line = &values[(i * count + run.place) * m..][..targets.columns];
            let last = start + (targets.columns - 1) * across;
            assert!(last < self.len, "a row of the output");
            // SAFETY: all places of the row lie in the borrowed slice, as was just checked, and they belong to the tiles of this
            // run, which no other call writes.
            unsafe {
                let first = self.first.add(start);
                if across == 1 {
                    first.copy_from_nonoverlapping(line.as_ptr(), line.len());
                } else {
                    for (column, value) in line.iter().enumerate() {
                        first.add(column * across).write(*value);
                    }
                }
            }
        }
    }
}
