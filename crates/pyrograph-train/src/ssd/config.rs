//! Configuration of the training of a detector.

use std::path::PathBuf;

use pyrograph_data::detection::{BoxAction, BoxRemark, DetectionSet, SsdAugment};
use pyrograph_losses::{MultiBoxLoss, PriorMatcher};
use pyrograph_models::ssd::{ProjectorKind, SsdBackbone, SsdConfig, Transfer};
use pyrograph_vision::{ColourNormalisation, DetectOptions};
use serde::{Deserialize, Serialize};

use super::Distillation;
use crate::{
    Limits, TrainError,
    checks::{check_clip_norm, check_ema, check_limits, number, positive, refuse},
    limits::batches_per_epoch,
};

/// Epochs when no limit is given: torchvision's `ssd300_vgg16`.
const DEFAULT_EPOCHS: u64 = 120;
/// More loader threads than any machine feeds a trainer with.
const MAX_LOADERS: usize = 64;

/// The schedule of the learning rate after the warm-up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum RateSchedule {
    /// Half a cosine from the full rate to 0.
    Cosine,
    /// The rate is multiplied by 0.1 after each of these fractions of the run, in ascending order,
    /// as in the published recipes.
    Steps(Vec<f64>),
    /// The rate is multiplied by this factor after every epoch:
    /// `torch.optim.lr_scheduler.ExponentialLR`.
    Exponential(f64),
}

/// The second phase of a training that starts with frozen layers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unfreeze {
    /// The fraction of the run after which every layer is trained, between 0 and 1.
    pub at: f64,
    /// The learning rate of the second phase, whose schedule then starts again; `None` continues
    /// the schedule of the first phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
}

/// The optimizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SsdOptimizer {
    /// Stochastic gradient descent with momentum, as in the published recipes.
    Sgd,
    /// AdamW, with much lower learning rates (1e-3); in short trainings from random weights it
    /// reaches a higher mAP.
    AdamW,
}

/// Weights of another model to start from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartFrom {
    /// The file. Its path is absolute in the config of a run, so that the run can be resumed from
    /// any folder.
    pub path: PathBuf,
    /// The tensors to take from the file.
    pub transfer: Transfer,
    /// For a file with several networks the part to take; `None` takes the part that fits best.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
}

/// Configuration of the training of a detector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SsdTraining {
    /// The network.
    pub model: SsdConfig,
    /// Weights to start from; `None` for random weights.
    pub start: Option<StartFrom>,
    /// The normalisation of pixels.
    pub normalisation: ColourNormalisation,
    /// The loss.
    pub loss: MultiBoxLoss,
    /// The augmentation of training images and their boxes.
    pub augment: SsdAugment,
    /// Whether to train on objects that Pascal VOC marks as difficult.
    pub difficult: bool,
    /// Images in a step.
    pub batch_size: usize,
    /// The optimizer.
    pub optimizer: SsdOptimizer,
    /// The learning rate after the warm-up.
    pub learning_rate: f64,
    /// Steps over which the learning rate rises linearly from 0.
    pub warm_up: u64,
    /// The schedule by which the learning rate falls.
    pub schedule: RateSchedule,
    /// SGD's momentum, or Adam's β₁.
    pub momentum: f64,
    /// Weight decay of the weights of convolutions; biases and norms have no weight decay.
    pub weight_decay: f64,
    /// The norm to which all gradients together are clipped; `None` for no clipping.
    pub clip_norm: Option<f64>,
    /// Decay of the weights' moving average; `None` turns it off.
    pub ema: Option<f64>,
    /// The number of frozen layers of the backbone, counted from the first.
    pub freeze: usize,
    /// The phase in which the frozen layers are trained too; `None` for no such phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfreeze: Option<Unfreeze>,
    /// The distillation from a teacher; `None` for a plain training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distillation: Option<Distillation>,
    /// Passes over the data.
    pub epochs: Option<u64>,
    /// Total number of steps.
    pub steps: Option<u64>,
    /// Total number of minutes. A run that ends by time cannot be repeated to the bit, since its
    /// learning rates follow the clock.
    pub max_minutes: Option<f64>,
    /// Steps between checkpoints; 0 for only the last checkpoint.
    pub checkpoint_every: u64,
    /// Steps between evaluations on the validation images; 0 for only the last evaluation.
    pub evaluate_every: u64,
    /// The options of detection in an evaluation.
    pub detect: DetectOptions,
    /// Threads that read and augment images.
    pub loaders: usize,
    /// Seed of all random numbers.
    pub seed: u64,
}

