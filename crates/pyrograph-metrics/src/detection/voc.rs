//! Average precision by the rules of Pascal VOC's development kit.

use super::overlap::{Over, overlap};
use super::precision::{Envelope, OperatingPoint};
use super::scorer::{ClassItems, DetectionItem, TruthItem};
use super::{DetectionScorer, TruthKind};
use crate::MetricsError;

/// The least overlap of a hit in the challenges.
const IOU: f64 = 0.5;

/// The averaging of the precisions of a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VocInterpolation {
    /// The mean of the interpolated precision at the recalls 0, 0.1, … 1: VOC up to 2009, and the
    /// figure of papers on VOC 2007.
    ElevenPoint,
    /// The area under the interpolated precision: VOC from 2010 on.
    #[default]
    Area,
}

/// Options of the VOC evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VocConfig {
    /// The averaging of the precisions of a class; the default is the area.
    pub interpolation: VocInterpolation,
    /// The least intersection over union of a hit, above 0 and at most 1; the default is 0.5.
    pub iou: f64,
}

impl Default for VocConfig {
    fn default() -> Self {
        Self {
            interpolation: VocInterpolation::default(),
            iou: IOU,
        }
    }
}

/// The figures of a detector by Pascal VOC's rules.
#[derive(Clone, Debug, PartialEq)]
pub struct VocReport {
    /// The mean of the average precisions of the classes that have one, in [0, 1]; `None` if no
    /// class has one.
    pub map: Option<f64>,
    /// The figures of each class.
    pub classes: Vec<VocClass>,
}

/// The figures of a detector on one class.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VocClass {
    /// The average precision, in [0, 1]; `None` if the class has no objects.
    pub ap: Option<f64>,
    /// The number of objects, without difficult ones.
    pub truths: usize,
    /// The number of detections, without those of difficult objects.
    pub detections: usize,
    /// Precision and recall at each distinct score, from the highest down, before any
    /// interpolation; empty if the class has no objects.
    pub curve: Vec<OperatingPoint>,
    /// The point of the curve with the largest F1, and the highest score of several; `None` if no
    /// object is found.
    pub best: Option<OperatingPoint>,
}

impl DetectionScorer {
    /// Average precisions by the rules of Pascal VOC's development kit (Everingham et al. 2010,
    /// <https://doi.org/10.1007/s11263-009-0275-4>).
    ///
    /// The detections of a class in all images are sorted by falling score; equal scores rank by
    /// image, then by their order. Each detection is compared with the truth of its class and image
    /// that it overlaps most, the first of several. Below the least overlap it is a miss. Otherwise
    /// it is a hit if the truth was not found before, and a miss if it was; no other truth is
    /// tried. If the truth is difficult, the detection is ignored. The recall is relative to the
    /// truths that are not difficult.
    ///
    /// Two details differ from the kit. First, the overlap is the area of the intersection divided
    /// by that of the union; the kit adds one to each side, since its boxes end **in** their last
    /// pixel. Boxes of VOC's files have the kit's overlaps if 1 is subtracted from x1 and y1, which
    /// makes them end at the edges of pixels. Second, the eleven recalls are compared exactly: in
    /// the kit 3 of 10 do not reach 0.3, because it computes 3 · 0.1, which is rounded up.
    ///
    /// # Errors
    /// [`MetricsError::Range`] for a least overlap that is not above 0 and at most 1.
    pub fn voc(&self, config: &VocConfig) -> Result<VocReport, MetricsError> {
        // NaN is refused as well.
        if !(config.iou > 0.0 && config.iou <= 1.0) {
            return Err(MetricsError::Range {
                what: "the least overlap of a hit",
                seen: config.iou,
                allowed: "above 0 and at most 1",
            });
        }
        let classes: Vec<_> = self
            .classes
            .iter()
            .map(|items| class_report(items, config))
            .collect();
        let figures: Vec<f64> = classes.iter().filter_map(|class| class.ap).collect();
        let map = (!figures.is_empty()).then(|| figures.iter().sum::<f64>() / figures.len() as f64);
        Ok(VocReport { map, classes })
    }
}

fn class_report(items: &ClassItems, config: &VocConfig) -> VocClass {
    let ranking = ranking(items, config.iou);
    let counted = |truth: &&TruthItem| truth.kind == TruthKind::Counted;
    let truths = items.truths.iter().filter(counted).count();
    if truths == 0 {
        return VocClass {
            detections: ranking.len(),
            ..VocClass::default()
        };
    }
    let envelope = Envelope::new(ranking.iter().map(|(_, hit)| *hit), truths);
    let curve = OperatingPoint::curve(&ranking, truths);
    VocClass {
        ap: Some(match config.interpolation {
            VocInterpolation::ElevenPoint => envelope.eleven_points(),
            VocInterpolation::Area => envelope.area(),
        }),
        truths,
        detections: ranking.len(),
        best: OperatingPoint::best(&curve),
        curve,
    }
}

