//! What a recipe and the flags may set.

use std::path::{self, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use pyrograph::{
    data::{
        DataError,
        detection::{
            BeyondImage, BoxPolicy, Degenerate, DetectionFormat, DetectionOptions, DetectionSet,
            SsdAugment, UnknownClass, VocCorners,
        },
    },
    models::{
        ssd::{DetectorCard, PriorTable, SsdBackbone, SsdConfig, Transfer},
        weights::StateDict,
    },
    train::{
        TrainError,
        ssd::{DetectionSource, RateSchedule, SsdOptimizer, SsdTraining, StartFrom},
    },
    vision::ColourNormalisation,
};
use serde::{Deserialize, Serialize};

/// What a recipe file may set; the command's flags go before it.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Options {
    /// A folder in the layout of Pascal VOC or COCO, or COCO's annotation file; without it, built-in scenes of shapes.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<PathBuf>,
    /// The layout of --data: voc or coco [default: voc].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<DetectionFormat>,
    /// The part of --data to train on [default: train].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    split: Option<String>,
    /// The part of --data that the best network is chosen by [default: val, where the data have it].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    validation_split: Option<String>,
    /// The share of the images that the best network is chosen by, where there is no such part [default: 0.1].
    #[arg(long, allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    held_out: Option<f64>,
    /// The classes by name, in their order [default: as the data have them].
    #[arg(long, value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    classes: Vec<String>,
    /// What becomes of objects of other classes.
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown_classes: Option<UnknownName>,
    /// What becomes of boxes without an area.
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    degenerate_boxes: Option<DegenerateName>,
    /// What becomes of boxes that reach beyond their image.
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    boxes_beyond: Option<BeyondName>,
    /// The corners in VOC's files count pixels from 1, as the original set's do.
    #[arg(long)]
    #[serde(skip_serializing_if = "is_false")]
    one_based: bool,
    /// Train on objects that are called difficult.
    #[arg(long)]
    #[serde(skip_serializing_if = "is_false")]
    difficult: bool,
    /// How many built-in scenes are drawn [default: 4000].
    #[arg(long, conflicts_with = "data", allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    scenes: Option<usize>,
    /// The network in front of the heads: vgg16 or mobilenet-v2 [default: vgg16].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    backbone: Option<SsdBackbone>,
    /// What every number of channels is multiplied with [default: 1, or as --start has it].
    #[arg(long, allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<f64>,
    /// The prior boxes: voc, coco, torchvision or mobilenet [default: the backbone's].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    priors: Option<PriorTable>,
    /// Batch norm after the convolutions of VGG16 [default: on, and off with --start, as published files are].
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_norm: Option<Switch>,
    /// Weights to begin from: a detector of pyrograph, ssd.pytorch, torchvision or pytorch-ssd, or a plain VGG16.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<PathBuf>,
    /// What is taken from --start [default: all].
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer: Option<TransferName>,
    /// How pixels become values: ssd (bytes less a mean), imagenet (of torchvision's classifiers) or mobilenet [default: as --start
    /// has it, or the backbone's].
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    normalisation: Option<NormalisationName>,
    /// So many of the backbone's first layers stay as they are [default: 0].
    #[arg(long, allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    freeze: Option<usize>,
    /// What happens to training images: ssd is all of the paper's, light a change of colours and a mirror [default: ssd].
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    augment: Option<AugmentName>,
    /// Passes over the data [default: 120 unless another limit is given].
    #[arg(long, allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    epochs: Option<u64>,
    /// Steps in all.
    #[arg(long, allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<u64>,
    /// Minutes in all.
    #[arg(long, allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_minutes: Option<f64>,
    /// Images a step.
    #[arg(long, allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_size: Option<usize>,
    /// What takes gradients to steps: sgd, or adam-w with its far lower rates [default: sgd].
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    optimizer: Option<OptimizerName>,
    /// The rate after the warm-up [default: 0.02, 0.001 with adam-w or with --start].
    #[arg(long, allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    learning_rate: Option<f64>,
    /// Steps over which the rate rises from nothing.
    #[arg(long, allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    warm_up: Option<u64>,
    /// How the rate falls: a cosine, or a tenth after two thirds and after five sixths of the run.
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<ScheduleName>,
    /// SGD's momentum, or Adam's β₁.
    #[arg(long, allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    momentum: Option<f64>,
    /// Decay of convolutions' weights; biases and norms have none.
    #[arg(long, allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    weight_decay: Option<f64>,
    /// The norm that all gradients together are clipped to; 0 turns it off.
    #[arg(long, allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    clip_norm: Option<f64>,
    /// Decay of the network's moving average; 0 turns it off.
    #[arg(long, allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    ema: Option<f64>,
    /// Hard negatives for each prior with an object.
    #[arg(long, allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    negatives_per_positive: Option<usize>,
    /// Hard negatives of an image without objects.
    #[arg(long, allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    negatives_for_hard: Option<usize>,
    /// Steps between checkpoints; 0 for none but the last.
    #[arg(long, allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint_every: Option<u64>,
    /// Steps between evaluations; 0 for none but the last.
    #[arg(long, allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    evaluate_every: Option<u64>,
    /// Threads that read and augment images.
    #[arg(long, allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    loaders: Option<usize>,
    /// Seed of everything random [default: 0].
    #[arg(long, allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// A choice of names, as flags and recipes write them.
macro_rules! names {
    ($($name:ident { $($(#[doc = $doc:literal])? $variant:ident),+ })+) => {$(
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
        #[serde(rename_all = "kebab-case")]
        pub(super) enum $name { $($(#[doc = $doc])? $variant),+ }
    )+};
}

names! {
    Switch { On, Off }
    UnknownName { Refuse, Skip }
    DegenerateName { Skip, Refuse }
    BeyondName { Clip, Skip, Refuse, Keep }
    AugmentName { Ssd, Light, None }
    ScheduleName { Cosine, Steps }
    OptimizerName { Sgd, AdamW }
    NormalisationName { Ssd, Imagenet, Mobilenet }
    TransferName {
        #[doc = "Every tensor: the classes have to be as many."] All,
        #[doc = "Everything but the heads that tell classes, which begin afresh."] ReplaceHeads,
        #[doc = "The backbone alone."] Backbone
    }
}

/// Built-in scenes when no number is given, and how large they are.
const SCENES: usize = 4000;
const SCENE_SIDE: u32 = 300;
/// Scenes that the best network is chosen by.
const VALIDATION_SCENES: usize = 100;
/// Adam's usual rate, and SGD's where weights are there: the published recipe's.
const LOW_RATE: f64 = 1e-3;
const VALIDATION: &str = "val";
/// The shares of the run after which the published recipes lower the rate: 80,000 and 100,000 of 120,000 steps.
const PUBLISHED_STEPS: [f64; 2] = [2.0 / 3.0, 5.0 / 6.0];

impl Options {
    /// Refuses options that say how something is to be used that is not given, be it by a flag or by a recipe.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let of_data = [
            ("format", self.format.is_some()),
            ("split", self.split.is_some()),
            ("validation-split", self.validation_split.is_some()),
            ("classes", !self.classes.is_empty()),
        ];
        if self.data.is_some() && self.scenes.is_some() {
            bail!("--data and --scenes are both given: scenes are trained on without --data");
        }
        if self.batch_norm == Some(Switch::Off) && self.backbone == Some(SsdBackbone::MobilenetV2) {
            bail!("--batch-norm off is not for mobilenet-v2, which always has it");
        }
        let needs = [
            (&of_data[..], "data", self.data.is_some()),
            (
                &[("unknown-classes", self.unknown_classes.is_some())],
                "classes",
                !self.classes.is_empty(),
            ),
            (
                &[("transfer", self.transfer.is_some())],
                "start",
                self.start.is_some(),
            ),
        ];
        for (options, needed, is_there) in needs {
            if let Some((option, _)) = options.iter().find(|(_, given)| *given && !is_there) {
                bail!("--{option} needs --{needed}");
            }
        }
        Ok(())
    }

    /// A recipe's options without the groups that the flags set: a group that excludes itself goes as a whole.
    pub(super) fn under(mut self, flags: &Self) -> Self {
        if flags.limits_alone() != Self::default() {
            (self.epochs, self.steps, self.max_minutes) = (None, None, None);
        }
        if flags.data.is_some() || flags.scenes.is_some() {
            (self.data, self.scenes) = (None, None);
        }
        self
    }

    /// The limits, and nothing else.
    pub(super) fn limits_alone(&self) -> Self {
        Self {
            epochs: self.epochs,
            steps: self.steps,
            max_minutes: self.max_minutes,
            ..Self::default()
        }
    }

    pub(super) fn set_limits(&self, training: &mut SsdTraining) {
        (training.epochs, training.steps, training.max_minutes) =
            (self.epochs, self.steps, self.max_minutes);
    }

    pub(super) fn held_out(&self) -> f64 {
        self.held_out.unwrap_or(0.1)
    }

    /// The data, with a path that holds from any folder.
    pub(super) fn source(&self) -> anyhow::Result<DetectionSource> {
        let Some(data) = &self.data else {
            return Ok(DetectionSource::Scenes {
                count: self.scenes.unwrap_or(SCENES),
                side: SCENE_SIDE,
                seed: self.seed.unwrap_or(0),
            }
            .part("train")?);
        };
        Ok(DetectionSource::Files {
            path: path::absolute(data).context("--data")?,
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
        }
    }

    /// The part that the best network is chosen by; none where a share is to be held out of `set`, which is `data`.
    pub(super) fn validation(
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
        if let Some(split) = &self.validation_split {
            return Ok(Some(data.part(split)?));
        }
        if self.held_out.is_some() {
            return Ok(None);
        }
        // An annotation file has no other part.
        let Ok(usual) = data.part(VALIDATION) else {
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

    pub(super) fn training(&self, set: &DetectionSet) -> anyhow::Result<SsdTraining> {
        let mut t = SsdTraining::for_set(
            set,
            self.backbone.unwrap_or(SsdBackbone::Vgg16),
            self.width.unwrap_or(1.0),
        );
        if let Some(path) = &self.start {
            self.begin_from(path, set, &mut t)?;
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
        }
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
        if self.limits_alone() != Self::default() {
            self.set_limits(&mut t);
        }
        Ok(t)
    }

    /// Takes the numbers of a model file of pyrograph over, where the flags do not say otherwise.
    fn begin_from(
        &self,
        path: &PathBuf,
        set: &DetectionSet,
        t: &mut SsdTraining,
    ) -> anyhow::Result<()> {
        let dict = StateDict::open(path)?;
        t.model.batch_norm = false;
        t.learning_rate = LOW_RATE;
        t.model = t.model.clone().with_priors_of(&dict);
        if let Ok(theirs) = SsdConfig::of(&dict) {
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
            path: path::absolute(path).context("--start")?,
            transfer: match self.transfer {
                None | Some(TransferName::All) => Transfer::All,
                Some(TransferName::ReplaceHeads) => Transfer::ReplaceHeads,
                Some(TransferName::Backbone) => Transfer::Backbone,
            },
        });
        Ok(())
    }
}
