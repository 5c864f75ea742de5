//! Configuration of an adversarial training.

use pyrograph_data::{Jitter, LabelledImages};
use pyrograph_losses::{AdversarialLoss, GradientPenalty, LossError};
use pyrograph_models::dcgan::DcganConfig;
use pyrograph_vision::Normalisation;
use serde::{Deserialize, Serialize};

use crate::{
    Limits, TrainError,
    checks::{check_ema, check_limits, number, positive, refuse},
    limits::batches_per_epoch,
};

/// Epochs when no limit is given.
const DEFAULT_EPOCHS: u64 = 12;
/// And steps that are taken at least, which few images want.
const DEFAULT_STEPS: u64 = 2500;
/// So few images that the discriminator would learn them by heart: they are jittered, and the
/// penalty is twice as strong.
const FEW: usize = 1000;
/// What 400 digits were trained with (docs/anomaly.md).
const FEW_JITTER: Jitter = Jitter {
    rotation: 6.0,
    scale: 0.06,
    shear: 0.08,
    shift: 0.03,
};
/// More steps of the discriminator than anyone takes for one of the generator.
const MAX_DISCRIMINATOR_STEPS: u64 = 100;

/// Configuration of the training of a DCGAN on normal images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DcganTraining {
    /// Both networks.
    pub model: DcganConfig,
    /// The normalisation of pixels.
    pub normalisation: Normalisation,
    /// The adversarial loss.
    pub loss: AdversarialLoss,
    /// The gradient penalty of the discriminator.
    pub penalty: Option<GradientPenalty>,
    /// Steps from one penalty to the next; the penalty is multiplied by this number. 1 means every
    /// step (lazy regularisation, [StyleGAN2](https://arxiv.org/abs/1912.04958), appendix B).
    pub penalty_every: u64,
    /// Adam's rate for the generator at the start.
    pub generator_rate: f64,
    /// Adam's rate for the discriminator at the start.
    pub discriminator_rate: f64,
    /// The fraction of both rates that is left at the end; the rates fall linearly.
    pub final_rate: f64,
    /// Adam's β₁ and β₂.
    pub betas: [f64; 2],
    /// Steps of the discriminator for each step of the generator.
    pub discriminator_steps: u64,
    /// The label of real images in the cross-entropy; below 1 is label smoothing.
    pub real_label: f64,
    /// Initial standard deviation of the normal noise on all inputs of the discriminator; it falls
    /// linearly to 0 over four fifths of the run ([Sønderby et
    /// al.](https://arxiv.org/abs/1610.04490)).
    pub instance_noise: f64,
    /// The random jitter of training images.
    pub jitter: Jitter,
    /// Images in a step.
    pub batch_size: usize,
    /// Passes over the data.
    pub epochs: Option<u64>,
    /// Total number of generator steps.
    pub steps: Option<u64>,
    /// Total number of minutes. A run that ends by time cannot be repeated to the bit, since its
    /// learning rates follow the clock.
    pub max_minutes: Option<f64>,
    /// Decay of the generator's moving average; `None` turns it off.
    pub ema: Option<f64>,
    /// Steps between pictures; 0 for only the last picture.
    pub sample_every: u64,
    /// Steps between checkpoints; 0 for only the last checkpoint.
    pub checkpoint_every: u64,
    /// Seed of all random numbers.
    pub seed: u64,
}

impl DcganTraining {
    /// The recipe with the best anomaly scores of those tried (docs/anomaly.md): cross-entropy with
    /// R₁ on a discriminator without norms, and an averaged generator. For fewer than 1,000 images
    /// it adds jitter and doubles the penalty.
    pub fn for_set(set: &LabelledImages) -> Self {
        let mut model = DcganConfig {
            width: 32,
            channels: set.channels(),
            ..DcganConfig::default()
        };
        model.discriminator.norm = false;
        let (jitter, penalty) = match set.len() < FEW {
            true => (FEW_JITTER, 1.0),
            false => (Jitter::default(), 0.5),
        };
        Self {
            model,
            normalisation: Normalisation::TANH,
            loss: AdversarialLoss::Bce,
            penalty: Some(GradientPenalty::Zero(penalty)),
            penalty_every: 4,
            generator_rate: 2e-4,
            discriminator_rate: 2e-4,
            final_rate: 1.0,
            betas: [0.0, 0.99],
            discriminator_steps: 1,
            real_label: 1.0,
            instance_noise: 0.0,
            jitter,
            batch_size: 64,
            epochs: None,
            steps: None,
            max_minutes: None,
            ema: Some(0.999),
            sample_every: 500,
            checkpoint_every: 500,
            seed: 0,
        }
    }

