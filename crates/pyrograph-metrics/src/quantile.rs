//! Quantiles as numpy's.

/// The quantile of ascending values at a level in [0, 1], interpolated linearly between the
/// neighbours (`numpy.quantile`'s default); there has to be at least one value.
pub(crate) fn quantile(sorted: &[f32], level: f64) -> f64 {
    let place = level * (sorted.len() - 1) as f64;
    // Within the slice, as the level is at most 1; the slice is not empty.
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    let (low, high) = (f64::from(sorted[below]), f64::from(sorted[above]));
    low + (high - low) * (place - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate_between_the_sorted_values() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        let expected = [(0.0, 1.0), (0.5, 3.0), (0.25, 1.75), (0.9, 6.8), (1.0, 8.0)];
        for (level, value) in expected {
            assert!((quantile(&sorted, level) - value).abs() < 1e-12, "{level}");
        }
        assert_eq!(quantile(&[5.0], 0.3), 5.0);
    }
}
