//! Areas under curves: one figure for a ranking, without a threshold.

use super::Ranking;
use crate::MetricsError;

/// The area under the ROC curve, in [0, 1]: the probability that an anomalous item scores higher
/// than a normal one, with equal scores counted half (the Mann–Whitney U statistic over the number
/// of pairs; Hanley and McNeil 1982, <https://doi.org/10.1148/radiology.143.1.7063747>):
///
/// AUROC = (#{s⁺ > s⁻} + ½ · #{s⁺ = s⁻}) / (n⁺ · n⁻)
///
/// 0.5 is chance, 1 a perfect ranking, 0 a perfectly inverted one. `scores` and `anomalous` have
/// one entry for each item, in any order. The pairs are counted exactly; the value is that of
/// scikit-learn's `roc_auc_score`.
///
/// # Errors
/// [`MetricsError::Labels`] for lists of different length, [`MetricsError::Empty`] for empty ones,
/// [`MetricsError::Score`] with the index of the first score that is NaN or infinite,
/// [`MetricsError::OneClass`] unless there are anomalous and normal items.
pub fn auroc(scores: &[f32], anomalous: &[bool]) -> Result<f64, MetricsError> {
    let ranking = Ranking::new(scores, anomalous)?;
    // Twice the sum, which is whole. It fits: there are fewer than 2⁶² items in a memory.
    let twice: u128 = ranking
        .steps()
        .map(|(before, now)| {
            let anomalous = (now.anomalous - before.anomalous) as u128;
            let lower = (ranking.total.normal - now.normal) as u128;
            let equal = (now.normal - before.normal) as u128;
            anomalous * (2 * lower + equal)
        })
        .sum();
    let pairs = ranking.total.anomalous as f64 * ranking.total.normal as f64;
    Ok(twice as f64 / 2.0 / pairs)
}

/// The average precision, in (0, 1]: the precision at each threshold, weighted by the recall it
/// adds, from the highest threshold down,
///
/// AP = Σ_k (R_k − R_{k−1}) · P_k
///
/// over the distinct scores, without interpolation (scikit-learn's `average_precision_score`). For
/// a random ranking it is about the fraction of anomalous items. `scores` and `anomalous` have one
/// entry for each item, in any order.
///
/// # Errors
/// Those of [`auroc`].
pub fn average_precision(scores: &[f32], anomalous: &[bool]) -> Result<f64, MetricsError> {
    let ranking = Ranking::new(scores, anomalous)?;
    let sum: f64 = ranking
        .steps()
        .map(|(before, now)| {
            let added = (now.anomalous - before.anomalous) as f64;
            added * now.anomalous as f64 / (now.anomalous + now.normal) as f64
        })
        .sum();
    Ok(sum / ranking.total.anomalous as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::test_set;
    use super::*;

    #[test]
    fn a_small_ranking_has_the_areas_counted_by_hand() {
        let scores = [0.9, 0.8, 0.8, 0.1];
        let anomalous = [true, true, false, false];
        // Of four pairs three are right and one is tied.
        assert_eq!(auroc(&scores, &anomalous), Ok(0.875));
        // Half of the recall at a precision of 1, half at 2/3.
        let expected = 0.5 + 0.5 * 2.0 / 3.0;
        assert!((average_precision(&scores, &anomalous).unwrap() - expected).abs() < 1e-15);
    }

    #[test]
    fn perfect_inverted_and_constant_scores_have_their_known_areas() {
        let anomalous = [true, true, false, false, false];
        assert_eq!(auroc(&[5.0, 4.0, 3.0, 2.0, 1.0], &anomalous), Ok(1.0));
        assert_eq!(auroc(&[1.0, 2.0, 3.0, 4.0, 5.0], &anomalous), Ok(0.0));
        assert_eq!(auroc(&[7.0; 5], &anomalous), Ok(0.5));
        assert_eq!(average_precision(&[7.0; 5], &anomalous), Ok(0.4));
    }

    #[test]
    fn one_class_has_no_area() {
        let one = MetricsError::OneClass {
            anomalous: 2,
            normal: 0,
        };
        assert_eq!(auroc(&[1.0, 2.0], &[true, true]), Err(one.clone()));
        assert_eq!(average_precision(&[1.0, 2.0], &[true, true]), Err(one));
    }

    /// Over all pairs, as the definition says.
    fn naive_auroc(items: &[(f32, bool)]) -> f64 {
        let (mut sum, mut pairs) = (0.0, 0.0);
        for &(high, _) in items.iter().filter(|(_, anomalous)| *anomalous) {
            for &(low, _) in items.iter().filter(|(_, anomalous)| !*anomalous) {
                pairs += 1.0;
                sum += f64::from(u8::from(high > low)) + 0.5 * f64::from(u8::from(high == low));
            }
        }
        sum / pairs
    }

    /// The precision at each anomalous item's own score: items of one score share it.
    fn naive_average_precision(items: &[(f32, bool)]) -> f64 {
        let precision = |score: f32| {
            let called = || items.iter().filter(|item| item.0 >= score);
            called().filter(|item| item.1).count() as f64 / called().count() as f64
        };
        let hits: Vec<f32> = items.iter().filter(|i| i.1).map(|i| i.0).collect();
        hits.iter().map(|&score| precision(score)).sum::<f64>() / hits.len() as f64
    }

    proptest! {
        #[test]
        fn areas_are_those_of_all_pairs(items in test_set()) {
            let (scores, anomalous): (Vec<_>, Vec<_>) = items.iter().copied().unzip();
            let area = auroc(&scores, &anomalous).unwrap();
            prop_assert!((area - naive_auroc(&items)).abs() < 1e-12);
            let average = average_precision(&scores, &anomalous).unwrap();
            prop_assert!((average - naive_average_precision(&items)).abs() < 1e-12);
        }

        #[test]
        fn only_the_order_of_the_scores_counts(items in test_set()) {
            let (scores, anomalous): (Vec<_>, Vec<_>) = items.iter().copied().unzip();
            let stretched: Vec<f32> = scores.iter().map(|score| score * 8.0).collect();
            prop_assert_eq!(auroc(&scores, &anomalous), auroc(&stretched, &anomalous));
            let upside_down: Vec<f32> = scores.iter().map(|score| -score).collect();
            let sum = auroc(&scores, &anomalous).unwrap() + auroc(&upside_down, &anomalous).unwrap();
            prop_assert!((sum - 1.0).abs() < 1e-12);
        }
    }
}
