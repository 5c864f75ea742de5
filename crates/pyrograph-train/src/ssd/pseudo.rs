//! Pseudo-labels: the labels that a teacher gives to unlabelled images.

use pyrograph_backend::vision::VisionBackend;
use pyrograph_data::{
    DataError,
    detection::{BoxObject, CocoInstances, DetectionSet},
};
use pyrograph_metrics::{VocClass, VocConfig, VocReport};
use pyrograph_models::ssd::Detector;
use pyrograph_vision::{DetectOptions, Detection};
use serde::{Deserialize, Serialize};

use super::evaluate::score_set;
use crate::{
    TrainError,
    checks::{number, refuse},
};

/// The lowest threshold unless another is asked for.
const FLOOR: f64 = 0.5;
/// The threshold of a class that the teacher never gets right: above every score, of which 1 occurs
/// where the softmax saturates.
const OUT_OF_REACH: f64 = 2.0;

/// The rule by which detections of a teacher become labels.
///
/// A detection becomes a label if its score reaches the threshold of its class. The thresholds
/// maximise F1 on the validation images, class by class, as in "Non-iterative optimization of
/// pseudo-labeling thresholds" (2022, <https://arxiv.org/abs/2210.10221>, whose Fβ has β = 1 here).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PseudoLabelling {
    /// The lowest threshold of a class, above 0 and at most 1.
    pub floor: f64,
    /// The options of detection, for validation images and unlabelled images.
    pub detect: DetectOptions,
}

impl Default for PseudoLabelling {
    fn default() -> Self {
        Self {
            floor: FLOOR,
            detect: DetectOptions::default(),
        }
    }
}

impl PseudoLabelling {
    /// Checks every field.
    ///
    /// # Errors
    /// Names the first field that is not allowed.
    pub fn check(&self) -> Result<(), TrainError> {
        // NaN is refused as well.
        if !(self.floor > 0.0 && self.floor <= 1.0) {
            let (seen, allowed) = (number(self.floor), "above 0 and at most 1");
            return Err(refuse("floor", seen, allowed));
        }
        Ok(self.detect.check()?)
    }

    /// The threshold of each class, from a report on the validation images at an IoU of 0.5.
    ///
    /// The threshold is the score with the best F1, and at least the floor. A class without an
    /// object in the validation images gets the mean threshold of the classes with a best F1, or
    /// the floor if there is none. A class whose objects the teacher never finds gets 2, which no
    /// score reaches.
    pub fn thresholds(&self, validation: &VocReport) -> Vec<f64> {
        let best_of = |class: &VocClass| {
            let score = class.best.map(|point| f64::from(point.score));
            score.map(|score| score.max(self.floor))
        };
        let known: Vec<f64> = validation.classes.iter().filter_map(best_of).collect();
        let mean = match known.len() {
            0 => self.floor,
            count => known.iter().sum::<f64>() / count as f64,
        };
        let threshold = |class: &VocClass| match best_of(class) {
            Some(best) => best,
            None if class.truths == 0 => mean,
            None => OUT_OF_REACH,
        };
        validation.classes.iter().map(threshold).collect()
    }
}

/// Images with a teacher's labels.
#[derive(Clone, Debug, PartialEq)]
pub struct PseudoLabels {
    /// The images with at least one label, in the order of the unlabelled set.
    pub set: DetectionSet,
    /// The threshold of each class, the least score of its labels; above 1 for a class without
    /// labels.
    pub thresholds: Vec<f64>,
    /// The number of unlabelled images.
    pub images: usize,
    /// The number of unlabelled images without a label, which the set does not contain.
    pub left_out: usize,
    scores: Vec<Vec<f32>>,
}

impl PseudoLabels {
    /// Makes labels of the detections that reach the threshold of their class. `detections` has one
    /// list for each image of `unlabelled`, `thresholds` one value for each class. Boxes are
    /// clipped to their image; a box without an area in its image is dropped.
    ///
    /// # Errors
    /// - [`TrainError::Config`] if the number of thresholds differs from the number of classes, or
    ///   if no image has a label (the error then names the thresholds);
    /// - [`TrainError::Data`] if the number of lists differs from the number of images, or if the
    ///   set does not have the class of a detection.
    pub fn from_detections(
        unlabelled: DetectionSet,
        detections: &[Vec<Detection>],
        thresholds: Vec<f64>,
    ) -> Result<Self, TrainError> {
        let names = unlabelled.class_names();
        if thresholds.len() != names.len() {
            let allowed = format!("{}, one for each class", names.len());
            return Err(refuse(
                "the number of thresholds",
                thresholds.len(),
                &allowed,
            ));
        }
        let (mut objects, mut scores) = (Vec::new(), Vec::new());
        for (place, detections) in detections.iter().enumerate() {
            let sample = unlabelled.samples().get(place);
            // Lists beyond the images are refused with the objects.
            let size = sample.map_or((0, 0), |sample| (sample.width, sample.height));
            let found = confident(detections, &thresholds, size);
            scores.push(found.iter().map(|found| found.score).collect::<Vec<_>>());
            let object = |found: &Detection| BoxObject::new(found.bbox, found.class);
            objects.push(found.iter().map(object).collect());
        }
        let images = unlabelled.len();
        let labelled = unlabelled.with_objects(objects)?;
        let has_label = |place: &usize| !scores[*place].is_empty();
        let places: Vec<usize> = (0..images).filter(has_label).collect();
        if places.is_empty() {
            return Err(no_label(labelled.class_names(), &thresholds));
        }
        Ok(Self {
            set: labelled.subset(&places),
            left_out: images - places.len(),
            scores: places
                .iter()
                .map(|place| std::mem::take(&mut scores[*place]))
                .collect(),
            thresholds,
            images,
        })
    }

