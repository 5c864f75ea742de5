//! Curves over all thresholds.

use super::Ranking;
use crate::MetricsError;

/// A point of a [`RocCurve`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RocPoint {
    /// The fraction of normal items that are called anomalous, in [0, 1].
    pub fpr: f64,
    /// The fraction of anomalous items that are called anomalous, in [0, 1].
    pub tpr: f64,
    /// Items with a score above this are called anomalous. It is the highest score that is not
    /// called, and -∞ for the point at which all items are called.
    pub threshold: f32,
}

/// The receiver operating characteristic: false and true positive rates as the threshold falls from
/// the highest score to below the lowest, from (0, 0) to (1, 1) (Fawcett 2006,
/// <https://doi.org/10.1016/j.patrec.2005.10.010>).
///
/// There is one point for each distinct score, and a first point without any alarm. The points are
/// those of scikit-learn's `roc_curve(…, drop_intermediate=False)`. There the threshold of a point
/// is the lowest score that is called anomalous; here it is the highest score that is not.
#[derive(Clone, Debug, PartialEq)]
pub struct RocCurve {
    /// The points, with both rates rising and the thresholds falling.
    pub points: Vec<RocPoint>,
}

impl RocCurve {
    /// The curve of a test set: `scores` and `anomalous` have one entry for each item, in any
    /// order.
    ///
    /// # Errors
    /// Those of [`auroc`](crate::auroc).
    pub fn new(scores: &[f32], anomalous: &[bool]) -> Result<Self, MetricsError> {
        let ranking = Ranking::new(scores, anomalous)?;
        let total = ranking.total;
        let start = RocPoint {
            fpr: 0.0,
            tpr: 0.0,
            threshold: ranking.cuts[0].score,
        };
        let cuts = ranking.cuts.iter().zip(ranking.thresholds());
        let points = cuts.map(|(cut, threshold)| RocPoint {
            fpr: cut.called.normal as f64 / total.normal as f64,
            tpr: cut.called.anomalous as f64 / total.anomalous as f64,
            threshold,
        });
        Ok(Self {
            points: std::iter::once(start).chain(points).collect(),
        })
    }
}

/// A point of a [`PrecisionRecallCurve`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PrecisionRecallPoint {
    /// The fraction of anomalous items that are called anomalous, in [0, 1].
    pub recall: f64,
    /// The fraction of the items called anomalous that are anomalous, in [0, 1].
    pub precision: f64,
    /// Items with a score above this are called anomalous. It is the highest score that is not
    /// called, and -∞ for the point at which all items are called.
    pub threshold: f32,
}

/// Precision and recall as the threshold falls from the highest score to below the lowest.
///
/// There is one point for each distinct score, and a first point without any alarm, whose recall is
/// 0 and whose precision is 1 by convention. The points are those of scikit-learn's
/// `precision_recall_curve` in reverse, with thresholds as in [`RocCurve`]. Between two points the
/// precision is that of the second point: draw steps, not slopes.
#[derive(Clone, Debug, PartialEq)]
pub struct PrecisionRecallCurve {
    /// The points, with the recall rising from 0 to 1 and the thresholds falling.
    pub points: Vec<PrecisionRecallPoint>,
}