/// The scores of the detections that count, falling, and which are hits.
fn ranking(items: &ClassItems, iou: f64) -> Vec<(f32, bool)> {
    // Which truth a detection is held to depends on the two alone, not on what was found before.
    let mut candidates = Vec::with_capacity(items.detections.len());
    let mut first_truth = 0;
    for (truths, detections) in items.images() {
        let held_to = |detection: &DetectionItem| {
            let best = best_truth(detection, truths, iou).map(|index| first_truth + index);
            (detection.score, best)
        };
        candidates.extend(detections.iter().map(held_to));
        first_truth += truths.len();
    }
    candidates.sort_by(|a, b| b.0.total_cmp(&a.0));

    let mut found = vec![false; items.truths.len()];
    let judge = |(score, held_to): (f32, Option<usize>)| match held_to {
        Some(index) if items.truths[index].kind == TruthKind::Counted => {
            let before = std::mem::replace(&mut found[index], true);
            Some((score, !before))
        }
        Some(_) => None,
        None => Some((score, false)),
    };
    candidates.into_iter().filter_map(judge).collect()
}

/// The truth that `detection` overlaps most, if by at least `iou`.
fn best_truth(detection: &DetectionItem, truths: &[TruthItem], iou: f64) -> Option<usize> {
    let mut best = None;
    for (index, truth) in truths.iter().enumerate() {
        let overlap = overlap(detection.bbox, truth.bbox, Over::Union);
        if overlap >= iou && best.is_none_or(|(_, largest)| overlap > largest) {
            best = Some((index, overlap));
        }
    }
    best.map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use pyrograph_vision::{BoundingBox, Detection};

    use super::*;
    use crate::Truth;

    const LEFT: BoundingBox = BoundingBox::new(0.0, 0.0, 10.0, 10.0);
    const RIGHT: BoundingBox = BoundingBox::new(20.0, 0.0, 30.0, 10.0);

    fn found(bbox: BoundingBox, score: f32) -> Detection {
        let class = 0;
        Detection { bbox, class, score }
    }

    fn report(truths: &[Truth], detections: &[Detection]) -> VocClass {
        let mut scorer = DetectionScorer::new(1).unwrap();
        scorer.push(truths, detections).unwrap();
        let mut report = scorer.voc(&VocConfig::default()).unwrap();
        assert_eq!(report.map, report.classes[0].ap);
        report.classes.remove(0)
    }

    #[test]
    fn a_second_detection_of_a_truth_is_a_miss() {
        let truths = [Truth::new(LEFT, 0), Truth::new(RIGHT, 0)];
        let detections = [found(LEFT, 0.9), found(LEFT, 0.8), found(RIGHT, 0.7)];
        let class = report(&truths, &detections);
        assert_eq!((class.truths, class.detections), (2, 3));
        assert_eq!(class.ap, Some(0.5 + 0.5 * 2.0 / 3.0));
        assert_eq!(class.best.map(|point| point.score), Some(0.7));
    }

    #[test]
    fn a_taken_truth_is_not_exchanged_for_the_next_best() {
        // The box between overlaps with both by more than half, but with the first more.
        let first = BoundingBox::new(0.0, 0.0, 10.0, 10.0);
        let next = BoundingBox::new(2.0, 0.0, 12.0, 10.0);
        let between = BoundingBox::new(0.5, 0.0, 10.5, 10.0);
        let truths = [Truth::new(first, 0), Truth::new(next, 0)];
        let class = report(&truths, &[found(first, 0.9), found(between, 0.8)]);
        assert_eq!(class.ap, Some(0.5));
    }

    #[test]
    fn detections_of_difficult_objects_neither_gain_nor_lose() {
        for kind in [TruthKind::Difficult, TruthKind::Crowd] {
            let ignored = Truth {
                kind,
                ..Truth::new(LEFT, 0)
            };
            let detections = [found(LEFT, 0.9), found(LEFT, 0.8), found(RIGHT, 0.7)];
            let class = report(&[ignored, Truth::new(RIGHT, 0)], &detections);
            assert_eq!((class.truths, class.detections), (1, 1));
            assert_eq!(class.ap, Some(1.0));
            let alone = report(&[ignored], &detections);
            assert_eq!((alone.ap, alone.detections), (None, 1));
            assert!(alone.curve.is_empty());
        }
    }

    #[test]
    fn an_overlap_equal_to_the_threshold_is_a_hit() {
        let half = BoundingBox::new(0.0, 0.0, 10.0, 5.0);
        assert_eq!(
            report(&[Truth::new(LEFT, 0)], &[found(half, 0.5)]).ap,
            Some(1.0)
        );
    }

    #[test]
    fn a_threshold_that_is_no_overlap_is_refused() {
        let scorer = DetectionScorer::new(1).unwrap();
        for iou in [0.0, -0.5, 1.5, f64::NAN] {
            let config = VocConfig {
                iou,
                ..VocConfig::default()
            };
            let error = scorer.voc(&config).unwrap_err();
            assert!(matches!(error, MetricsError::Range { .. }), "{iou}");
        }
        assert_eq!(scorer.voc(&VocConfig::default()).unwrap().map, None);
    }
}
