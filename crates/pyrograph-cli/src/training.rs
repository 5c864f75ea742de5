//! What the training commands share.

mod run;

use std::{
    fs,
    path::{self, Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, bail};
use clap::Args;
use indicatif::ProgressBar;
use pyrograph::train::run_folder::RunFolder;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

pub(crate) use self::run::{
    Begun, LimitsMut, Report, RunLimits, Summary, TrainCommand, Trained, run_training,
    same_but_limits,
};
use crate::{arguments::Common, progress, stop::INTERRUPTED};

/// The folder and the recipe of a run.
#[derive(Args)]
pub(crate) struct RunArguments {
    /// The run folder.
    #[arg(long)]
    pub(crate) out: PathBuf,
    /// Continue from the last complete checkpoint in --out, or begin a run if there is none. The
    /// options and the recipe may be given again; only --epochs, --steps and --max-minutes may
    /// differ.
    #[arg(long)]
    pub(crate) resume: bool,
    /// A recipe (TOML) whose keys are the long names of these options.
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
}

/// What the help of every training says of its end.
pub(crate) const ENDS: &str = "Ctrl-C (or SIGTERM, or the end of the terminal unless under nohup) finishes the step, and an evaluation that has begun, \
writes a checkpoint and exits with 130; --resume goes on from it. \
A second Ctrl-C ends at once: what was trained since the last checkpoint is lost. Exit codes: 0 finished, 130 interrupted, \
2 wrong usage or input (a loss that is no number too), 1 a bug.";

/// Whether `--resume` finds a run to go on with; says where it does not.
pub(crate) fn goes_on(resume: bool, out: &Path, common: &Common) -> bool {
    let goes_on = resume && RunFolder::is_begun(out);
    if resume && !goes_on {
        common.say(format!(
            "--resume: no run was begun in {} yet: it begins now",
            out.display()
        ));
    }
    goes_on
}

/// A path that holds from any folder, as the config of a run keeps it: as text.
pub(crate) fn absolute(path: &Path, flag: &'static str) -> anyhow::Result<PathBuf> {
    let absolute = path::absolute(path).context(flag)?;
    if absolute.to_str().is_none() {
        bail!(
            "{flag} {}: this path is not in UTF-8, and a run keeps its paths as text: rename it, or give a link to it",
            path.display()
        );
    }
    Ok(absolute)
}

/// The limits of a run, which may change when it is resumed.
const LIMITS: [&str; 3] = ["epochs", "steps", "max-minutes"];

/// Options that are given, by their long names.
pub(crate) type Given = serde_json::Map<String, Value>;

/// The options of `options` that are given.
pub(crate) fn given(options: &impl Serialize) -> anyhow::Result<Given> {
    let Value::Object(mut given) = serde_json::to_value(options)? else {
        return Ok(Given::new());
    };
    given.retain(|_, value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(list) => !list.is_empty(),
        _ => true,
    });
    Ok(given)
}

/// Refuses options beside the limits that the run does not have; `own` are those that it has.
/// `same_run` tells whether the options together ask for the very run, where one of them does not
/// show in it.
pub(crate) fn refuse_other_options(
    given: &Given,
    own: &Given,
    same_run: impl FnOnce() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let differs = |(name, value): &(&String, &Value)| {
        !LIMITS.contains(&name.as_str()) && !own.get(*name).is_some_and(|own| same(value, own))
    };
    let Some((name, value)) = given.iter().find(differs) else {
        return Ok(());
    };
    // Other data are another run, and may take long to read.
    if name != "data" && same_run().unwrap_or(false) {
        return Ok(());
    }
    let has = match own.get(name) {
        Some(own) => format!("but this run has {}", in_words(own)),
        None => "which this run was not begun with".into(),
    };
    match value {
        Value::Bool(true) => bail!("--{name} is given, {has}; {LIMITS_ALONE}"),
        value => bail!("--{name} is {}, {has}; {LIMITS_ALONE}", in_words(value)),
    }
}

