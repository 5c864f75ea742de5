//! What a recipe and the flags may set.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use pyrograph::{
    data::{Channels, Faults, LabelColumn, LabelledImages, LabelledOptions, Switch},
    losses::{AdversarialLoss, GradientPenalty},
    models::dcgan::DcganConfig,
    train::dcgan::{DcganRun, DcganTraining, ImageSource},
    vision::Normalisation,
};
use serde::{Deserialize, Serialize};

use crate::{
    reading::{ChannelsName, OnOff, READING_NEEDS_DATA, faults},
    training::{RunLimits, absolute, lay_over},
};

/// What a recipe file may set; the command's flags go before it.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Options {
    /// The data: idx files of MNIST and its relatives (a folder, gzipped or not, also
    /// torchvision's), a CSV file, MVTec's folders (train/good, test/DEFECT), or a folder of images
    /// for each class; docs/labelled-data.md lists the layouts. Without --data, the built-in stroke
    /// digits.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Names of the normal classes [default: normal or good if the data have it, otherwise all; of
    /// the built-in digits 7,8].
    #[arg(long, value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    classes: Vec<String>,
    /// The label column of a CSV file: first, last, none, or its name or number [default: the one
    /// that the header names].
    #[arg(long, value_name = "COLUMN")]
    label_column: Option<String>,
    /// Whether to swap rows and columns of idx and CSV files [default: on for files named
    /// emnist-*].
    #[arg(long, value_enum)]
    transpose: Option<OnOff>,
    /// The value of a white pixel [default: 1 in a CSV file of zeros and ones; 255, 1023 or 4095
    /// for 16-bit pictures without a larger value; otherwise 255, or 65535 for 16 bits].
    #[arg(long, value_name = "N")]
    white_level: Option<u16>,
    /// The channels of the images [default: grey if no image has a colour].
    #[arg(long, value_enum)]
    channels: Option<ChannelsName>,
    /// Read masks as images too: folders such as ground_truth or masks, and files such as
    /// 000_mask.png beside 000.png.
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    keep_masks: bool,
    /// Stop at the first file or line of the data that cannot be used, instead of listing all.
    #[arg(long, conflicts_with = "skip_broken")]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    strict: bool,
    /// Skip files or lines of the data that cannot be used, and count them.
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    skip_broken: bool,
    /// Use only the first LIMIT images of those classes [default: all].
    #[arg(long, allow_negative_numbers = true)]
    limit: Option<usize>,
    /// Number of built-in digits of each class [default: 500].
    #[arg(long, conflicts_with = "data", allow_negative_numbers = true)]
    per_class: Option<usize>,
    /// The fraction of the images that is held out; `anomaly fit` draws its thresholds from them
    /// [default: 0.1].
    #[arg(long, allow_negative_numbers = true)]
    pub(super) held_out: Option<f64>,
    /// The preset that the other flags change [default: stable].
    #[arg(long, value_enum)]
    preset: Option<Preset>,
    /// Passes over the data [default: 12, or as many as make 2,500 steps, unless another limit is given].
    #[arg(long, allow_negative_numbers = true)]
    pub(super) epochs: Option<u64>,
    /// Total number of generator steps [default: as --epochs].
    #[arg(long, allow_negative_numbers = true)]
    pub(super) steps: Option<u64>,
    /// Total number of minutes [default: no limit].
    #[arg(long, allow_negative_numbers = true)]
    pub(super) max_minutes: Option<f64>,
    /// Images in a step [default: 64; 128 with --preset article].
    #[arg(long, allow_negative_numbers = true)]
    batch_size: Option<usize>,
    /// Length of a latent vector [default: 20].
    #[arg(long, allow_negative_numbers = true)]
    z_dim: Option<usize>,
    /// Channels of the layers nearest to the image [default: 32; 64 with --preset article].
    #[arg(long, allow_negative_numbers = true)]
    width: Option<usize>,
    /// Number of doublings of the side from 4 pixels: 4 gives images of 64×64, to which the data
    /// are resized [default: 4].
    #[arg(long, allow_negative_numbers = true)]
    blocks: Option<usize>,
    /// The adversarial loss; wgan-gp includes its penalty, five critic steps for each generator
    /// step, and no norm in the critic [default: bce].
    #[arg(long, value_enum)]
    loss: Option<LossName>,
    /// Weight of the gradient penalty: of R1 (γ), or of WGAN-GP; 0 turns R1 off [default: R1 of
    /// 0.5, of 1 for fewer than 1,000 images; 10 with wgan-gp; 0 with --preset article].
    #[arg(long, allow_negative_numbers = true)]
    penalty: Option<f64>,
    /// Steps from one penalty to the next [default: 4; 1 with wgan-gp and with --preset article].
    #[arg(long, allow_negative_numbers = true)]
    penalty_every: Option<u64>,
    /// Norm in the discriminator [default: none; batch with --preset article].
    #[arg(long, value_enum)]
    discriminator_norm: Option<NormName>,
    /// Steps of the discriminator for each step of the generator [default: 1; 5 with wgan-gp].
    #[arg(long, allow_negative_numbers = true)]
    discriminator_steps: Option<u64>,
    /// Adam's learning rate for the generator [default: 0.0002; 0.0001 with wgan-gp and with
    /// --preset article].
    #[arg(long, allow_negative_numbers = true)]
    generator_rate: Option<f64>,
    /// Adam's learning rate for the discriminator [default: 0.0002; 0.0001 with wgan-gp, 0.0004
    /// with --preset article].
    #[arg(long, allow_negative_numbers = true)]
    discriminator_rate: Option<f64>,
    /// The fraction of both learning rates that is left at the end [default: 1].
    #[arg(long, allow_negative_numbers = true)]
    final_rate: Option<f64>,
    /// Adam's β₁ [default: 0].
    #[arg(long, allow_negative_numbers = true)]
    beta1: Option<f64>,
    /// Adam's β₂ [default: 0.99; 0.9 with wgan-gp and with --preset article].
    #[arg(long, allow_negative_numbers = true)]
    beta2: Option<f64>,
    /// Label smoothing, subtracted from the label of real images: 0.1 makes it 0.9 [default: 0].
    #[arg(long, allow_negative_numbers = true)]
    label_smoothing: Option<f64>,
    /// Initial standard deviation of the noise on all inputs of the discriminator [default: 0].
    #[arg(long, allow_negative_numbers = true)]
    instance_noise: Option<f64>,
    /// Largest random rotation of training images in degrees [default: 6 for fewer than 1,000
    /// images, otherwise 0].
    #[arg(long, allow_negative_numbers = true)]
    jitter_rotation: Option<f32>,
    /// Largest random change of size of training images, as a fraction [default: 0.06 for fewer
    /// than 1,000 images, otherwise 0].
    #[arg(long, allow_negative_numbers = true)]
    jitter_scale: Option<f32>,
    /// Largest random shear of training images, as a fraction [default: 0.08 for fewer than 1,000
    /// images, otherwise 0].
    #[arg(long, allow_negative_numbers = true)]
    jitter_shear: Option<f32>,
    /// Largest random shift of training images, as a fraction of their side [default: 0.03 for
    /// fewer than 1,000 images, otherwise 0].
    #[arg(long, allow_negative_numbers = true)]
    jitter_shift: Option<f32>,
    /// The normalisation of pixels: tanh is the generator's range; mnist is the article's, whose
    /// range the generator cannot reach [default: tanh].
    #[arg(long)]
    normalisation: Option<String>,
    /// Decay of the generator's moving average; 0 turns it off [default: 0.999; 0 with --preset
    /// article].
    #[arg(long, allow_negative_numbers = true)]
    ema: Option<f64>,
    /// Steps between pictures; 0 for only the last picture [default: 500].
    #[arg(long, allow_negative_numbers = true)]
    sample_every: Option<u64>,
    /// Steps between checkpoints; 0 for only the last checkpoint [default: 500].
    #[arg(long, allow_negative_numbers = true)]
    checkpoint_every: Option<u64>,
    /// Seed of all random numbers [default: 0].
    #[arg(long, allow_negative_numbers = true)]
    seed: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Preset {
    /// Cross-entropy with R1, no norm in the discriminator, an averaged generator.
    Stable,
    /// The public article's settings; its discriminator becomes far stronger than its generator.
    Article,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LossName {
    Bce,
    Hinge,
    WganGp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum NormName {
    Batch,
    None,
}

/// Built-in digits of each class when no number is given.
const PER_CLASS: usize = 500;
/// What is normal among the built-in digits.
const BUILT_IN_CLASSES: [&str; 2] = ["7", "8"];
/// WGAN-GP's numbers in its paper.
const WGAN_GP_WEIGHT: f64 = 10.0;
const WGAN_GP_STEPS: u64 = 5;

impl Options {
    /// Flags before the recipe: a group that excludes itself (data, limits) goes as a whole.
    pub(super) fn over(self, file: Self) -> anyhow::Result<Self> {
        let mut file = file;
        if self.limits().are_given() {
            (file.epochs, file.steps, file.max_minutes) = (None, None, None);
        }
        if self.data.is_some() || self.per_class.is_some() {
            (file.data, file.per_class) = (None, None);
        }
        lay_over(self, file)
    }

    /// The limits that are given.
    pub(super) fn limits(&self) -> RunLimits {
        RunLimits {
            epochs: self.epochs,
            steps: self.steps,
            max_minutes: self.max_minutes,
        }
    }

    /// The options that a run has; it does not tell the preset that it was begun with.
    pub(super) fn of_run(run: &DcganRun) -> Self {
        let (data, t) = (&run.data, &run.training);
        Self {
            data: data.path.clone(),
            classes: data.classes.clone(),
            label_column: Some(data.options.label_column.to_string()),
            transpose: match data.options.transpose {
                Switch::Auto => None,
                Switch::On => Some(OnOff::On),
                Switch::Off => Some(OnOff::Off),
            },
            white_level: data.options.white_level,
            channels: match data.options.channels {
                Channels::Auto => None,
                Channels::Grey => Some(ChannelsName::Grey),
                Channels::Rgb => Some(ChannelsName::Rgb),
            },
            keep_masks: data.options.keep_masks,
            strict: data.options.faults == Faults::Strict,
            skip_broken: data.options.faults == Faults::Skip,
            limit: data.limit,
            per_class: data.path.is_none().then_some(data.per_class),
            held_out: Some(run.held_out),
            preset: None,
            epochs: t.epochs,
            steps: t.steps,
            max_minutes: t.max_minutes,
            batch_size: Some(t.batch_size),
            z_dim: Some(t.model.z_dim),
            width: Some(t.model.width),
            blocks: Some(t.model.blocks),
            loss: Some(match t.loss {
                AdversarialLoss::Bce => LossName::Bce,
                AdversarialLoss::Hinge => LossName::Hinge,
                AdversarialLoss::Wasserstein => LossName::WganGp,
            }),
            // 0 is how a flag says "off".
            penalty: Some(t.penalty.map_or(0.0, |penalty| match penalty {
                GradientPenalty::Zero(weight) | GradientPenalty::Unit(weight) => weight,
            })),
            penalty_every: Some(t.penalty_every),
            discriminator_norm: Some(match t.model.discriminator.norm {
                true => NormName::Batch,
                false => NormName::None,
            }),
            discriminator_steps: Some(t.discriminator_steps),
            generator_rate: Some(t.generator_rate),
            discriminator_rate: Some(t.discriminator_rate),
            final_rate: Some(t.final_rate),
            beta1: Some(t.betas[0]),
            beta2: Some(t.betas[1]),
            label_smoothing: Some(1.0 - t.real_label),
            instance_noise: Some(t.instance_noise),
            jitter_rotation: Some(t.jitter.rotation),
            jitter_scale: Some(t.jitter.scale),
            jitter_shear: Some(t.jitter.shear),
            jitter_shift: Some(t.jitter.shift),
            normalisation: Some(t.normalisation.to_string()),
            ema: Some(t.ema.unwrap_or(0.0)),
            sample_every: Some(t.sample_every),
            checkpoint_every: Some(t.checkpoint_every),
            seed: Some(t.seed),
        }
    }

    /// The options with the path of the data as a run has it.
    pub(super) fn with_absolute_data(mut self) -> anyhow::Result<Self> {
        if let Some(data) = &self.data {
            self.data = Some(absolute(data, "--data")?);
        }
        Ok(self)
    }

    /// The data, with a path that holds from any folder.
    pub(super) fn source(&self) -> anyhow::Result<ImageSource> {
        let path = match &self.data {
            Some(path) => Some(absolute(path, "--data")?),
            None => None,
        };
        let options = self.reading();
        if path.is_none() && !options.is_default() {
            bail!(READING_NEEDS_DATA);
        }
        let built_in = path.is_none() && self.classes.is_empty();
        Ok(ImageSource {
            path,
            per_class: self.per_class.unwrap_or(PER_CLASS),
            classes: match built_in {
                true => BUILT_IN_CLASSES.map(str::to_owned).into(),
                false => self.classes.clone(),
            },
            limit: self.limit,
            seed: self.seed.unwrap_or(0),
            options,
        })
    }

    /// How the data are read.
    fn reading(&self) -> LabelledOptions {
        let label_column = self.label_column.as_deref();
        LabelledOptions {
            label_column: label_column.map_or(LabelColumn::Auto, LabelColumn::from_name),
            transpose: self.transpose.map_or(Switch::Auto, Into::into),
            white_level: self.white_level,
            keep_masks: self.keep_masks,
            channels: self.channels.map_or(Channels::Auto, Into::into),
            faults: faults(self.strict, self.skip_broken),
        }
    }

    /// The side of the images that the networks take.
    pub(super) fn side(&self) -> usize {
        let usual = DcganConfig::default();
        let model = DcganConfig {
            blocks: self.blocks.unwrap_or(usual.blocks),
            ..usual.clone()
        };
        // A number that is not allowed is refused by its name when the whole config is checked.
        match model.check() {
            Ok(()) => model.side(),
            Err(_) => usual.side(),
        }
    }

    pub(super) fn training(&self, set: &LabelledImages) -> anyhow::Result<DcganTraining> {
        let usual = match self.preset {
            None | Some(Preset::Stable) => DcganTraining::for_set(set),
            Some(Preset::Article) => DcganTraining::article(set),
        };
        let mut t = usual;
        match self.loss {
            None => {}
            Some(LossName::Bce) => t.loss = AdversarialLoss::Bce,
            Some(LossName::Hinge) => t.loss = AdversarialLoss::Hinge,
            Some(LossName::WganGp) => {
                t.loss = AdversarialLoss::Wasserstein;
                t.penalty = Some(GradientPenalty::Unit(WGAN_GP_WEIGHT));
                t.penalty_every = 1;
                t.discriminator_steps = WGAN_GP_STEPS;
                t.model.discriminator.norm = false;
                (t.generator_rate, t.discriminator_rate, t.betas) = (1e-4, 1e-4, [0.0, 0.9]);
            }
        }
        t.penalty = match (self.penalty, t.penalty) {
            (None, usual) => usual,
            (Some(weight), Some(GradientPenalty::Unit(_))) => Some(GradientPenalty::Unit(weight)),
            (Some(0.0), _) => None,
            (Some(weight), _) => Some(GradientPenalty::Zero(weight)),
        };
        if self.penalty_every.is_some() && t.penalty.is_none() {
            bail!("--penalty-every belongs to a penalty: give --penalty too");
        }
        for (flag, value) in [
            ("beta1", self.beta1),
            ("beta2", self.beta2),
            ("label-smoothing", self.label_smoothing),
        ] {
            if let Some(value) = value.filter(|value| !(0.0..1.0).contains(value)) {
                bail!("--{flag} is {value}, but must be at least 0 and below 1");
            }
        }
        let set_to = |field: &mut f64, given: Option<f64>| *field = given.unwrap_or(*field);
        set_to(&mut t.generator_rate, self.generator_rate);
        set_to(&mut t.discriminator_rate, self.discriminator_rate);
        set_to(&mut t.final_rate, self.final_rate);
        set_to(&mut t.betas[0], self.beta1);
        set_to(&mut t.betas[1], self.beta2);
        set_to(&mut t.instance_noise, self.instance_noise);
        set_to(
            &mut t.real_label,
            self.label_smoothing.map(|smoothing| 1.0 - smoothing),
        );
        let set_to = |field: &mut f32, given: Option<f32>| *field = given.unwrap_or(*field);
        set_to(&mut t.jitter.rotation, self.jitter_rotation);
        set_to(&mut t.jitter.scale, self.jitter_scale);
        set_to(&mut t.jitter.shear, self.jitter_shear);
        set_to(&mut t.jitter.shift, self.jitter_shift);
        let set_to = |field: &mut usize, given: Option<usize>| *field = given.unwrap_or(*field);
        set_to(&mut t.batch_size, self.batch_size);
        set_to(&mut t.model.z_dim, self.z_dim);
        set_to(&mut t.model.width, self.width);
        set_to(&mut t.model.blocks, self.blocks);
        let set_to = |field: &mut u64, given: Option<u64>| *field = given.unwrap_or(*field);
        set_to(&mut t.penalty_every, self.penalty_every);
        set_to(&mut t.discriminator_steps, self.discriminator_steps);
        set_to(&mut t.sample_every, self.sample_every);
        set_to(&mut t.checkpoint_every, self.checkpoint_every);
        set_to(&mut t.seed, self.seed);
        if let Some(norm) = self.discriminator_norm {
            t.model.discriminator.norm = norm == NormName::Batch;
        }
        if let Some(name) = &self.normalisation {
            t.normalisation = name.parse::<Normalisation>().context("--normalisation")?;
        }
        // 0 is how a flag says "off".
        t.ema = self
            .ema
            .map_or(t.ema, |decay| Some(decay).filter(|&d| d != 0.0));
        if self.limits().are_given() {
            self.limits()
                .set((&mut t.epochs, &mut t.steps, &mut t.max_minutes));
        }
        Ok(t)
    }
}
