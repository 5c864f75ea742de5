//! Precision and recall from hits and misses by falling score.

/// The precision and recall of a class at one score threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OperatingPoint {
    /// Detections with at least this score are kept.
    pub score: f32,
    /// The fraction of the kept detections that are correct, in [0, 1].
    pub precision: f64,
    /// The fraction of the objects that are found, in [0, 1].
    pub recall: f64,
}

impl OperatingPoint {
    /// The harmonic mean of precision and recall, in [0, 1]; 0 if both are 0.
    pub fn f1(&self) -> f64 {
        let sum = self.precision + self.recall;
        if sum > 0.0 {
            2.0 * self.precision * self.recall / sum
        } else {
            0.0
        }
    }

    /// The points of a ranking of (score, hit), one for each distinct score, from the highest
    /// down. `truths` are at least one.
    pub(super) fn curve(ranking: &[(f32, bool)], truths: usize) -> Vec<Self> {
        let (mut kept, mut hits) = (0, 0);
        let groups = ranking.chunk_by(|a, b| a.0 == b.0);
        let point = |group: &[(f32, bool)]| {
            kept += group.len();
            hits += group.iter().filter(|(_, hit)| *hit).count();
            Self {
                score: group[0].0,
                precision: hits as f64 / kept as f64,
                recall: hits as f64 / truths as f64,
            }
        };
        groups.map(point).collect()
    }

    /// The point of the largest F1, and the one of the highest score among several; `None` where
    /// nothing is found.
    pub(super) fn best(curve: &[Self]) -> Option<Self> {
        let found = curve.iter().copied().filter(|point| point.recall > 0.0);
        found.reduce(|best, point| if point.f1() > best.f1() { point } else { best })
    }
}

/// The number of recalls at which Pascal VOC 2007 reads the precision, less one: 0, 0.1, … 1.
const TENTHS: usize = 10;

/// The precision as a function of the recall, made to fall: at a recall, the highest precision at
/// that recall or a larger one (Everingham et al. 2010, eq. 2,
/// <https://doi.org/10.1007/s11263-009-0275-4>).
///
/// Only hits raise the recall, and misses lower the precision, so that one value for each hit
/// describes it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Envelope {
    /// At index k, the precision at a recall of (k + 1) / truths.
    highest: Vec<f64>,
    /// At least one.
    truths: usize,
}

impl Envelope {
    /// From what each detection is, a hit or not, by falling score.
    pub(super) fn new(ranking: impl IntoIterator<Item = bool>, truths: usize) -> Self {
        let ranks = ranking.into_iter().zip(1_usize..);
        let mut highest: Vec<f64> = ranks
            .filter(|(hit, _)| *hit)
            .zip(1_usize..)
            .map(|((_, rank), hits)| hits as f64 / rank as f64)
            .collect();
        let mut best: f64 = 0.0;
        for precision in highest.iter_mut().rev() {
            best = best.max(*precision);
            *precision = best;
        }
        Self { highest, truths }
    }

    /// The share of the truths that are found.
    pub(super) fn recall(&self) -> f64 {
        self.highest.len() as f64 / self.truths as f64
    }

    /// The area under it.
    pub(super) fn area(&self) -> f64 {
        // Not `sum`, whose nothing is -0.
        let sum = self
            .highest
            .iter()
            .fold(0.0, |sum, precision| sum + precision);
        sum / self.truths as f64
    }

    /// Its mean at the recalls 0, 0.1, … 1, which are compared as whole numbers.
    pub(super) fn eleven_points(&self) -> f64 {
        let at = |tenths: usize| {
            // The fewest hits, and at least one, whose share reaches the recall.
            let hits = (tenths * self.truths).div_ceil(TENTHS).max(1);
            self.highest.get(hits - 1).copied().unwrap_or(0.0)
        };
        (0..=TENTHS).map(at).sum::<f64>() / (TENTHS + 1) as f64
    }

    /// Its mean at `recalls`, which rise and are compared in f64; 0 beyond the last hit.
    pub(super) fn mean_at(&self, recalls: &[f64]) -> f64 {
        let mut index = 0;
        let mut sum = 0.0;
        for &recall in recalls {
            while index < self.highest.len() && (index + 1) as f64 / (self.truths as f64) < recall {
                index += 1;
            }
            sum += self.highest.get(index).copied().unwrap_or(0.0);
        }
        sum / recalls.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hit, miss, hit, of three truths.
    fn small() -> Envelope {
        Envelope::new([true, false, true], 3)
    }

    #[test]
    fn a_small_ranking_has_the_precisions_counted_by_hand() {
        let two_thirds = 2.0 / 3.0;
        assert_eq!(small().highest, [1.0, two_thirds]);
        assert_eq!(small().recall(), two_thirds);
        assert!((small().area() - (1.0 + two_thirds) / 3.0).abs() < 1e-15);
        // 0 to 0.3 at the first hit, 0.4 to 0.6 at the second, 0.7 and more never.
        assert!((small().eleven_points() - (4.0 + 3.0 * two_thirds) / 11.0).abs() < 1e-15);
        let seen = small().mean_at(&[0.0, 0.3, 0.5, 0.9]);
        assert!((seen - (2.0 + two_thirds) / 4.0).abs() < 1e-15);
    }

    #[test]
    fn a_later_precision_that_is_higher_counts_before() {
        let envelope = Envelope::new([false, true, true, true], 3);
        assert_eq!(envelope.highest, [0.75; 3]);
    }

    #[test]
    fn three_of_ten_reach_a_recall_of_three_tenths() {
        let envelope = Envelope::new([true; 3], 10);
        assert!((envelope.eleven_points() - 4.0 / 11.0).abs() < 1e-15);
    }

    #[test]
    fn nothing_found_has_no_precision() {
        let none = Envelope::new([false; 4], 2);
        let figures = [
            none.recall(),
            none.area(),
            none.eleven_points(),
            none.mean_at(&[0.0, 1.0]),
        ];
        assert_eq!(figures, [0.0; 4]);
        let curve = OperatingPoint::curve(&[(0.5, false)], 2);
        assert_eq!(OperatingPoint::best(&curve), None);
        assert_eq!(curve[0].f1(), 0.0);
    }

    #[test]
    fn equal_scores_share_a_point_and_the_best_has_the_largest_f1() {
        let ranking = [(0.9, true), (0.5, false), (0.5, true), (0.1, false)];
        let curve = OperatingPoint::curve(&ranking, 2);
        let points: Vec<_> = curve
            .iter()
            .map(|point| (point.score, point.precision, point.recall))
            .collect();
        let expected = [(0.9, 1.0, 0.5), (0.5, 2.0 / 3.0, 1.0), (0.1, 0.5, 1.0)];
        assert_eq!(points, expected);
        let best = OperatingPoint::best(&curve).unwrap();
        assert_eq!(best, curve[1]);
        assert!((best.f1() - 0.8).abs() < 1e-15);
    }
}
