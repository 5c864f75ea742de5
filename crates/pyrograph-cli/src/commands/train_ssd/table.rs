//! Trainings by tables, as a sweep orders them.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::Context;
use pyrograph::{
    backend::{
        Device, DevicesTask,
        vision::{VisionAutodiff, VisionBackend},
    },
    data::detection::DetectionSet,
    train::{
        run_folder::RunFolder,
        ssd::{DetectionRecord, Distillation, SsdHooks, SsdRun, SsdTraining, train_ssd_beside},
    },
};

use super::{DistillFlags, Options, Order, TrainedRun};
use crate::arguments::Common;

/// A table's keys of `train ssd`, and those of `train distill` alone.
pub(super) fn parted(table: toml::Table) -> anyhow::Result<(Options, DistillFlags)> {
    let (mut plain, mut distill) = (toml::Table::new(), toml::Table::new());
    for (key, value) in table {
        match DistillFlags::KEYS.contains(&key.as_str()) {
            true => distill.insert(key, value),
            false => plain.insert(key, value),
        };
    }
    let plain = plain.try_into().map_err(|error: toml::de::Error| {
        let text = error.to_string();
        let known = match text.contains("unknown field") {
            true => format!("; of a distillation: `{}`", DistillFlags::KEYS.join("`, `")),
            false => String::new(),
        };
        anyhow::anyhow!("{}{known}", text.trim_end())
    })?;
    Ok((plain, distill.try_into()?))
}

/// How a recipe is called in an error.
pub(super) fn named(path: Option<&Path>) -> String {
    path.map_or("the recipe".into(), |path| path.display().to_string())
}

fn order_of<'a>(table: toml::Table, out: PathBuf, common: &'a Common) -> anyhow::Result<Order<'a>> {
    let (options, distill) = parted(table)?;
    Ok(Order {
        out,
        resume: false,
        options,
        distill: (distill != DistillFlags::default()).then_some(distill),
        more_devices: Vec::new(),
        common,
    })
}

/// Whether a table has keys and values that a training takes, and names data that read. A teacher is not looked at: it may not be
/// trained yet.
pub(crate) fn check_table(table: &toml::Table) -> anyhow::Result<()> {
    let (options, distill) = parted(table.clone())?;
    options.check()?;
    if distill != DistillFlags::default() {
        distill.check()?;
    }
    let data = options.source()?.load()?;
    let training = options.training(&data)?;
    Ok(training.check(&data)?)
}

/// Trains by a table with the keys of `train ssd` and `train distill`; goes on where `out` holds a run.
///
/// # Errors
/// As the commands; and when `out` holds a run that the table does not ask for.
pub(crate) fn train_by_table(
    table: toml::Table,
    out: &Path,
    common: &Common,
) -> anyhow::Result<TrainedRun> {
    let order = order_of(table, out.to_owned(), common)?;
    let Ok(run) = RunFolder::open(out) else {
        return order.train();
    };
    let seen: SsdRun = run.config()?;
    let asked = order.plan()?;
    anyhow::ensure!(
        seen == asked,
        "{}: this run is not what the recipe asks for: the recipe has changed since it was begun; give another --out, or bring the recipe back",
        out.display()
    );
    let going_on = Order {
        resume: true,
        options: Options::default(),
        distill: None,
        more_devices: order.other_devices(),
        ..order
    };
    going_on.train()
}

/// Seconds that the steps of a training take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct StepTime {
    /// Of a step.
    pub(crate) seconds: f64,
    /// Further seconds of each step that fills a cache of the teacher's answers, and the number of these steps.
    pub(crate) filling: Option<(f64, f64)>,
}

impl StepTime {
    /// Seconds of the first `steps` steps.
    pub(crate) fn of(&self, steps: f64) -> f64 {
        let filling = self
            .filling
            .map_or(0.0, |(extra, filled_by)| extra * steps.min(filled_by));
        self.seconds * steps + filling
    }

    /// Steps that `seconds` are enough for.
    pub(crate) fn steps_in(&self, seconds: f64) -> f64 {
        let Some((extra, filled_by)) = self.filling else {
            return seconds / self.seconds;
        };
        let first = seconds / (self.seconds + extra);
        match first <= filled_by {
            true => first,
            false => (seconds - extra * filled_by) / self.seconds,
        }
    }
}

