//! f-AnoGAN's encoder, trained through the frozen generator.

use std::time::Instant;

use burn::{
    module::AutodiffModule,
    optim::{GradientsParams, Optimizer},
    tensor::{Tensor, backend::AutodiffBackend},
};
use pyrograph_backend::{
    lock_autodiff,
    vision::{PreparedWeights, VisionAutodiff},
};
use pyrograph_data::{Jitter, LabelledImages};
use pyrograph_losses::EncoderLoss;
use pyrograph_models::{
    blocks::BatchStatistics,
    dcgan::{DcganConfig, Discriminator, Encoder, Generator},
};
use pyrograph_vision::Normalisation;
use serde::{Deserialize, Serialize};

use super::batch::{RealImages, latents};
use crate::{
    TrainError,
    adam::adam,
    checks::{number, positive, refuse},
    ids::with_stable_ids,
    limits::linear_decay,
};

/// Steps between reads of the loss from the device.
const LOG_EVERY: u64 = 10;

/// What to do after a divergence.
const ADVICE: &str = "train the encoder again with a lower `learning_rate`";

/// Configuration of the training of an encoder:
/// [f-AnoGAN](https://doi.org/10.1016/j.media.2019.01.010)'s loss izi_f on real images, plus its
/// loss ziz, the distance `mean((z − E(G(z)))²)` on generated images, which shows the encoder
/// latent vectors from the whole prior.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderTraining {
    /// The loss izi_f, with its κ.
    pub loss: EncoderLoss,
    /// Weight of ziz; 0 turns it off, as in f-AnoGAN's final version.
    pub latent_weight: f64,
    /// Adam's rate at the start; it falls linearly to 0.
    pub learning_rate: f64,
    /// Images in a step.
    pub batch_size: usize,
    /// Total number of steps.
    pub steps: u64,
    /// The random jitter of training images.
    pub jitter: Jitter,
    /// Seed of all random numbers.
    pub seed: u64,
}

impl Default for EncoderTraining {
    fn default() -> Self {
        Self {
            loss: EncoderLoss::default(),
            latent_weight: 0.1,
            learning_rate: 1e-3,
            batch_size: 64,
            steps: 1000,
            jitter: Jitter::default(),
            seed: 0,
        }
    }
}

impl EncoderTraining {
    /// Checks every field.
    ///
    /// # Errors
    /// Names the first field that is not allowed.
    pub fn check(&self) -> Result<(), TrainError> {
        for (field, value) in [
            ("kappa", self.loss.kappa),
            ("latent_weight", self.latent_weight),
        ] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(refuse(field, number(value), "a finite number of 0 or more"));
            }
        }
        if !positive(self.learning_rate) {
            let seen = number(self.learning_rate);
            return Err(refuse("learning_rate", seen, "above 0"));
        }
        if self.batch_size < 2 {
            return Err(refuse("images a step", self.batch_size, "2 or more"));
        }
        if self.steps == 0 {
            return Err(refuse("steps", 0, "1 or more"));
        }
        self.jitter.validated()?;
        Ok(())
    }
}

/// The progress of the encoder's training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EncoderRecord {
    /// Steps taken.
    pub step: u64,
    /// The loss of the last step.
    pub loss: f32,
    /// Seconds so far.
    pub seconds: f64,
}

/// Trains an encoder through `generator` and `discriminator`, which do not change. `logged` is
/// called every ten steps.
///
/// # Errors
/// When a field is not allowed, the images do not fit, or the loss is not finite.
#[allow(clippy::too_many_arguments)] // Networks, their numbers, the data and how they are read.
pub fn train_encoder<B: VisionAutodiff>(
    config: &EncoderTraining,
    model: &DcganConfig,
    generator: &Generator<B::InnerBackend>,
    discriminator: &Discriminator<B::InnerBackend>,
    data: &LabelledImages,
    normalisation: Normalisation,
    logged: &mut dyn FnMut(EncoderRecord),
    device: &B::Device,
) -> Result<Encoder<B::InnerBackend>, TrainError> {
    config.check()?;
    model.check_images(&[data.len(), data.channels(), data.height(), data.width()])?;
    if data.len() < 2 {
        return Err(refuse("images to train on", data.len(), "2 or more"));
    }
    let mut images = RealImages::new(
        data,
        normalisation,
        config.jitter,
        config.batch_size,
        config.seed,
    );
    let (generator, discriminator) = (generator.frozen(), discriminator.frozen());
    let _prepared = [
        PreparedWeights::of(&generator),
        PreparedWeights::of(&discriminator),
    ];
    let generator = on_tape::<B, Generator<B>>(generator);
    let discriminator = on_tape::<B, Discriminator<B>>(discriminator);
    let mut encoder = with_stable_ids(model.init_encoder::<B>(device, config.seed)?);
    let mut optimizer = adam::<B, Encoder<B>>([0.9, 0.999]);
    let started = Instant::now();

    for step in 0..config.steps {
        // 1. Learning rate and batch.
        let rate = linear_decay(config.learning_rate, step as f64 / config.steps as f64);
        let x = Tensor::<B, 4>::from_inner(images.draw(step, device));

        // 2. Forward and loss.
        let turn = lock_autodiff();
        let mut statistics = BatchStatistics::new();
        let z = encoder.forward_training(x.clone(), &mut statistics);
        let twin = generator.forward(z);
        let (x_features, twin_features) = (
            discriminator.features(x.clone()),
            discriminator.features(twin.clone()),
        );
        let [batch, ..] = x.dims();
        let mut loss = config.loss.forward(x, twin, x_features, twin_features)?;
        if config.latent_weight > 0.0 {
            let z = latents::<B>(config.seed, step, [batch, model.z_dim], device);
            let image = generator.forward(z.clone());
            // The statistics of generated images would mix with those that scoring relies on.
            let found = encoder.forward_training(image, &mut BatchStatistics::new());
            loss = loss + (found - z).square().mean() * config.latent_weight;
        }

        // 3. Backward and step.
        let observed = loss.clone().inner();
        let gradients = GradientsParams::from_grads(loss.backward(), &encoder);
        drop(turn);
        encoder = statistics.update(optimizer.step(rate, encoder, gradients));

        // 4. Log.
        let step = step + 1;
        if step.is_multiple_of(LOG_EVERY) || step == config.steps {
            let loss = observed.into_data().iter::<f32>().sum::<f32>();
            if !loss.is_finite() {
                return Err(TrainError::Diverged {
                    step,
                    loss,
                    advice: ADVICE,
                    saved: None,
                });
            }
            let seconds = started.elapsed().as_secs_f64();
            logged(EncoderRecord {
                step,
                loss,
                seconds,
            });
        }
    }
    Ok(encoder.valid())
}

/// A frozen module on the backend that records, where only its input is followed.
fn on_tape<B: AutodiffBackend, M: AutodiffModule<B>>(frozen: M::InnerModule) -> M {
    M::from_inner(frozen).no_grad()
}
