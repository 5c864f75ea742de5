//! What the training commands share.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use clap::Args;
use indicatif::ProgressBar;
use serde::{Serialize, de::DeserializeOwned};

use crate::progress;

/// Where a run is, and what it is asked for.
#[derive(Args)]
pub(crate) struct RunArguments {
    /// The run folder.
    #[arg(long)]
    pub(crate) out: PathBuf,
    /// Go on from the last whole checkpoint of --out; only limits may change.
    #[arg(long)]
    pub(crate) resume: bool,
    /// A recipe (TOML) with these options by their long names.
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
}

/// Why a resumed run refuses other options.
pub(crate) const LIMITS_ALONE: &str = "--resume goes on with the run's own config: only --epochs, --steps and --max-minutes may be given with it";

/// The options of `flags` over those of `file`. What is not set does not appear in a table, so that one table lies over the other.
pub(crate) fn lay_over<T: Serialize + DeserializeOwned>(flags: T, file: T) -> anyhow::Result<T> {
    let mut table = toml::Table::try_from(file)?;
    table.extend(toml::Table::try_from(flags)?);
    Ok(table.try_into()?)
}

/// How a run ended, in words; `went_on` tells whether it took a step.
pub(crate) fn outcome(interrupted: bool, went_on: bool) -> &'static str {
    match (interrupted, went_on) {
        (true, _) => "stopped after",
        (false, true) => "finished",
        (false, false) => "nothing left to do: the run had finished",
    }
}

/// What a person at the terminal sees of a training, and how it hears Ctrl-C.
pub(crate) struct Watch {
    bar: ProgressBar,
    /// Whether the bar counts steps; else it counts thousandths of the time.
    counts_steps: bool,
    stop: Arc<AtomicBool>,
    quiet: bool,
}

impl Watch {
    /// Of a run of `steps`, or of one that ends by time.
    pub(crate) fn new(steps: Option<u64>, stop: Arc<AtomicBool>, quiet: bool) -> Self {
        /// Of a run that ends by time.
        const THOUSANDTHS: u64 = 1000;
        Self {
            bar: progress::bar(steps.unwrap_or(THOUSANDTHS), quiet),
            counts_steps: steps.is_some(),
            stop,
            quiet,
        }
    }

    /// The last `logged` steps were read, up to `step`.
    pub(crate) fn at(&self, step: u64, logged: usize, progress: f64, figures: &str) {
        let position = if self.counts_steps {
            step
        } else {
            (progress * 1000.0) as u64
        };
        if self.bar.position() == 0 && position > logged as u64 {
            self.bar.reset_eta(); // A resumed run did not take its first steps just now.
        }
        self.bar.set_position(position);
        self.bar.set_message(format!("· step {step} {figures}"));
    }

    pub(crate) fn remark(&self, text: &str) {
        if !self.quiet {
            self.bar.suspend(|| eprintln!("{text}"));
        }
    }

    pub(crate) fn stop_requested(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
