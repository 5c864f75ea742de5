//! How many rows pay in a batch, by key.

use std::{collections::BTreeMap, fmt};

use super::estimate::nearest_work;
use crate::{BatchKey, Demand};

/// The most rows of a batch, by key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caps {
    measured: BTreeMap<BatchKey, Cap>,
}

#[derive(Clone, Copy, Debug)]
struct Cap {
    work: f64,
    rows: usize,
}

impl Caps {
    pub(crate) fn set(&mut self, demand: &Demand, rows: usize) {
        let cap = Cap {
            work: demand.work,
            rows,
        };
        self.measured.insert(demand.key.clone(), cap);
    }

    /// The most rows of a batch of `demand`'s key. For a key that was not measured, as many as have the work of a batch of the
    /// key whose work is nearest.
    pub(crate) fn rows(&self, demand: &Demand) -> usize {
        if let Some(cap) = self.measured.get(&demand.key) {
            return cap.rows;
        }
        match nearest_work(self.measured.values(), demand.work, |cap| cap.work) {
            Some(cap) => ((cap.rows as f64 * cap.work / demand.work) as usize).clamp(1, cap.rows),
            None => 1,
        }
    }

    /// The share of a full batch that `demand` takes.
    pub(crate) fn load(&self, demand: &Demand) -> f64 {
        demand.rows as f64 / self.rows(demand) as f64
    }
}

impl fmt::Display for Caps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (key, cap)) in self.measured.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{}: {}", key.0, cap.rows)?;
        }
        Ok(())
    }
}

/// The number of requests in a batch, among `times` (requests, seconds of a step) in rising order, beyond which a further
/// request gains less than a twentieth of its time.
pub(crate) fn best_batch(times: &[(usize, f64)]) -> usize {
    const GAIN: f64 = 0.95;
    let mut best = (1, f64::INFINITY);
    for (requests, seconds) in times {
        let each = seconds / *requests as f64;
        if each > best.1 * GAIN {
            break;
        }
        best = (*requests, each);
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(key: &str, rows: usize, work: f64) -> Demand {
        Demand {
            key: BatchKey(key.into()),
            rows,
            steps: 1,
            work,
        }
    }

    #[test]
    fn a_batch_grows_while_it_pays() {
        assert_eq!(best_batch(&[(1, 1.0), (2, 2.0), (4, 3.0)]), 1);
        assert_eq!(best_batch(&[(1, 1.0), (2, 1.2), (4, 2.0), (8, 4.0)]), 4);
        assert_eq!(best_batch(&[(1, 1.0)]), 1);
    }

    #[test]
    fn sizes_that_were_not_measured_get_rows_of_the_same_work() {
        let mut caps = Caps::default();
        assert_eq!(caps.rows(&demand("any", 2, 1.0)), 1);
        caps.set(&demand("512", 2, 4096.0), 8);
        assert_eq!(caps.rows(&demand("512", 2, 4096.0)), 8);
        assert_eq!(caps.rows(&demand("1024", 2, 16384.0)), 2);
        assert_eq!(caps.rows(&demand("256", 2, 1024.0)), 8);
        assert_eq!(caps.load(&demand("512", 2, 4096.0)), 0.25);
        caps.set(&demand("256", 2, 1024.0), 16);
        assert_eq!(caps.to_string(), "256: 16, 512: 8");
    }
}
