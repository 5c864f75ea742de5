//! What a recipe and the flags may set.

mod of_run;
mod plan;

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, ValueEnum};
use pyrograph::{
    data::detection::DetectionFormat,
    models::ssd::{PriorTable, SsdBackbone},
};
use serde::{Deserialize, Serialize};

use crate::training::RunLimits;

/// What a recipe file may set; the command's flags go before it.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Options {
    /// A folder in a layout of Pascal VOC (XML files beside the images or in Annotations/) or COCO
    /// (instances_*.json, Roboflow, fiftyone), or COCO's annotation file; docs/detection.md lists
    /// the layouts. Without --data, built-in scenes of shapes.
    #[arg(long)]
    data: Option<PathBuf>,
    /// The layout of --data: voc or coco [default: voc].
    #[arg(long)]
    format: Option<DetectionFormat>,
    /// The part of --data to train on; VOC's part `all` is every annotation file, of which
    /// --held-out keeps a fraction for validation [default: train].
    #[arg(long)]
    split: Option<String>,
    /// The part of --data to validate with, which chooses the best network; for an annotation file,
    /// the file of that part beside it [default: val, if the data are a folder that has it].
    #[arg(long)]
    validation_split: Option<String>,
    /// Other data to validate with, in the same layout: COCO's annotation file, or a folder whose
    /// part is --validation-split [default: val]. Classes are matched by their names.
    #[arg(long, value_name = "PATH")]
    validation_data: Option<PathBuf>,
    /// The fraction of the images that is held out for validation if there is no validation part
    /// [default: 0.1].
    #[arg(long, allow_negative_numbers = true)]
    held_out: Option<f64>,
    /// The names of the classes, in their order [default: those of the data].
    #[arg(long, value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    classes: Vec<String>,
    /// The handling of objects of other classes [default: refuse].
    #[arg(long, value_enum)]
    unknown_classes: Option<UnknownName>,
    /// The handling of boxes without an area [default: skip].
    #[arg(long, value_enum)]
    degenerate_boxes: Option<DegenerateName>,
    /// The handling of boxes that extend beyond their image [default: clip].
    #[arg(long, value_enum)]
    boxes_beyond: Option<BeyondName>,
    /// Corners in VOC's files count pixels from 1, as in the data of the VOC challenges.
    #[arg(long)]
    #[serde(skip_serializing_if = "is_false")]
    one_based: bool,
    /// How photographs with an EXIF orientation are read; boxes refer to the picture that is read
    /// [default: upright].
    #[arg(long, value_enum)]
    exif: Option<ExifName>,
    /// Stop at the first fault of the data, instead of listing all.
    #[arg(long, conflicts_with = "skip_broken")]
    #[serde(skip_serializing_if = "is_false")]
    strict: bool,
    /// Skip images whose annotations or files have faults, and name them.
    #[arg(long)]
    #[serde(skip_serializing_if = "is_false")]
    skip_broken: bool,
    /// Train on objects that are marked as difficult too.
    #[arg(long)]
    #[serde(skip_serializing_if = "is_false")]
    difficult: bool,
    /// Train on this number of images only, chosen by the seed: a smaller choice is a subset of a
    /// larger one of the same seed [default: all].
    #[arg(long, allow_negative_numbers = true)]
    images: Option<usize>,
    /// Number of built-in scenes [default: 4000].
    #[arg(long, conflicts_with = "data", allow_negative_numbers = true)]
    scenes: Option<usize>,
    /// The seed that draws the scenes [default: --seed].
    #[arg(long, conflicts_with = "data", allow_negative_numbers = true)]
    scenes_seed: Option<u64>,
    /// The network in front of the heads: vgg16 or mobilenet-v2 [default: vgg16].
    #[arg(long)]
    backbone: Option<SsdBackbone>,
    /// The width multiplier of all numbers of channels [default: 1, or that of --start].
    #[arg(long, visible_alias = "student-width", allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none", alias = "student-width")]
    width: Option<f64>,
    /// The prior boxes: voc, coco, torchvision or mobilenet [default: the backbone's].
    #[arg(long)]
    priors: Option<PriorTable>,
    /// Batch norm after the convolutions of VGG16 [default: on; off with --start, as in published
    /// files].
    #[arg(long, value_enum)]
    batch_norm: Option<Switch>,
    /// Weights to start from: a detector of pyrograph, ssd.pytorch, torchvision or pytorch-ssd, a
    /// plain VGG16, or a run folder of `train ssd`, whose best network is taken [default: random
    /// weights].
    #[arg(long)]
    start: Option<PathBuf>,
    /// For a --start file with several networks: the name of the part to take [default: the part
    /// that fits best; a remark names it].
    #[arg(long, value_name = "NAME")]
    part: Option<String>,
    /// The tensors that are taken from --start [default: all].
    #[arg(long, value_enum)]
    transfer: Option<TransferName>,
    /// The normalisation of pixels: ssd (bytes minus a mean colour), imagenet (of torchvision's
    /// classifiers) or mobilenet [default: that of --start, or the backbone's].
    #[arg(long, value_enum)]
    normalisation: Option<NormalisationName>,
    /// Freezes the first FREEZE layers of the backbone [default: 0].
    #[arg(long, allow_negative_numbers = true)]
    freeze: Option<usize>,
    /// The fraction of the run after which frozen layers are trained too, between 0 and 1 [default:
    /// never].
    #[arg(long, allow_negative_numbers = true, value_name = "SHARE")]
    unfreeze_at: Option<f64>,
    /// The learning rate after --unfreeze-at, with a schedule that starts again [default: the first
    /// schedule continues].
    #[arg(long, allow_negative_numbers = true, value_name = "RATE")]
    unfreeze_rate: Option<f64>,
    /// The augmentation of training images: ssd is the paper's full augmentation, light changes
    /// only colours and flips [default: ssd].
    #[arg(long, value_enum)]
    augment: Option<AugmentName>,
    /// Passes over the data [default: 120 unless another limit is given].
    #[arg(long, allow_negative_numbers = true)]
    epochs: Option<u64>,
    /// Total number of steps [default: as --epochs].
    #[arg(long, allow_negative_numbers = true)]
    steps: Option<u64>,
    /// Total number of minutes [default: no limit].
    #[arg(long, allow_negative_numbers = true)]
    max_minutes: Option<f64>,
    /// Images in a step [default: 16].
    #[arg(long, allow_negative_numbers = true)]
    batch_size: Option<usize>,
    /// The optimizer: sgd, or adam-w, which needs much lower learning rates [default: sgd].
    #[arg(long, value_enum)]
    optimizer: Option<OptimizerName>,
    /// The learning rate after the warm-up [default: 0.02; 0.001 with adam-w or with --start].
    #[arg(long, allow_negative_numbers = true)]
    learning_rate: Option<f64>,
    /// Steps over which the learning rate rises from 0 [default: 100].
    #[arg(long, allow_negative_numbers = true)]
    warm_up: Option<u64>,
    /// The schedule by which the learning rate falls: by a cosine, to a tenth after two thirds and
    /// again after five sixths of the run, or by --gamma after every epoch [default: cosine].
    #[arg(long, value_enum)]
    schedule: Option<ScheduleName>,
    /// The factor of an exponential schedule, above 0 and up to 1.
    #[arg(long, allow_negative_numbers = true)]
    gamma: Option<f64>,
    /// SGD's momentum, or Adam's β₁ [default: 0.9].
    #[arg(long, allow_negative_numbers = true)]
    momentum: Option<f64>,
    /// Weight decay of the weights of convolutions; biases and norms have none [default: 0.0005].
    #[arg(long, allow_negative_numbers = true)]
    weight_decay: Option<f64>,
    /// The norm to which all gradients together are clipped; 0 turns it off [default: 10].
    #[arg(long, allow_negative_numbers = true)]
    clip_norm: Option<f64>,
    /// Decay of the network's moving average; 0 turns it off [default: 0.998].
    #[arg(long, allow_negative_numbers = true)]
    ema: Option<f64>,
    /// Hard negatives for each prior with an object [default: 3].
    #[arg(long, allow_negative_numbers = true)]
    negatives_per_positive: Option<usize>,
    /// Hard negatives of an image without objects [default: 100].
    #[arg(long, allow_negative_numbers = true)]
    negatives_for_hard: Option<usize>,
    /// Steps between checkpoints; 0 for only the last checkpoint [default: 200].
    #[arg(long, allow_negative_numbers = true)]
    checkpoint_every: Option<u64>,
    /// Steps between evaluations; 0 for only the last evaluation [default: 400].
    #[arg(long, allow_negative_numbers = true)]
    evaluate_every: Option<u64>,
    /// Threads that read and augment images [default: 1].
    #[arg(long, allow_negative_numbers = true)]
    loaders: Option<usize>,
    /// Seed of all random numbers [default: 0].
    #[arg(long, allow_negative_numbers = true)]
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
    ExifName {
        #[doc = "Turned as their EXIF data say."] Upright,
        #[doc = "As their pixels are stored."] Stored
    }
    UnknownName { Refuse, Skip }
    DegenerateName { Skip, Refuse }
    BeyondName { Clip, Skip, Refuse, Keep }
    AugmentName { Ssd, Light, None }
    ScheduleName { Cosine, Steps, Exponential }
    OptimizerName { Sgd, AdamW }
    NormalisationName { Ssd, Imagenet, Mobilenet }
    TransferName {
        #[doc = "Every tensor: the classes have to be as many."] All,
        #[doc = "Everything but the heads that tell classes, which begin afresh."] ReplaceHeads,
        #[doc = "The backbone alone."] Backbone
    }
}

