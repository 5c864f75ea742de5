//! `pyrograph train dcgan`.

mod job;
mod options;

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use pyrograph::{
    data::LabelledImages,
    figures::{ChartOptions, Series, line_chart},
    train::{
        DataFingerprint,
        dcgan::{AdversarialRecord, DcganRun},
        run_folder::RunFolder,
    },
    vision::write_png,
};
use serde_json::json;

use self::{job::Job, options::Options};
use crate::{
    arguments::{Common, read_recipe},
    outputs::as_text,
    reading::{counted, read_training},
    stop::stop_of_training,
    training::{
        ENDS, RunArguments, Watch, exit_code, given, goes_on, outcome, refuse_other_options,
    },
};

#[derive(Args)]
#[command(after_help = ENDS)]
pub(crate) struct TrainDcgan {
    #[command(flatten)]
    run: RunArguments,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    common: Common,
}

impl TrainDcgan {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let recipe = read_recipe(self.run.config.as_ref())?;
        let options = self.options.clone().over(recipe)?;
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
        self.common.say(format!(
            "{} of {}×{} to train on, {held_out} held out; normal: {}",
            counted(training.len(), "image"),
            training.height(),
            training.width(),
            plan.normal_names(&training).join(", "),
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
        let curve = write_curves(&run)?;

        let ended = outcome(summary.interrupted, summary.last.is_some());
        let mut text = format!(
            "{ended} {} in {:.0} s",
            counted(summary.steps as usize, "step"),
            summary.seconds
        );
        if let Some(last) = summary.last {
            text += &format!(
                "; last losses: discriminator {:.4}, generator {:.4}",
                last.discriminator_loss, last.generator_loss
            );
        }
        text += &format!("\nrun folder: {}", run.path().display());
        for (what, path) in [("last picture", &summary.picture), ("losses", &curve)] {
            if let Some(path) = path {
                text += &format!("\n{what}: {}", path.display());
            }
        }
        let value = json!({
            "run": as_text(run.path()), "steps": summary.steps, "seconds": summary.seconds,
            "last": summary.last, "interrupted": summary.interrupted,
            "picture": summary.picture.as_deref().map(as_text),
            "loss_curve": curve.as_deref().map(as_text),
        });
        self.common.print(&value, &text)?;
        Ok(exit_code(summary.interrupted))
    }

    /// The run that is asked for, and its whole data.
    fn plan(&self, options: &Options) -> anyhow::Result<(DcganRun, LabelledImages)> {
        let mut data = options.source()?;
        let mut set = read_training(&mut data, options.side(), &self.common)?;
        // The class that a folder calls normal comes first in it, so that a limit has taken none of another.
        if data.classes.is_empty()
            && let Some(class) = set.normal_class()
        {
            data.classes = vec![set.class_names()[class].clone()];
            set = set.only(&data.classes)?;
        }
        let plan = DcganRun {
            data,
            fingerprint: DataFingerprint::of(&set),
            held_out: options.held_out.unwrap_or(0.1),
            training: options.training(&set)?,
        };
        Ok((plan, set))
    }

    /// Begins a run; nothing is made on disk before every check has passed.
    fn begin(&self, options: &Options) -> anyhow::Result<Begun> {
        let (plan, set) = self.plan(options)?;
        let (training, held_out) = plan.split(&set)?;
        plan.training.check(&training)?;
        // The device, too, is tried before a folder is made.
        self.common.try_device()?;
        Ok(Begun {
            run: RunFolder::create(&self.run.out, &plan)?,
            plan,
            held_out: held_out.map_or(0, |set| set.len()),
            training,
        })
    }

    /// Goes on with a run; its config is replaced only after the changed one has passed every check.
    fn reopen(&self, options: &Options) -> anyhow::Result<Begun> {
        let run = RunFolder::open_locked(&self.run.out)?;
        let mut plan: DcganRun = run.plan()?;
        let limits = options.limits_alone();
        let own = given(&Options::of_run(&plan))?;
        let asked = given(&options.clone().with_absolute_data()?)?;
        refuse_other_options(&asked, &own, || {
            let (mut asked, _) = self.plan(options)?;
            (
                asked.training.epochs,
                asked.training.steps,
                asked.training.max_minutes,
            ) = (
                plan.training.epochs,
                plan.training.steps,
                plan.training.max_minutes,
            );
            Ok(asked == plan)
        })?;
        let changed = limits != Options::default();
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
            held_out: held_out.map_or(0, |set| set.len()),
            training,
        })
    }
}

/// A run that can be trained: its folder, locked, and its data.
struct Begun {
    run: RunFolder,
    plan: DcganRun,
    training: LabelledImages,
    held_out: usize,
}

/// The path of the curves of both losses; none where nothing was logged.
fn write_curves(run: &RunFolder) -> anyhow::Result<Option<PathBuf>> {
    let records: Vec<AdversarialRecord> = run.metrics()?;
    if records.is_empty() {
        return Ok(None);
    }
    let series = |name: &str, value: fn(&AdversarialRecord) -> f32| {
        let points = records
            .iter()
            .map(|record| (record.step as f64, f64::from(value(record))));
        Series::new(name, points.collect())
    };
    let options = ChartOptions {
        title: "adversarial training".into(),
        ..ChartOptions::default()
    };
    let chart = line_chart(
        &options,
        &[
            series("discriminator", |record| record.discriminator_loss),
            series("generator", |record| record.generator_loss),
        ],
    )?;
    let path = run.samples().join("loss.png");
    write_png(&path, &chart)?;
    Ok(Some(path))
}