    /// The public article's recipe (wsj-create/AnoGAN-pytorch) with pixels in tanh's range:
    /// cross-entropy, batch 128, Adam 1e-4 and 4e-4 with β 0 and 0.9, width 64, 300 epochs. On 400
    /// digits its discriminator becomes far stronger than its generator.
    pub fn article(set: &LabelledImages) -> Self {
        Self {
            model: DcganConfig {
                channels: set.channels(),
                ..DcganConfig::default()
            },
            penalty: None,
            penalty_every: 1,
            jitter: Jitter::default(),
            generator_rate: 1e-4,
            discriminator_rate: 4e-4,
            betas: [0.0, 0.9],
            batch_size: 128,
            epochs: Some(300),
            ema: None,
            ..Self::for_set(set)
        }
    }

    /// Steps of one pass over `items` images; the last batch may be smaller, but never one image: a
    /// batch norm needs two.
    pub fn steps_per_epoch(&self, items: usize) -> u64 {
        batches_per_epoch(items, self.batch_size)
    }

    /// The limits of the run.
    pub fn limits(&self, items: usize) -> Limits {
        // An epoch's batches are shared out over the steps of the discriminator.
        let per_epoch = self
            .steps_per_epoch(items)
            .div_ceil(self.discriminator_steps.max(1));
        let usual = DEFAULT_EPOCHS.max(DEFAULT_STEPS.div_ceil(per_epoch));
        Limits::new(self.epochs, self.steps, self.max_minutes, per_epoch, usual)
    }

    /// Deviation of the instance noise at `progress`, 0 to 1.
    pub(super) fn noise_at(&self, progress: f64) -> f64 {
        /// The share of a run after which there is no noise.
        const UNTIL: f64 = 0.8;
        self.instance_noise * (1.0 - progress / UNTIL).max(0.0)
    }

    /// The rates of generator and discriminator at `progress`.
    pub(super) fn rates_at(&self, progress: f64) -> [f64; 2] {
        let share = 1.0 - (1.0 - self.final_rate) * progress;
        [self.generator_rate * share, self.discriminator_rate * share]
    }

    /// Checks every field, and that the images fit the networks.
    ///
    /// # Errors
    /// Names the first field that is not allowed.
    pub fn check(&self, set: &LabelledImages) -> Result<(), TrainError> {
        self.model.check()?;
        self.model
            .check_images(&[1, set.channels(), set.height(), set.width()])?;
        if set.height() != self.model.side() {
            let side = self.model.side();
            let allowed = format!("{side}, the side of the generator's images: resize them");
            return Err(refuse("the side of the images", set.height(), &allowed));
        }
        // Batch norms need two values a channel, also in the last block, which has 16 of each image.
        if set.len() < 2 || self.batch_size < 2 {
            let seen = set.len().min(self.batch_size);
            return Err(refuse("images a step", seen, "2 or more"));
        }
        self.check_loss()?;
        for (field, value) in [
            ("generator_rate", self.generator_rate),
            ("discriminator_rate", self.discriminator_rate),
        ] {
            if !positive(value) {
                return Err(refuse(field, number(value), "above 0"));
            }
        }
        if !(0.0..=1.0).contains(&self.final_rate) {
            return Err(refuse("final_rate", number(self.final_rate), "0 to 1"));
        }
        for beta in self.betas {
            if !(0.0..1.0).contains(&beta) {
                return Err(refuse("betas", number(beta), "at least 0 and below 1"));
            }
        }
        if !(1..=MAX_DISCRIMINATOR_STEPS).contains(&self.discriminator_steps) {
            let allowed = format!("1 to {MAX_DISCRIMINATOR_STEPS}");
            return Err(refuse(
                "discriminator_steps",
                self.discriminator_steps,
                &allowed,
            ));
        }
        if !(self.instance_noise.is_finite() && self.instance_noise >= 0.0) {
            let allowed = "a finite number of 0 or more";
            return Err(refuse(
                "instance_noise",
                number(self.instance_noise),
                allowed,
            ));
        }
        self.jitter.validated()?;
        check_limits(self.epochs, self.steps, self.max_minutes)?;
        check_ema(self.ema)
    }

