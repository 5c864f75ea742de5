//! Trainings by tables.

use std::path::Path;

use toml::Table;

use crate::{
    arguments::Common,
    commands::train_ssd::{StepTime, check_table, step_time, train_by_table},
};

/// A training as it ended.
pub(super) struct Outcome {
    /// Steps taken, over every resume.
    pub(super) steps: u64,
    /// Seconds trained, over every resume.
    pub(super) seconds: f64,
    /// The best mAP@.5 on the validation images.
    pub(super) best: Option<f64>,
    /// Whether Ctrl-C stopped it.
    pub(super) interrupted: bool,
    /// Whether nothing was left to do.
    pub(super) finished_before: bool,
}

/// The trainer of a table with the options of a training by their long names.
pub(super) trait Trainer {
    /// Refuses unknown options and values that are not allowed.
    fn check(&self, table: &Table) -> anyhow::Result<()>;

    /// Trains in the folder `out`, and goes on where it holds a run.
    fn train(&self, table: Table, out: &Path) -> anyhow::Result<Outcome>;

    /// How long steps take, by a short training of `steps` steps that leaves no files.
    fn step_time(&self, table: Table, steps: u64) -> anyhow::Result<StepTime>;
}

/// Trains as `train ssd` and `train distill` do.
pub(super) struct ByTable<'a>(pub(super) &'a Common);

impl Trainer for ByTable<'_> {
    fn check(&self, table: &Table) -> anyhow::Result<()> {
        check_table(table)
    }

    fn train(&self, table: Table, out: &Path) -> anyhow::Result<Outcome> {
        let run = train_by_table(table, out, self.0)?;
        Ok(Outcome {
            steps: run.summary.steps,
            seconds: run.summary.seconds,
            best: run.summary.best,
            interrupted: run.summary.interrupted,
            finished_before: run.finished_before(),
        })
    }

    fn step_time(&self, table: Table, steps: u64) -> anyhow::Result<StepTime> {
        step_time(table, steps, self.0)
    }
}
