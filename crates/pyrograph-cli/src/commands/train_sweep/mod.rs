//! `pyrograph train sweep`.

mod recipe;
mod record;
#[cfg(test)]
mod tests;
mod trainer;
mod walk;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::Ordering,
};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;

use self::{
    recipe::Recipe,
    trainer::ByTable,
    walk::{Finished, Sweep},
};
use crate::{
    arguments::Common,
    outputs::as_text,
    stop::stop_of_training,
    training::{absolute, exit_code},
};

#[derive(Args)]
pub(crate) struct TrainSweep {
    /// The recipe (TOML): `[base]` with options of `train ssd` and `train distill` by their long
    /// names, then a `[[run]]` for each run with its `name`, its `seeds` [default: [0]], and
    /// options that override those of the base.
    recipe: PathBuf,
    /// The folder of the sweep: each run is in NAME/seed-N, and sweep.json records the progress.
    #[arg(long)]
    out: PathBuf,
    /// The data, instead of those of the base: a folder in a layout of Pascal VOC or COCO, or
    /// COCO's annotation file (docs/detection.md lists the layouts).
    #[arg(long)]
    data: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

impl TrainSweep {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let name = || self.recipe.display().to_string();
        let text = fs::read_to_string(&self.recipe).with_context(name)?;
        let data = match &self.data {
            Some(data) => Some(absolute(data, "--data")?),
            None => None,
        };
        let recipe = Recipe::read(&text, data.as_deref()).with_context(name)?;
        let out = absolute(&self.out, "--out")?;
        if out.exists() && !out.is_dir() {
            bail!("--out {} is a file: give a folder", self.out.display());
        }
        check_folder(&out)?;
        let trainer = ByTable(&self.common);
        recipe.check(&trainer).with_context(name)?;
        self.common.try_device()?;
        let stop = stop_of_training(self.common.quiet)?;
        let sweep = Sweep {
            recipe: &recipe,
            out: &out,
            trainer: &trainer,
            stopped: &|| stop.load(Ordering::SeqCst),
            say: &|text| self.common.say(text),
        };
        let (runs, interrupted) = sweep.walk()?;
        self.print(&recipe, &runs, interrupted)?;
        Ok(exit_code(interrupted))
    }

    fn print(&self, recipe: &Recipe, runs: &[Finished], interrupted: bool) -> anyhow::Result<()> {
        let mut text: String = runs.iter().map(|run| run.in_words() + "\n").collect();
        let of = recipe.trainings().count();
        text += &match interrupted {
            true => format!(
                "stopped after {} of {of} runs: the same command goes on",
                runs.len()
            ),
            false => format!("{of} runs in {}", self.out.display()),
        };
        let rows: Vec<_> = runs
            .iter()
            .map(|run| {
                json!({
                    "name": run.name, "seed": run.seed, "run": as_text(&run.folder),
                    "steps": run.figures.steps, "seconds": run.figures.seconds,
                    "best_map": run.figures.best,
                })
            })
            .collect();
        let value = json!({
            "recipe": as_text(&self.recipe), "out": as_text(&self.out), "runs": rows, "interrupted": interrupted,
        });
        self.common.print(&value, &text)
    }
}

/// Refuses a folder that holds something, but no sweep.
fn check_folder(out: &Path) -> anyhow::Result<()> {
    let Ok(mut entries) = fs::read_dir(out) else {
        return Ok(());
    };
    if out.join(record::FILE).is_file() {
        return Ok(());
    }
    if let Some(entry) = entries.next() {
        bail!(
            "--out {} holds `{}`, but no {} of a sweep: give a new folder, or that of a sweep",
            out.display(),
            entry?.file_name().to_string_lossy(),
            record::FILE
        );
    }
    Ok(())
}
