//! The sliced Wasserstein distance between two sets of images.

use crate::MetricsError;
use crate::check::item_count;
use crate::lanes::dot;
use crate::parallel::fill_blocks;
use crate::quantile::quantile;
use crate::random::Normals;

/// Projections that share one pass over the items, which are then read from the cache.
const BLOCK: usize = 8;

/// Options of [`sliced_wasserstein`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlicedWassersteinConfig {
    /// The number of random directions, at least 1.
    pub projections: usize,
    /// The number of quantiles compared in each direction, at least 1; with 1 only the minimum is
    /// compared.
    pub quantiles: usize,
    /// Seed of the directions. Only figures with equal seed, projections and quantiles are
    /// comparable.
    pub seed: u64,
}

impl Default for SlicedWassersteinConfig {
    /// 256 projections, 200 quantiles, seed 0.
    fn default() -> Self {
        Self {
            projections: 256,
            quantiles: 200,
            seed: 0,
        }
    }
}

/// The distance between the distributions of two sets: 0 for equal sets, about 0.066 between
/// held-out and training sprites, larger for worse samples.
///
/// For each random direction θ of length 1 the items are projected to numbers, and the quantile
/// functions of both sets are compared (Rabin et al. 2011,
/// <https://doi.org/10.1007/978-3-642-24785-9_37>):
///
/// SW(a, b) = mean over θ, mean over p of |Q_p(a·θ) − Q_p(b·θ)|
///
/// with p at `quantiles` evenly spaced levels from 0 to 1, both included (`numpy.linspace(0, 1, n)`),
/// and quantiles interpolated linearly between the sorted projections (`numpy.quantile`'s default).
/// The sets may differ in size. `a` and `b` hold item after item, `dim` values each.
///
/// # Errors
/// [`MetricsError::Empty`] for a set without items, [`MetricsError::Length`] if the last item is
/// not complete, [`MetricsError::Value`] with the index of the first value that is NaN or beyond
/// ±10¹⁵, [`MetricsError::Zero`] for a `dim`, projections or quantiles of 0.
pub fn sliced_wasserstein(
    a: &[f32],
    b: &[f32],
    dim: usize,
    config: &SlicedWassersteinConfig,
) -> Result<f64, MetricsError> {
    let items = item_count("the first set", a, dim)? + item_count("the second set", b, dim)?;
    if config.projections == 0 {
        return Err(MetricsError::Zero {
            what: "the number of projections",
        });
    }
    if config.quantiles == 0 {
        return Err(MetricsError::Zero {
            what: "the number of quantiles",
        });
    }
    let work = items.saturating_mul(dim).saturating_mul(config.projections);
    let mut distances = vec![0.0; config.projections];
    fill_blocks(&mut distances, BLOCK, work, |first, distances| {
        let stream = |offset| Normals::new(config.seed, (first + offset) as u64);
        let directions: Vec<_> = (0..distances.len())
            .map(|offset| stream(offset).direction(dim))
            .collect();
        let projected_a = sorted_projections(a, dim, &directions);
        let projected_b = sorted_projections(b, dim, &directions);
        for (distance, (a, b)) in distances
            .iter_mut()
            .zip(projected_a.iter().zip(&projected_b))
        {
            *distance = quantile_distance(a, b, config.quantiles);
        }
    });
    Ok(distances.iter().sum::<f64>() / config.projections as f64)
}

/// For each direction the projections of all items, in ascending order.
fn sorted_projections(items: &[f32], dim: usize, directions: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let mut projections = vec![Vec::with_capacity(items.len() / dim); directions.len()];
    for item in items.chunks_exact(dim) {
        for (projections, direction) in projections.iter_mut().zip(directions) {
            projections.push(dot(item, direction));
        }
    }
    projections
        .iter_mut()
        .for_each(|projections| projections.sort_unstable_by(f32::total_cmp));
    projections
}

