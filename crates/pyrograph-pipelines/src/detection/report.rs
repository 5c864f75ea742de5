//! How well a detector finds the objects of a set.

use pyrograph_metrics::{
    CocoClass, CocoFigures, DetectionScorer, OperatingPoint, VocClass, VocConfig, VocInterpolation,
    VocReport,
};
use serde::{Deserialize, Serialize};

use crate::PipelineError;

/// The figures of a scored set, all in [0, 1]; none where there is no object to be found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectionReport {
    /// Images.
    pub images: usize,
    /// Mean average precision at an overlap of 0.5 by Pascal VOC's rules, the area under the curve (2010 and later).
    pub map: Option<f64>,
    /// The same as a mean over eleven recalls (2007).
    pub map_11_point: Option<f64>,
    /// COCO's figures over all classes.
    pub coco: CocoSummary,
    /// One for each class.
    pub classes: Vec<ClassReport>,
}

/// The twelve figures of COCO's evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CocoSummary {
    /// Average precision over overlaps of 0.5, 0.55, … 0.95.
    pub ap: Option<f64>,
    /// At 0.5.
    pub ap_50: Option<f64>,
    /// At 0.75.
    pub ap_75: Option<f64>,
    /// Of objects up to 32² pixels.
    pub ap_small: Option<f64>,
    /// Of objects between.
    pub ap_medium: Option<f64>,
    /// Of objects of 96² pixels and more.
    pub ap_large: Option<f64>,
    /// Average recall with one detection for an image and a class.
    pub ar_1: Option<f64>,
    /// With ten.
    pub ar_10: Option<f64>,
    /// With a hundred.
    pub ar_100: Option<f64>,
    /// With a hundred, of small objects.
    pub ar_small: Option<f64>,
    /// Of medium ones.
    pub ar_medium: Option<f64>,
    /// Of large ones.
    pub ar_large: Option<f64>,
}

impl From<CocoFigures> for CocoSummary {
    fn from(figures: CocoFigures) -> Self {
        Self {
            ap: figures.ap,
            ap_50: figures.ap50,
            ap_75: figures.ap75,
            ap_small: figures.ap_small,
            ap_medium: figures.ap_medium,
            ap_large: figures.ap_large,
            ar_1: figures.ar_1,
            ar_10: figures.ar_10,
            ar_100: figures.ar_100,
            ar_small: figures.ar_small,
            ar_medium: figures.ar_medium,
            ar_large: figures.ar_large,
        }
    }
}

/// The figures of a class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassReport {
    /// Its name.
    pub label: String,
    /// Objects to be found: difficult ones and crowds are not counted.
    pub truths: usize,
    /// Detections that count.
    pub detections: usize,
    /// Average precision at an overlap of 0.5, the area under the curve.
    pub ap: Option<f64>,
    /// The same as a mean over eleven recalls.
    pub ap_11_point: Option<f64>,
    /// COCO's average precision over overlaps of 0.5 to 0.95.
    pub ap_coco: Option<f64>,
    /// Where F1 is largest; none where no object is found.
    pub best: Option<BestPoint>,
}

/// What is kept at one score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestPoint {
    /// Detections with at least this score are kept.
    pub score: f32,
    /// The share of them that are right.
    pub precision: f64,
    /// The share of the objects that are found.
    pub recall: f64,
    /// The harmonic mean of both.
    pub f1: f64,
}

impl From<OperatingPoint> for BestPoint {
    fn from(point: OperatingPoint) -> Self {
        Self {
            score: point.score,
            precision: point.precision,
            recall: point.recall,
            f1: point.f1(),
        }
    }
}

impl DetectionReport {
    /// The figures of what `scorer` holds, whose classes are these; and Pascal VOC's own report, which has the curves.
    ///
    /// # Errors
    /// When the names are not as many as the scorer's classes.
    pub fn new(
        scorer: &DetectionScorer,
        names: &[String],
    ) -> Result<(Self, VocReport), PipelineError> {
        let voc = |interpolation| {
            scorer.voc(&VocConfig {
                interpolation,
                ..VocConfig::default()
            })
        };
        let (area, eleven) = (
            voc(VocInterpolation::Area)?,
            voc(VocInterpolation::ElevenPoint)?,
        );
        if names.len() != area.classes.len() {
            return Err(PipelineError::Number {
                field: "the number of class names",
                seen: names.len().to_string(),
                allowed: area.classes.len().to_string(),
            });
        }
        let coco = scorer.coco();
        let class =
            |(((name, area), eleven), coco): (((&String, &VocClass), &VocClass), &CocoClass)| {
                ClassReport {
                    label: name.clone(),
                    truths: area.truths,
                    detections: area.detections,
                    ap: area.ap,
                    ap_11_point: eleven.ap,
                    ap_coco: coco.figures.ap,
                    best: area.best.map(BestPoint::from),
                }
            };
        let classes = names
            .iter()
            .zip(&area.classes)
            .zip(&eleven.classes)
            .zip(&coco.classes)
            .map(class)
            .collect();
        let report = Self {
            images: scorer.images(),
            map: area.map,
            map_11_point: eleven.map,
            coco: coco.mean.into(),
            classes,
        };
        Ok((report, area))
    }
}

#[cfg(test)]
mod tests {
    use pyrograph_metrics::Truth;
    use pyrograph_vision::{BoundingBox, Detection};

    use super::*;
    use crate::detection::precision_recall_charts;

    #[test]
    fn a_report_has_a_line_for_every_class_also_without_objects() {
        let cell = BoundingBox::new(10.0, 10.0, 50.0, 40.0);
        let mut scorer = DetectionScorer::new(2).expect("classes");
        let found = Detection {
            bbox: cell,
            class: 0,
            score: 0.75,
        };
        let other = Detection { class: 1, ..found };
        scorer
            .push(&[Truth::new(cell, 0)], &[found, other])
            .expect("legal");
        let names = ["RBC".to_owned(), "WBC".to_owned()];
        let (report, voc) = DetectionReport::new(&scorer, &names).expect("two names");
        assert_eq!((report.map, report.map_11_point), (Some(1.0), Some(1.0)));
        assert_eq!((report.coco.ap, report.coco.ap_large), (Some(1.0), None));
        let best = report.classes[0].best.expect("found");
        assert_eq!((best.score, best.f1), (0.75, 1.0));
        let absent = &report.classes[1];
        assert_eq!((absent.ap, absent.truths, absent.detections), (None, 0, 1));
        assert_eq!(
            precision_recall_charts(&names, &voc).expect("drawn").len(),
            1
        );

        let error = DetectionReport::new(&scorer, &names[..1]).expect_err("one name");
        assert!(error.to_string().contains("is 1, but must be 2"), "{error}");
    }
}
