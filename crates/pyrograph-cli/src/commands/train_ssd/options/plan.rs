//! From what the flags and a recipe say to data and a training.

use std::path::PathBuf;

use anyhow::bail;
use pyrograph::{
    data::{
        DataError,
        detection::{
            BeyondImage, BoxPolicy, Degenerate, DetectionFormat, DetectionOptions, DetectionSet,
            SsdAugment, UnknownClass, VocCorners,
        },
    },
    models::{
        ssd::{DetectorCard, SsdBackbone, SsdConfig, Transfer},
        weights::StateDict,
    },
    train::{
        TrainError,
        ssd::{DetectionSource, RateSchedule, SsdOptimizer, SsdTraining, StartFrom, Unfreeze},
    },
    vision::{ColourNormalisation, Exif},
};

use super::{
    AugmentName, BeyondName, DegenerateName, ExifName, NormalisationName, OptimizerName, Options,
    ScheduleName, Switch, TransferName, UnknownName,
};
use crate::{commands::train_ssd::model_file::model_file, reading::faults, training::absolute};

/// Built-in scenes when no number is given, and how large they are.
const SCENES: usize = 4000;
const SCENE_SIDE: u32 = 300;
/// Scenes that the best network is chosen by.
const VALIDATION_SCENES: usize = 100;
/// Adam's usual rate, and SGD's where weights are there: the published recipe's.
const LOW_RATE: f64 = 1e-3;
const VALIDATION: &str = "val";
/// The shares of the run after which the published recipes lower the rate: 80,000 and 100,000 of
/// 120,000 steps.
const PUBLISHED_STEPS: [f64; 2] = [2.0 / 3.0, 5.0 / 6.0];

impl Options {
    /// The data, with a path that holds from any folder.
    pub(in super::super) fn source(&self) -> anyhow::Result<DetectionSource> {
        let Some(data) = &self.data else {
            return Ok(DetectionSource::Scenes {
                count: self.scenes.unwrap_or(SCENES),
                side: SCENE_SIDE,
                seed: self.scenes_seed.or(self.seed).unwrap_or(0),
            }
            .part("train")?);
        };
        Ok(DetectionSource::Files {
            path: absolute(data, "--data")?,
            format: self.format.unwrap_or(DetectionFormat::Voc),
            split: self.split.clone().unwrap_or_else(|| "train".into()),
            options: self.reading(),
        })
    }

    fn reading(&self) -> DetectionOptions {
        DetectionOptions {
            classes: (!self.classes.is_empty()).then(|| self.classes.clone()),
            unknown: match self.unknown_classes {
                None | Some(UnknownName::Refuse) => UnknownClass::Refuse,
                Some(UnknownName::Skip) => UnknownClass::Skip,
            },
            boxes: BoxPolicy {
                degenerate: match self.degenerate_boxes {
                    None | Some(DegenerateName::Skip) => Degenerate::Skip,
                    Some(DegenerateName::Refuse) => Degenerate::Refuse,
                },
                beyond: match self.boxes_beyond {
                    None | Some(BeyondName::Clip) => BeyondImage::Clip,
                    Some(BeyondName::Skip) => BeyondImage::Skip,
                    Some(BeyondName::Refuse) => BeyondImage::Refuse,
                    Some(BeyondName::Keep) => BeyondImage::Keep,
                },
            },
            voc_corners: match self.one_based {
                true => VocCorners::OneBased,
                false => VocCorners::ZeroBased,
            },
            exif: match self.exif {
                None | Some(ExifName::Upright) => Exif::Upright,
                Some(ExifName::Stored) => Exif::Stored,
            },
            faults: faults(self.strict, self.skip_broken),
        }
    }

