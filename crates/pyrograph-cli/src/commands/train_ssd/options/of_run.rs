//! The options that a run has, which a resumed run takes again.

use pyrograph::{
    data::{
        Faults,
        detection::{BeyondImage, Degenerate, SsdAugment, UnknownClass, VocCorners},
    },
    models::ssd::Transfer,
    train::ssd::{DetectionSource, RateSchedule, SsdOptimizer, SsdRun},
    vision::{ColourNormalisation, Exif},
};

use super::{
    AugmentName, BeyondName, DegenerateName, ExifName, NormalisationName, OptimizerName, Options,
    ScheduleName, Switch, TransferName, UnknownName,
};
use crate::{commands::train_ssd::model_file::model_file, training::absolute};

impl Options {
    /// The options that a run has.
    pub(in super::super) fn of_run(run: &SsdRun) -> Self {
        let t = &run.training;
        let schedule = match t.schedule {
            RateSchedule::Cosine => ScheduleName::Cosine,
            RateSchedule::Steps(_) => ScheduleName::Steps,
            RateSchedule::Exponential(_) => ScheduleName::Exponential,
        };
        Self {
            held_out: run.validation.is_none().then_some(run.held_out),
            validation_data: match (&run.validation, &run.data) {
                (
                    Some(DetectionSource::Files { path, .. }),
                    DetectionSource::Files { path: data, .. },
                ) if path != data => Some(path.clone()),
                _ => None,
            },
            validation_split: match &run.validation {
                Some(DetectionSource::Files { split, .. }) => Some(split.clone()),
                _ => None,
            },
            difficult: t.difficult,
            images: run.images,
            backbone: Some(t.model.backbone),
            width: Some(t.model.width),
            priors: Some(t.model.prior_table()),
            batch_norm: Some(match t.model.batch_norm {
                true => Switch::On,
                false => Switch::Off,
            }),
            start: t.start.as_ref().map(|start| start.path.clone()),
            part: t.start.as_ref().and_then(|start| start.part.clone()),
            transfer: t.start.as_ref().map(|start| match start.transfer {
                Transfer::All => TransferName::All,
                Transfer::ReplaceHeads => TransferName::ReplaceHeads,
                Transfer::Backbone => TransferName::Backbone,
            }),
            normalisation: [
                (ColourNormalisation::SSD, NormalisationName::Ssd),
                (ColourNormalisation::IMAGENET, NormalisationName::Imagenet),
                (ColourNormalisation::MOBILENET, NormalisationName::Mobilenet),
            ]
            .into_iter()
            .find_map(|(colours, name)| (t.normalisation == colours).then_some(name)),
            freeze: Some(t.freeze),
            unfreeze_at: t.unfreeze.map(|leg| leg.at),
            unfreeze_rate: t.unfreeze.and_then(|leg| leg.learning_rate),
            augment: [
                (SsdAugment::ssd(), AugmentName::Ssd),
                (SsdAugment::light(), AugmentName::Light),
                (SsdAugment::none(), AugmentName::None),
            ]
            .into_iter()
            .find_map(|(augment, name)| (t.augment == augment).then_some(name)),
            epochs: t.epochs,
            steps: t.steps,
            max_minutes: t.max_minutes,
            batch_size: Some(t.batch_size),
            optimizer: Some(match t.optimizer {
                SsdOptimizer::Sgd => OptimizerName::Sgd,
                SsdOptimizer::AdamW => OptimizerName::AdamW,
            }),
            learning_rate: Some(t.learning_rate),
            warm_up: Some(t.warm_up),
            schedule: Some(schedule),
            gamma: match t.schedule {
                RateSchedule::Exponential(gamma) => Some(gamma),
                _ => None,
            },
            momentum: Some(t.momentum),
            weight_decay: Some(t.weight_decay),
            // 0 is how a flag says "off".
            clip_norm: Some(t.clip_norm.unwrap_or(0.0)),
            ema: Some(t.ema.unwrap_or(0.0)),
            negatives_per_positive: Some(t.loss.negatives_per_positive),
            negatives_for_hard: Some(t.loss.negatives_for_hard),
            checkpoint_every: Some(t.checkpoint_every),
            evaluate_every: Some(t.evaluate_every),
            loaders: Some(t.loaders),
            seed: Some(t.seed),
            ..Self::of_data(run)
        }
    }

    fn of_data(run: &SsdRun) -> Self {
        let (path, format, split, options) = match &run.data {
            DetectionSource::Scenes { count, seed, .. } => {
                return Self {
                    scenes: Some(*count),
                    scenes_seed: Some(*seed),
                    ..Self::default()
                };
            }
            DetectionSource::Files {
                path,
                format,
                split,
                options,
            } => (path, format, split, options),
        };
        Self {
            data: Some(path.clone()),
            format: Some(*format),
            split: Some(split.clone()),
            classes: run.classes.clone(),
            unknown_classes: Some(match options.unknown {
                UnknownClass::Refuse => UnknownName::Refuse,
                UnknownClass::Skip => UnknownName::Skip,
            }),
            degenerate_boxes: Some(match options.boxes.degenerate {
                Degenerate::Skip => DegenerateName::Skip,
                Degenerate::Refuse => DegenerateName::Refuse,
            }),
            boxes_beyond: Some(match options.boxes.beyond {
                BeyondImage::Clip => BeyondName::Clip,
                BeyondImage::Skip => BeyondName::Skip,
                BeyondImage::Refuse => BeyondName::Refuse,
                BeyondImage::Keep => BeyondName::Keep,
            }),
            one_based: options.voc_corners == VocCorners::OneBased,
            exif: Some(match options.exif {
                Exif::Upright => ExifName::Upright,
                Exif::Stored => ExifName::Stored,
            }),
            strict: options.faults == Faults::Strict,
            skip_broken: options.faults == Faults::Skip,
            ..Self::default()
        }
    }

    /// The options with paths as a run has them.
    pub(in super::super) fn with_absolute_paths(mut self) -> anyhow::Result<Self> {
        for (path, flag) in [
            (&mut self.data, "--data"),
            (&mut self.validation_data, "--validation-data"),
        ] {
            if let Some(path) = path {
                *path = absolute(path, flag)?;
            }
        }
        let start = self.start.map(|start| model_file("--start", &start));
        self.start = start.transpose()?;
        Ok(self)
    }
}
