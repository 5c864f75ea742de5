//! The teacher's outputs for an image as bytes.

use std::ops::Range;

use burn::tensor::{Tensor, f16};
use half::slice::HalfFloatSliceExt;
use pyrograph_backend::{rng::host_tensor, vision::VisionBackend};
use pyrograph_losses::PriorOutputs;
use pyrograph_models::ssd::SsdConfig;

use super::TeacherOutputs;
use crate::TrainError;

/// The shapes of one image's outputs: maps [channels, side, side], and rows of offsets and logits.
pub(super) struct Shapes {
    maps: Vec<[usize; 3]>,
    priors: usize,
    classes: usize,
}

impl Shapes {
    /// Those of a teacher; its maps where `maps` says so.
    pub(super) fn of(teacher: &SsdConfig, classes: usize, maps: bool) -> Result<Self, TrainError> {
        let sides = teacher.map_channels().into_iter().zip(teacher.map_sides());
        let shapes = sides.map(|(channels, side)| [channels, side, side]);
        Ok(Self {
            maps: if maps { shapes.collect() } else { Vec::new() },
            priors: teacher.prior_boxes()?.len(),
            classes,
        })
    }

    /// Bytes of one image: maps in half precision, the rest in single.
    pub(super) fn bytes(&self) -> usize {
        let maps = self
            .maps
            .iter()
            .map(|shape| shape.iter().product::<usize>());
        2 * maps.sum::<usize>() + 4 * self.priors * (4 + self.classes)
    }

    /// The bytes of each image of a batch.
    pub(super) fn encode<B: VisionBackend>(&self, outputs: TeacherOutputs<B>) -> Vec<Vec<u8>> {
        let images = outputs.responses.loc.dims()[0];
        let mut bodies = vec![Vec::with_capacity(self.bytes()); images];
        for map in outputs.maps {
            let values: Vec<f32> = map.into_data().iter::<f32>().collect();
            let each = values.chunks(values.len() / images);
            for (body, values) in bodies.iter_mut().zip(each) {
                let mut halves = vec![f16::ZERO; values.len()];
                halves.convert_from_f32_slice(values);
                body.extend(halves.iter().flat_map(|half| half.to_le_bytes()));
            }
        }
        for rows in [outputs.responses.loc, outputs.responses.conf] {
            let values: Vec<f32> = rows.into_data().iter::<f32>().collect();
            let each = values.chunks(values.len() / images);
            for (body, values) in bodies.iter_mut().zip(each) {
                body.extend(values.iter().flat_map(|v| v.to_le_bytes()));
            }
        }
        bodies
    }

    /// The batch that the bytes of some images are.
    pub(super) fn decode<B: VisionBackend>(
        &self,
        bodies: &[Vec<u8>],
        device: &B::Device,
    ) -> TeacherOutputs<B> {
        let images = bodies.len();
        let mut start = 0;
        let mut maps = Vec::with_capacity(self.maps.len());
        for &[channels, height, width] in &self.maps {
            let end = start + 2 * channels * height * width;
            let halves = numbers(bodies, start..end, f16::from_le_bytes);
            // All at once: hardware converts many in one instruction.
            let values = halves.to_f32_vec();
            maps.push(host_tensor(
                values,
                [images, channels, height, width],
                device,
            ));
            start = end;
        }
        let mut rows = |width: usize| -> Tensor<B, 3> {
            let end = start + 4 * self.priors * width;
            let values = numbers(bodies, start..end, f32::from_le_bytes);
            start = end;
            host_tensor(values, [images, self.priors, width], device)
        };
        let (loc, conf) = (rows(4), rows(self.classes));
        TeacherOutputs {
            maps,
            responses: PriorOutputs { loc, conf },
        }
    }
}

/// The numbers of `N` bytes each in one part of every body. Not one iterator over all bodies: with a
/// loop for each, the numbers are read in a fraction of the time.
fn numbers<const N: usize, T>(
    bodies: &[Vec<u8>],
    part: Range<usize>,
    read: impl Fn([u8; N]) -> T,
) -> Vec<T> {
    let mut values = Vec::with_capacity(bodies.len() * part.len() / N);
    for body in bodies {
        let (chunks, _) = body[part.clone()].as_chunks::<N>();
        values.extend(chunks.iter().map(|bytes| read(*bytes)));
    }
    values
}
