//! The diversity of a set of images.

use crate::MetricsError;
use crate::check::item_count;
use crate::lanes::squared_distance;
use crate::parallel::fill_blocks;

/// The mean distance between two items of a set, over all its pairs:
///
/// D = 2 / (n (n − 1)) · Σ_{i < j} ‖x_i − x_j‖₂
///
/// in the unit of the values times the root of `dim` (the L2 norm, not its mean over the values).
///
/// The figure shows whether a generator has collapsed: divided by the figure of equally many real
/// images, it is near 1 for samples as varied as the data, and near 0 if all samples look the same.
/// It does not detect a collapse to a few very different images.
///
/// `values` holds item after item, `dim` values each. The cost grows with the square of the items:
/// a few hundred are enough.
///
/// # Errors
/// [`MetricsError::Empty`], [`MetricsError::Length`], [`MetricsError::Value`] for a set that does not
/// consist of whole items of values within ±10¹⁵, [`MetricsError::Zero`] for a `dim` of 0,
/// [`MetricsError::TooFew`] for a single item.
pub fn mean_pairwise_distance(values: &[f32], dim: usize) -> Result<f64, MetricsError> {
    let what = "the set of images";
    let count = item_count(what, values, dim)?;
    if count < 2 {
        return Err(MetricsError::TooFew {
            what,
            seen: count,
            needed: 2,
        });
    }
    let item = |index: usize| &values[index * dim..(index + 1) * dim];
    let later = |index: usize| -> f64 {
        let distance = |other| f64::from(squared_distance(item(index), item(other))).sqrt();
        (index + 1..count).map(distance).sum()
    };
    // The first items have the most pairs: each is summed along with one from the end, so that
    // all threads have the same work.
    let mut sums = vec![0.0; count.div_ceil(2)];
    let work = values.len().saturating_mul(count) / 2;
    fill_blocks(&mut sums, 1, work, |first, sums| {
        let last = count - 1 - first;
        let pair = if last == first { 0.0 } else { later(last) };
        sums[0] = later(first) + pair;
    });
    let pairs = count as f64 * (count - 1) as f64 / 2.0;
    Ok(sums.iter().sum::<f64>() / pairs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_distance_is_the_mean_over_all_pairs() {
        // Sides of 3, 4 and 5.
        let triangle = [0.0, 0.0, 3.0, 0.0, 3.0, 4.0];
        assert_eq!(mean_pairwise_distance(&triangle, 2), Ok(4.0));
        assert_eq!(mean_pairwise_distance(&triangle[..4], 2), Ok(3.0));
    }

    #[test]
    fn a_collapsed_batch_has_no_distance() {
        let collapsed = [0.25, -1.0, 0.5].repeat(9);
        assert_eq!(mean_pairwise_distance(&collapsed, 3), Ok(0.0));
    }

    #[test]
    fn a_single_image_and_broken_sets_are_refused() {
        let single = mean_pairwise_distance(&[1.0; 3], 3).unwrap_err();
        assert_eq!(
            single.to_string(),
            "the set of images has 1 item(s): at least 2 are needed"
        );
        assert!(matches!(
            mean_pairwise_distance(&[1.0; 5], 3),
            Err(MetricsError::Length { .. })
        ));
        assert!(matches!(
            mean_pairwise_distance(&[1.0, f32::NAN], 1),
            Err(MetricsError::Value { .. })
        ));
        assert!(mean_pairwise_distance(&[], 1).is_err());
        assert!(mean_pairwise_distance(&[1.0], 0).is_err());
    }

    proptest! {
        #[test]
        fn all_pairs_count_once_and_scale_with_the_values(
            values in (2_usize..12).prop_flat_map(|n| proptest::collection::vec(-1_f32..1.0, n * 3)),
            factor in 0.1_f32..10.0,
        ) {
            let items: Vec<&[f32]> = values.chunks(3).collect();
            let (mut sum, mut pairs) = (0.0, 0.0);
            for (index, a) in items.iter().enumerate() {
                for b in &items[..index] {
                    let squares = a.iter().zip(*b).map(|(a, b)| f64::from(a - b).powi(2));
                    sum += squares.sum::<f64>().sqrt();
                    pairs += 1.0;
                }
            }
            let seen = mean_pairwise_distance(&values, 3).unwrap();
            prop_assert!((seen - sum / pairs).abs() < 1e-5);
            let scaled: Vec<f32> = values.iter().map(|value| value * factor).collect();
            let scaled = mean_pairwise_distance(&scaled, 3).unwrap();
            prop_assert!((scaled / f64::from(factor) - seen).abs() < 1e-5);
        }
    }
}