    fn check_loss(&self) -> Result<(), TrainError> {
        if !(self.real_label > 0.0 && self.real_label <= 1.0) {
            return Err(refuse(
                "real_label",
                number(self.real_label),
                "above 0, up to 1",
            ));
        }
        if self.real_label != 1.0 && self.loss != AdversarialLoss::Bce {
            let allowed = "1 without the cross-entropy: no other loss has labels to smooth";
            return Err(refuse("real_label", number(self.real_label), allowed));
        }
        if self.penalty_every == 0 {
            return Err(refuse("penalty_every", 0, "1 or more"));
        }
        let none = matches!(
            self.penalty,
            None | Some(GradientPenalty::Unit(0.0) | GradientPenalty::Zero(0.0))
        );
        match self.penalty {
            _ if none && self.loss == AdversarialLoss::Wasserstein => Err(LossError::Range {
                what: "the weight of the gradient penalty",
                seen: 0.0,
                allowed: "above 0 with the Wasserstein loss, which means nothing without it",
            }
            .into()),
            Some(penalty) => {
                penalty.check()?;
                if self.model.discriminator.norm {
                    let allowed = "none with batch norm in the discriminator: it is of single images \
                                   (turn the norm off)";
                    return Err(refuse("penalty", format!("{penalty:?}"), allowed));
                }
                Ok(())
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> LabelledImages {
        let digits = pyrograph_art::stroke_digits(4, &[7, 8], 0).expect("digits");
        digits.resized(64, 64).expect("enlarged")
    }

    #[test]
    fn a_rest_of_one_image_is_left_out_of_an_epoch() {
        let config = DcganTraining {
            batch_size: 64,
            ..DcganTraining::for_set(&set())
        };
        for (items, steps) in [(64, 1), (65, 1), (66, 2), (128, 2), (2, 1), (12_116, 190)] {
            assert_eq!(config.steps_per_epoch(items), steps, "{items}");
        }
    }

    #[test]
    fn without_a_limit_few_images_are_passed_over_more_often() {
        let config = DcganTraining::for_set(&set());
        assert_eq!(config.limits(12_116).steps, Some(14 * 190));
        assert_eq!(config.limits(400).steps, Some(358 * 7));
        assert_eq!(config.limits(100_000).steps, Some(12 * 1563));
        assert_eq!(config.jitter, FEW_JITTER);
        assert!(DcganTraining::article(&set()).jitter.is_identity());
    }

    #[test]
    fn noise_ends_after_four_fifths_and_rates_fall_to_their_share() {
        let config = DcganTraining {
            instance_noise: 0.4,
            final_rate: 0.5,
            ..DcganTraining::article(&set())
        };
        assert_eq!(config.noise_at(0.0), 0.4);
        assert!((config.noise_at(0.4) - 0.2).abs() < 1e-12);
        assert_eq!((config.noise_at(0.8), config.noise_at(1.0)), (0.0, 0.0));
        assert_eq!(config.rates_at(0.0), [1e-4, 4e-4]);
        assert_eq!(config.rates_at(1.0), [0.5e-4, 2e-4]);
    }

    #[test]
    fn both_presets_are_legal_and_every_number_out_of_range_is_refused_by_name() {
        let set = set();
        for preset in [DcganTraining::for_set(&set), DcganTraining::article(&set)] {
            preset.check(&set).expect("legal");
            // Outside tanh's range a residual could never reach 0.
            assert_eq!(preset.normalisation, Normalisation::TANH);
            assert_eq!(preset.normalisation.range(), (-1.0, 1.0));
        }
        type Change = fn(&mut DcganTraining);
        let changes: [(&str, Change); 17] = [
            ("z_dim", |c| c.model.z_dim = 0),
            ("side", |c| c.model.blocks = 3),
            ("images a step", |c| c.batch_size = 1),
            ("generator_rate", |c| c.generator_rate = f64::NAN),
            ("discriminator_rate", |c| c.discriminator_rate = 0.0),
            ("final_rate", |c| c.final_rate = 1.5),
            ("betas", |c| c.betas[0] = 1.0),
            ("discriminator_steps", |c| c.discriminator_steps = 0),
            ("instance_noise", |c| c.instance_noise = -1.0),
            ("jitter", |c| c.jitter.shift = 2.0),
            ("epochs", |c| c.epochs = Some(0)),
            ("max_minutes", |c| c.max_minutes = Some(-1.0)),
            ("ema", |c| c.ema = Some(1.0)),
            ("real_label", |c| c.real_label = 0.0),
            ("real_label", |c| {
                (c.loss, c.real_label) = (AdversarialLoss::Hinge, 0.9);
            }),
            ("penalty", |c| c.model.discriminator.norm = true),
            ("penalty", |c| {
                (c.loss, c.penalty) = (AdversarialLoss::Wasserstein, None);
            }),
        ];
        for (name, change) in changes {
            let mut config = DcganTraining::for_set(&set);
            change(&mut config);
            let message = config.check(&set).expect_err(name).to_string();
            assert!(message.contains(name), "{name}: {message}");
        }
    }
}
