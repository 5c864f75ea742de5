//! How long requests take, from those that ran.

use std::{collections::HashMap, time::Duration};

use crate::{BatchKey, Demand};

/// Weight of a new observation in a running mean.
const WEIGHT: f64 = 0.3;

/// The most that a single observation counts for, in means: a machine that stood still for once does not make requests look
/// as if they could not be done in time.
const OUTLIER: f64 = 2.0;
/// Seconds beside that, for means near 0.
const SLACK: f64 = 1e-3;

/// A running mean.
#[derive(Clone, Copy, Debug, Default)]
struct Mean(Option<f64>);

impl Mean {
    fn add(&mut self, seconds: f64) {
        self.0 = Some(match self.0 {
            Some(mean) => mean + WEIGHT * (seconds.min(OUTLIER * mean + SLACK) - mean),
            None => seconds,
        });
    }
}

/// Seconds of the stages of one key.
#[derive(Clone, Copy, Debug, Default)]
struct Observed {
    /// Work of a row in a step.
    work: f64,
    /// Of a step, for each row.
    row_step: Mean,
    /// Of a request.
    begin: Mean,
    /// Of a request.
    finish: Mean,
}

/// Times of requests by key.
#[derive(Debug, Default)]
pub(crate) struct Estimates {
    keys: HashMap<BatchKey, Observed>,
}

impl Estimates {
    fn of(&mut self, demand: &Demand) -> &mut Observed {
        let observed = self.keys.entry(demand.key.clone()).or_default();
        observed.work = demand.work;
        observed
    }

    /// A step of `rows` rows took `time`.
    pub(crate) fn step(&mut self, demand: &Demand, rows: usize, time: Duration) {
        let each = time.as_secs_f64() / rows.max(1) as f64;
        self.of(demand).row_step.add(each);
    }

    /// The begin of a request took `time`.
    pub(crate) fn begin(&mut self, demand: &Demand, time: Duration) {
        self.of(demand).begin.add(time.as_secs_f64());
    }

    /// The end of a request took `time`.
    pub(crate) fn finish(&mut self, demand: &Demand, time: Duration) {
        self.of(demand).finish.add(time.as_secs_f64());
    }

    /// Seconds of `demand` with `steps` steps left, alone; nothing before anything was observed.
    fn seconds(&self, demand: &Demand, steps: usize) -> Option<f64> {
        let observed = match self.keys.get(&demand.key) {
            Some(observed) if observed.row_step.0.is_some() => *observed,
            _ => self.scaled(demand.work)?,
        };
        let steps = steps as f64 * demand.rows as f64 * observed.row_step.0?;
        Some(steps + observed.begin.0.unwrap_or(0.0) + observed.finish.0.unwrap_or(0.0))
    }

    /// The times of the key whose work is nearest, in proportion to the work.
    fn scaled(&self, work: f64) -> Option<Observed> {
        let distance = |observed: &Observed| (observed.work / work).ln().abs();
        let known = self
            .keys
            .values()
            .filter(|observed| observed.row_step.0.is_some());
        let nearest = known.min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
        let scale = |mean: Mean| Mean(mean.0.map(|seconds| seconds * work / nearest.work));
        Some(Observed {
            work,
            row_step: scale(nearest.row_step),
            begin: nearest.begin,
            finish: scale(nearest.finish),
        })
    }

    /// The time of `demand` alone, with `steps` steps left; nothing before anything was observed.
    pub(crate) fn time(&self, demand: &Demand, steps: usize) -> Option<Duration> {
        let seconds = self.seconds(demand, steps)?;
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// The share of a server that `demand` takes, in seconds where they are known, else in work.
    pub(crate) fn cost(&self, demand: &Demand) -> f64 {
        let work = demand.work * (demand.rows * demand.steps.max(1)) as f64;
        self.seconds(demand, demand.steps).unwrap_or(work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(key: &str, rows: usize, steps: usize, work: f64) -> Demand {
        Demand {
            key: BatchKey(key.into()),
            rows,
            steps,
            work,
        }
    }

    #[test]
    fn a_time_is_that_of_its_stages_and_scales_to_other_sizes() {
        let mut estimates = Estimates::default();
        let small = demand("64x64", 2, 20, 64.0);
        assert_eq!(estimates.time(&small, 20), None);
        estimates.step(&small, 2, Duration::from_millis(20));
        estimates.begin(&small, Duration::from_millis(100));
        estimates.finish(&small, Duration::from_millis(300));
        let time = estimates.time(&small, 20).unwrap().as_secs_f64();
        assert!((time - 0.8).abs() < 1e-9, "{time}");
        let large = demand("128x128", 2, 20, 256.0);
        let time = estimates.time(&large, 20).unwrap().as_secs_f64();
        assert!((time - (1.6 + 0.1 + 1.2)).abs() < 1e-9, "{time}");
    }

    #[test]
    fn later_observations_move_the_mean() {
        let mut estimates = Estimates::default();
        let demand = demand("a", 1, 10, 1.0);
        estimates.step(&demand, 1, Duration::from_secs(1));
        estimates.step(&demand, 1, Duration::from_secs(2));
        assert_eq!(estimates.time(&demand, 10), Some(Duration::from_secs(13)));
    }
}
