//! Latencies, and their percentiles, mean and spread.

use serde::{Deserialize, Serialize};

use crate::{BootstrapOptions, LatencyHistogram, bootstrap::quantile_interval};

/// Latencies kept one by one; beyond, percentiles come from the histogram.
const EXACT: usize = 1_000_000;

/// Where percentiles come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PercentileMethod {
    /// From all latencies, by the linear interpolation of numpy's `percentile`.
    Linear,
    /// From the histogram, with 3 significant digits, since there are more than a million latencies.
    Histogram,
}

/// The interval in which each percentile lies, by bootstrap, in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The bootstrap's settings.
    #[serde(flatten)]
    pub options: BootstrapOptions,
    /// The interval of P50.
    pub p50_ms: [f64; 2],
    /// The interval of P95.
    pub p95_ms: [f64; 2],
    /// The interval of P99.
    pub p99_ms: [f64; 2],
}

/// Figures of latencies, in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencyFigures {
    /// The number of latencies.
    pub n: u64,
    /// The median.
    pub p50_ms: f64,
    /// Below it lie 90 % of the latencies.
    pub p90_ms: f64,
    /// Below it lie 95 % of the latencies.
    pub p95_ms: f64,
    /// Below it lie 99 % of the latencies.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// The shortest.
    pub min_ms: f64,
    /// The mean.
    pub mean_ms: f64,
    /// The standard deviation, over n − 1; 0 for one latency.
    pub standard_deviation_ms: f64,
    /// How the percentiles were found.
    pub percentiles: PercentileMethod,
    /// How sure the percentiles are; absent for fewer than two latencies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
    /// The counts by value.
    pub histogram: LatencyHistogram,
}

/// Latencies of requests, as they come.
#[derive(Clone, Debug)]
pub struct Latencies {
    /// All of them, as long as there are at most [`EXACT`].
    exact: Option<Vec<f64>>,
    histogram: LatencyHistogram,
    count: u64,
    mean: f64,
    /// The sum of squared deviations from the mean.
    deviations: f64,
    least: f64,
    most: f64,
}

impl Latencies {
    /// No latencies yet.
    #[expect(clippy::new_without_default, reason = "an empty set is made by intent")]
    pub fn new() -> Self {
        Self {
            exact: Some(Vec::new()),
            histogram: LatencyHistogram::new(),
            count: 0,
            mean: 0.0,
            deviations: 0.0,
            least: f64::INFINITY,
            most: 0.0,
        }
    }

    /// Adds a latency in seconds. Its mean and deviation follow Welford (1962).
    pub fn record(&mut self, seconds: f64) {
        self.count += 1;
        let before = seconds - self.mean;
        self.mean += before / self.count as f64;
        self.deviations += before * (seconds - self.mean);
        self.least = self.least.min(seconds);
        self.most = self.most.max(seconds);
        self.histogram.record(seconds);
        self.exact = self.exact.take().filter(|exact| exact.len() < EXACT);
        if let Some(exact) = &mut self.exact {
            exact.push(seconds);
        }
    }

    /// Adds the latencies of another set.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        let count = self.count + other.count;
        let apart = other.mean - self.mean;
        let share = other.count as f64 / count as f64;
        self.deviations += other.deviations + apart * apart * self.count as f64 * share;
        self.mean += apart * share;
        self.count = count;
        self.least = self.least.min(other.least);
        self.most = self.most.max(other.most);
        self.histogram.merge(&other.histogram);
        let both = self.exact.take().zip(other.exact.as_ref());
        self.exact = both
            .filter(|(mine, others)| mine.len() + others.len() <= EXACT)
            .map(|(mine, others)| [mine.as_slice(), others].concat());
    }

    /// The number of latencies.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Percentiles, mean and spread; `None` without latencies.
    pub fn figures(&self, bootstrap: &BootstrapOptions) -> Option<LatencyFigures> {
        if self.count == 0 {
            return None;
        }
        let sorted = self.exact.clone().map(|mut exact| {
            exact.sort_by(f64::total_cmp);
            exact
        });
        let at = |percent: f64| match &sorted {
            Some(sorted) => percentile(sorted, percent),
            None => self.histogram.quantile(percent / 100.0),
        };
        let variance = self.deviations / (self.count.max(2) - 1) as f64;
        Some(LatencyFigures {
            n: self.count,
            p50_ms: 1e3 * at(50.0),
            p90_ms: 1e3 * at(90.0),
            p95_ms: 1e3 * at(95.0),
            p99_ms: 1e3 * at(99.0),
            max_ms: 1e3 * self.most,
            min_ms: 1e3 * self.least,
            mean_ms: 1e3 * self.mean,
            standard_deviation_ms: 1e3 * variance.sqrt(),
            percentiles: match sorted {
                Some(_) => PercentileMethod::Linear,
                None => PercentileMethod::Histogram,
            },
            spread: (self.count > 1).then(|| self.spread(sorted.as_deref(), bootstrap)),
            histogram: self.histogram.clone(),
        })
    }

    fn spread(&self, sorted: Option<&[f64]>, options: &BootstrapOptions) -> Spread {
        // More latencies than a usize holds do not come in a lifetime.
        let n = sorted.map_or(self.count as usize, <[f64]>::len);
        let value_at = |index: usize| match sorted {
            Some(sorted) => sorted[index],
            None => self.histogram.quantile((index as f64 + 0.5) / n as f64),
        };
        let interval = |quantile| {
            quantile_interval(n, value_at, quantile, options).map(|seconds| 1e3 * seconds)
        };
        Spread {
            options: *options,
            p50_ms: interval(0.5),
            p95_ms: interval(0.95),
            p99_ms: interval(0.99),
        }
    }
}

