//! When a run ends, and the learning rate on the way.

use std::time::Duration;

/// The end of a run: the first limit that is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Steps to take in all, over every resume.
    pub steps: Option<u64>,
    /// Time to train in all, over every resume.
    pub time: Option<Duration>,
}

impl Limits {
    /// How much of the run is done, 0 to 1: by the limit that is nearest.
    pub fn progress(&self, step: u64, elapsed: Duration) -> f64 {
        let by_steps = self.steps.map(|steps| step as f64 / steps.max(1) as f64);
        let by_time = self
            .time
            .map(|time| elapsed.as_secs_f64() / time.as_secs_f64().max(1e-9));
        by_steps.unwrap_or(0.0).max(by_time.unwrap_or(0.0)).min(1.0)
    }

    /// Whether the run has reached a limit.
    pub fn reached(&self, step: u64, elapsed: Duration) -> bool {
        self.steps.is_some_and(|steps| step >= steps)
            || self.time.is_some_and(|time| elapsed >= time)
    }
}

/// `base`, decayed linearly to 0 over the run.
pub(crate) fn linear_decay(base: f64, progress: f64) -> f64 {
    base * (1.0 - progress)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_limit_counts() {
        let limits = Limits {
            steps: Some(100),
            time: Some(Duration::from_secs(60)),
        };
        assert_eq!(limits.progress(50, Duration::from_secs(6)), 0.5);
        assert_eq!(limits.progress(10, Duration::from_secs(45)), 0.75);
        assert!(!limits.reached(99, Duration::from_secs(59)));
        assert!(limits.reached(100, Duration::ZERO) && limits.reached(0, Duration::from_secs(60)));
        assert_eq!(
            Limits::default().progress(1000, Duration::from_secs(1000)),
            0.0
        );
        assert_eq!(linear_decay(1e-3, 0.25), 7.5e-4);
    }
}
