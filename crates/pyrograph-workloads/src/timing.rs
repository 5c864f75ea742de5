//! The time of a piece of work, on a user's own machine.

use std::time::{Duration, Instant};

use serde::Serialize;

/// What [`time`] measured, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Timing {
    /// The median of the runs.
    pub median_ms: f64,
    /// The tenth percentile.
    pub p10_ms: f64,
    /// The ninetieth percentile.
    pub p90_ms: f64,
    /// How many runs were timed.
    pub runs: usize,
}

/// Runs once untimed, then for about `budget`, three times at least.
pub fn time(work: &mut dyn FnMut(), budget: Duration) -> Timing {
    const FEWEST: usize = 3;
    work();
    let (mut runs, start) = (Vec::new(), Instant::now());
    while runs.len() < FEWEST || start.elapsed() < budget {
        let run = Instant::now();
        work();
        runs.push(run.elapsed().as_secs_f64() * 1e3);
    }
    runs.sort_by(f64::total_cmp);
    let quantile = |share: f64| runs[((runs.len() - 1) as f64 * share).round() as usize];
    Timing {
        median_ms: quantile(0.5),
        p10_ms: quantile(0.1),
        p90_ms: quantile(0.9),
        runs: runs.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_run_is_not_timed_and_three_are() {
        let mut calls = 0;
        let timing = time(&mut || calls += 1, Duration::ZERO);
        assert_eq!((calls, timing.runs), (4, 3));
        assert!(timing.p10_ms <= timing.median_ms && timing.median_ms <= timing.p90_ms);
    }
}
