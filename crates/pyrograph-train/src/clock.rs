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
