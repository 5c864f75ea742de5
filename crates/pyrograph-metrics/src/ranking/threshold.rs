//! Choosing a threshold between normal and anomalous.

use super::{Ranking, check};
use crate::MetricsError;
use crate::quantile::quantile;

/// The threshold with the largest F1 on a test set, and its figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BestThreshold {
    /// Items with a score above this are called anomalous.
    pub threshold: f32,
    /// The harmonic mean of precision and recall, in (0, 1].
    pub f1: f64,
    /// The fraction of the items called anomalous that are anomalous, in (0, 1].
    pub precision: f64,
    /// The fraction of the anomalous items that are called anomalous, in (0, 1].
    pub recall: f64,
}

/// The threshold with the largest F1 = 2 TP / (2 TP + FP + FN) on a test set. It uses the labels,
/// so its figures are an upper bound, not those of a threshold that is chosen beforehand
/// ([`quantile_threshold`]).
///
/// The threshold lies midway between two neighbouring distinct scores, so that it still separates
/// them when it is written with few decimals. If all items are called anomalous, it lies below the
/// lowest score by half the distance to the next score, or by half the score's magnitude (at least
/// ½) if all scores are equal. Of several thresholds with the same F1 it is the highest, which has
/// the fewest false alarms; F1 values are compared exactly.
///
/// `scores` and `anomalous` have one entry for each item, in any order.
///
/// # Errors
/// Those of [`auroc`](crate::auroc).
pub fn f1_max(scores: &[f32], anomalous: &[bool]) -> Result<BestThreshold, MetricsError> {
    let ranking = Ranking::new(scores, anomalous)?;
    let positives = ranking.total.anomalous;
    // F1 as a fraction: twice the hits over the called and the anomalous items together.
    let fraction = |index: usize| {
        let called = ranking.cuts[index].called;
        let both = called.anomalous + called.normal + positives;
        (called.anomalous as u128, both as u128)
    };
    let best = (1..ranking.cuts.len()).fold(0, |best, index| {
        let ((best_hits, best_both), (hits, both)) = (fraction(best), fraction(index));
        if hits * best_both > best_hits * both {
            index
        } else {
            best
        }
    });
    let called = ranking.cuts[best].called;
    let (hits, count) = (called.anomalous as f64, called.anomalous + called.normal);
    Ok(BestThreshold {
        threshold: ranking.threshold_below(best),
        f1: 2.0 * hits / (count + positives) as f64,
        precision: hits / count as f64,
        recall: hits / positives as f64,
    })
}

impl Ranking {
    /// A threshold below the cut at `index` and above the next, with as much room as there is.
    fn threshold_below(&self, index: usize) -> f32 {
        let upper = self.cuts[index].score;
        if let Some(lower) = self.cuts.get(index + 1) {
            let middle = f32::midpoint(upper, lower.score);
            // The middle of neighbours in f32 is one of them, and only the lower is below the upper.
            return if middle < upper { middle } else { lower.score };
        }
        let room = match index.checked_sub(1) {
            Some(above) => f64::from(self.cuts[above].score) - f64::from(upper),
            None => f64::from(upper).abs().max(1.0),
        };
        // Beyond the smallest number the cast gives -∞, which is below as well.
        let below = (f64::from(upper) - room / 2.0) as f32;
        if below < upper {
            below
        } else {
            upper.next_down()
        }
    }
}

