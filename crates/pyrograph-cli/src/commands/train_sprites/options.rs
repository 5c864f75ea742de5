//! What a recipe and the flags may set.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use pyrograph::{
    data::{Faults, SpriteLabels, SpriteOptions, SpriteSet},
    diffusion::{BetaSchedule, ForwardNoise, LossWeighting, NoiseScheduleConfig, PredictionType},
    models::context_unet::ContextUnetConfig,
    train::sprites::{DataSource, SpriteRun, SpriteTraining},
};
use serde::{Deserialize, Serialize};

use crate::{
    reading::{LabelsName, faults, sprite_options},
    training::{RunLimits, absolute},
};

/// What a recipe file may set; the command's flags go before it.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Options {
    /// A folder with the course's .npy pair (one *sprites*.npy and one *labels*.npy), with square
    /// images, or with a folder of images for each class; docs/labelled-data.md describes them.
    /// Without --data, the built-in sprites.
    #[arg(long)]
    data: Option<PathBuf>,
    /// The side to which the images of --data are resized, 16, 20, 24 or 28; whole factors keep
    /// pixel art intact [default: not resized].
    #[arg(long, allow_negative_numbers = true)]
    side: Option<usize>,
    /// The meaning of the .npy array of labels [default: contexts; one column of class numbers
    /// above 1 is refused].
    #[arg(long, value_enum)]
    labels: Option<LabelsName>,
    /// Stop at the first file of the data that cannot be used, instead of listing all.
    #[arg(long, conflicts_with = "skip_broken")]
    strict: bool,
    /// Skip files of the data that cannot be used, and count them.
    #[arg(long)]
    skip_broken: bool,
    /// Number of built-in sprites [default: 4000].
    #[arg(long, conflicts_with = "data", allow_negative_numbers = true)]
    procedural: Option<usize>,
    /// The fraction of the data that is held out for `pyrograph eval` [default: 0.1].
    #[arg(long, allow_negative_numbers = true)]
    pub(super) held_out: Option<f64>,
    /// Passes over the data [default: 32, unless another limit is given].
    #[arg(long, allow_negative_numbers = true)]
    epochs: Option<u64>,
    /// Total number of steps [default: as --epochs].
    #[arg(long, allow_negative_numbers = true)]
    steps: Option<u64>,
    /// Total number of minutes; the learning rate then follows the clock [default: no limit].
    #[arg(long, allow_negative_numbers = true)]
    max_minutes: Option<f64>,
    /// Images in a step [default: 100].
    #[arg(long, allow_negative_numbers = true)]
    batch_size: Option<usize>,
    /// Adam's learning rate at the start; it falls linearly to 0 [default: 0.001].
    #[arg(long, allow_negative_numbers = true)]
    learning_rate: Option<f64>,
    /// Width of the network, a multiple of 8 [default: 64].
    #[arg(long, allow_negative_numbers = true)]
    n_feat: Option<usize>,
    /// The noise schedule [default: course].
    #[arg(long, value_enum)]
    schedule: Option<ScheduleName>,
    /// Timesteps of the schedule [default: 500].
    #[arg(long, allow_negative_numbers = true)]
    timesteps: Option<usize>,
    /// The quantity that the network predicts [default: epsilon].
    #[arg(long, value_enum)]
    prediction: Option<PredictionName>,
    /// The mixing of noise and image; `course` is the course's mistake, for comparison [default:
    /// standard].
    #[arg(long, value_enum)]
    forward_noise: Option<ForwardName>,
    /// The probability that the context of an item is dropped [default: 0.1].
    #[arg(long, allow_negative_numbers = true)]
    context_drop: Option<f64>,
    /// Decay of the weights' moving average; 0 turns it off [default: 0.995].
    #[arg(long, allow_negative_numbers = true)]
    ema: Option<f64>,
    /// The norm to which gradients are clipped; 0 turns it off [default: 1].
    #[arg(long, allow_negative_numbers = true)]
    clip_norm: Option<f64>,
    /// Min-SNR weighting with this γ; the paper's is 5 [default: off].
    #[arg(long, value_name = "GAMMA", allow_negative_numbers = true)]
    min_snr: Option<f64>,
    /// Flip half of the images horizontally; side-facing sprites lose their meaning.
    #[arg(long)]
    horizontal_flip: bool,
    /// Epochs between pictures; 0 for only the last picture [default: 4].
    #[arg(long, allow_negative_numbers = true)]
    sample_every: Option<u64>,
    /// Epochs between checkpoints [default: 1].
    #[arg(long, allow_negative_numbers = true)]
    checkpoint_every: Option<u64>,
    /// Seed of all random numbers [default: 0].
    #[arg(long, allow_negative_numbers = true)]
    seed: Option<u64>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ScheduleName {
    Course,
    Linear,
    Cosine,
    Sigmoid,
}

