//! What one device computes of a step.

use burn::{optim::GradientsParams, tensor::backend::Backend};
use pyrograph_backend::{lock_autodiff, rng::host_tensor, vision::VisionAutodiff};
use pyrograph_losses::{MatchedBoxes, MultiBoxLoss, MultiBoxTerms};
use pyrograph_models::{blocks::BatchStatistics, ssd::Ssd};

use super::SsdTraining;

/// Images of a batch for one device: a batch norm needs two.
const FEWEST: usize = 2;

/// The images of a batch that one device sees.
pub(super) struct Share<B: Backend> {
    pub(super) images: usize,
    side: usize,
    values: Vec<f32>,
    matched: MatchedBoxes,
    loss: MultiBoxLoss,
    device: B::Device,
}

/// What comes of a share, or of a batch.
pub(super) struct Computed<B: VisionAutodiff> {
    pub(super) gradients: GradientsParams,
    pub(super) terms: MultiBoxTerms<B::InnerBackend>,
    pub(super) statistics: BatchStatistics<B>,
}

impl<B: Backend> Share<B> {
    /// The batch in as equal shares as there are devices, but none of one image.
    pub(super) fn of_batch(
        values: Vec<f32>,
        matched: MatchedBoxes,
        config: &SsdTraining,
        devices: &[B::Device],
    ) -> Vec<Self> {
        let (images, side) = (matched.batch(), config.model.side());
        let shares = devices.len().min(images / FEWEST).max(1);
        let share = |images, values, matched, device: &B::Device| Self {
            images,
            side,
            values,
            matched,
            loss: config.loss,
            device: device.clone(),
        };
        if let ([device, ..], 1) = (devices, shares) {
            return vec![share(images, values, matched, device)];
        }
        let size = 3 * side * side;
        let dealt = devices.iter().take(shares).enumerate();
        dealt
            .map(|(place, device)| {
                let range = place * images / shares..(place + 1) * images / shares;
                let values = values[range.start * size..range.end * size].to_vec();
                share(range.len(), values, matched.part(range), device)
            })
            .collect()
    }
}

impl<B: VisionAutodiff> Share<B> {
    /// Forward, loss, backward; `model` is on the share's device.
    pub(super) fn compute(self, model: &Ssd<B>) -> Computed<B> {
        let shape = [self.images, 3, self.side, self.side];
        let images = host_tensor(self.values, shape, &self.device);
        let mut statistics = BatchStatistics::new();
        let turn_to_differentiate = lock_autodiff();
        let output = model.forward_training(images, &mut statistics);
        let terms = self
            .loss
            .forward_matched(output.loc, output.conf, &self.matched);
        let gradients = GradientsParams::from_grads(terms.total().backward(), model);
        drop(turn_to_differentiate);
        Computed {
            gradients,
            terms: MultiBoxTerms {
                loc: terms.loc.inner(),
                conf: terms.conf.inner(),
                positives: terms.positives,
                negatives: terms.negatives,
            },
            statistics,
        }
    }
}
