//! A whole run: data and training.

use std::path::PathBuf;

use pyrograph_data::Faults;
use pyrograph_data::detection::{DetectionFormat, DetectionOptions, DetectionSet};
use serde::{Deserialize, Serialize};

use super::SsdTraining;
use crate::{
    DataFingerprint, TrainError,
    checks::{number, refuse},
    run_folder::{RunKind, RunPlan},
};

/// The source of images with boxes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum DetectionSource {
    /// Built-in scenes of shapes, drawn by code.
    Scenes {
        /// The number of scenes.
        count: usize,
        /// The width and height of a scene in pixels.
        side: u32,
        /// The seed that draws the scenes.
        seed: u64,
    },
    /// Files in a published layout.
    Files {
        /// The folder, or COCO's annotation file. The path is absolute in the config of a run, so
        /// that the run can be resumed from any folder.
        path: PathBuf,
        /// The layout.
        format: DetectionFormat,
        /// The part, such as `train`.
        split: String,
        /// Options of reading the files.
        options: DetectionOptions,
    },
}

impl DetectionSource {
    /// Reads the annotations, or places the shapes. If images with faults are skipped, the header
    /// of every image is read too, so that the set is the same each time.
    ///
    /// # Errors
    /// When the annotations cannot be read.
    pub fn load(&self) -> Result<DetectionSet, TrainError> {
        self.load_with(&mut || {})
    }

    /// [`load`](Self::load) with `each` called after every header.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with(&self, each: &mut dyn FnMut()) -> Result<DetectionSet, TrainError> {
        let set = match self {
            Self::Scenes { count, side, seed } => pyrograph_art::scenes(*count, *side, *seed)?,
            Self::Files {
                path,
                format,
                split,
                options,
            } => DetectionSet::open(path, *format, split, options)?,
        };
        match self.faults() {
            Faults::Skip => Ok(set.without_broken_images(each)?),
            Faults::List | Faults::Strict => Ok(set),
        }
    }

    /// The handling of images with faults.
    pub fn faults(&self) -> Faults {
        match self {
            Self::Scenes { .. } => Faults::default(),
            Self::Files { options, .. } => options.faults,
        }
    }

    /// Sets the classes by which the source is read, for example those of a model or of the
    /// training images; scenes keep their own classes.
    #[must_use]
    pub fn with_classes(mut self, classes: &[String]) -> Self {
        if let Self::Files { options, .. } = &mut self {
            options.classes = Some(classes.to_vec());
        }
        self
    }

    /// The same source with another part: part `split` of the files, or scenes that no other part
    /// contains (their parts are `train`, `val`, `test` and `unlabelled`). For a COCO annotation
    /// file it is the file of that part beside it.
    ///
    /// # Errors
    /// When scenes have no such part, or there is no such file beside the annotation file.
    pub fn part(&self, split: &str) -> Result<Self, TrainError> {
        /// Each part of the scenes is drawn from seeds that the others never use.
        const VALIDATION_SEEDS: u64 = 1 << 63;
        const TEST_SEEDS: u64 = 1 << 62;
        const UNLABELLED_SEEDS: u64 = 1 << 61;
        Ok(match self {
            Self::Scenes { count, side, seed } => {
                let seed = seed & !(VALIDATION_SEEDS | TEST_SEEDS | UNLABELLED_SEEDS);
                Self::Scenes {
                    count: *count,
                    side: *side,
                    seed: match split {
                        "train" => seed,
                        "val" => seed | VALIDATION_SEEDS,
                        "test" => seed | TEST_SEEDS,
                        "unlabelled" => seed | UNLABELLED_SEEDS,
                        _ => {
                            return Err(refuse(
                                "the part of the scenes",
                                split,
                                "train, val, test or unlabelled",
                            ));
                        }
                    },
                }
            }
            Self::Files {
                path,
                format: format @ DetectionFormat::Coco,
                options,
                ..
            } if path.is_file() => Self::Files {
                path: DetectionSet::part_beside(path, split)?,
                format: *format,
                split: split.to_owned(),
                options: options.clone(),
            },
            Self::Files {
                path,
                format,
                options,
                ..
            } => Self::Files {
                path: path.clone(),
                format: *format,
                split: split.to_owned(),
                options: options.clone(),
            },
        })
    }
}

/// The config of a whole run: the training images, the validation images, and the training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SsdRun {
    /// The images.
    pub data: DetectionSource,
    /// The fingerprint of these images when the run was begun.
    pub fingerprint: DataFingerprint,
    /// The validation images, which choose the best network; `None` holds out a fraction of `data`.
    pub validation: Option<DetectionSource>,
    /// The fingerprint of the validation images when the run was begun; `None` without
    /// `validation`.
    #[serde(default)]
    pub validation_fingerprint: Option<DataFingerprint>,
    /// The fraction of `data` that is held out if there is no `validation`, 0 to below 1.
    pub held_out: f64,
    /// The number of training images, chosen by the training's seed; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<usize>,
    /// The classes by name, without the background.
    pub classes: Vec<String>,
    /// The training.
    pub training: SsdTraining,
}

impl RunPlan for SsdRun {
    const KIND: RunKind = RunKind::Detector;
}

impl SsdRun {
    /// The training images, and the validation images if there are any.
    ///
    /// # Errors
    /// When the data cannot be read or differ from those that the run was begun with, when an image
    /// is in both, or when the fraction is not allowed.
    pub fn load_data(&self) -> Result<(DetectionSet, Option<DetectionSet>), TrainError> {
        self.split(self.data.load()?)
    }

    /// The parts of `set`, the run's whole data, as in [`load_data`](Self::load_data).
    ///
    /// # Errors
    /// As [`load_data`](Self::load_data).
    pub fn split(
        &self,
        set: DetectionSet,
    ) -> Result<(DetectionSet, Option<DetectionSet>), TrainError> {
        let (training, validation) = self.whole_parts(set)?;
        match self.images {
            None => Ok((training, validation)),
            Some(count) => Ok((training.choose(count, self.training.seed)?, validation)),
        }
    }

    /// Both parts with all their images.
    fn whole_parts(
        &self,
        set: DetectionSet,
    ) -> Result<(DetectionSet, Option<DetectionSet>), TrainError> {
        self.fingerprint.check(&set)?;
        if let Some(source) = &self.validation {
            let validation = source.load()?;
            if validation.class_names() != set.class_names() {
                let seen = validation.class_names().join(", ");
                let allowed = format!("those trained on: {}", set.class_names().join(", "));
                return Err(refuse(
                    "the classes of the validation images",
                    seen,
                    &allowed,
                ));
            }
            if let Some(name) = validation.shared_with(&set) {
                let seen = format!("`{name}`, which is trained on");
                return Err(refuse(
                    "a validation image",
                    seen,
                    "one that is not trained on",
                ));
            }
            if let Some(fingerprint) = self.validation_fingerprint {
                fingerprint.check(&validation)?;
            }
            return Ok((set, Some(validation)));
        }
        if !(0.0..1.0).contains(&self.held_out) {
            let seen = number(self.held_out);
            return Err(refuse("held_out", seen, "at least 0 and below 1"));
        }
        if self.held_out == 0.0 {
            return Ok((set, None));
        }
        let (training, held_out) = set.split_off(self.held_out, self.training.seed)?;
        Ok((training, Some(held_out)))
    }
}
