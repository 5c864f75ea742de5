//! The errors at one threshold.

use super::check;
use crate::MetricsError;

/// The counts of a test set by label and by decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Confusion {
    /// Anomalous items that are called anomalous.
    pub true_positives: usize,
    /// Normal items that are called anomalous: false alarms.
    pub false_positives: usize,
    /// Anomalous items that are missed.
    pub false_negatives: usize,
    /// Normal items that are called normal.
    pub true_negatives: usize,
}

impl Confusion {
    /// The fraction of the items called anomalous that are anomalous; `None` if no item is called
    /// anomalous.
    pub fn precision(&self) -> Option<f64> {
        share(
            self.true_positives,
            self.true_positives + self.false_positives,
        )
    }

    /// The fraction of the anomalous items that are called anomalous; `None` without anomalous
    /// items.
    pub fn recall(&self) -> Option<f64> {
        share(
            self.true_positives,
            self.true_positives + self.false_negatives,
        )
    }

    /// The harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN); `None` if no item is
    /// anomalous and none is called anomalous. It is 0 if one of the two is undefined and the other
    /// is 0.
    pub fn f1(&self) -> Option<f64> {
        let hits = 2 * self.true_positives;
        share(hits, hits + self.false_positives + self.false_negatives)
    }

    /// The fraction of the items with a correct decision; `None` without items.
    pub fn accuracy(&self) -> Option<f64> {
        let right = self.true_positives + self.true_negatives;
        share(right, right + self.false_positives + self.false_negatives)
    }

    /// The fraction of the normal items that are called anomalous; `None` without normal items.
    pub fn false_alarm_rate(&self) -> Option<f64> {
        share(
            self.false_positives,
            self.false_positives + self.true_negatives,
        )
    }
}

fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Counts the decisions at `threshold`: an item is called anomalous if its score is **above** it.
///
/// `scores` and `anomalous` have one entry for each item. The threshold has the unit of the scores;
/// at ∞ no item is called anomalous, at −∞ every item. Sets of one class are allowed.
///
/// # Errors
/// [`MetricsError::Labels`] for lists of different length, [`MetricsError::Empty`] for empty ones,
/// [`MetricsError::Score`] with the index of the first score that is NaN or infinite,
/// [`MetricsError::Range`] for a threshold that is NaN.
pub fn confusion_at(
    scores: &[f32],
    anomalous: &[bool],
    threshold: f32,
) -> Result<Confusion, MetricsError> {
    check(scores, Some(anomalous))?;
    if threshold.is_nan() {
        return Err(MetricsError::Range {
            what: "the threshold of the scores",
            seen: threshold.into(),
            allowed: "any number, infinite ones included",
        });
    }
    let mut confusion = Confusion::default();
    for (&score, &anomalous) in scores.iter().zip(anomalous) {
        let count = match (anomalous, score > threshold) {
            (true, true) => &mut confusion.true_positives,
            (false, true) => &mut confusion.false_positives,
            (true, false) => &mut confusion.false_negatives,
            (false, false) => &mut confusion.true_negatives,
        };
        *count += 1;
    }
    Ok(confusion)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCORES: [f32; 5] = [3.0, 2.0, 2.0, 1.0, 0.0];
    const ANOMALOUS: [bool; 5] = [true, true, false, true, false];

    #[test]
    fn only_scores_above_the_threshold_are_called() {
        let confusion = confusion_at(&SCORES, &ANOMALOUS, 1.0).unwrap();
        let expected = Confusion {
            true_positives: 2,
            false_positives: 1,
            false_negatives: 1,
            true_negatives: 1,
        };
        assert_eq!(confusion, expected);
        assert_eq!(confusion.precision(), Some(2.0 / 3.0));
        assert_eq!(confusion.recall(), Some(2.0 / 3.0));
        assert_eq!(confusion.f1(), Some(4.0 / 6.0));
        assert_eq!(confusion.accuracy(), Some(0.6));
        assert_eq!(confusion.false_alarm_rate(), Some(0.5));
    }

    #[test]
    fn figures_that_have_no_value_are_none() {
        let none_called = confusion_at(&SCORES, &ANOMALOUS, f32::INFINITY).unwrap();
        assert_eq!(none_called.precision(), None);
        assert_eq!(none_called.f1(), Some(0.0));
        let all_called = confusion_at(&SCORES, &ANOMALOUS, f32::NEG_INFINITY).unwrap();
        assert_eq!(all_called.false_alarm_rate(), Some(1.0));
        let normal = confusion_at(&SCORES, &[false; 5], 9.0).unwrap();
        assert_eq!((normal.recall(), normal.f1()), (None, None));
        assert_eq!(normal.accuracy(), Some(1.0));
        let anomalous = confusion_at(&SCORES, &[true; 5], 9.0).unwrap();
        assert_eq!(anomalous.false_alarm_rate(), None);
        assert_eq!(Confusion::default().accuracy(), None);
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let nan = confusion_at(&SCORES, &ANOMALOUS, f32::NAN).unwrap_err();
        assert_eq!(
            nan.to_string(),
            "the threshold of the scores is NaN: allowed is any number, infinite ones included"
        );
        assert!(matches!(
            confusion_at(&SCORES, &[true], 0.0),
            Err(MetricsError::Labels {
                scores: 5,
                labels: 1
            })
        ));
        assert!(matches!(
            confusion_at(&[], &[], 0.0),
            Err(MetricsError::Empty { .. })
        ));
        assert!(matches!(
            confusion_at(&[f32::NAN], &[true], 0.0),
            Err(MetricsError::Score { position: 0, .. })
        ));
    }
}
