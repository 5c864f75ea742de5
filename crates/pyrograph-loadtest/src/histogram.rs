//! Latencies as a histogram that can be merged with others.

use hdrhistogram::Histogram;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Significant decimal digits of a value.
const DIGITS: u8 = 3;
/// Microseconds in a day: longer latencies count as this one.
const LONGEST: u64 = 86_400_000_000;
const UNIT: &str = "us";

/// Counts of latencies by value, in microseconds with 3 significant digits (an HDR histogram). Histograms of several
/// machines or runs can be added, which percentiles cannot.
///
/// In JSON it is `{"unit": "us", "significant_digits": 3, "counts": [[value, count], …]}`, values ascending. Each value is
/// the largest of those that the histogram does not tell apart.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyHistogram(Histogram<u64>);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    unit: String,
    significant_digits: u8,
    counts: Vec<(u64, u64)>,
}

impl LatencyHistogram {
    /// An empty histogram.
    #[expect(
        clippy::new_without_default,
        reason = "an empty histogram is made by intent"
    )]
    pub fn new() -> Self {
        // The bounds are constants: the least is at least 1, the most at least twice the least, the digits at most 5.
        Self(Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("constant bounds in range"))
    }

    /// Counts a latency.
    pub fn record(&mut self, seconds: f64) {
        // The cast saturates: NaN and numbers below zero to 0.
        self.record_microseconds((seconds * 1e6).round() as u64, 1);
    }

    fn record_microseconds(&mut self, value: u64, count: u64) {
        self.0.saturating_record_n(value.clamp(1, LONGEST), count);
    }

    /// Adds the counts of another histogram.
    pub fn merge(&mut self, other: &Self) {
        for (value, count) in other.counts() {
            self.record_microseconds(value, count);
        }
    }

    /// The number of latencies.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The latency in seconds below which the share `quantile` lies; 0 without any latency.
    pub fn quantile(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1e6
    }

    /// Pairs of a value in microseconds and its count, values ascending.
    pub fn counts(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let recorded = self.0.iter_recorded();
        recorded.map(|step| (step.value_iterated_to(), step.count_at_value()))
    }
}

impl Serialize for LatencyHistogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = Written {
            unit: UNIT.into(),
            significant_digits: DIGITS,
            counts: self.counts().collect(),
        };
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LatencyHistogram {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        if written.unit != UNIT {
            let seen = written.unit;
            return Err(D::Error::custom(format!(
                "the unit is `{seen}`, but must be `{UNIT}`"
            )));
        }
        let mut histogram = Self::new();
        for (value, count) in written.counts {
            histogram.record_microseconds(value, count);
        }
        Ok(histogram)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> LatencyHistogram {
        let mut histogram = LatencyHistogram::new();
        values.iter().for_each(|&value| histogram.record(value));
        histogram
    }

    #[test]
    fn numbers_that_are_no_latency_are_counted_at_the_ends() {
        let histogram = of(&[f64::NAN, -1.0, 0.0, f64::INFINITY, 1e9]);
        assert_eq!(histogram.count(), 5);
        assert!((histogram.quantile(1.0) / 86_400.0 - 1.0).abs() < 1e-3);
    }

    #[test]
    fn another_unit_is_refused() {
        let text = r#"{"unit": "ms", "significant_digits": 3, "counts": [[1, 1]]}"#;
        let error = serde_json::from_str::<LatencyHistogram>(text).unwrap_err();
        assert!(error.to_string().contains("`ms`"), "{error}");
    }

    proptest! {
        #[test]
        fn a_merged_histogram_is_that_of_all_values(
            first in proptest::collection::vec(1e-5_f64..100.0, 0..50),
            second in proptest::collection::vec(1e-5_f64..100.0, 0..50),
        ) {
            let mut merged = of(&first);
            merged.merge(&of(&second));
            prop_assert_eq!(merged, of(&[first, second].concat()));
        }

        #[test]
        fn a_histogram_reads_back_and_keeps_three_digits(
            values in proptest::collection::vec(1e-3_f64..100.0, 1..50),
        ) {
            let histogram = of(&values);
            let text = serde_json::to_string(&histogram).unwrap();
            prop_assert_eq!(&serde_json::from_str::<LatencyHistogram>(&text).unwrap(), &histogram);
            let largest = values.iter().copied().fold(0.0, f64::max);
            prop_assert!((histogram.quantile(1.0) / largest - 1.0).abs() < 2e-3);
        }
    }
}
