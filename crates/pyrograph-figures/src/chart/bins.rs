//! Counting values in bins of one width.

use super::axis::widened;
use super::range;

/// The meaning of the height of a bar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HistogramScale {
    /// The number of values in the bin.
    #[default]
    Counts,
    /// The number divided by the number of all values and by the width of the bin, so that the bars
    /// have an area of 1 and sets of different size can be compared.
    Densities,
}

/// Bins of one width over a range of values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bins {
    /// Where the first bin starts.
    pub(super) low: f64,
    /// Where the last bin ends, above `low`.
    pub(super) high: f64,
    count: usize,
}

impl Bins {
    /// `count` bins, at least one, over the finite values; `None` without any.
    pub(super) fn around<'a>(
        values: impl IntoIterator<Item = &'a f32>,
        count: usize,
    ) -> Option<Self> {
        let (low, high) = widened(range(finite(values))?);
        Some(Self { low, high, count })
    }

    /// The heights of the bars of some finite values, of which all others are left out.
    pub(super) fn heights(&self, values: &[f32], scale: HistogramScale) -> Vec<f64> {
        let mut counts = vec![0_usize; self.count];
        for value in finite(values) {
            // The highest value belongs to the last bin. The cast saturates.
            let bin = (value - self.low) / (self.high - self.low) * self.count as f64;
            counts[(bin as usize).min(self.count - 1)] += 1;
        }
        let unit = match scale {
            HistogramScale::Counts => 1.0,
            HistogramScale::Densities => {
                // At least 1, as there can be no values; the bars have no height then.
                let total = counts.iter().sum::<usize>().max(1) as f64;
                total * (self.high - self.low) / self.count as f64
            }
        };
        counts.iter().map(|&count| count as f64 / unit).collect()
    }

    /// Where a bin starts, or for the number of bins where the last one ends.
    pub(super) fn edge(&self, bin: usize) -> f64 {
        self.low + (self.high - self.low) * bin as f64 / self.count as f64
    }
}

fn finite<'a>(values: impl IntoIterator<Item = &'a f32>) -> impl Iterator<Item = f64> {
    let finite = values.into_iter().filter(|value| value.is_finite());
    finite.map(|&value| value.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::HistogramScale::{Counts, Densities};
    use super::*;

    #[test]
    fn bins_are_shared_and_the_largest_value_is_in_the_last() {
        let (normal, anomalous) = ([1.0, 1.5, 2.0, f32::NAN, 2.0], [2.0, 4.0]);
        let bins = Bins::around(normal.iter().chain(&anomalous), 3).unwrap();
        assert_eq!([bins.edge(0), bins.edge(1), bins.edge(3)], [1.0, 2.0, 4.0]);
        assert_eq!(bins.heights(&normal, Counts), [2.0, 2.0, 0.0]);
        assert_eq!(bins.heights(&anomalous, Counts), [0.0, 1.0, 1.0]);
        assert_eq!(bins.heights(&normal, Densities), [0.5, 0.5, 0.0]);
        assert_eq!(bins.heights(&[], Densities), [0.0; 3]);
        assert!(Bins::around(&[f32::NAN], 3).is_none());
    }

    proptest! {
        #[test]
        fn every_value_is_in_one_bin_and_densities_have_an_area_of_one(
            values in proptest::collection::vec(-1e3_f32..1e3, 1..60),
            count in 1_usize..50,
        ) {
            let bins = Bins::around(&values, count).unwrap();
            let total: f64 = bins.heights(&values, Counts).iter().sum();
            prop_assert_eq!(total, values.len() as f64);
            let width = bins.edge(1) - bins.edge(0);
            let area: f64 = bins.heights(&values, Densities).iter().sum::<f64>() * width;
            prop_assert!((area - 1.0).abs() < 1e-9);
        }
    }
}