impl SsdTraining {
    /// A recipe for training from random weights on `set`: batch norm, SGD with cosine decay, SSD's
    /// augmentation, and a moving average of the weights.
    pub fn for_set(set: &DetectionSet, backbone: SsdBackbone, width: f64) -> Self {
        let num_classes = set.class_names().len() + 1;
        let (model, normalisation) = match backbone {
            SsdBackbone::Vgg16 => {
                let mut model = SsdConfig::vgg16(num_classes);
                model.batch_norm = true;
                (model, ColourNormalisation::SSD)
            }
            SsdBackbone::MobilenetV2 => (
                SsdConfig::mobilenet_v2(num_classes),
                ColourNormalisation::MOBILENET,
            ),
        };
        Self {
            model: SsdConfig { width, ..model },
            start: None,
            normalisation,
            loss: MultiBoxLoss::default(),
            augment: SsdAugment::ssd(),
            difficult: false,
            batch_size: 16,
            optimizer: SsdOptimizer::Sgd,
            learning_rate: 0.02,
            warm_up: 100,
            schedule: RateSchedule::Cosine,
            momentum: 0.9,
            weight_decay: 5e-4,
            clip_norm: Some(10.0),
            ema: Some(0.998),
            freeze: 0,
            unfreeze: None,
            distillation: None,
            epochs: None,
            steps: None,
            max_minutes: None,
            checkpoint_every: 200,
            evaluate_every: 400,
            detect: DetectOptions::default(),
            loaders: 1,
            seed: 0,
        }
    }

    /// Images of a batch that come from the labelled data; the others are pseudo-labelled.
    pub(super) fn labelled_per_batch(&self) -> usize {
        let unlabelled = self
            .distillation
            .as_ref()
            .and_then(|d| d.unlabelled.as_ref());
        self.batch_size - unlabelled.map_or(0, |u| u.per_batch(self.batch_size))
    }

    /// What matches the network's priors with objects.
    pub(super) fn matcher(&self) -> Result<PriorMatcher, TrainError> {
        let coder = self.model.prior_config().coder();
        Ok(PriorMatcher::new(self.model.prior_boxes()?, coder))
    }

    /// Whether maps of the network are compared with a teacher's.
    pub(super) fn wants_projectors(&self) -> bool {
        self.distillation.as_ref().is_some_and(|d| d.needs().maps)
    }

    pub(super) fn projector_kind(&self) -> ProjectorKind {
        self.distillation
            .as_ref()
            .map_or_else(Default::default, |d| d.projector)
    }

    /// Steps of one pass over `items` labelled images. The last batch may be smaller, but never one
    /// image: a batch norm needs two.
    pub fn steps_per_epoch(&self, items: usize) -> u64 {
        batches_per_epoch(items, self.labelled_per_batch())
    }

    /// The limits of the run.
    pub fn limits(&self, items: usize) -> Limits {
        let per_epoch = self.steps_per_epoch(items);
        Limits::new(
            self.epochs,
            self.steps,
            self.max_minutes,
            per_epoch,
            DEFAULT_EPOCHS,
        )
    }

    /// The rate of `step`, counted from 0, in a run of these `limits` whose epochs have `per_epoch`
    /// steps, when `progress` of the run is done.
    pub(super) fn rate_at(&self, step: u64, progress: f64, per_epoch: u64, limits: &Limits) -> f64 {
        let warm = match step < self.warm_up {
            true => (step + 1) as f64 / self.warm_up as f64,
            false => 1.0,
        };
        let (base, step, progress) = self.leg(step, progress, limits);
        let share = match &self.schedule {
            RateSchedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
            RateSchedule::Steps(after) => {
                /// What each step leaves of the rate.
                const TENTH: f64 = 0.1;
                let passed = after.iter().filter(|share| progress >= **share).count();
                TENTH.powi(passed as i32)
            }
            RateSchedule::Exponential(gamma) => gamma.powf((step / per_epoch.max(1)) as f64),
        };
        base * warm * share
    }

    /// The full rate of the leg that `step` is in, and the step and the progress within it. A run
    /// is one leg unless the second has a rate of its own.
    fn leg(&self, step: u64, progress: f64, limits: &Limits) -> (f64, u64, f64) {
        let second = self
            .unfreeze
            .and_then(|leg| Some((leg.at, leg.learning_rate?)));
        match second {
            Some((at, rate)) if progress >= at => {
                let begun = limits
                    .steps
                    .map_or(0, |steps| (at * steps as f64).ceil() as u64);
                (
                    rate,
                    step.saturating_sub(begun),
                    (progress - at) / (1.0 - at),
                )
            }
            Some((at, _)) => (self.learning_rate, step, progress / at),
            None => (self.learning_rate, step, progress),
        }
    }

    /// Number of frozen layers when `progress` of the run is done.
    pub(super) fn frozen_at(&self, progress: f64) -> usize {
        match self.unfreeze {
            Some(leg) if progress >= leg.at => 0,
            _ => self.freeze,
        }
    }

    /// Whether the network has batch norms: MobileNet V2 always does.
    fn has_batch_norm(&self) -> bool {
        self.model.batch_norm || self.model.backbone == SsdBackbone::MobilenetV2
    }

    /// Batch norms need two values a channel, also in the last map of one cell; without any, one image is a batch.
    fn check_images_a_step(&self, set: &DetectionSet) -> Result<(), TrainError> {
        let (least, allowed) = match self.has_batch_norm() {
            true => (
                2,
                "2 or more, which batch norm needs; with --batch-norm off, which VGG16 may have, 1 or more",
            ),
            false => (1, "1 or more"),
        };
        if set.len() < least {
            return Err(refuse("the data to train on", images_in(set), allowed));
        }
        if self.batch_size < least {
            return Err(refuse(
                "images a step (--batch-size)",
                self.batch_size,
                allowed,
            ));
        }
        Ok(())
    }