impl Options {
    /// Refuses options that say how something is to be used that is not given, be it by a flag or by a recipe.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let of_data = [
            ("format", self.format.is_some()),
            ("split", self.split.is_some()),
            ("validation-split", self.validation_split.is_some()),
            ("validation-data", self.validation_data.is_some()),
            ("exif", self.exif.is_some()),
            ("one-based", self.one_based),
            ("strict", self.strict),
            ("skip-broken", self.skip_broken),
            ("classes", !self.classes.is_empty()),
        ];
        if self.data.is_some() && self.scenes.is_some() {
            bail!("--data and --scenes are both given: scenes are trained on without --data");
        }
        if self.strict && self.skip_broken {
            bail!(
                "--strict and --skip-broken are both given: faults end the reading, or are passed over"
            );
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
                &[
                    ("transfer", self.transfer.is_some()),
                    ("part", self.part.is_some()),
                ],
                "start",
                self.start.is_some(),
            ),
            (
                &[("gamma", self.gamma.is_some())],
                "schedule exponential",
                self.schedule == Some(ScheduleName::Exponential),
            ),
            (
                &[("unfreeze-at", self.unfreeze_at.is_some())],
                "freeze",
                self.freeze.is_some(),
            ),
            (
                &[("unfreeze-rate", self.unfreeze_rate.is_some())],
                "unfreeze-at",
                self.unfreeze_at.is_some(),
            ),
        ];
        if self.data.is_some() && self.scenes_seed.is_some() {
            bail!("--data and --scenes-seed are both given: scenes are trained on without --data");
        }
        let exponential = self.schedule == Some(ScheduleName::Exponential);
        if exponential && self.gamma.is_none() {
            bail!("--schedule exponential needs --gamma, the factor of the rate after every epoch");
        }
        for (options, needed, is_there) in needs {
            if let Some((option, _)) = options.iter().find(|(_, given)| *given && !is_there) {
                bail!("--{option} needs --{needed}");
            }
        }
        Ok(())
    }

    /// A recipe's options without the groups that the flags set: a group that excludes itself goes as a whole.
    pub(super) fn under(mut self, flags: &Self) -> Self {
        if flags.limits().are_given() {
            (self.epochs, self.steps, self.max_minutes) = (None, None, None);
        }
        if flags.data.is_some() || flags.scenes.is_some() {
            (self.data, self.scenes, self.scenes_seed) = (None, None, None);
        }
        self
    }

    /// The limits that are given.
    pub(super) fn limits(&self) -> RunLimits {
        RunLimits {
            epochs: self.epochs,
            steps: self.steps,
            max_minutes: self.max_minutes,
        }
    }

    pub(super) fn images(&self) -> Option<usize> {
        self.images
    }

    pub(super) fn held_out(&self) -> f64 {
        self.held_out.unwrap_or(0.1)
    }
}