/// The threshold that a given fraction of normal items does not exceed, computed without any
/// anomaly: the `quantile` of their scores, 0.95 for about one false alarm in twenty. It is
/// interpolated linearly between neighbouring scores, as `numpy.quantile` does; 1 is the highest
/// score.
///
/// Use normal items that were not used for training, since training items have lower scores.
///
/// # Errors
/// [`MetricsError::Range`] for a quantile outside (0, 1], [`MetricsError::Empty`] without scores,
/// [`MetricsError::Score`] with the index of the first score that is NaN or infinite.
pub fn quantile_threshold(normal_scores: &[f32], quantile: f64) -> Result<f32, MetricsError> {
    if !(quantile > 0.0 && quantile <= 1.0) {
        return Err(MetricsError::Range {
            what: "the quantile of the normal scores",
            seen: quantile,
            allowed: "above 0 and up to 1",
        });
    }
    check(normal_scores, None)?;
    let mut sorted = normal_scores.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    // Between two scores, so within f32.
    Ok(self::quantile(&sorted, quantile) as f32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::test_set;
    use super::*;
    use crate::confusion_at;

    #[test]
    fn the_best_threshold_lies_midway_between_the_scores() {
        let scores = [310.5, 290.25, 120.0, 80.0];
        let best = f1_max(&scores, &[true, true, false, false]).unwrap();
        let expected = BestThreshold {
            threshold: 205.125,
            f1: 1.0,
            precision: 1.0,
            recall: 1.0,
        };
        assert_eq!(best, expected);
        let rounded: f32 = format!("{:.1}", best.threshold).parse().unwrap();
        let confusion = confusion_at(&scores, &[true, true, false, false], rounded).unwrap();
        assert_eq!(confusion.f1(), Some(1.0));
    }

    #[test]
    fn of_equal_f1_the_highest_threshold_is_taken() {
        // One of one called: 2/(1+2); two of four called: 4/(4+2).
        let best = f1_max(&[5.0, 4.0, 3.0, 2.0], &[true, false, false, true]).unwrap();
        assert_eq!((best.threshold, best.f1), (4.5, 2.0 / 3.0));
        assert_eq!((best.precision, best.recall), (1.0, 0.5));
    }

    #[test]
    fn scores_without_room_between_them_are_still_separated() {
        let (low, high) = (1.0_f32, 1.0_f32.next_up());
        let best = f1_max(&[low, high], &[false, true]).unwrap();
        assert_eq!(best.threshold, low);
        let (low, high) = (1.0_f32.next_up(), 1.0_f32.next_up().next_up());
        let best = f1_max(&[low, high], &[false, true]).unwrap();
        assert_eq!(best.threshold, low);
        let best = f1_max(&[f32::MIN, f32::MAX], &[false, true]).unwrap();
        assert_eq!(best.threshold, 0.0);
    }

    #[test]
    fn where_everything_is_called_the_threshold_lies_below_the_lowest_score() {
        let all = |scores: &[f32]| f1_max(scores, &[false, true]).unwrap().threshold;
        assert_eq!(all(&[3.0, 1.0]), 0.0);
        assert_eq!(all(&[10.0; 2]), 5.0);
        assert_eq!(all(&[0.0; 2]), -0.5);
        assert_eq!(all(&[f32::MIN; 2]), f32::NEG_INFINITY);
        let tiny = f32::from_bits(1);
        assert_eq!(all(&[2.0 * tiny, tiny]), 0.0);
    }

    #[test]
    fn a_quantile_threshold_is_interpolated() {
        let scores = [8.0, 1.0, 4.0, 2.0];
        assert_eq!(quantile_threshold(&scores, 0.5), Ok(3.0));
        assert_eq!(quantile_threshold(&scores, 1.0), Ok(8.0));
        assert_eq!(quantile_threshold(&[5.0], 0.01), Ok(5.0));
    }

    #[test]
    fn quantiles_outside_their_range_and_bad_scores_are_refused() {
        for quantile in [0.0, -0.5, 1.01, f64::NAN] {
            let result = quantile_threshold(&[1.0], quantile);
            assert!(
                matches!(result, Err(MetricsError::Range { .. })),
                "{quantile}"
            );
        }
        assert!(matches!(
            quantile_threshold(&[], 0.5),
            Err(MetricsError::Empty { .. })
        ));
        assert!(matches!(
            quantile_threshold(&[1.0, f32::NAN], 0.5),
            Err(MetricsError::Score { position: 1, .. })
        ));
        assert!(matches!(
            f1_max(&[1.0], &[true]),
            Err(MetricsError::OneClass { .. })
        ));
    }

    proptest! {
        #[test]
        fn no_threshold_beats_the_best_which_does_what_it_says(items in test_set()) {
            let (scores, anomalous): (Vec<_>, Vec<_>) = items.into_iter().unzip();
            let best = f1_max(&scores, &anomalous).unwrap();
            let at = |threshold| confusion_at(&scores, &anomalous, threshold).unwrap();
            let confusion = at(best.threshold);
            prop_assert!((confusion.f1().unwrap() - best.f1).abs() < 1e-15);
            prop_assert_eq!(confusion.precision(), Some(best.precision));
            prop_assert_eq!(confusion.recall(), Some(best.recall));
            for &score in scores.iter().chain(&[f32::NEG_INFINITY]) {
                prop_assert!(at(score).f1().unwrap() <= best.f1 + 1e-15);
            }
        }

        #[test]
        fn the_share_above_a_quantile_is_at_most_the_rest(
            scores in proptest::collection::vec(-1e3_f32..1e3, 1..60),
            quantile in 0.01_f64..=1.0,
        ) {
            let threshold = quantile_threshold(&scores, quantile).unwrap();
            let above = scores.iter().filter(|&&score| score > threshold).count();
            prop_assert!(above as f64 <= (1.0 - quantile) * scores.len() as f64 + 1.0);
        }
    }
}
