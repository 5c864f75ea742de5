//! The log of an adversarial training.

use burn::tensor::{Tensor, backend::Backend};
use serde::{Deserialize, Serialize};

use crate::{TrainError, step_log::PendingStep};

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
    /// The gradient penalty, if this step has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub penalty: Option<f32>,
    /// The fraction of real images that the discriminator classified as real.
    pub real_accuracy: f32,
    /// The fraction of generated images that the discriminator classified as generated.
    pub fake_accuracy: f32,
    /// Mean distance between two generated images, divided by that between two real ones, if it was
    /// measured: near 1 for a healthy generator, near 0 for a generator that always makes the same
    /// image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diversity: Option<f32>,
    /// The generator's learning rate.
    pub generator_rate: f64,
    /// The discriminator's learning rate.
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

impl<B: Backend> Figures<B> {
    /// In the order in which a step of the log takes them.
    pub(super) fn into_columns(self) -> Vec<Tensor<B, 1>> {
        let Self {
            discriminator_loss,
            generator_loss,
            penalty,
            real_accuracy,
            fake_accuracy,
        } = self;
        vec![
            discriminator_loss,
            generator_loss,
            penalty,
            real_accuracy,
            fake_accuracy,
        ]
    }
}

/// What to do after a divergence.
pub(super) const ADVICE: &str = "begin a new run in another folder with a lower `generator_rate` and `discriminator_rate`, \
     or with another `penalty`";

impl PendingStep for AdversarialRecord {
    type Line = Self;

    fn into_line(mut self, figures: &[f32], saved: Option<u64>) -> Result<Self, TrainError> {
        if let Some(&loss) = figures.iter().find(|value| !value.is_finite()) {
            return Err(TrainError::Diverged {
                step: self.step,
                loss,
                advice: ADVICE,
                saved,
            });
        }
        if let &[discriminator, generator, penalty, real, fake] = figures {
            self.discriminator_loss = discriminator;
            self.generator_loss = generator;
            self.penalty = self.penalty.map(|_| penalty);
            self.real_accuracy = real;
            self.fake_accuracy = fake;
        }
        Ok(self)
    }
}
