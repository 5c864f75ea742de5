//! The nearest training item of each sample: are samples new, or copies?

use crate::MetricsError;
use crate::check::item_count;
use crate::lanes::squared_distance;
use crate::parallel::fill_blocks;

/// Samples that share one pass over the training set, which is then read from the cache.
const BLOCK: usize = 8;

/// The training item that lies nearest to a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// The index in the training set, from 0; the first of several at the same distance.
    pub index: usize,
    /// The root mean square difference over the values, in the unit of the values: for pixels in
    /// [-1, 1] one step of a byte is 2 / 255.
    pub distance: f32,
}

/// For each sample the nearest item of the training set, by root mean square difference.
///
/// Both sets hold item after item, `dim` values each.
///
/// # Errors
/// [`MetricsError::Empty`], [`MetricsError::Length`], [`MetricsError::Value`] for a set that
/// does not consist of whole items of values within ±10¹⁵, [`MetricsError::Zero`] for a `dim` of 0.
pub fn nearest_neighbour_distances(
    samples: &[f32],
    training: &[f32],
    dim: usize,
) -> Result<Vec<Neighbour>, MetricsError> {
    let count = item_count("the set of samples", samples, dim)?;
    item_count("the training set", training, dim)?;
    // Sums of squares, turned into distances at the end.
    let mut nearest = vec![
        Neighbour {
            index: 0,
            distance: f32::INFINITY
        };
        count
    ];
    let work = count.saturating_mul(training.len());
    fill_blocks(&mut nearest, BLOCK, work, |first, nearest| {
        for (index, item) in training.chunks_exact(dim).enumerate() {
            let samples = samples[first * dim..].chunks_exact(dim);
            for (nearest, sample) in nearest.iter_mut().zip(samples) {
                let distance = squared_distance(sample, item);
                if distance < nearest.distance {
                    *nearest = Neighbour { index, distance };
                }
            }
        }
    });
    for neighbour in &mut nearest {
        neighbour.distance = (neighbour.distance / dim as f32).sqrt();
    }
    Ok(nearest)
}

/// A summary of the distances of a set of samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NeighbourSummary {
    /// The number of samples.
    pub count: usize,
    /// The mean distance to the nearest training item.
    pub mean: f64,
    /// The smallest distance.
    pub min: f32,
    /// The fraction of samples that equal a training item exactly.
    pub exact_copies: f64,
    /// The fraction of samples within the threshold of a training item, including exact copies.
    pub near_copies: f64,
}

impl NeighbourSummary {
    /// Summarises distances; samples at `threshold` or nearer count as near copies.
    ///
    /// # Errors
    /// [`MetricsError::Empty`] without distances, [`MetricsError::Threshold`] for a threshold that is
    /// negative or not finite.
    pub fn new(neighbours: &[Neighbour], threshold: f32) -> Result<Self, MetricsError> {
        if !(threshold.is_finite() && threshold >= 0.0) {
            return Err(MetricsError::Threshold { seen: threshold });
        }
        if neighbours.is_empty() {
            return Err(MetricsError::Empty {
                what: "the list of neighbours",
            });
        }
        let distances = || neighbours.iter().map(|neighbour| neighbour.distance);
        let count = neighbours.len();
        let share = |limit| distances().filter(|&d| d <= limit).count() as f64 / count as f64;
        Ok(Self {
            count,
            mean: distances().map(f64::from).sum::<f64>() / count as f64,
            min: distances().fold(f32::INFINITY, f32::min),
            exact_copies: share(0.0),
            near_copies: share(threshold),
        })
    }
}