/// Why a resumed run refuses other options.
pub(crate) const LIMITS_ALONE: &str = "--resume goes on with the run's own options, of which only --epochs, --steps and --max-minutes may differ: \
leave it out, or begin a new run with another --out";

/// Whether two values are one, but for the rounding of a difference from 1, or one place on disk.
fn same(a: &Value, b: &Value) -> bool {
    const ROUNDING: f64 = 1e-12;
    match (a.as_f64(), b.as_f64()) {
        (Some(_), Some(_)) if a.is_u64() && b.is_u64() => a == b,
        (Some(a), Some(b)) => (a - b).abs() <= ROUNDING * a.abs().max(b.abs()).max(ROUNDING),
        _ => a == b || same_place(a, b),
    }
}

/// Whether two absolute paths lead to one file or folder.
fn same_place(a: &Value, b: &Value) -> bool {
    let place = |value: &Value| {
        let path = Path::new(value.as_str()?);
        path.is_absolute().then(|| fs::canonicalize(path).ok())?
    };
    place(a).is_some_and(|a| place(b) == Some(a))
}

/// As a flag would have it.
fn in_words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(in_words).collect::<Vec<_>>().join(","),
        value => value.to_string(),
    }
}

/// The options of `flags` over those of `file`. A table of TOML leaves `None` out, so that one
/// table lies over the other.
pub(crate) fn lay_over<T: Serialize + DeserializeOwned>(flags: T, file: T) -> anyhow::Result<T> {
    let mut table = toml::Table::try_from(file)?;
    table.extend(toml::Table::try_from(flags)?);
    Ok(table.try_into()?)
}

/// How a run ended, in words; `went_on` tells whether it took a step.
fn outcome(interrupted: bool, went_on: bool) -> &'static str {
    match (interrupted, went_on) {
        (true, _) => "stopped (--resume goes on) after",
        (false, true) => "finished",
        (false, false) => "nothing left to do: the run had finished",
    }
}

/// The exit code of a training that ended without an error.
pub(crate) fn exit_code(interrupted: bool) -> ExitCode {
    match interrupted {
        true => ExitCode::from(INTERRUPTED),
        false => ExitCode::SUCCESS,
    }
}

/// What a person at the terminal sees of a training, and how it hears Ctrl-C.
#[derive(Clone)]
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
            bar: match steps {
                Some(steps) => progress::bar(steps, quiet),
                None => progress::bar_of_time(THOUSANDTHS, quiet),
            },
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

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(given_now: Value, own: Value, same_run: bool) -> Result<(), String> {
        let table = |value: Value| given(&value).expect("an object");
        refuse_other_options(&table(given_now), &table(own), || Ok(same_run))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_resumed_run_takes_its_own_options_again_and_any_limit() {
        let own =
            json!({"n-feat": 8, "label-smoothing": 1.0 - 0.9, "classes": ["a", "b"], "steps": 9});
        for same in [
            json!({}),
            json!({"steps": 12, "epochs": 3, "max-minutes": 1.5}),
            json!({"n-feat": 8, "label-smoothing": 0.1, "classes": ["a", "b"]}),
            json!({"n-feat": 8.0, "seed": null, "flip": false, "words": []}),
        ] {
            check(same.clone(), own.clone(), false)
                .unwrap_or_else(|error| panic!("{same}: {error}"));
        }
    }

    #[test]
    fn what_differs_is_refused_by_its_flag_with_both_values() {
        let own = json!({"n-feat": 8, "classes": ["a", "b"]});
        for (other, words) in [
            (json!({"n-feat": 16}), ["--n-feat is 16", "this run has 8"]),
            (json!({"classes": ["b"]}), ["--classes is b", "has a,b"]),
            (json!({"flip": true}), ["--flip is given", "not begun with"]),
        ] {
            let error = check(other.clone(), own.clone(), false).expect_err("differs");
            assert!(words.iter().all(|word| error.contains(word)), "{error}");
            assert!(
                error.contains("--resume") && error.contains("--steps"),
                "{error}"
            );
            // Together they ask for the run: an option may not show in it.
            check(other, own.clone(), true).expect("the same run");
        }
    }
}
