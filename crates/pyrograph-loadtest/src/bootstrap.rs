//! The spread of percentiles, by bootstrap.

use serde::{Deserialize, Serialize};

use pyrograph_base::{SplitMix64, rand::RngExt};
use rand_distr::Beta;

use crate::figures::{interpolate, percentile, place};

/// How the spread of a percentile is estimated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BootstrapOptions {
    /// Samples drawn anew.
    pub resamples: usize,
    /// The share of the resampled percentiles that lies in the interval.
    pub level: f64,
    /// The seed of the generator.
    pub seed: u64,
}

impl Default for BootstrapOptions {
    /// 95 % of 2,000 resamples with the seed 0.
    fn default() -> Self {
        Self {
            resamples: 2000,
            level: 0.95,
            seed: 0,
        }
    }
}

/// The interval of the quantile `quantile` of `n` ≥ 1 sorted values, of which `value_at` returns one by its index.
///
/// A resample is `n` draws with replacement: the values at indices ⌊n·u⌋ of `n` uniform numbers u. Its quantile needs
/// two of them only, at ranks k and k + 1, and these are drawn directly: u₍ₖ₎ is Beta(k, n + 1 − k), and
/// (u₍ₖ₊₁₎ − u₍ₖ₎) / (1 − u₍ₖ₎) is Beta(1, n − k). The result has the distribution of the plain bootstrap, and the time
/// does not depend on `n`.
pub(crate) fn quantile_interval(
    n: usize,
    value_at: impl Fn(usize) -> f64,
    quantile: f64,
    options: &BootstrapOptions,
) -> [f64; 2] {
    let mut random = SplitMix64::new(options.seed ^ quantile.to_bits());
    let (below, weight) = place(n, quantile);
    let rank = (below + 1) as f64;
    let above = n as f64 - rank;
    let lowest = Beta::new(rank, above + 1.0).expect("both are at least 1");
    // The cast rounds down.
    let value_of = |uniform: f64| value_at(((uniform * n as f64) as usize).min(n - 1));
    let mut resampled: Vec<f64> = (0..options.resamples.max(1))
        .map(|_| {
            let lower = random.sample(lowest);
            if above == 0.0 || weight == 0.0 {
                return value_of(lower);
            }
            let gap = 1.0 - random.random::<f64>().powf(1.0 / above);
            let upper = lower + (1.0 - lower) * gap;
            interpolate(value_of(lower), value_of(upper), weight)
        })
        .collect();
    resampled.sort_by(f64::total_cmp);
    let outside = (1.0 - options.level.clamp(0.0, 1.0)) / 2.0;
    [outside, 1.0 - outside].map(|quantile| percentile(&resampled, 100.0 * quantile))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By definition: every resample in full.
    fn naive_interval(sorted: &[f64], quantile: f64, resamples: usize) -> [f64; 2] {
        let mut random = SplitMix64::new(99);
        let n = sorted.len();
        let mut quantiles: Vec<f64> = (0..resamples)
            .map(|_| {
                let mut sample: Vec<f64> = (0..n)
                    .map(|_| sorted[(random.random::<f64>() * n as f64) as usize])
                    .collect();
                sample.sort_by(f64::total_cmp);
                percentile(&sample, 100.0 * quantile)
            })
            .collect();
        quantiles.sort_by(f64::total_cmp);
        [2.5, 97.5].map(|percent| percentile(&quantiles, percent))
    }

    #[test]
    fn the_interval_is_that_of_resamples_drawn_in_full() {
        // 200 values without ties, denser at the low end.
        let sorted: Vec<f64> = (1..=200)
            .map(|i| 10.0 + (f64::from(i) / 20.0).exp() / 50.0)
            .collect();
        let options = BootstrapOptions {
            resamples: 20_000,
            ..Default::default()
        };
        for quantile in [0.5, 0.9, 0.95] {
            let direct = quantile_interval(200, |i| sorted[i], quantile, &options);
            let naive = naive_interval(&sorted, quantile, 20_000);
            for (direct, naive) in direct.into_iter().zip(naive) {
                assert!(
                    (direct / naive - 1.0).abs() < 0.03,
                    "{quantile}: {direct} and {naive}"
                );
            }
        }
    }

    #[test]
    fn a_seed_gives_the_same_interval_again_and_another_seed_another() {
        let interval = |seed| {
            let options = BootstrapOptions {
                seed,
                ..Default::default()
            };
            quantile_interval(1000, |i| (i as f64).sqrt(), 0.95, &options)
        };
        assert_eq!(interval(3), interval(3));
        assert_ne!(interval(3), interval(4));
    }

    #[test]
    fn one_value_has_no_spread_and_two_lie_within_their_range() {
        let options = BootstrapOptions::default();
        assert_eq!(quantile_interval(1, |_| 4.0, 0.99, &options), [4.0, 4.0]);
        let [low, high] = quantile_interval(2, |i| i as f64, 0.5, &options);
        assert_eq!([low, high], [0.0, 1.0]);
    }
}
