//! How long requests take, from those that ran.

use std::{collections::HashMap, time::Duration};

use crate::{BatchKey, Demand};

/// Keys whose times are kept.
const KEYS: usize = 256;
/// Weight of a new observation in a running mean.
const WEIGHT: f64 = 0.3;

/// Growth of the least time at each observation, so that a machine that became slower is noticed after some dozens.
const RELAXED: f64 = 1.02;

/// Observed seconds of a stage.
#[derive(Clone, Copy, Debug)]
struct Seconds {
    mean: f64,
    /// About the least: one slow request, or a machine that stood still for once, does not raise it.
    least: f64,
}

impl Seconds {
    fn scaled(self, factor: f64) -> Self {
        Self {
            mean: self.mean * factor,
            least: self.least * factor,
        }
    }
}

/// Adds an observation.
fn observe(seconds: &mut Option<Seconds>, observed: Duration) {
    let observed = observed.as_secs_f64();
    *seconds = Some(match *seconds {
        Some(Seconds { mean, least }) => Seconds {
            mean: mean + WEIGHT * (observed - mean),
            least: observed.min(least * RELAXED),
        },
        None => Seconds {
            mean: observed,
            least: observed,
        },
    });
}

/// Seconds of the stages of one key.
#[derive(Clone, Copy, Debug, Default)]
struct Observed {
    /// Work of a row in a step.
    work: f64,
    /// Of a step, for each row.
    row_step: Option<Seconds>,
    /// Of a request.
    begin: Option<Seconds>,
    /// Of a request.
    finish: Option<Seconds>,
}

/// Which of the observed times an estimate is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Basis {
    /// The mean: what to expect.
    Mean,
    /// The least: what cannot be beaten.
    Least,
}

impl Basis {
    fn of(self, seconds: Option<Seconds>) -> Option<f64> {
        seconds.map(|seconds| match self {
            Self::Mean => seconds.mean,
            Self::Least => seconds.least,
        })
    }
}

/// Times of requests by key.
#[derive(Debug, Default)]
pub(crate) struct Estimates {
    keys: HashMap<BatchKey, Observed>,
}

impl Estimates {
    fn of(&mut self, demand: &Demand) -> &mut Observed {
        if self.keys.len() >= KEYS && !self.keys.contains_key(&demand.key) {
            // Clients choose the keys: the times of any other stand for those of one that is forgotten.
            let forgotten = self.keys.keys().next().cloned();
            forgotten.map(|key| self.keys.remove(&key));
        }
        let observed = self.keys.entry(demand.key.clone()).or_default();
        observed.work = demand.work;
        observed
    }

    /// A step of `rows` rows took `time`.
    pub(crate) fn step(&mut self, demand: &Demand, rows: usize, time: Duration) {
        let rows = u32::try_from(rows).unwrap_or(u32::MAX).max(1);
        observe(&mut self.of(demand).row_step, time / rows);
    }

    /// The begin of a request took `time`.
    pub(crate) fn begin(&mut self, demand: &Demand, time: Duration) {
        observe(&mut self.of(demand).begin, time);
    }

    /// The end of a request took `time`.
    pub(crate) fn finish(&mut self, demand: &Demand, time: Duration) {
        observe(&mut self.of(demand).finish, time);
    }

    /// Seconds of `demand` with `steps` steps left, alone; nothing before anything was observed.
    pub(crate) fn seconds(&self, demand: &Demand, steps: usize, basis: Basis) -> Option<f64> {
        let observed = match self.keys.get(&demand.key) {
            Some(observed) if observed.row_step.is_some() => *observed,
            _ => self.scaled(demand.work)?,
        };
        let steps = steps as f64 * demand.rows as f64 * basis.of(observed.row_step)?;
        let ends = [observed.begin, observed.finish].map(|stage| basis.of(stage).unwrap_or(0.0));
        Some(steps + ends[0] + ends[1])
    }

    /// The times of the key whose work is nearest, in proportion to the work.
    fn scaled(&self, work: f64) -> Option<Observed> {
        let known = self
            .keys
            .values()
            .filter(|observed| observed.row_step.is_some());
        let nearest = nearest_work(known, work, |observed| observed.work)?;
        let factor = work / nearest.work;
        Some(Observed {
            work,
            row_step: nearest.row_step.map(|seconds| seconds.scaled(factor)),
            begin: nearest.begin,
            finish: nearest.finish.map(|seconds| seconds.scaled(factor)),
        })
    }

    /// The share of a server that `demand` takes, in seconds where they are known, else in work.
    pub(crate) fn cost(&self, demand: &Demand) -> f64 {
        let work = demand.work * (demand.rows * demand.steps) as f64;
        self.seconds(demand, demand.steps, Basis::Mean)
            .unwrap_or(work)
    }
}

/// The one of `known` whose work is nearest to `work`, by their ratio.
pub(crate) fn nearest_work<'a, T>(
    known: impl Iterator<Item = &'a T>,
    work: f64,
    work_of: impl Fn(&T) -> f64,
) -> Option<&'a T> {
    let distance = |one: &T| (work_of(one) / work).ln().abs();
    known.min_by(|a, b| distance(a).total_cmp(&distance(b)))
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
        assert_eq!(estimates.seconds(&small, 20, Basis::Mean), None);
        estimates.step(&small, 2, Duration::from_millis(20));
        estimates.begin(&small, Duration::from_millis(100));
        estimates.finish(&small, Duration::from_millis(300));
        let time = estimates.seconds(&small, 20, Basis::Mean).unwrap();
        assert!((time - 0.8).abs() < 1e-9, "{time}");
        let large = demand("128x128", 2, 20, 256.0);
        let time = estimates.seconds(&large, 20, Basis::Least).unwrap();
        assert!((time - (1.6 + 0.1 + 1.2)).abs() < 1e-9, "{time}");
    }

    #[test]
    fn the_mean_follows_and_the_least_forgives_a_stall() {
        let mut estimates = Estimates::default();
        let demand = demand("a", 1, 10, 1.0);
        estimates.step(&demand, 1, Duration::from_secs(1));
        estimates.step(&demand, 1, Duration::from_secs(2));
        assert_eq!(estimates.seconds(&demand, 10, Basis::Mean), Some(13.0));
        for _ in 0..3 {
            estimates.step(&demand, 1, Duration::from_secs(60));
        }
        assert!(estimates.seconds(&demand, 10, Basis::Mean).unwrap() > 100.0);
        assert!(estimates.seconds(&demand, 10, Basis::Least).unwrap() < 11.0);
        // A machine that stays slower is noticed.
        for _ in 0..100 {
            estimates.step(&demand, 1, Duration::from_secs(3));
        }
        assert_eq!(estimates.seconds(&demand, 10, Basis::Least), Some(30.0));
    }

    #[test]
    fn keys_that_clients_choose_do_not_pile_up() {
        let mut estimates = Estimates::default();
        for key in 0..10 * KEYS {
            let demand = demand(&key.to_string(), 1, 1, 1.0);
            estimates.step(&demand, 1, Duration::from_secs(1));
        }
        assert_eq!(estimates.keys.len(), KEYS);
    }
}
