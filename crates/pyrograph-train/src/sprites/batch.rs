//! One step's batch, a function of the seed and the step alone.

use burn::tensor::{Tensor, backend::Backend};
use pyrograph_backend::rng::{NoiseKey, Purpose, host_tensor};
use pyrograph_data::{Augment, SpriteSet, epoch_order};
use pyrograph_diffusion::NoiseSchedule;

use super::SpriteTraining;

/// What the network is trained on in one step.
pub(super) struct Batch<B: Backend> {
    /// Clean images [batch, channels, h, h].
    pub(super) images: Tensor<B, 4>,
    /// Noise of the same shape.
    pub(super) noise: Tensor<B, 4>,
    /// Contexts [batch, n_cfeat], zeros where dropped.
    pub(super) contexts: Tensor<B, 2>,
    /// A timestep for each item.
    pub(super) timesteps: Vec<usize>,
}

/// Draws the batches of a run.
pub(super) struct Batches<'a> {
    config: &'a SpriteTraining,
    data: &'a SpriteSet,
    schedule: &'a NoiseSchedule,
    /// The epoch whose order is at hand, and that order.
    order: (u64, Vec<u32>),
}

impl<'a> Batches<'a> {
    pub(super) fn new(
        config: &'a SpriteTraining,
        data: &'a SpriteSet,
        schedule: &'a NoiseSchedule,
    ) -> Self {
        let order = (0, epoch_order(data.len(), config.seed, 0));
        Self {
            config,
            data,
            schedule,
            order,
        }
    }

    /// The batch of `step`, counted from 0 over the whole run.
    pub(super) fn draw<B: Backend>(&mut self, step: u64, device: &B::Device) -> Batch<B> {
        let Self {
            config,
            data,
            schedule,
            ..
        } = *self;
        let per_epoch = config.steps_per_epoch(data.len());
        let epoch = step / per_epoch;
        if self.order.0 != epoch {
            self.order = (epoch, epoch_order(data.len(), config.seed, epoch));
        }
        let start = (step % per_epoch) as usize * config.batch_size;
        let items = &self.order.1[start..(start + config.batch_size).min(data.len())];
        let count = items.len();

        let (channels, side, width) = (data.channels(), data.side(), data.context_width());
        let pixels = channels * side * side;
        let augment = Augment {
            horizontal_flip: config.horizontal_flip,
        };
        let mut images = vec![0.0; count * pixels];
        for (image, &item) in images.chunks_exact_mut(pixels).zip(items) {
            data.write_chw_augmented(item as usize, &augment, config.seed, epoch, image);
        }

        let key = |purpose| NoiseKey::new(config.seed, purpose, step);
        let drops = key(Purpose::ContextDrop).uniform(0, count);
        let mut contexts = vec![0.0; count * width];
        for ((context, &item), drop) in contexts.chunks_exact_mut(width).zip(items).zip(drops) {
            if f64::from(drop) >= config.context_drop {
                context.copy_from_slice(data.context(item as usize));
            }
        }
        // The first timestep of the course's table is 1: 0 is the clean image.
        let first = schedule.first_timestep();
        let choices = (schedule.last_timestep() - first + 1) as u32;
        let timesteps = key(Purpose::TrainingTime).below(0, count, choices);

        let shape = [count, channels, side, side];
        Batch {
            images: host_tensor(images, shape, device),
            noise: key(Purpose::TrainingNoise).normal_tensor(0, shape, device),
            contexts: host_tensor(contexts, [count, width], device),
            timesteps: timesteps.into_iter().map(|t| first + t as usize).collect(),
        }
    }
}