impl PrecisionRecallCurve {
    /// The curve of a test set: `scores` and `anomalous` have one entry for each item, in any
    /// order.
    ///
    /// # Errors
    /// Those of [`auroc`](crate::auroc).
    pub fn new(scores: &[f32], anomalous: &[bool]) -> Result<Self, MetricsError> {
        let ranking = Ranking::new(scores, anomalous)?;
        let total = ranking.total;
        let start = PrecisionRecallPoint {
            recall: 0.0,
            precision: 1.0,
            threshold: ranking.cuts[0].score,
        };
        let cuts = ranking.cuts.iter().zip(ranking.thresholds());
        let points = cuts.map(|(cut, threshold)| {
            let hits = cut.called.anomalous as f64;
            PrecisionRecallPoint {
                recall: hits / total.anomalous as f64,
                precision: hits / (cut.called.anomalous + cut.called.normal) as f64,
                threshold,
            }
        });
        Ok(Self {
            points: std::iter::once(start).chain(points).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::test_set;
    use super::*;
    use crate::{auroc, average_precision, confusion_at};

    const SCORES: [f32; 4] = [0.9, 0.8, 0.8, 0.1];
    const ANOMALOUS: [bool; 4] = [true, true, false, false];

    #[test]
    fn a_small_set_has_the_points_counted_by_hand() {
        let roc = RocCurve::new(&SCORES, &ANOMALOUS).unwrap();
        let points: Vec<_> = roc.points.iter().map(|p| (p.fpr, p.tpr)).collect();
        assert_eq!(points, [(0.0, 0.0), (0.0, 0.5), (0.5, 1.0), (1.0, 1.0)]);
        let thresholds: Vec<_> = roc.points.iter().map(|p| p.threshold).collect();
        assert_eq!(thresholds, [0.9, 0.8, 0.1, f32::NEG_INFINITY]);
        let curve = PrecisionRecallCurve::new(&SCORES, &ANOMALOUS).unwrap();
        let points: Vec<_> = curve
            .points
            .iter()
            .map(|p| (p.recall, p.precision))
            .collect();
        let expected = [(0.0, 1.0), (0.5, 1.0), (1.0, 2.0 / 3.0), (1.0, 0.5)];
        assert_eq!(points, expected);
    }

    #[test]
    fn one_class_has_no_curve() {
        let one = |error| matches!(error, MetricsError::OneClass { .. });
        assert!(one(RocCurve::new(&[1.0], &[true]).unwrap_err()));
        assert!(one(PrecisionRecallCurve::new(&[1.0], &[true]).unwrap_err()));
    }

    proptest! {
        #[test]
        fn each_threshold_gives_the_shares_of_its_point(items in test_set()) {
            let (scores, anomalous): (Vec<_>, Vec<_>) = items.into_iter().unzip();
            let roc = RocCurve::new(&scores, &anomalous).unwrap();
            for point in &roc.points {
                let confusion = confusion_at(&scores, &anomalous, point.threshold).unwrap();
                prop_assert_eq!(confusion.recall(), Some(point.tpr));
                prop_assert_eq!(confusion.false_alarm_rate(), Some(point.fpr));
            }
            let curve = PrecisionRecallCurve::new(&scores, &anomalous).unwrap();
            for point in &curve.points {
                let confusion = confusion_at(&scores, &anomalous, point.threshold).unwrap();
                prop_assert_eq!(confusion.recall(), Some(point.recall));
                prop_assert_eq!(confusion.precision().unwrap_or(1.0), point.precision);
            }
        }

        #[test]
        fn the_areas_lie_under_the_curves(items in test_set()) {
            let (scores, anomalous): (Vec<_>, Vec<_>) = items.into_iter().unzip();
            let roc = RocCurve::new(&scores, &anomalous).unwrap();
            let trapezoids: f64 = roc.points.windows(2)
                .map(|ends| (ends[1].fpr - ends[0].fpr) * (ends[0].tpr + ends[1].tpr) / 2.0)
                .sum();
            prop_assert!((trapezoids - auroc(&scores, &anomalous).unwrap()).abs() < 1e-12);
            let curve = PrecisionRecallCurve::new(&scores, &anomalous).unwrap();
            let steps: f64 = curve.points.windows(2)
                .map(|ends| (ends[1].recall - ends[0].recall) * ends[1].precision)
                .sum();
            prop_assert!((steps - average_precision(&scores, &anomalous).unwrap()).abs() < 1e-12);
        }

        #[test]
        fn a_roc_curve_rises_from_corner_to_corner(items in test_set()) {
            let (scores, anomalous): (Vec<_>, Vec<_>) = items.into_iter().unzip();
            let points = RocCurve::new(&scores, &anomalous).unwrap().points;
            prop_assert_eq!((points[0].fpr, points[0].tpr), (0.0, 0.0));
            let last = points[points.len() - 1];
            prop_assert_eq!((last.fpr, last.tpr), (1.0, 1.0));
            let rises = |a: &RocPoint, b: &RocPoint| {
                a.fpr <= b.fpr && a.tpr <= b.tpr && a.threshold > b.threshold
            };
            prop_assert!(points.windows(2).all(|ends| rises(&ends[0], &ends[1])));
        }
    }
}
