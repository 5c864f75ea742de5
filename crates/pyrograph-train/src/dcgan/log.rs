//! What an adversarial training writes down.

use burn::tensor::{Tensor, backend::Backend};
use serde::{Deserialize, Serialize};

use super::DcganHooks;
use crate::{TrainError, run_folder::RunFolder};

/// One line of `metrics.jsonl`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdversarialRecord {
    /// Steps of the generator taken, this one included.
    pub step: u64,
    /// The epoch it belongs to, from 0.
    pub epoch: u64,
    /// The discriminator's loss, without the penalty.
    pub discriminator_loss: f32,
    /// The generator's loss.
    pub generator_loss: f32,
    /// The gradient penalty, where this step took one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub penalty: Option<f32>,
    /// The share of real images that the discriminator took for real.
    pub real_accuracy: f32,
    /// The share of generated images that it took for generated.
    pub fake_accuracy: f32,
    /// Mean distance between two generated images over that between two real ones, where it was measured: near 1 in good
    /// health, near 0 when the generator makes one image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diversity: Option<f32>,
    /// The generator's learning rate.
    pub generator_rate: f64,
    /// The discriminator's.
    pub discriminator_rate: f64,
}

/// A step's figures on the device, each `[1]`.
pub(super) struct Figures<B: Backend> {
    pub(super) discriminator_loss: Tensor<B, 1>,
    pub(super) generator_loss: Tensor<B, 1>,
    pub(super) penalty: Tensor<B, 1>,
    pub(super) real_accuracy: Tensor<B, 1>,
    pub(super) fake_accuracy: Tensor<B, 1>,
}

/// The share of logits above 0, `[1]`.
pub(super) fn share_above_zero<B: Backend>(logits: Tensor<B, 4>) -> Tensor<B, 1> {
    logits.greater_elem(0.0).float().mean()
}

/// Steps between reads of the figures from the device.
const LOG_EVERY: usize = 10;

/// Figures that wait on the device until it is time to read them.
pub(super) struct Log<'a, B: Backend> {
    run: &'a RunFolder,
    pending: Vec<(Figures<B>, AdversarialRecord)>,
    pub(super) last: Option<AdversarialRecord>,
}

impl<'a, B: Backend> Log<'a, B> {
    pub(super) fn new(run: &'a RunFolder) -> Self {
        Self {
            run,
            pending: Vec::new(),
            last: None,
        }
    }

    pub(super) fn push(&mut self, figures: Figures<B>, record: AdversarialRecord) {
        self.pending.push((figures, record));
    }

    pub(super) fn is_full(&self) -> bool {
        self.pending.len() >= LOG_EVERY
    }

    /// Reads what waits, and writes it down.
    pub(super) fn flush(
        &mut self,
        progress: f64,
        hooks: &mut impl DcganHooks<B>,
    ) -> Result<(), TrainError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let (figures, mut records): (Vec<_>, Vec<_>) = self.pending.drain(..).unzip();
        let columns = figures.into_iter().flat_map(|figures| {
            let Figures {
                discriminator_loss,
                generator_loss,
                penalty,
                real_accuracy,
                fake_accuracy,
            } = figures;
            [
                discriminator_loss,
                generator_loss,
                penalty,
                real_accuracy,
                fake_accuracy,
            ]
        });
        let values: Vec<f32> = Tensor::cat(columns.collect(), 0)
            .into_data()
            .iter::<f32>()
            .collect();
        for (record, values) in records.iter_mut().zip(values.chunks_exact(5)) {
            record.discriminator_loss = values[0];
            record.generator_loss = values[1];
            record.penalty = record.penalty.map(|_| values[2]);
            record.real_accuracy = values[3];
            record.fake_accuracy = values[4];
            if let Some(&loss) = values.iter().find(|value| !value.is_finite()) {
                let step = record.step;
                return Err(TrainError::Diverged { step, loss });
            }
        }
        self.run.append_metrics(&records)?;
        self.last = records.last().copied();
        hooks.logged(&records, progress);
        Ok(())
    }
}
