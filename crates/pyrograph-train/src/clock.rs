//! The position of a run between its beginning and its limits.

use std::time::{Duration, Instant};

use crate::{Limits, TrainState};

/// Counts the steps and the time of a run over all resumes.
///
/// The time is read only when a step is counted or by [`read_time`](Self::read_time), so that every
/// decision between two steps is made on the same time.
pub(crate) struct RunClock {
    /// The state that a checkpoint keeps.
    pub(crate) state: TrainState,
    limits: Limits,
    /// The time of training before this process.
    earlier: Duration,
    started: Instant,
}

impl RunClock {
    /// A clock that goes on from `state`.
    pub(crate) fn new(limits: Limits, state: TrainState) -> Self {
        Self {
            state,
            limits,
            earlier: state.elapsed(),
            started: Instant::now(),
        }
    }

    /// Counts the time from now on: what came before in this process was no training.
    pub(crate) fn start(&mut self) {
        self.started = Instant::now();
    }

    /// Steps taken.
    pub(crate) fn step(&self) -> u64 {
        self.state.step
    }

    /// Counts a step, reads the time, and returns the steps taken.
    pub(crate) fn take_step(&mut self) -> u64 {
        self.state.step += 1;
        self.read_time();
        self.state.step
    }

    /// Reads the time, for work between steps that counts as training.
    pub(crate) fn read_time(&mut self) {
        self.state.seconds = (self.earlier + self.started.elapsed()).as_secs_f64();
    }

    /// The fraction of the run that is done, 0 to 1.
    pub(crate) fn progress(&self) -> f64 {
        self.limits.progress(self.state.step, self.state.elapsed())
    }

    /// Whether the run has reached a limit.
    pub(crate) fn has_ended(&self) -> bool {
        self.limits.reached(self.state.step, self.state.elapsed())
    }

    /// Whether what is done every `every` steps is due after the last step; 0 is never.
    pub(crate) fn falls_due(&self, every: u64) -> bool {
        every > 0 && self.state.step.is_multiple_of(every)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DataFingerprint;

    fn clock(limits: Limits, step: u64, seconds: f64) -> RunClock {
        let state = TrainState {
            step,
            seconds,
            seed: 0,
            data: DataFingerprint {
                images: 1,
                side: 1,
                channels: 1,
                classes: 1,
                checksum: 0,
            },
            best: None,
        };
        RunClock::new(limits, state)
    }

    #[test]
    fn steps_and_time_go_on_from_those_of_the_checkpoint() {
        let limits = Limits {
            steps: Some(12),
            time: Some(Duration::from_secs(7200)),
        };
        let mut clock = clock(limits, 10, 3600.0);
        assert!(!clock.has_ended() && clock.progress() > 0.83);
        assert_eq!((clock.take_step(), clock.step()), (11, 11));
        assert!((3600.0..3700.0).contains(&clock.state.seconds));
        assert!(!clock.has_ended());
        clock.take_step();
        assert!(clock.has_ended() && clock.progress() == 1.0);
    }

    #[test]
    fn the_time_stands_still_between_two_readings() {
        let limits = Limits {
            steps: None,
            time: Some(Duration::from_nanos(1)),
        };
        let mut clock = clock(limits, 0, 0.0);
        assert!(!clock.has_ended());
        clock.read_time();
        assert!(clock.has_ended());
    }

    #[test]
    fn what_is_done_every_few_steps_is_never_due_at_0() {
        let due = |step, every| clock(Limits::default(), step, 0.0).falls_due(every);
        assert!(due(20, 10) && !due(21, 10) && !due(20, 0));
    }
}