/// The `percent` percentile of sorted values by linear interpolation, to the bit that of `numpy.percentile`; NaN without
/// values.
pub fn percentile(sorted: &[f64], percent: f64) -> f64 {
    if sorted.is_empty() {
        return f64::NAN;
    }
    let (below, weight) = place(sorted.len(), percent / 100.0);
    let above = (below + 1).min(sorted.len() - 1);
    interpolate(sorted[below], sorted[above], weight)
}

/// The index below a quantile of `n` ≥ 1 sorted values, and how far the quantile lies above it, in [0, 1).
pub(crate) fn place(n: usize, quantile: f64) -> (usize, f64) {
    let exact = quantile.clamp(0.0, 1.0) * (n - 1) as f64;
    // At most n − 1, as the quantile is at most 1.
    (exact as usize, exact.fract())
}

/// As numpy rounds it: from the nearer end.
pub(crate) fn interpolate(low: f64, high: f64, weight: f64) -> f64 {
    if weight < 0.5 {
        low + (high - low) * weight
    } else {
        high - (high - low) * (1.0 - weight)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> Latencies {
        let mut latencies = Latencies::new();
        values.iter().for_each(|&value| latencies.record(value));
        latencies
    }

    fn few() -> BootstrapOptions {
        BootstrapOptions {
            resamples: 50,
            ..Default::default()
        }
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-9 * (1.0 + a.abs())
    }

    #[test]
    fn figures_of_a_hand_computed_set() {
        let figures = of(&[0.004, 0.001, 0.003, 0.002]).figures(&few()).unwrap();
        assert!(close(figures.p50_ms, 2.5) && close(figures.p90_ms, 3.7));
        assert!(
            close(figures.mean_ms, 2.5)
                && close(figures.standard_deviation_ms, 1.290_994_448_735_805_6)
        );
        assert_eq!((figures.n, figures.min_ms, figures.max_ms), (4, 1.0, 4.0));
    }

    #[test]
    fn nothing_has_no_figures_and_one_latency_no_spread() {
        assert!(of(&[]).figures(&few()).is_none());
        let figures = of(&[0.5]).figures(&few()).unwrap();
        assert_eq!(
            (figures.p99_ms, figures.standard_deviation_ms),
            (500.0, 0.0)
        );
        assert!(figures.spread.is_none());
    }

    #[test]
    fn beyond_a_million_latencies_percentiles_come_from_the_histogram() {
        let mut many = Latencies::new();
        (0..=EXACT).for_each(|i| many.record(1e-3 + i as f64 * 1e-7));
        let figures = many.figures(&few()).unwrap();
        assert_eq!(figures.percentiles, PercentileMethod::Histogram);
        assert!(
            (figures.p50_ms / 51.0 - 1.0).abs() < 2e-3,
            "{}",
            figures.p50_ms
        );
        let [low, high] = figures.spread.unwrap().p95_ms;
        assert!(low < 96.2 && 95.8 < high, "{low} to {high}");
    }

    proptest! {
        #[test]
        fn percentiles_ascend_between_the_least_and_the_most(
            values in proptest::collection::vec(1e-6_f64..100.0, 1..80),
        ) {
            let figures = of(&values).figures(&few()).unwrap();
            let ascending = [
                figures.min_ms,
                figures.p50_ms,
                figures.p90_ms,
                figures.p95_ms,
                figures.p99_ms,
                figures.max_ms,
            ];
            prop_assert!(ascending.windows(2).all(|pair| pair[0] <= pair[1]), "{ascending:?}");
            prop_assert!(figures.min_ms <= figures.mean_ms * (1.0 + 1e-12));
            prop_assert!(figures.mean_ms <= figures.max_ms * (1.0 + 1e-12));
            prop_assert_eq!(figures.histogram.count(), values.len() as u64);
            if let Some(spread) = figures.spread {
                for [low, high] in [spread.p50_ms, spread.p95_ms, spread.p99_ms] {
                    prop_assert!(figures.min_ms <= low && low <= high && high <= figures.max_ms);
                }
            }
        }

        #[test]
        fn merged_sets_have_the_figures_of_all_their_latencies(
            first in proptest::collection::vec(1e-6_f64..100.0, 0..40),
            second in proptest::collection::vec(1e-6_f64..100.0, 1..40),
        ) {
            let mut merged = of(&first);
            merged.merge(&of(&second));
            let merged = merged.figures(&few()).unwrap();
            let whole = of(&[first, second].concat()).figures(&few()).unwrap();
            prop_assert_eq!(merged.n, whole.n);
            prop_assert_eq!(merged.p95_ms, whole.p95_ms);
            prop_assert_eq!(&merged.histogram, &whole.histogram);
            prop_assert!(close(merged.mean_ms, whole.mean_ms));
            prop_assert!((merged.standard_deviation_ms - whole.standard_deviation_ms).abs() < 1e-6 * (1.0 + whole.max_ms));
        }
    }
}