/// The mean absolute difference of `count` quantiles.
fn quantile_distance(a: &[f32], b: &[f32], count: usize) -> f64 {
    let last = count.saturating_sub(1).max(1) as f64;
    let difference = |index: usize| {
        let level = index as f64 / last;
        (quantile(a, level) - quantile(b, level)).abs()
    };
    (0..count).map(difference).sum::<f64>() / count as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CONFIG: SlicedWassersteinConfig = SlicedWassersteinConfig {
        projections: 64,
        quantiles: 50,
        seed: 3,
    };

    #[test]
    fn one_dimension_is_the_distance_of_the_quantiles() {
        // In one dimension every direction is 1 or -1. Quantiles at 0, 1/2 and 1: |0 - 1|, |1 - 3|
        // and |2 - 5|.
        let config = SlicedWassersteinConfig {
            quantiles: 3,
            ..CONFIG
        };
        let distance = sliced_wasserstein(&[2.0, 0.0], &[5.0, 1.0], 1, &config).unwrap();
        assert!((distance - 2.0).abs() < 1e-12);
    }

    #[test]
    fn a_shift_in_many_dimensions_has_the_mean_projection_of_its_length() {
        // The mean of |v·θ| over the sphere in three dimensions is |v| / 2.
        let a = [0.3, -0.2, 0.9, 1.4, 0.0, -2.0];
        let b: Vec<f32> = a.iter().map(|x| x + 2.0).collect();
        let config = SlicedWassersteinConfig {
            projections: 20_000,
            quantiles: 2,
            seed: 1,
        };
        let distance = sliced_wasserstein(&a, &b, 3, &config).unwrap();
        assert!(
            (distance / (2.0 * 3_f64.sqrt() / 2.0) - 1.0).abs() < 0.01,
            "{distance}"
        );
    }

    #[test]
    fn the_seed_decides_the_directions() {
        let set = [0.0, 0.0, 1.0, 5.0];
        let distance = |seed| {
            let config = SlicedWassersteinConfig { seed, ..CONFIG };
            sliced_wasserstein(&set, &[1.0, 2.0], 2, &config).unwrap()
        };
        assert_eq!(distance(1), distance(1));
        assert_ne!(distance(1), distance(2));
    }

    #[test]
    fn sets_and_settings_that_make_no_sense_are_refused() {
        let measure = |a: &[f32], b: &[f32], dim, config| sliced_wasserstein(a, b, dim, &config);
        let what = "the second set";
        assert_eq!(
            measure(&[1.0], &[], 1, CONFIG),
            Err(MetricsError::Empty { what })
        );
        let length = MetricsError::Length {
            what,
            seen: 3,
            dim: 2,
        };
        assert_eq!(measure(&[1.0; 2], &[1.0; 3], 2, CONFIG), Err(length));
        assert!(matches!(
            measure(&[1.0, f32::NAN], &[1.0; 2], 1, CONFIG),
            Err(MetricsError::Value {
                what: "the first set",
                item: 1,
                position: 0,
                ..
            })
        ));
        for config in [
            SlicedWassersteinConfig {
                projections: 0,
                ..CONFIG
            },
            SlicedWassersteinConfig {
                quantiles: 0,
                ..CONFIG
            },
        ] {
            assert!(matches!(
                measure(&[1.0], &[1.0], 1, config),
                Err(MetricsError::Zero { .. })
            ));
        }
    }

    fn set() -> impl Strategy<Value = Vec<f32>> {
        (1_usize..12).prop_flat_map(|items| proptest::collection::vec(-1_f32..1.0, items * 3))
    }

    proptest! {
        #[test]
        fn a_set_has_no_distance_to_itself_in_any_order(a in set()) {
            prop_assert_eq!(sliced_wasserstein(&a, &a, 3, &CONFIG).unwrap(), 0.0);
            let backwards: Vec<f32> = a.chunks(3).rev().flatten().copied().collect();
            prop_assert_eq!(sliced_wasserstein(&a, &backwards, 3, &CONFIG).unwrap(), 0.0);
        }

        #[test]
        fn both_directions_measure_the_same(a in set(), b in set()) {
            let there = sliced_wasserstein(&a, &b, 3, &CONFIG).unwrap();
            prop_assert_eq!(there, sliced_wasserstein(&b, &a, 3, &CONFIG).unwrap());
            prop_assert!(there >= 0.0);
        }

        #[test]
        fn a_shift_by_a_constant_has_the_distance_of_the_constant(
            a in proptest::collection::vec(-1_f32..1.0, 1..20),
            shift in -2_f32..2.0,
        ) {
            let b: Vec<f32> = a.iter().map(|x| x + shift).collect();
            let distance = sliced_wasserstein(&a, &b, 1, &CONFIG).unwrap();
            prop_assert!((distance - f64::from(shift.abs())).abs() < 1e-5);
        }
    }
}