impl ScheduleName {
    /// The variances that it stands for.
    pub(crate) fn kind(self) -> BetaSchedule {
        match self {
            Self::Course => BetaSchedule::CourseLinear,
            Self::Linear => BetaSchedule::Linear,
            Self::Cosine => BetaSchedule::Cosine,
            Self::Sigmoid => BetaSchedule::Sigmoid,
        }
    }
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum PredictionName {
    Epsilon,
    X0,
    V,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ForwardName {
    Standard,
    Course,
}

/// Built-in sprites when no number is given.
const PROCEDURAL: usize = 4000;

impl Options {
    /// Flags before the recipe.
    pub(super) fn over(self, file: Self) -> Self {
        let RunLimits {
            epochs,
            steps,
            max_minutes,
        } = match self.limits().are_given() {
            true => self.limits(),
            false => file.limits(),
        };
        let data_given = self.data.is_some() || self.procedural.is_some();
        let (data, procedural) = if data_given {
            (self.data, self.procedural)
        } else {
            (file.data, file.procedural)
        };
        Self {
            data,
            procedural,
            side: self.side.or(file.side),
            labels: self.labels.or(file.labels),
            strict: self.strict || (file.strict && !self.skip_broken),
            skip_broken: self.skip_broken || (file.skip_broken && !self.strict),
            epochs,
            steps,
            max_minutes,
            held_out: self.held_out.or(file.held_out),
            batch_size: self.batch_size.or(file.batch_size),
            learning_rate: self.learning_rate.or(file.learning_rate),
            n_feat: self.n_feat.or(file.n_feat),
            schedule: self.schedule.or(file.schedule),
            timesteps: self.timesteps.or(file.timesteps),
            prediction: self.prediction.or(file.prediction),
            forward_noise: self.forward_noise.or(file.forward_noise),
            context_drop: self.context_drop.or(file.context_drop),
            ema: self.ema.or(file.ema),
            clip_norm: self.clip_norm.or(file.clip_norm),
            min_snr: self.min_snr.or(file.min_snr),
            horizontal_flip: self.horizontal_flip || file.horizontal_flip,
            sample_every: self.sample_every.or(file.sample_every),
            checkpoint_every: self.checkpoint_every.or(file.checkpoint_every),
            seed: self.seed.or(file.seed),
        }
    }

    /// The limits that are given.
    pub(super) fn limits(&self) -> RunLimits {
        RunLimits {
            epochs: self.epochs,
            steps: self.steps,
            max_minutes: self.max_minutes,
        }
    }

    /// The options that a run has.
    pub(super) fn of_run(run: &SpriteRun) -> Self {
        let t = &run.training;
        let (data, side, options, procedural) = match &run.data {
            DataSource::Procedural { count, .. } => {
                (None, None, SpriteOptions::default(), Some(*count))
            }
            DataSource::Folder {
                path,
                side,
                options,
            } => (Some(path.clone()), *side, *options, None),
        };
        Self {
            data,
            side,
            labels: match options.labels {
                SpriteLabels::Auto => None,
                SpriteLabels::Classes => Some(LabelsName::Classes),
                SpriteLabels::Contexts => Some(LabelsName::Contexts),
            },
            strict: options.faults == Faults::Strict,
            skip_broken: options.faults == Faults::Skip,
            procedural,
            held_out: Some(run.held_out),
            epochs: t.epochs,
            steps: t.steps,
            max_minutes: t.max_minutes,
            batch_size: Some(t.batch_size),
            learning_rate: Some(t.learning_rate),
            n_feat: Some(t.model.n_feat),
            schedule: match t.schedule.kind {
                BetaSchedule::CourseLinear => Some(ScheduleName::Course),
                BetaSchedule::Linear => Some(ScheduleName::Linear),
                BetaSchedule::Cosine => Some(ScheduleName::Cosine),
                BetaSchedule::Sigmoid => Some(ScheduleName::Sigmoid),
                // No flag asks for another one.
                _ => None,
            },
            timesteps: Some(t.schedule.timesteps),
            prediction: Some(match t.prediction_type {
                PredictionType::Epsilon => PredictionName::Epsilon,
                PredictionType::Sample => PredictionName::X0,
                PredictionType::VPrediction => PredictionName::V,
            }),
            forward_noise: Some(match t.forward_noise {
                ForwardNoise::Standard => ForwardName::Standard,
                ForwardNoise::Course => ForwardName::Course,
            }),
            context_drop: Some(t.context_drop),
            // 0 is how a flag says "off".
            ema: Some(t.ema.unwrap_or(0.0)),
            clip_norm: Some(t.clip_norm.unwrap_or(0.0)),
            min_snr: match t.loss_weighting {
                LossWeighting::MinSnr { gamma } => Some(gamma),
                LossWeighting::Uniform => None,
            },
            horizontal_flip: t.horizontal_flip,
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
    pub(super) fn source(&self) -> anyhow::Result<DataSource> {
        let Some(path) = &self.data else {
            if self.side.is_some() {
                bail!("--side belongs to --data: the built-in sprites are drawn at their side");
            }
            if self.labels.is_some() || self.strict || self.skip_broken {
                bail!(
                    "--labels, --strict and --skip-broken belong to --data: the built-in sprites are drawn"
                );
            }
            return Ok(DataSource::Procedural {
                count: self.procedural.unwrap_or(PROCEDURAL),
                seed: self.seed.unwrap_or(0),
            });
        };
        if let Some(height) = self.side {
            let model = ContextUnetConfig {
                height,
                ..ContextUnetConfig::default()
            };
            model.check().context("--side")?;
        }
        Ok(DataSource::Folder {
            path: absolute(path, "--data")?,
            side: self.side,
            options: sprite_options(self.labels, faults(self.strict, self.skip_broken)),
        })
    }

    pub(super) fn training(&self, set: &SpriteSet) -> SpriteTraining {
        let usual = SpriteTraining::for_set(set);
        let mut model = usual.model.clone();
        model.n_feat = self.n_feat.unwrap_or(model.n_feat);
        let kind = self.schedule.unwrap_or(ScheduleName::Course).kind();
        // 0 is how a flag says "off".
        let switch = |given: Option<f64>, usual: Option<f64>| match given {
            Some(0.0) => None,
            given => given.or(usual),
        };
        SpriteTraining {
            model,
            schedule: NoiseScheduleConfig {
                kind,
                timesteps: self.timesteps.unwrap_or(usual.schedule.timesteps),
                zero_terminal_snr: usual.schedule.zero_terminal_snr,
            },
            prediction_type: match self.prediction {
                None | Some(PredictionName::Epsilon) => PredictionType::Epsilon,
                Some(PredictionName::X0) => PredictionType::Sample,
                Some(PredictionName::V) => PredictionType::VPrediction,
            },
            forward_noise: match self.forward_noise {
                None | Some(ForwardName::Standard) => ForwardNoise::Standard,
                Some(ForwardName::Course) => ForwardNoise::Course,
            },
            batch_size: self.batch_size.unwrap_or(usual.batch_size),
            learning_rate: self.learning_rate.unwrap_or(usual.learning_rate),
            epochs: self.epochs,
            steps: self.steps,
            max_minutes: self.max_minutes,
            context_drop: self.context_drop.unwrap_or(usual.context_drop),
            ema: switch(self.ema, usual.ema),
            clip_norm: switch(self.clip_norm, usual.clip_norm),
            loss_weighting: self.min_snr.map_or(LossWeighting::Uniform, |gamma| {
                LossWeighting::MinSnr { gamma }
            }),
            horizontal_flip: self.horizontal_flip,
            sample_every: self.sample_every.unwrap_or(usual.sample_every),
            checkpoint_every: self.checkpoint_every.unwrap_or(usual.checkpoint_every),
            seed: self.seed.unwrap_or(usual.seed),
            context_names: usual.context_names,
        }
    }
}