    /// The teacher's score of each label, image by image.
    pub fn scores(&self) -> &[Vec<f32>] {
        &self.scores
    }

    /// The labels in the form of COCO's annotations, each with its `score`.
    ///
    /// # Errors
    /// If the images or objects of [`set`](Self::set) were changed.
    pub fn to_coco(&self) -> Result<CocoInstances, DataError> {
        self.set.to_coco_with_scores(&self.scores)
    }
}

/// The detections that reach the threshold of their class, clipped to an image of `size`.
fn confident(
    detections: &[Detection],
    thresholds: &[f64],
    (width, height): (u32, u32),
) -> Vec<Detection> {
    let is_sure = |found: &&Detection| {
        // A class without a threshold is refused with the objects.
        let threshold = thresholds.get(found.class).copied().unwrap_or(0.0);
        f64::from(found.score) >= threshold
    };
    let clipped = |found: &Detection| Detection {
        bbox: found.bbox.clip(width as f32, height as f32),
        ..*found
    };
    let sure = detections.iter().filter(is_sure).map(clipped);
    sure.filter(|found| found.bbox.is_proper()).collect()
}

/// The refusal of a set in which no image has a label.
fn no_label(names: &[String], thresholds: &[f64]) -> TrainError {
    let thresholds: Vec<String> = names
        .iter()
        .zip(thresholds)
        .map(|(name, &threshold)| match threshold >= OUT_OF_REACH {
            true => format!("{name} out of reach"),
            false => format!("{name} {threshold:.3}"),
        })
        .collect();
    let allowed = format!(
        "1 or more; the thresholds are {}: lower the floor, or train the teacher further",
        thresholds.join(", ")
    );
    refuse(
        "the number of images with a confident detection",
        0,
        &allowed,
    )
}

/// Labels `unlabelled` by the confident detections of `teacher`, `batch` images at a time.
/// Thresholds are chosen on `validation`, by [`PseudoLabelling::thresholds`]. The result is
/// deterministic.
///
/// `each` is called with the number of finished images after each batch; the validation images come
/// first.
///
/// # Errors
/// - [`TrainError::Config`] for a floor that is not above 0 and at most 1, without validation
///   images or unlabelled images, for an unlabelled image that is a validation image too
///   ([`DetectionSet::without`] leaves such images out), for sets whose classes differ from the
///   teacher's, and if no image has a confident detection (the error then names the thresholds);
/// - when an image cannot be read, or an output of the teacher is not finite.
pub fn label_by_teacher<B: VisionBackend>(
    teacher: &Detector<B>,
    validation: &DetectionSet,
    unlabelled: DetectionSet,
    config: &PseudoLabelling,
    batch: usize,
    each: &mut dyn FnMut(usize),
) -> Result<PseudoLabels, TrainError> {
    config.check()?;
    check_sets(teacher.classes(), validation, &unlabelled)?;
    let scorer = score_set(teacher, validation, &config.detect, batch, each)?;
    let thresholds = config.thresholds(&scorer.voc(&VocConfig::default())?);
    // No threshold is below the floor: what is far below it need not be kept.
    let sure = DetectOptions {
        score_threshold: config
            .detect
            .score_threshold
            .max(0.99 * config.floor as f32),
        ..config.detect
    };
    let mut detections = Vec::with_capacity(unlabelled.len());
    let places: Vec<usize> = (0..unlabelled.len()).collect();
    for places in places.chunks(batch.max(1)) {
        let images = places
            .iter()
            .map(|place| unlabelled.image(*place))
            .collect::<Result<Vec<_>, _>>()?;
        detections.extend(teacher.detect(&images, &sure)?);
        each(validation.len() + detections.len());
    }
    PseudoLabels::from_detections(unlabelled, &detections, thresholds)
}

/// Refuses sets without images, with an image in both, or with other classes than the teacher's.
fn check_sets(
    classes: &[String],
    validation: &DetectionSet,
    unlabelled: &DetectionSet,
) -> Result<(), TrainError> {
    for (field, set) in [
        ("the list of classes of the validation images", validation),
        ("the list of classes of the unlabelled images", unlabelled),
    ] {
        if set.class_names() != classes {
            let seen = format!("[{}]", set.class_names().join(", "));
            let allowed = format!(
                "[{}], those of the teacher in their order",
                classes.join(", ")
            );
            return Err(refuse(field, seen, &allowed));
        }
    }
    if validation.is_empty() {
        let allowed = "1 or more: the thresholds are chosen on them";
        return Err(refuse("the number of validation images", 0, allowed));
    }
    if unlabelled.is_empty() {
        return Err(refuse("the number of unlabelled images", 0, "1 or more"));
    }
    match unlabelled.shared_with(validation) {
        Some(name) => {
            let allowed = "no validation image as well: leave it out of one of the two sets";
            Err(refuse("an image of the unlabelled set", name, allowed))
        }
        None => Ok(()),
    }
}
