//! Evaluation of anomaly scores.
//!
//! One rule holds everywhere: a higher score is more anomalous, and an item is called anomalous if
//! its score lies **above** the threshold. [`area`] needs no threshold, [`curve`] covers all
//! thresholds, [`threshold`] chooses one, [`confusion`] counts the decisions at one.

mod area;
mod confusion;
mod curve;
mod threshold;

pub use area::{auroc, average_precision};
pub use confusion::{Confusion, confusion_at};
pub use curve::{PrecisionRecallCurve, PrecisionRecallPoint, RocCurve, RocPoint};
pub use threshold::{BestThreshold, f1_max, quantile_threshold};

use crate::MetricsError;

/// What is called anomalous at a threshold, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Called {
    anomalous: usize,
    normal: usize,
}

/// A distinct score, with everything that scores at least as high.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cut {
    score: f32,
    called: Called,
}

/// The items of a test set in the order of their scores.
#[derive(Clone, Debug)]
struct Ranking {
    /// All items.
    total: Called,
    /// One cut for each distinct score, from the highest to the lowest; the last calls all items.
    cuts: Vec<Cut>,
}

impl Ranking {
    /// Ranks items; equal scores share a cut, so that the order of the list never matters.
    fn new(scores: &[f32], anomalous: &[bool]) -> Result<Self, MetricsError> {
        check(scores, Some(anomalous))?;
        let mut items: Vec<(f32, bool)> = scores
            .iter()
            .copied()
            .zip(anomalous.iter().copied())
            .collect();
        items.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let mut total = Called {
            anomalous: 0,
            normal: 0,
        };
        let mut cuts = Vec::new();
        // By `==`, for which 0 and -0 are the same score.
        for group in items.chunk_by(|a, b| a.0 == b.0) {
            let hits = group.iter().filter(|(_, anomalous)| *anomalous).count();
            total.anomalous += hits;
            total.normal += group.len() - hits;
            cuts.push(Cut {
                score: group[0].0,
                called: total,
            });
        }
        if total.anomalous == 0 || total.normal == 0 {
            return Err(MetricsError::OneClass {
                anomalous: total.anomalous,
                normal: total.normal,
            });
        }
        Ok(Self { total, cuts })
    }

    /// The cuts with what is called at the next higher one: nothing before the first.
    fn steps(&self) -> impl Iterator<Item = (Called, Called)> + '_ {
        let none = Called {
            anomalous: 0,
            normal: 0,
        };
        let before = std::iter::once(none).chain(self.cuts.iter().map(|cut| cut.called));
        before.zip(self.cuts.iter().map(|cut| cut.called))
    }

    /// For each cut the highest threshold that calls it and nothing more: the next lower score, and
    /// -∞ for the last.
    fn thresholds(&self) -> impl Iterator<Item = f32> + '_ {
        let lower = self.cuts.iter().skip(1).map(|cut| cut.score);
        lower.chain(std::iter::once(f32::NEG_INFINITY))
    }
}

/// Refuses lists that are empty, differ in length or hold scores that are not finite.
fn check(scores: &[f32], anomalous: Option<&[bool]>) -> Result<(), MetricsError> {
    if let Some(labels) = anomalous.map(<[bool]>::len)
        && labels != scores.len()
    {
        let scores = scores.len();
        return Err(MetricsError::Labels { scores, labels });
    }
    if scores.is_empty() {
        return Err(MetricsError::Empty {
            what: "the list of scores",
        });
    }
    match scores.iter().position(|score| !score.is_finite()) {
        None => Ok(()),
        Some(position) => Err(MetricsError::Score {
            seen: scores[position],
            position,
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Up to 40 items of both classes, with many equal scores.
    pub(super) fn test_set() -> impl Strategy<Value = Vec<(f32, bool)>> {
        let score = prop_oneof![(-4_i8..4).prop_map(f32::from), -4_f32..4.0];
        let items = proptest::collection::vec((score.clone(), any::<bool>()), 0..38);
        (items, score.clone(), score).prop_map(|(mut items, normal, anomalous)| {
            items.extend([(normal, false), (anomalous, true)]);
            items
        })
    }

    #[test]
    fn equal_scores_share_a_cut_and_zero_has_no_sign() {
        let ranking = Ranking::new(&[0.0, 2.0, -0.0, 1.0], &[true, true, false, false]).unwrap();
        let counts: Vec<_> = ranking
            .cuts
            .iter()
            .map(|cut| (cut.score, cut.called.anomalous, cut.called.normal))
            .collect();
        assert_eq!(counts, [(2.0, 1, 0), (1.0, 1, 1), (0.0, 2, 2)]);
        let thresholds: Vec<f32> = ranking.thresholds().collect();
        assert_eq!(thresholds, [1.0, 0.0, f32::NEG_INFINITY]);
    }

    #[test]
    fn what_cannot_be_ranked_is_refused_and_named() {
        let refused = |scores: &[f32], anomalous: &[bool]| {
            Ranking::new(scores, anomalous).unwrap_err().to_string()
        };
        assert_eq!(
            refused(&[], &[]),
            "the list of scores is empty: at least one item is needed"
        );
        assert_eq!(
            refused(&[1.0], &[true, false]),
            "1 scores but 2 labels: there has to be one label for each score"
        );
        assert_eq!(
            refused(&[1.0, f32::NAN], &[true, false]),
            "the score at position 1 is NaN: it has to be a finite number"
        );
        assert_eq!(
            refused(&[f32::INFINITY, 0.0], &[true, false]),
            "the score at position 0 is inf: it has to be a finite number"
        );
        assert_eq!(
            refused(&[1.0, 2.0], &[true, true]),
            "2 anomalous and 0 normal items: at least one of each is needed to rank them"
        );
        assert!(matches!(
            Ranking::new(&[1.0], &[false]),
            Err(MetricsError::OneClass {
                anomalous: 0,
                normal: 1
            })
        ));
    }
}
