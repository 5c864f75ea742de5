//! The planes of an output, to which the threads write their own tiles.

#![allow(unsafe_code)] // Threads write outputs that lie side by side; see `Outputs`.

use std::marker::PhantomData;

use super::{
    super::product::{Into, Product},
    correlation::Planes,
    finish::Finish,
    method::Block,
};

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

    /// Where the tiles of m×m outputs of a block go, for every channel.
    pub(super) fn places(&self, block: &Block<'_>, m: usize) -> Places {
        let mut places = Places {
            all: Vec::with_capacity(m * block.runs.len()),
        };
        for run in &block.runs {
            let targets = run.targets(m, self.planes.size[1], self.step);
            let image = run.image * self.planes.image();
            for i in 0..targets.rows {
                places.add(Place {
                    from: (i * block.len() + run.place) * m,
                    to: image + targets.first + i * targets.apart[0],
                    count: targets.columns,
                    apart: targets.apart[1],
                });
            }
        }
        places
    }

    /// Writes the product of all channels' weights and some columns, the pixels from `first` on of one image, and finishes them.
    ///
    /// # Safety
    /// No two calls at the same time have a common pixel.
    pub(super) unsafe fn write_product(
        &self,
        first: usize,
        factors: &impl Product,
        finish: &Finish<'_>,
    ) {
        let (pixels, [channels, count]) = (self.planes.pixels(), factors.size());
        let start = first / pixels * self.planes.image() + first % pixels;
        let last = start + (self.planes.channels - 1) * pixels + count;
        assert!(
            first % pixels + count <= pixels
                && last <= self.len
                && channels == self.planes.channels,
            "pixels of one image"
        );
        // SAFETY: the rows of the product are these pixels of each channel; they lie in the borrowed slice, as was just checked, and
        // belong to this call.
        unsafe {
            let out = self.first.add(start);
            factors.write(out, pixels, Into::Overwrite);
            for channel in 0..self.planes.channels {
                let row = std::slice::from_raw_parts_mut(out.add(channel * pixels), count);
                finish.channel(channel, row);
            }
        }
    }

    /// Writes the outputs of a channel: output (i, j) of tile l comes from (i·tiles + l)·m + j.
    ///
    /// # Safety
    /// No two calls at the same time have the same channel and places of a common tile.
    pub(super) unsafe fn write(&self, channel: usize, places: &Places, values: &[f32]) {
        let plane = channel * self.planes.pixels();
        for place in &places.all {
            let line = &values[place.from..][..place.count];
            let start = plane + place.to;
            assert!(
                place.count > 0 && start + (place.count - 1) * place.apart < self.len,
                "places of the output"
            );
            // SAFETY: all places lie in the borrowed slice, as was just checked, and they belong to tiles that no other call
            // writes.
            unsafe {
                let first = self.first.add(start);
                if place.apart == 1 {
                    first.copy_from_nonoverlapping(line.as_ptr(), line.len());
                } else {
                    for (column, value) in line.iter().enumerate() {
                        first.add(column * place.apart).write(*value);
                    }
                }
            }
        }
    }
}

/// Where the outputs of some tiles go, in the images of channel 0.
pub(super) struct Places {
    all: Vec<Place>,
}

#[derive(Clone, Copy)]
struct Place {
    from: usize,
    to: usize,
    count: usize,
    apart: usize,
}

impl Places {
    /// Adds a row; with the one before it, where it goes on from there.
    fn add(&mut self, place: Place) {
        if let Some(last) = self.all.last_mut()
            && last.from + last.count == place.from
            && last.to + last.count == place.to
            && (last.apart, place.apart) == (1, 1)
        {
            last.count += place.count;
            return;
        }
        self.all.push(place);
    }
}
