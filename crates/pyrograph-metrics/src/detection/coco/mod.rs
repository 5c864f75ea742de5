//! Average precision and recall by the rules of COCO's evaluation.

mod figures;
mod matching;
mod ranking;

pub use figures::{CocoClass, CocoFigures, CocoReport};

use self::figures::FIGURES;
use self::ranking::class_report;
use super::DetectionScorer;
use crate::parallel::fill_blocks;

/// The least overlaps of a hit: 0.5 to 0.95 in steps of 0.05, to the last bit those of the
/// reference, numpy's `linspace(0.5, 0.95, 10)`. A box may overlap by exactly one of them.
const IOUS: [f64; 10] = [
    0.5,
    0.55,
    0.6,
    0.65,
    0.7,
    0.75,
    0.8,
    0.85,
    0.899_999_999_999_999_9,
    0.95,
];

/// The place of 0.75 in [`IOUS`]; that of 0.5 is 0.
const IOU_75: usize = 5;

/// The most detections of an image and a class that count.
const MOST_DETECTIONS: usize = 100;

/// The areas of an object, in square pixels, both ends included: all, small, medium and large.
const AREAS: [(f64, f64); 4] = [
    (0.0, LARGEST),
    (0.0, SMALL),
    (SMALL, MEDIUM),
    (MEDIUM, LARGEST),
];
const SMALL: f64 = 32.0 * 32.0;
const MEDIUM: f64 = 96.0 * 96.0;
const LARGEST: f64 = 1e5 * 1e5;

/// Operations that a detection costs, roughly: a threshold and a range of areas for a truth or
/// two, several steps each.
const WORK: usize = 500;

impl DetectionScorer {
    /// The twelve figures of COCO's evaluation, over all classes and for each (Lin et al. 2014,
    /// <https://arxiv.org/abs/1405.0312>, and `COCOeval` of pycocotools 2.0, with the same values
    /// up to rounding below 10⁻¹²).
    ///
    /// In an image the detections of a class are taken by falling score, at most 100. Each is
    /// assigned to the truth that it overlaps most, by at least the threshold, among the truths
    /// that are not found yet; ignored truths are considered only if no other truth fits. Ignored
    /// are crowds and objects outside the range of areas. A detection is ignored if its truth is
    /// ignored, or if it has no truth and is itself outside the range of areas.
    ///
    /// Precisions are interpolated as for Pascal VOC, and averaged over the recalls 0, 0.01, … 1.
    /// The order in which images were pushed matters only for equal scores.
    pub fn coco(&self) -> CocoReport {
        let detections = self.classes.iter().map(|items| items.detections.len());
        let work = detections.sum::<usize>().saturating_mul(WORK);
        let mut classes = vec![CocoClass::default(); self.classes.len()];
        fill_blocks(&mut classes, 1, work, |first, block| {
            for (class, items) in block.iter_mut().zip(&self.classes[first..]) {
                *class = class_report(items);
            }
        });
        let of_class: Vec<_> = classes.iter().map(|class| class.figures.all()).collect();
        let mean = std::array::from_fn::<_, FIGURES, _>(|index| {
            let present: Vec<f64> = of_class.iter().filter_map(|all| all[index]).collect();
            (!present.is_empty()).then(|| present.iter().sum::<f64>() / present.len() as f64)
        });
        CocoReport {
            mean: CocoFigures::from_all(mean),
            classes,
        }
    }
}