/// The summary of real, held-out items, as a reference for samples. Samples that are much nearer to
/// the training set than these items are copies; samples that are much farther away are poor.
///
/// # Errors
/// Those of [`nearest_neighbour_distances`] and of [`NeighbourSummary::new`].
pub fn held_out_baseline(
    held_out: &[f32],
    training: &[f32],
    dim: usize,
    threshold: f32,
) -> Result<NeighbourSummary, MetricsError> {
    NeighbourSummary::new(
        &nearest_neighbour_distances(held_out, training, dim)?,
        threshold,
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRAINING: [f32; 6] = [0.0, 0.0, 3.0, 4.0, 1.0, 1.0];

    #[test]
    fn the_distance_is_the_root_mean_square_over_the_values() {
        let found = nearest_neighbour_distances(&[6.0, 8.0], &TRAINING, 2).unwrap();
        // (3² + 4²) / 2 = 12.5
        assert_eq!(
            found,
            [Neighbour {
                index: 1,
                distance: 12.5_f32.sqrt()
            }]
        );
    }

    #[test]
    fn a_copy_has_no_distance_and_the_first_of_equals_is_named() {
        let twice = [1.0, 1.0, 1.0, 1.0];
        let found = nearest_neighbour_distances(&[1.0, 1.0], &twice, 2).unwrap();
        assert_eq!(
            found,
            [Neighbour {
                index: 0,
                distance: 0.0
            }]
        );
    }

    #[test]
    fn a_summary_counts_copies() {
        let distances = [0.0, 0.1, 0.5, 0.2];
        let neighbours = distances.map(|distance| Neighbour { index: 0, distance });
        let summary = NeighbourSummary::new(&neighbours, 0.1).unwrap();
        assert_eq!((summary.count, summary.min), (4, 0.0));
        assert!((summary.mean - 0.2).abs() < 1e-7);
        assert_eq!((summary.exact_copies, summary.near_copies), (0.25, 0.5));
    }

    #[test]
    fn thresholds_and_sets_that_make_no_sense_are_refused() {
        let one = [Neighbour {
            index: 0,
            distance: 0.0,
        }];
        for threshold in [-0.1, f32::NAN, f32::INFINITY] {
            let result = NeighbourSummary::new(&one, threshold);
            assert!(matches!(result, Err(MetricsError::Threshold { .. })));
        }
        assert!(matches!(
            NeighbourSummary::new(&[], 0.1),
            Err(MetricsError::Empty { .. })
        ));
        let odd = nearest_neighbour_distances(&[0.0; 3], &TRAINING, 2);
        assert!(matches!(
            odd,
            Err(MetricsError::Length {
                seen: 3,
                dim: 2,
                ..
            })
        ));
        let nan = nearest_neighbour_distances(&[0.0; 2], &[0.0, f32::NAN], 2);
        assert!(matches!(nan, Err(MetricsError::Value { position: 1, .. })));
    }

    #[test]
    fn the_baseline_is_the_summary_of_the_held_out_items() {
        let held_out = [0.0, 0.0, 3.0, 5.0];
        let summary = held_out_baseline(&held_out, &TRAINING, 2, 0.0).unwrap();
        let distances = nearest_neighbour_distances(&held_out, &TRAINING, 2).unwrap();
        assert_eq!(summary, NeighbourSummary::new(&distances, 0.0).unwrap());
        assert_eq!(summary.exact_copies, 0.5);
    }

    fn set() -> impl Strategy<Value = Vec<f32>> {
        (1_usize..30).prop_flat_map(|items| proptest::collection::vec(-1_f32..1.0, items * 5))
    }

    proptest! {
        #[test]
        fn the_nearest_agrees_with_a_plain_search(samples in set(), training in set()) {
            let found = nearest_neighbour_distances(&samples, &training, 5).unwrap();
            for (sample, found) in samples.chunks(5).zip(found) {
                let distance = |item: &[f32]| {
                    let squares = sample.iter().zip(item).map(|(a, b)| f64::from(a - b).powi(2));
                    (squares.sum::<f64>() / 5.0).sqrt()
                };
                let least = training.chunks(5).map(distance).fold(f64::INFINITY, f64::min);
                prop_assert!((f64::from(found.distance) - least).abs() < 1e-5);
                let named = &training[found.index * 5..][..5];
                prop_assert!((distance(named) - least).abs() < 1e-5);
            }
        }
    }
}
