//! The configuration of a distillation.

use std::path::PathBuf;

use pyrograph_losses::{DistillMethod, Needs, Objective};
use pyrograph_models::ssd::ProjectorKind;
use serde::{Deserialize, Serialize};

use super::{DetectionSource, PseudoLabelling};
use crate::{
    TrainError,
    checks::{number, refuse},
};

/// A method and its weight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightedMethod {
    /// The method.
    pub method: DistillMethod,
    /// The factor of its terms; 0 leaves the method out.
    pub weight: f64,
}

/// Images without boxes, which are trained on with the teacher's confident detections as objects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unlabelled {
    /// The images.
    pub images: UnlabelledSource,
    /// The fraction of every batch that these images make up, between 0 and 1; rounded to whole
    /// images, at least one.
    pub share: f64,
    /// The choice of detections that become objects.
    #[serde(default)]
    pub labelling: PseudoLabelling,
}

/// The source of images without boxes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum UnlabelledSource {
    /// All images below a folder; the path is absolute in the config of a run.
    Folder(PathBuf),
    /// A source of images whose boxes are ignored.
    Source(DetectionSource),
}

impl Unlabelled {
    /// Pseudo-labelled images of a batch of `batch_size`.
    pub(super) fn per_batch(&self, batch_size: usize) -> usize {
        let images = (batch_size as f64 * self.share).round() as usize;
        images.clamp(1, batch_size.saturating_sub(1).max(1))
    }
}

/// Configuration of a distillation: training a detector (the student) on boxes and on the outputs
/// of another detector (the teacher).
///
/// A step minimises `(1 − Σ w·tₗ)·L_loc + (1 − Σ w·t꜀)·L_conf + Σ w·Σ terms`, with a weight `w` for
/// each method, and `tₗ` and `t꜀` the fractions of the hard losses that the method replaces
/// ([`Objective::takes_over`](pyrograph_losses::Objective::takes_over)).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distillation {
    /// The teacher's model file; absolute in the config of a run.
    pub teacher: PathBuf,
    /// CRC-32 of the teacher's file when the run was begun.
    pub teacher_checksum: u32,
    /// For each class of the student the teacher's name of that class; empty if both have the same
    /// names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teacher_classes: Vec<String>,
    /// The methods, each with its weight.
    pub methods: Vec<WeightedMethod>,
    /// The fraction of the run that uses the teacher, above 0 and up to 1.
    #[serde(default = "one")]
    pub until: f64,
    /// Steps between two uses of the teacher; the steps between are plain.
    #[serde(default = "each")]
    pub every: u64,
    /// The layers that convert the student's maps to the channels of the teacher's.
    #[serde(default)]
    pub projector: ProjectorKind,
    /// The cache of the teacher's outputs; `None` runs the teacher at each step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheOptions>,
    /// Whether to allow a teacher with a mAP near 0, or below that of the student at its start.
    #[serde(default)]
    pub any_teacher: bool,
    /// Images without boxes that join the training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlabelled: Option<Unlabelled>,
}

/// The cache of the teacher's outputs on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheOptions {
    /// The number of augmentations of each image, which repeat after this number of epochs.
    pub draws: u64,
    /// The file; `None` for `teacher-cache.bin` in the run folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
}

fn one() -> f64 {
    1.0
}

fn each() -> u64 {
    1
}

impl Distillation {
    /// The methods that count, in their order.
    pub(super) fn active(&self) -> impl Iterator<Item = &WeightedMethod> {
        self.methods.iter().filter(|method| method.weight > 0.0)
    }

    /// Whether a step that is `progress` into the run asks the teacher.
    pub(super) fn asks_at(&self, step: u64, progress: f64) -> bool {
        progress < self.until && step.is_multiple_of(self.every) && self.active().next().is_some()
    }

    /// What the methods that count ask of the teacher.
    pub(super) fn needs(&self) -> Needs {
        let needs = self.active().map(|weighted| weighted.method.needs());
        needs.fold(Needs::default(), Needs::union)
    }

    /// Whether a method sets the answers of both networks side by side, prior by prior.
    pub(super) fn compares_priors(&self) -> bool {
        self.active().any(|weighted| {
            matches!(
                weighted.method,
                DistillMethod::Chen(_) | DistillMethod::Response(_) | DistillMethod::Lad(_)
            )
        })
    }

    /// Shares of the hard losses of boxes and classes that stay.
    pub(super) fn hard_shares(&self) -> (f64, f64) {
        self.active().fold((1.0, 1.0), |(loc, conf), weighted| {
            let taken = weighted.method.takes_over();
            (
                loc - weighted.weight * taken.loc,
                conf - weighted.weight * taken.conf,
            )
        })
    }

    /// Checks every field.
    ///
    /// # Errors
    /// Names the first field that is not allowed.
    pub fn check(&self, batch_size: usize) -> Result<(), TrainError> {
        if self.methods.is_empty() && self.unlabelled.is_none() {
            return Err(refuse(
                "method",
                "none",
                "one at least, or unlabelled images",
            ));
        }
        for (place, weighted) in self.methods.iter().enumerate() {
            weighted.method.check()?;
            if !(weighted.weight.is_finite() && weighted.weight >= 0.0) {
                let seen = format!("{}:{}", weighted.method.name(), number(weighted.weight));
                return Err(refuse(
                    "the weight of a method",
                    seen,
                    "a finite number of 0 or more",
                ));
            }
            let name = weighted.method.name();
            if self.methods[..place]
                .iter()
                .any(|other| other.method.name() == name)
            {
                return Err(refuse(
                    "method",
                    format!("{name} twice"),
                    "each method once",
                ));
            }
        }
        let (loc, conf) = self.hard_shares();
        if loc < -SLACK || conf < -SLACK {
            let allowed = "such that no hard loss counts below 0: chen takes over 0.3 of the classes' loss, lad both losses";
            let rounded = |share: f64| number((share * 1e6).round() / 1e6);
            let seen = format!("boxes {}, classes {}", rounded(loc), rounded(conf));
            return Err(refuse(
                "the share of the hard losses that is left",
                seen,
                allowed,
            ));
        }
        if !(self.until > 0.0 && self.until <= 1.0) {
            return Err(refuse("until", number(self.until), "above 0, up to 1"));
        }
        if self.every == 0 {
            return Err(refuse("teacher_every", 0, "1 or more"));
        }
        if let Some(cache) = &self.cache
            && cache.draws == 0
        {
            return Err(refuse("cached augmentations", 0, "1 or more"));
        }
        if let Some(unlabelled) = &self.unlabelled {
            if !(unlabelled.share > 0.0 && unlabelled.share < 1.0) {
                let allowed = "between 0 and 1";
                return Err(refuse(
                    "the share of unlabelled images",
                    number(unlabelled.share),
                    allowed,
                ));
            }
            unlabelled.labelling.check()?;
            if batch_size < 3 {
                let allowed = "3 or more with unlabelled images";
                return Err(refuse("batch_size", batch_size, allowed));
            }
        }
        Ok(())
    }
}

/// Rounding of sums of shares.
const SLACK: f64 = 1e-9;