/// Times the last ten of `steps` steps of such a training; no file of it stays.
pub(crate) fn step_time(
    table: toml::Table,
    steps: u64,
    common: &Common,
) -> anyhow::Result<StepTime> {
    let order = order_of(table, PathBuf::new(), common)?;
    let plan = order.plan()?;
    let folder = tempfile::tempdir().context("a folder for the measurement")?;
    let (data, _) = plan.load_data()?;
    let mut training = plan.training;
    let per_epoch = training.steps_per_epoch(data.len());
    (training.epochs, training.max_minutes, training.steps) = (None, None, Some(steps));
    (training.checkpoint_every, training.evaluate_every) = (0, 0);
    let mut draws = None;
    if let Some(distillation) = &mut training.distillation {
        // The run itself looks at its teacher.
        distillation.any_teacher = true;
        distillation.unlabelled = None;
        if let Some(cache) = &mut distillation.cache {
            draws = Some(cache.draws);
            cache.file = Some(folder.path().join("answers.bin"));
        }
    }
    // Images without boxes alone: their steps cost no more than plain ones.
    let learns = |distillation: &Distillation| !distillation.methods.is_empty();
    training.distillation = training.distillation.filter(learns);
    let filled_by = draws.map(|draws| (draws * per_epoch) as f64);
    let time = |name: &str| {
        let stopwatch = Stopwatch {
            training: training.clone(),
            data: data.clone(),
            folder: folder.path().join(name),
        };
        common.device.run_with(&order.other_devices(), stopwatch)?
    };
    let seconds = time("first")?;
    Ok(match filled_by {
        None => StepTime {
            seconds,
            filling: None,
        },
        // The same steps again find their answers.
        Some(filled_by) => {
            let filled = time("second")?;
            let extra = (seconds - filled).max(0.0);
            StepTime {
                seconds: filled,
                filling: Some((extra, filled_by)),
            }
        }
    })
}

/// A short training that is only timed.
struct Stopwatch {
    training: SsdTraining,
    data: DetectionSet,
    folder: PathBuf,
}

/// Notes when figures were read, and of how many steps.
struct Laps(Vec<(Instant, usize)>);

impl<B: VisionBackend> SsdHooks<B> for Laps {
    fn logged(&mut self, records: &[DetectionRecord], _: f64) {
        self.0.push((Instant::now(), records.len()));
    }
}

impl DevicesTask for Stopwatch {
    type Output = anyhow::Result<f64>;

    fn run<B: VisionAutodiff>(self, device: Device<B>, others: Vec<Device<B>>) -> Self::Output {
        let Self {
            training,
            data,
            folder,
        } = self;
        let run = RunFolder::create(&folder, &training)?;
        let mut laps = Laps(Vec::new());
        let teacher = others.first().unwrap_or(&device).clone();
        // What a run is judged by is not timed.
        let one = data.subset(&[0]);
        let devices = [device];
        train_ssd_beside::<B>(
            &training,
            &data,
            Some(&one),
            &run,
            &mut laps,
            &devices,
            &teacher,
        )?;
        let each = laps
            .0
            .windows(2)
            .map(|pair| (pair[1].0 - pair[0].0).as_secs_f64() / pair[1].1.max(1) as f64);
        let mut each: Vec<f64> = each.collect();
        each.sort_by(f64::total_cmp);
        let middle = each.get(each.len() / 2).copied();
        middle.context("too few steps to tell what one takes: give 20 or more")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_that_fill_a_cache_cost_more() {
        let plain = StepTime {
            seconds: 0.5,
            filling: None,
        };
        assert_eq!((plain.of(8.0), plain.steps_in(4.0)), (4.0, 8.0));
        let cached = StepTime {
            seconds: 0.5,
            filling: Some((1.5, 4.0)),
        };
        assert_eq!((cached.of(2.0), cached.of(10.0)), (4.0, 11.0));
        assert_eq!((cached.steps_in(4.0), cached.steps_in(11.0)), (2.0, 10.0));
    }
}
