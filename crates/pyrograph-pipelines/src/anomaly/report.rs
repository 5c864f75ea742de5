//! How well scores tell anomalous images from normal ones.

use pyrograph_figures::{
    CurveOptions, Distribution, HistogramOptions, Mark, Series, curve_chart, histogram_chart,
};
use pyrograph_metrics::{
    BestThreshold, Confusion, MetricsError, RocCurve, auroc, average_precision, confusion_at,
    f1_max,
};
use pyrograph_vision::RgbImage;

use crate::PipelineError;

/// The figures of a test set with known labels.
#[derive(Clone, Debug, PartialEq)]
pub struct AnomalyReport {
    /// Normal images.
    pub normal: usize,
    /// Anomalous ones.
    pub anomalous: usize,
    /// What needs images of both kinds; none where there is one kind alone.
    pub ranking: Option<RankingFigures>,
    /// What a threshold does that was drawn beforehand; none without one.
    pub calibrated: Option<Confusion>,
}

/// Figures over every threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankingFigures {
    /// Area under the ROC curve: how often an anomalous image scores above a normal one, ties counted half.
    pub auroc: f64,
    /// Average precision.
    pub average_precision: f64,
    /// The threshold with the largest F1, which knows the labels.
    pub best: BestThreshold,
}

impl AnomalyReport {
    /// The figures of `scores` with their labels, and of `threshold`.
    ///
    /// # Errors
    /// When the lists differ in length or are empty, or a score is not finite.
    pub fn new(
        scores: &[f32],
        anomalous: &[bool],
        threshold: Option<f32>,
    ) -> Result<Self, PipelineError> {
        let count = anomalous.iter().filter(|&&anomalous| anomalous).count();
        let calibrated = confusion_at(scores, anomalous, threshold.unwrap_or(f32::INFINITY))?;
        let both = count > 0 && count < anomalous.len();
        let ranking = match both {
            true => Some(RankingFigures {
                auroc: auroc(scores, anomalous)?,
                average_precision: average_precision(scores, anomalous)?,
                best: f1_max(scores, anomalous)?,
            }),
            false => None,
        };
        Ok(Self {
            normal: anomalous.len() - count,
            anomalous: count,
            ranking,
            calibrated: threshold.map(|_| calibrated),
        })
    }
}

/// The scores of each class as a histogram, with the threshold where one is known.
///
/// # Errors
/// Where no score is finite.
pub fn score_histogram(
    scores: &[f32],
    labels: &[usize],
    class_names: &[String],
    threshold: Option<f32>,
) -> Result<RgbImage, PipelineError> {
    let of_class = |class: usize| -> Vec<f32> {
        let pairs = scores.iter().zip(labels);
        pairs
            .filter(|(_, label)| **label == class)
            .map(|(score, _)| *score)
            .collect()
    };
    let distributions: Vec<_> = class_names
        .iter()
        .enumerate()
        .map(|(class, name)| Distribution::new(name.clone(), of_class(class)))
        .filter(|distribution| !distribution.values.is_empty())
        .collect();
    let marks: Vec<_> = threshold
        .map(|threshold| Mark::new("threshold", f64::from(threshold)))
        .into_iter()
        .collect();
    let options = HistogramOptions {
        title: "anomaly scores by class".into(),
        ..HistogramOptions::default()
    };
    Ok(histogram_chart(&options, &distributions, &marks)?)
}

/// The ROC curves of several scorers of the same images, by name.
///
/// # Errors
/// When there are not images of both kinds, or a score is not finite.
pub fn roc_chart(
    scorers: &[(String, Vec<f32>)],
    anomalous: &[bool],
) -> Result<RgbImage, PipelineError> {
    let series = scorers
        .iter()
        .map(|(name, scores)| {
            let curve = RocCurve::new(scores, anomalous)?;
            let points = curve.points.iter().map(|point| (point.fpr, point.tpr));
            let label = format!("{name} {:.3}", auroc(scores, anomalous)?);
            Ok(Series::new(label, points.collect()))
        })
        .collect::<Result<Vec<_>, MetricsError>>()?;
    let options = CurveOptions {
        title: "ROC".into(),
        ..CurveOptions::roc()
    };
    Ok(curve_chart(&options, &series)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_give_every_figure_and_one_kind_the_verdicts_alone() {
        let scores = [1.0, 2.0, 3.0, 4.0];
        let report = AnomalyReport::new(&scores, &[false, true, false, true], Some(2.5));
        let report = report.expect("legal");
        assert_eq!((report.normal, report.anomalous), (2, 2));
        assert_eq!(report.ranking.expect("both kinds").auroc, 0.75);
        assert_eq!(report.calibrated.expect("a threshold").true_positives, 1);
        let report = AnomalyReport::new(&scores, &[false; 4], None).expect("legal");
        assert_eq!((report.normal, report.anomalous), (4, 0));
        assert!(report.ranking.is_none() && report.calibrated.is_none());
        assert!(AnomalyReport::new(&[f32::NAN], &[true], None).is_err());
        assert!(AnomalyReport::new(&[], &[], None).is_err());
        assert!(AnomalyReport::new(&scores, &[true], None).is_err());
    }
}
