//! One training command, from the run folder to the printed summary.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use pyrograph::train::run_folder::{RunFolder, RunPlan};
use serde_json::{Map, Value, json};

use super::{Watch, exit_code, outcome};
use crate::{arguments::Common, outputs::as_text, reading::counted, stop::stop_of_training};

/// The limits of a run, of which none or any may be given.
#[derive(Clone, Copy, Default, PartialEq)]
pub(crate) struct RunLimits {
    pub(crate) epochs: Option<u64>,
    pub(crate) steps: Option<u64>,
    pub(crate) max_minutes: Option<f64>,
}

/// The places of the limits in the config of a training.
pub(crate) type LimitsMut<'a> = (
    &'a mut Option<u64>,
    &'a mut Option<u64>,
    &'a mut Option<f64>,
);

impl RunLimits {
    pub(crate) fn are_given(self) -> bool {
        self != Self::default()
    }

    /// Replaces all limits of a config.
    pub(crate) fn set(self, (epochs, steps, max_minutes): LimitsMut<'_>) {
        (*epochs, *steps, *max_minutes) = (self.epochs, self.steps, self.max_minutes);
    }
}

/// What one training command does; [`run_training`] does what all of them do.
pub(crate) trait TrainCommand {
    /// The config of a run.
    type Plan: RunPlan;
    /// The data to train on, and those that are held out.
    type Data;
    /// The last figures of a training.
    type Last;
    /// Draws the losses, and returns the path of the picture; none where nothing was logged.
    const CURVES: fn(&RunFolder) -> anyhow::Result<Option<PathBuf>>;

    fn common(&self) -> &Common;

    /// The run folder.
    fn out(&self) -> &Path;

    /// The limits that are given.
    fn limits(&self) -> RunLimits;

    /// The limits in the config of a run.
    fn limits_of(plan: &mut Self::Plan) -> LimitsMut<'_>;

    /// The run that is asked for and its data, after every check.
    fn prepare(&self) -> anyhow::Result<(Self::Plan, Self::Data)>;

    /// Refuses options that the run to go on with does not have.
    fn check_same(&self, plan: &Self::Plan) -> anyhow::Result<()>;

    /// The data of a run to go on with, after the checks of its config.
    fn reload(&self, plan: &Self::Plan) -> anyhow::Result<Self::Data>;

    /// Says what is trained on, and returns the number of steps, if the run does not end by time.
    fn say_data(&self, plan: &Self::Plan, data: &Self::Data) -> Option<u64>;

    fn train(
        &self,
        begun: Begun<Self::Plan, Self::Data>,
        watch: Watch,
    ) -> anyhow::Result<Summary<Self::Last>>;

    /// What is printed beside steps, time and folder.
    fn report(&self, trained: &Trained<Self::Last>) -> Report;
}

/// A run that can be trained: its folder, locked, and its data.
pub(crate) struct Begun<P, D> {
    pub(crate) run: RunFolder,
    pub(crate) plan: P,
    pub(crate) data: D,
}

/// The result of a training.
pub(crate) struct Summary<L> {
    /// Steps taken, over every resume.
    pub(crate) steps: u64,
    /// Seconds trained, over every resume.
    pub(crate) seconds: f64,
    /// The last figures; none where no step was taken.
    pub(crate) last: Option<L>,
    /// The best figure of an evaluation.
    pub(crate) best: Option<f64>,
    /// Whether Ctrl-C stopped it.
    pub(crate) interrupted: bool,
    /// The last picture that was made.
    pub(crate) picture: Option<PathBuf>,
}

/// A training as it ended.
pub(crate) struct Trained<L> {
    pub(crate) run: RunFolder,
    pub(crate) summary: Summary<L>,
    pub(crate) curves: Option<PathBuf>,
}

/// What a training prints of its own.
pub(crate) struct Report {
    /// The last figures in words.
    pub(crate) figures: String,
    /// Files by what they are.
    pub(crate) files: Vec<(&'static str, Option<PathBuf>)>,
    /// The fields of the JSON object.
    pub(crate) fields: Map<String, Value>,
}

/// Begins a run or goes on with one, and trains.
pub(crate) fn run_training<T: TrainCommand>(
    command: &T,
    goes_on: bool,
) -> anyhow::Result<Trained<T::Last>> {
    let begun = match goes_on {
        true => reopen(command)?,
        false => {
            // Nothing is made on disk before every check has passed.
            let (plan, data) = command.prepare()?;
            let run = RunFolder::create(command.out(), &plan)?;
            Begun { run, plan, data }
        }
    };
    let steps = command.say_data(&begun.plan, &begun.data);
    let quiet = command.common().quiet;
    let watch = Watch::new(steps, stop_of_training(quiet)?, quiet);
    let run = begun.run.clone();
    let summary = command.train(begun, watch.clone());
    watch.finish();
    let mut summary = summary?;
    summary.interrupted |= watch.stop_requested();
    Ok(Trained {
        curves: (T::CURVES)(&run)?,
        run,
        summary,
    })
}

/// Goes on with a run; its config is replaced only after the changed one has passed every check.
fn reopen<T: TrainCommand>(command: &T) -> anyhow::Result<Begun<T::Plan, T::Data>> {
    let run = RunFolder::open_locked(command.out())?;
    let mut plan: T::Plan = run.plan()?;
    command.check_same(&plan)?;
    let limits = command.limits();
    if limits.are_given() {
        limits.set(T::limits_of(&mut plan));
    }
    let data = command.reload(&plan)?;
    command.common().try_device()?;
    if limits.are_given() {
        run.save_config(&plan)?;
    }
    Ok(Begun { run, plan, data })
}

/// Whether two runs are the same but for their limits.
pub(crate) fn same_but_limits<T>(mut asked: T::Plan, plan: &T::Plan) -> bool
where
    T: TrainCommand,
    T::Plan: Clone + PartialEq,
{
    let mut plan = plan.clone();
    for plan in [&mut asked, &mut plan] {
        RunLimits::default().set(T::limits_of(plan));
    }
    asked == plan
}

impl<L> Trained<L> {
    /// Whether nothing was left to do: the run had finished before.
    pub(crate) fn finished_before(&self) -> bool {
        !self.summary.interrupted && self.summary.last.is_none()
    }

    /// Prints how the training ended, and gives the exit code.
    pub(crate) fn print(&self, command: &impl TrainCommand<Last = L>) -> anyhow::Result<ExitCode> {
        let Summary {
            steps,
            seconds,
            last,
            interrupted,
            ..
        } = &self.summary;
        let Report {
            figures,
            files,
            mut fields,
        } = command.report(self);
        let mut text = format!(
            "{} {} in {seconds:.0} s{figures}\nrun folder: {}",
            outcome(*interrupted, last.is_some()),
            counted(*steps as usize, "step"),
            self.run.path().display(),
        );
        for (what, path) in &files {
            if let Some(path) = path {
                text += &format!("\n{what}: {}", path.display());
            }
        }
        for (name, value) in [
            ("run", json!(as_text(self.run.path()))),
            ("steps", json!(steps)),
            ("seconds", json!(seconds)),
            ("interrupted", json!(interrupted)),
            ("loss_curve", json!(self.curves.as_deref().map(as_text))),
        ] {
            fields.insert(name.into(), value);
        }
        command.common().print(&Value::Object(fields), &text)?;
        Ok(exit_code(*interrupted))
    }
}