    /// The part that the best network is chosen by, its classes found by their names; none where a share is to be held out of
    /// `set`, which is `data`.
    pub(in super::super) fn validation(
        &self,
        data: &DetectionSource,
        set: &DetectionSet,
    ) -> anyhow::Result<Option<DetectionSource>> {
        if let (DetectionSource::Scenes { side, seed, .. }, None) = (data, self.held_out) {
            let scenes = DetectionSource::Scenes {
                count: VALIDATION_SCENES,
                side: *side,
                seed: *seed,
            };
            return Ok(Some(scenes.part(VALIDATION)?));
        }
        let by_name = |source: DetectionSource| source.with_classes(set.class_names());
        if let (Some(path), DetectionSource::Files { format, .. }) = (&self.validation_data, data) {
            let split = self.validation_split.as_deref().unwrap_or(VALIDATION);
            return Ok(Some(by_name(DetectionSource::Files {
                path: absolute(path, "--validation-data")?,
                format: *format,
                split: split.into(),
                options: self.reading(),
            })));
        }
        if let Some(split) = &self.validation_split {
            return Ok(Some(by_name(data.part(split)?)));
        }
        // A file beside an annotation file is a part of the data only where it is asked for.
        let is_file = matches!(data, DetectionSource::Files { path, .. } if path.is_file());
        if self.held_out.is_some() || is_file {
            return Ok(None);
        }
        let Ok(usual) = data.part(VALIDATION).map(by_name) else {
            return Ok(None);
        };
        match usual.load() {
            // As where `trainval` is trained on.
            Ok(validation) if validation.shared_with(set).is_some() => Ok(None),
            Ok(_) => Ok(Some(usual)),
            Err(TrainError::Data(
                DataError::NoDetectionSplit { .. } | DataError::NoDetectionSet { .. },
            )) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(in super::super) fn training(&self, set: &DetectionSet) -> anyhow::Result<SsdTraining> {
        let mut t = SsdTraining::for_set(
            set,
            self.backbone.unwrap_or(SsdBackbone::Vgg16),
            self.width.unwrap_or(1.0),
        );
        if let Some(path) = &self.start {
            self.begin_from(model_file("--start", path)?, set, &mut t)?;
        }
        match self.normalisation {
            None => {}
            Some(NormalisationName::Ssd) => t.normalisation = ColourNormalisation::SSD,
            Some(NormalisationName::Imagenet) => t.normalisation = ColourNormalisation::IMAGENET,
            Some(NormalisationName::Mobilenet) => t.normalisation = ColourNormalisation::MOBILENET,
        }
        t.model.priors = self.priors.or(t.model.priors);
        if let Some(switch) = self.batch_norm {
            t.model.batch_norm = switch == Switch::On;
        }
        match self.augment {
            None | Some(AugmentName::Ssd) => {}
            Some(AugmentName::Light) => t.augment = SsdAugment::light(),
            Some(AugmentName::None) => t.augment = SsdAugment::none(),
        }
        match self.schedule {
            None | Some(ScheduleName::Cosine) => {}
            Some(ScheduleName::Steps) => t.schedule = RateSchedule::Steps(PUBLISHED_STEPS.into()),
            // Checked to be there.
            Some(ScheduleName::Exponential) => {
                t.schedule = RateSchedule::Exponential(self.gamma.unwrap_or(1.0));
            }
        }
        t.unfreeze = self.unfreeze_at.map(|at| Unfreeze {
            at,
            learning_rate: self.unfreeze_rate,
        });
        match self.optimizer {
            None | Some(OptimizerName::Sgd) => {}
            Some(OptimizerName::AdamW) => {
                (t.optimizer, t.learning_rate) = (SsdOptimizer::AdamW, LOW_RATE);
            }
        }
        t.difficult = self.difficult;
        let set_to = |field: &mut f64, given: Option<f64>| *field = given.unwrap_or(*field);
        set_to(&mut t.learning_rate, self.learning_rate);
        set_to(&mut t.momentum, self.momentum);
        set_to(&mut t.weight_decay, self.weight_decay);
        let set_to = |field: &mut usize, given: Option<usize>| *field = given.unwrap_or(*field);
        set_to(&mut t.batch_size, self.batch_size);
        set_to(&mut t.freeze, self.freeze);
        set_to(&mut t.loaders, self.loaders);
        set_to(
            &mut t.loss.negatives_per_positive,
            self.negatives_per_positive,
        );
        set_to(&mut t.loss.negatives_for_hard, self.negatives_for_hard);
        let set_to = |field: &mut u64, given: Option<u64>| *field = given.unwrap_or(*field);
        set_to(&mut t.warm_up, self.warm_up);
        set_to(&mut t.checkpoint_every, self.checkpoint_every);
        set_to(&mut t.evaluate_every, self.evaluate_every);
        set_to(&mut t.seed, self.seed);
        // 0 is how a flag says "off".
        let switched = |given: Option<f64>, usual| match given {
            None => usual,
            Some(value) => Some(value).filter(|value| *value != 0.0),
        };
        t.ema = switched(self.ema, t.ema);
        t.clip_norm = switched(self.clip_norm, t.clip_norm);
        if self.limits().are_given() {
            self.limits()
                .set((&mut t.epochs, &mut t.steps, &mut t.max_minutes));
        }
        Ok(t)
    }

    /// Takes the numbers over that a detector's file carries or its weights tell, where the flags do not say otherwise.
    fn begin_from(
        &self,
        path: PathBuf,
        set: &DetectionSet,
        t: &mut SsdTraining,
    ) -> anyhow::Result<()> {
        let dict = StateDict::open(&path)?;
        t.model.batch_norm = false;
        t.learning_rate = LOW_RATE;
        t.model = t.model.clone().with_priors_of(&dict);
        let carried = SsdConfig::of(&dict).ok();
        if let Some(theirs) = carried.or_else(|| SsdConfig::inferred(&dict, self.part.as_deref())) {
            if let Some(backbone) = self.backbone.filter(|seen| *seen != theirs.backbone) {
                bail!(
                    "--start {} is a detector on {}, but --backbone is {backbone}",
                    path.display(),
                    theirs.backbone
                );
            }
            if let Some(card) = DetectorCard::of(&dict, &theirs)? {
                t.normalisation = card.normalisation;
                let takes_classes = matches!(self.transfer, None | Some(TransferName::All));
                if takes_classes && card.classes != set.class_names() {
                    bail!(
                        "{} tells the classes {}, the data have {}: give --classes in the file's order, or --transfer replace-heads",
                        path.display(),
                        card.classes.join(", "),
                        set.class_names().join(", ")
                    );
                }
            }
            t.model = SsdConfig {
                num_classes: t.model.num_classes,
                width: self.width.unwrap_or(theirs.width),
                ..theirs
            };
        }
        t.start = Some(StartFrom {
            path,
            transfer: match self.transfer {
                None | Some(TransferName::All) => Transfer::All,
                Some(TransferName::ReplaceHeads) => Transfer::ReplaceHeads,
                Some(TransferName::Backbone) => Transfer::Backbone,
            },
            part: self.part.clone(),
        });
        Ok(())
    }
}
