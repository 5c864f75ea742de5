//! The end of a run, and learning rates that depend on its progress.

use std::time::Duration;

/// The end of a run: the first limit that is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Total number of steps, over all resumes.
    pub steps: Option<u64>,
    /// Total time of training, over all resumes.
    pub time: Option<Duration>,
}

impl Limits {
    /// From what a config gives: epochs of `per_epoch` steps, steps and minutes, of which the first
    /// counts; `usual_epochs` where it gives none.
    pub(crate) fn new(
        epochs: Option<u64>,
        steps: Option<u64>,
        max_minutes: Option<f64>,
        per_epoch: u64,
        usual_epochs: u64,
    ) -> Self {
        let by_epochs = |epochs: u64| epochs.saturating_mul(per_epoch);
        let steps = match (epochs.map(by_epochs), steps) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (None, None) if max_minutes.is_none() => Some(by_epochs(usual_epochs)),
            (a, b) => a.or(b),
        };
        let time = max_minutes
            .map(|minutes| Duration::try_from_secs_f64(minutes * 60.0).unwrap_or_default());
        Self { steps, time }
    }

    /// The fraction of the run that is done, 0 to 1, measured by the nearest limit.
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

/// Batches of one pass over `items` images: the last may be smaller, but never one image, which a
/// batch norm cannot take.
pub(crate) fn batches_per_epoch(items: usize, batch_size: usize) -> u64 {
    let batch = batch_size.max(1);
    let rest = usize::from(items % batch > 1);
    (items / batch + rest).max(1) as u64
}

/// `base`, decayed linearly to 0 over the run.
pub(crate) fn linear_decay(base: f64, progress: f64) -> f64 {
    base * (1.0 - progress)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_epochs_and_steps_counts_and_the_usual_epochs_where_nothing_is_given() {
        let steps = |epochs, steps, minutes| Limits::new(epochs, steps, minutes, 10, 32).steps;
        assert_eq!(steps(None, None, None), Some(320));
        assert_eq!(steps(Some(3), None, None), Some(30));
        assert_eq!(steps(Some(3), Some(25), None), Some(25));
        assert_eq!(steps(Some(2), Some(25), None), Some(20));
        assert_eq!(steps(None, None, Some(0.5)), None);
        assert_eq!(steps(Some(u64::MAX), None, None), Some(u64::MAX));
        let time = Limits::new(None, None, Some(0.5), 10, 32).time;
        assert_eq!(time, Some(Duration::from_secs(30)));
    }

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