    /// Whether an object of the images is trained on.
    pub(super) fn trains_on_some(&self, set: &DetectionSet) -> bool {
        let counts = set.trained_counts(self.difficult);
        counts.iter().any(|count| *count > 0)
    }

    /// Refuses data without any object to train on, since a training would run to its end without
    /// learning. With a teacher such data are allowed.
    ///
    /// # Errors
    /// The reason why no object of `set` is trained on.
    pub fn check_objects(&self, set: &DetectionSet) -> Result<(), TrainError> {
        if self.distillation.is_some() || self.trains_on_some(set) {
            return Ok(());
        }
        let left = set.untrained(self.difficult);
        let mut seen = format!("none in {}", images_in(set));
        if left.difficult > 0 {
            seen += &format!(
                ", but {} difficult ones, which --difficult trains on",
                left.difficult
            );
        }
        if left.crowds > 0 {
            seen += &format!(
                ", but {} crowds (iscrowd), which are never trained on",
                left.crowds
            );
        }
        let is_left_out = |remark: &&BoxRemark| remark.action == BoxAction::Skipped;
        let boxes = set.remarks().iter().filter(is_left_out).count();
        if boxes > 0 {
            seen += &format!(", but {boxes} whose box was left out");
        }
        for (class, count) in set.skipped_classes() {
            seen += &format!(", but {count} of the class {class}, which is left out");
        }
        let allowed = "1 or more: there is nothing to train on";
        Err(refuse("the number of objects to train on", seen, allowed))
    }

    /// Checks every field, and that the images fit the network.
    ///
    /// # Errors
    /// Names the first field that is not allowed.
    pub fn check(&self, set: &DetectionSet) -> Result<(), TrainError> {
        self.model.check()?;
        self.normalisation.check()?;
        self.loss.check()?;
        self.detect.check()?;
        self.augment.clone().validated()?;
        let classes = set.class_names().len();
        if classes + 1 != self.model.num_classes {
            let allowed = format!("{}: the data's classes and the background", classes + 1);
            return Err(refuse("num_classes", self.model.num_classes, &allowed));
        }
        self.check_images_a_step(set)?;
        if !positive(self.learning_rate) {
            return Err(refuse(
                "learning_rate",
                number(self.learning_rate),
                "finite and above 0",
            ));
        }
        if !(0.0..1.0).contains(&self.momentum) {
            return Err(refuse(
                "momentum",
                number(self.momentum),
                "at least 0 and below 1",
            ));
        }
        if !(self.weight_decay.is_finite() && self.weight_decay >= 0.0) {
            let allowed = "a finite number of 0 or more";
            return Err(refuse("weight_decay", number(self.weight_decay), allowed));
        }
        if let RateSchedule::Steps(after) = &self.schedule
            && !(after.iter().all(|share| *share > 0.0 && *share < 1.0)
                && after.is_sorted_by(|a, b| a < b))
        {
            let allowed = "ascending shares of the run, between 0 and 1";
            return Err(refuse("schedule", format!("{after:?}"), allowed));
        }
        if let RateSchedule::Exponential(gamma) = self.schedule
            && !(gamma > 0.0 && gamma <= 1.0)
        {
            return Err(refuse("gamma", number(gamma), "above 0, up to 1"));
        }
        self.check_unfreeze()?;
        if let Some(distillation) = &self.distillation {
            distillation.check(self.batch_size)?;
        }
        if !(1..=MAX_LOADERS).contains(&self.loaders) {
            return Err(refuse(
                "loaders",
                self.loaders,
                &format!("1 to {MAX_LOADERS}"),
            ));
        }
        check_clip_norm(self.clip_norm)?;
        check_ema(self.ema)?;
        check_limits(self.epochs, self.steps, self.max_minutes)
    }

    fn check_unfreeze(&self) -> Result<(), TrainError> {
        let Some(leg) = self.unfreeze else {
            return Ok(());
        };
        if !(leg.at > 0.0 && leg.at < 1.0) {
            return Err(refuse("unfreeze_at", number(leg.at), "between 0 and 1"));
        }
        if self.freeze == 0 {
            let allowed = "given with a number of frozen layers above 0 (`freeze`)";
            return Err(refuse("unfreeze_at", number(leg.at), allowed));
        }
        if let Some(rate) = leg.learning_rate.filter(|rate| !positive(*rate)) {
            return Err(refuse(
                "the rate after unfreezing",
                number(rate),
                "finite and above 0",
            ));
        }
        // A resumed run could not tell when the second leg began by the clock.
        if self.max_minutes.is_some() && leg.learning_rate.is_some() {
            let allowed = "left out with max_minutes: give steps or epochs";
            return Err(refuse("the rate after unfreezing", "given", allowed));
        }
        Ok(())
    }
}

/// The number of images of a set, with its noun.
fn images_in(set: &DetectionSet) -> String {
    match set.len() {
        1 => "1 image".into(),
        count => format!("{count} images"),
    }
}
