//! Comparison of finished detector runs: means over seeds, and gains over a baseline.
//!
//! [`ComparedRun`] is a run with its config, [`group_runs`] groups runs that differ only in their
//! seed, [`Comparison`] finds the baseline of each group, and [`Comparison::rows`] sums up the
//! measured figures.
//!
//! A gain is paired: the mean over the common seeds of the difference from the baseline's run of
//! the same seed. The seed also draws the data and the batches, so both runs of a pair share them,
//! and their spread does not enter the gain.

mod groups;
mod identity;
mod rows;
mod statistics;
#[cfg(test)]
mod tests;

pub use groups::{ComparedRun, RunGroup, group_runs};
pub use rows::{Comparison, ComparisonRow, GroupFigures, RunFigures};
pub use statistics::{mean, median, sample_deviation};
