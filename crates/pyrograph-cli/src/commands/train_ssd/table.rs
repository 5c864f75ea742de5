//! Trainings by tables, as a sweep orders them.

use std::path::{Path, PathBuf};

use pyrograph::train::{run_folder::RunFolder, ssd::SsdRun};

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

pub(super) fn order_of<'a>(
    table: toml::Table,
    out: PathBuf,
    common: &'a Common,
) -> anyhow::Result<Order<'a>> {
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

/// Whether a table has keys and values that a training takes, and names data that read. A teacher's
/// file is not looked at: the teacher may not be trained yet.
pub(crate) fn check_table(table: &toml::Table) -> anyhow::Result<()> {
    let (options, distill) = parted(table.clone())?;
    options.check()?;
    let source = options.source()?;
    let data = source.load()?;
    let mut training = options.training(&data)?;
    if distill != DistillFlags::default() {
        distill.check()?;
        training.distillation = Some(distill.without_teacher(&source)?);
    }
    training.check(&data)?;
    if let Some(count) = options.images() {
        data.choose(count, training.seed)?;
    }
    Ok(())
}

/// Trains by a table with the keys of `train ssd` and `train distill`; goes on where `out` holds a
/// run.
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
        return Ok(order.train()?.1);
    };
    let seen: SsdRun = run.plan()?;
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
    Ok(going_on.train()?.1)
}
