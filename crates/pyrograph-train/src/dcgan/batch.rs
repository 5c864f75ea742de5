//! One step's images and latent vectors, a function of the seed and the step alone.

use burn::tensor::{Tensor, backend::Backend};
use pyrograph_backend::rng::{NoiseKey, Purpose, host_tensor};
use pyrograph_data::{Jitter, LabelledImages, epoch_order};
use pyrograph_vision::Normalisation;

use crate::limits::batches_per_epoch;

/// Draws the real images of a run.
pub(super) struct RealImages<'a> {
    data: &'a LabelledImages,
    normalisation: Normalisation,
    jitter: Jitter,
    batch_size: usize,
    per_epoch: u64,
    seed: u64,
    /// The epoch whose order is at hand, and that order.
    order: (u64, Vec<u32>),
}

impl<'a> RealImages<'a> {
    pub(super) fn new(
        data: &'a LabelledImages,
        normalisation: Normalisation,
        jitter: Jitter,
        batch_size: usize,
        seed: u64,
    ) -> Self {
        Self {
            data,
            normalisation,
            jitter,
            batch_size,
            per_epoch: batches_per_epoch(data.len(), batch_size),
            seed,
            order: (0, epoch_order(data.len(), seed, 0)),
        }
    }

    /// The images of draw `draw`, counted from 0 over the whole run: [batch, channels, height, width].
    pub(super) fn draw<B: Backend>(&mut self, draw: u64, device: &B::Device) -> Tensor<B, 4> {
        let data = self.data;
        let epoch = draw / self.per_epoch;
        if self.order.0 != epoch {
            self.order = (epoch, epoch_order(data.len(), self.seed, epoch));
        }
        let start = (draw % self.per_epoch) as usize * self.batch_size;
        let items = &self.order.1[start..(start + self.batch_size).min(data.len())];
        let shape = [items.len(), data.channels(), data.height(), data.width()];
        let size = data.values_per_image();
        let background = self.normalisation.value(0);
        let mut values = vec![0.0; items.len() * size];
        let mut image = vec![0.0; size];
        for (out, &item) in values.chunks_exact_mut(size).zip(items) {
            let item = item as usize;
            if self.jitter.is_identity() {
                data.write_chw(item, &self.normalisation, out);
                continue;
            }
            data.write_chw(item, &self.normalisation, &mut image);
            let [_, channels, height, width] = shape;
            self.jitter.apply(
                &image, channels, height, width, background, self.seed, epoch, item, out,
            );
        }
        host_tensor(values, shape, device)
    }
}

/// Standard normal latent vectors [batch, z_dim] of draw `draw`.
pub(super) fn latents<B: Backend>(
    seed: u64,
    draw: u64,
    shape: [usize; 2],
    device: &B::Device,
) -> Tensor<B, 2> {
    NoiseKey::new(seed, Purpose::Latent, draw).normal_tensor(0, shape, device)
}

/// The images with normal noise of `deviation`, each with its own from stream `stream`.
pub(super) fn with_noise<B: Backend, const N: usize>(
    images: [Tensor<B, 4>; N],
    deviation: f64,
    seed: u64,
    stream: u64,
    device: &B::Device,
) -> [Tensor<B, 4>; N] {
    if deviation == 0.0 {
        return images;
    }
    let key = NoiseKey::new(seed, Purpose::InstanceNoise, stream);
    let mut start = 0;
    images.map(|x| {
        let noise = key.normal_tensor(start, x.dims(), device) * deviation;
        start += x.dims().iter().product::<usize>() as u64;
        x + noise
    })
}
