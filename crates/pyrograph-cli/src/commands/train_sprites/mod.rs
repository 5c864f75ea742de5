//! `pyrograph train sprites`.

mod job;
mod options;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Args;
use pyrograph::{
    data::SpriteSet,
    figures::{ChartOptions, Series, line_chart},
    models::context_unet::ContextUnetConfig,
    train::{
        DataFingerprint,
        run_folder::RunFolder,
        sprites::{SpriteRun, StepRecord},
    },
    vision::write_png,
};
use serde_json::json;

pub(crate) use self::options::ScheduleName;
use self::{job::Job, options::Options};
use crate::{
    arguments::{Common, read_recipe},
    outputs::as_text,
    reading::{counted, read_sprites},
    stop::stop_of_training,
    training::{
        ENDS, RunArguments, Watch, exit_code, given, goes_on, outcome, refuse_other_options,
    },
};

#[derive(Args)]
#[command(after_help = ENDS)]
pub(crate) struct TrainSprites {
    #[command(flatten)]
    run: RunArguments,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    common: Common,
}

impl TrainSprites {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let recipe = read_recipe(self.run.config.as_ref())?;
        let options = self.options.clone().over(recipe);
        let Begun {
            run,
            plan,
            training,
            held_out,
        } = if goes_on(self.run.resume, &self.run.out, &self.common) {
            self.reopen(&options)?
        } else {
            self.begin(&options)?
        };
        let sizes = format!(
            "{} to train on, {} held out",
            counted(training.len(), "sprite"),
            held_out.len()
        );
        self.common.say(format!(
            "{sizes}, {}: {}",
            counted_classes(training.context_width()),
            first_names(training.class_names())
        ));

        let steps = plan.training.limits(training.len()).steps;
        let watch = Watch::new(
            steps,
            stop_of_training(self.common.quiet)?,
            self.common.quiet,
        );
        let summary = self.common.device.run(Job {
            run: run.clone(),
            plan,
            training,
            watch,
        })??;
        let curve = write_loss_curve(&run)?;

        let ended = outcome(summary.interrupted, summary.last_loss.is_some());
        let mut text = format!(
            "{ended} {} in {:.0} s, last loss {}\nrun folder: {}",
            counted(summary.steps as usize, "step"),
            summary.seconds,
            summary
                .last_loss
                .map_or("as before".into(), |loss| format!("{loss:.5}")),
            run.path().display(),
        );
        for (what, path) in [("last picture", &summary.picture), ("loss curve", &curve)] {
            if let Some(path) = path {
                text += &format!("\n{what}: {}", path.display());
            }
        }
        let value = json!({
            "run": as_text(run.path()), "steps": summary.steps, "seconds": summary.seconds,
            "last_loss": summary.last_loss, "interrupted": summary.interrupted,
            "picture": summary.picture.as_deref().map(as_text),
            "loss_curve": curve.as_deref().map(as_text),
        });
        self.common.print(&value, &text)?;
        Ok(exit_code(summary.interrupted))
    }

    /// Begins a run; nothing is made on disk before every check has passed.
    fn begin(&self, options: &Options) -> anyhow::Result<Begun> {
        let data = options.source()?;
        let set = read_sprites(&data, &self.common)?;
        let height = ContextUnetConfig {
            height: set.side(),
            ..ContextUnetConfig::default()
        };
        height
            .check()
            .context("the images do not fit the network: resize them with --side")?;
        let plan = SpriteRun {
            data,
            fingerprint: DataFingerprint::of(&set),
            held_out: options.held_out.unwrap_or(0.1),
            training: options.training(&set),
        };
        let (training, held_out) = plan.split(&set)?;
        plan.training.check(&training)?;
        // The device, too, is tried before a folder is made.
        self.common.try_device()?;
        Ok(Begun {
            run: RunFolder::create(&self.run.out, &plan)?,
            plan,
            training,
            held_out,
        })
    }

    /// Goes on with a run; its config is replaced only after the changed one has passed every check.
    fn reopen(&self, options: &Options) -> anyhow::Result<Begun> {
        let run = RunFolder::open_locked(&self.run.out)?;
        let mut plan: SpriteRun = run.plan()?;
        let asked = options.clone().with_absolute_data()?;
        let own = given(&Options::of_run(&plan))?;
        // Every option shows in the run.
        refuse_other_options(&given(&asked)?, &own, || Ok(false))?;
        let limits = options.limits_alone();
        let changed =
            limits.epochs.is_some() || limits.steps.is_some() || limits.max_minutes.is_some();
        if changed {
            let training = &mut plan.training;
            (training.epochs, training.steps, training.max_minutes) =
                (limits.epochs, limits.steps, limits.max_minutes);
        }
        let (training, held_out) = plan.load_data()?;
        plan.training.check(&training)?;
        self.common.try_device()?;
        if changed {
            run.save_config(&plan)?;
        }
        Ok(Begun {
            run,
            plan,
            training,
            held_out,
        })
    }
}

/// A run that can be trained: its folder, locked, and its data.
struct Begun {
    run: RunFolder,
    plan: SpriteRun,
    training: SpriteSet,
    held_out: SpriteSet,
}

fn counted_classes(count: usize) -> String {
    let plural = if count == 1 { "" } else { "es" };
    format!("{count} class{plural}")
}

/// Names of classes that a remark lists.
const NAMED: usize = 12;

fn first_names(names: &[String]) -> String {
    let shown = names[..names.len().min(NAMED)].join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The loss curve's path; none where no loss was logged.
fn write_loss_curve(run: &RunFolder) -> anyhow::Result<Option<PathBuf>> {
    let records: Vec<StepRecord> = run.metrics()?;
    let points: Vec<_> = records
        .iter()
        .map(|record| (record.step as f64, f64::from(record.loss)))
        .collect();
    if points.is_empty() {
        return Ok(None);
    }
    let options = ChartOptions {
        title: "training loss".into(),
        log_y: true,
        ..ChartOptions::default()
    };
    let chart = line_chart(&options, &[Series::new("loss", points)])?;
    let path = run.samples().join("loss.png");
    write_png(&path, &chart)?;
    Ok(Some(path))
}
