//! The figures of steps, on their way from the device to the log of a run.

use std::time::{Duration, Instant};

use burn::tensor::{Tensor, backend::Backend};
use serde::Serialize;

use crate::{TrainError, run_folder::RunFolder};

/// Steps between reads of the figures from the device, at most.
const EVERY_STEPS: usize = 10;
/// Time between reads of the figures from the device, at most, where steps are slow.
const EVERY: Duration = Duration::from_secs(1);

/// A step of which the figures are not read yet.
pub(crate) trait PendingStep {
    /// A line of the log.
    type Line: Serialize + Clone;

    /// The line of the log with the figures that were read, in the order in which they were pushed.
    ///
    /// # Errors
    /// When a figure is no number; `saved` is the step of the run's last checkpoint.
    fn into_line(self, figures: &[f32], saved: Option<u64>) -> Result<Self::Line, TrainError>;
}

/// Figures that wait on the device until it is time to read them.
pub(crate) struct StepLog<'a, B: Backend, P: PendingStep> {
    run: &'a RunFolder,
    pending: Vec<(Vec<Tensor<B, 1>>, P)>,
    read_at: Instant,
    last: Option<P::Line>,
}

impl<'a, B: Backend, P: PendingStep> StepLog<'a, B, P> {
    pub(crate) fn new(run: &'a RunFolder) -> Self {
        Self {
            run,
            pending: Vec::new(),
            read_at: Instant::now(),
            last: None,
        }
    }

    /// Keeps a step with its figures on the device, each `[1]`.
    pub(crate) fn push(&mut self, figures: Vec<Tensor<B, 1>>, step: P) {
        self.pending.push((figures, step));
    }

    /// Whether it is time to read.
    pub(crate) fn is_full(&self) -> bool {
        self.pending.len() >= EVERY_STEPS
            || (!self.pending.is_empty() && self.read_at.elapsed() >= EVERY)
    }

    /// The last line that was written.
    pub(crate) fn last(&self) -> Option<&P::Line> {
        self.last.as_ref()
    }

    /// Reads the steps that wait: the lines before the first figure that is no number, and the
    /// error of that one.
    pub(crate) fn read(&mut self) -> (Vec<P::Line>, Option<TrainError>) {
        self.read_at = Instant::now();
        let (figures, steps): (Vec<_>, Vec<_>) = self.pending.drain(..).unzip();
        let counts: Vec<usize> = figures.iter().map(Vec::len).collect();
        let columns: Vec<_> = figures.into_iter().flatten().collect();
        if columns.is_empty() {
            return (Vec::new(), None);
        }
        let values: Vec<f32> = Tensor::cat(columns, 0).into_data().iter::<f32>().collect();
        let mut values = values.as_slice();
        let saved = self.run.last_step();
        let mut lines = Vec::with_capacity(steps.len());
        for (step, count) in steps.into_iter().zip(counts) {
            let (own, rest) = values.split_at(count.min(values.len()));
            values = rest;
            match step.into_line(own, saved) {
                Ok(line) => lines.push(line),
                Err(diverged) => return (lines, Some(diverged)),
            }
        }
        (lines, None)
    }

    /// Writes lines down.
    pub(crate) fn write(&mut self, lines: &[P::Line]) -> Result<(), TrainError> {
        if let Some(last) = lines.last() {
            self.run.append_metrics(lines)?;
            self.last = Some(last.clone());
        }
        Ok(())
    }

    /// Reads the steps that wait and writes them down, up to a figure that is no number, which is
    /// an error. `logged` hears of the lines.
    pub(crate) fn flush(&mut self, logged: impl FnOnce(&[P::Line])) -> Result<(), TrainError> {
        let (lines, diverged) = self.read();
        self.write(&lines)?;
        if !lines.is_empty() {
            logged(&lines);
        }
        diverged.map_or(Ok(()), Err)
    }
}
