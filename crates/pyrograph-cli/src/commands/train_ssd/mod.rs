//! `pyrograph train ssd`.

mod job;
mod options;

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use pyrograph::{
    backend::DeviceSpec,
    data::detection::DetectionSet,
    train::{
        DataFingerprint,
        run_folder::RunFolder,
        ssd::{DetectionRecord, SsdRun, best_weights},
    },
    vision::{ChartOptions, Series, line_chart, write_png},
};
use serde_json::json;

use self::{
    job::{Job, Start},
    options::Options,
};
use crate::{
    arguments::{Common, read_recipe},
    commands::data_preview::say_remarks,
    stop::on_interrupt,
    training::{LIMITS_ALONE, RunArguments, Watch, lay_over, outcome},
};

#[derive(Args)]
pub(crate) struct TrainSsd {
    #[command(flatten)]
    run: RunArguments,
    #[command(flatten)]
    options: Options,
    /// Further devices, of the backend of --device, that each take a share of every batch: cuda:1,cuda:2.
    #[arg(long, value_delimiter = ',')]
    more_devices: Vec<DeviceSpec>,
    #[command(flatten)]
    common: Common,
}

impl TrainSsd {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let recipe: Options = read_recipe(self.run.config.as_ref())?;
        let options = lay_over(self.options.clone(), recipe.under(&self.options))?;
        options.check()?;
        let Begun {
            run,
            plan,
            data,
            validation,
        } = if self.run.resume {
            self.reopen(&options)?
        } else {
            self.begin(&options)?
        };
        self.say_data(&data, validation.as_ref());
        let steps = plan.training.limits(data.len()).steps;
        let watch = Watch::new(steps, on_interrupt()?, self.common.quiet);
        let summary = self.common.device.run_with(
            &self.more_devices,
            Job {
                run: run.clone(),
                training: plan.training,
                data,
                validation,
                watch,
            },
        )??;
        let curves = write_curves(&run)?;

        let ended = outcome(summary.interrupted, summary.last.is_some());
        let mut text = format!(
            "{ended} {} steps in {:.0} s",
            summary.steps, summary.seconds
        );
        if let Some(last) = summary.last {
            let (loc, conf) = (last.loc_loss, last.conf_loss);
            text += &format!("; last losses: boxes {loc:.4}, classes {conf:.4}");
        }
        if let Some(best) = summary.best {
            text += &format!("; best mAP@.5 on the validation images {best:.4}");
        }
        text += &format!("\nrun folder: {}", run.path().display());
        let weights = best_weights(&run).ok();
        for (what, path) in [("weights to detect with", &weights), ("losses", &curves)] {
            if let Some(path) = path {
                text += &format!("\n{what}: {}", path.display());
            }
        }
        let value = json!({
            "run": run.path(), "steps": summary.steps, "seconds": summary.seconds,
            "last": summary.last, "best_map": summary.best, "interrupted": summary.interrupted,
            "weights": weights, "loss_curve": curves,
        });
        self.common.print(&value, &text)
    }

    /// Begins a run; nothing is made on disk before every check has passed.
    fn begin(&self, options: &Options) -> anyhow::Result<Begun> {
        let data = options.source()?;
        let set = data.load()?;
        let validation = options.validation(&data, &set)?;
        let mut plan = SsdRun {
            data,
            fingerprint: DataFingerprint::of(&set),
            validation_fingerprint: None,
            held_out: match validation {
                Some(_) => 0.0,
                None => options.held_out(),
            },
            validation,
            classes: set.class_names().to_vec(),
            training: options.training(&set)?,
        };
        let (data, validation) = self.parts(&plan, set)?;
        if plan.validation.is_some() {
            plan.validation_fingerprint = validation.as_ref().map(DataFingerprint::of);
        }
        plan.training.check(&data)?;
        for set in [Some(&data), validation.as_ref()].into_iter().flatten() {
            set.check_images()?;
        }
        // The devices and the weights to begin from, too, are tried before a folder is made.
        let training = plan.training.clone();
        let start = Start { training };
        self.common.device.run_with(&self.more_devices, start)??;
        Ok(Begun {
            run: RunFolder::create(&self.run.out, &plan)?,
            plan,
            data,
            validation,
        })
    }

    /// Goes on with a run; its config is replaced only after the changed one has passed every check.
    fn reopen(&self, options: &Options) -> anyhow::Result<Begun> {
        let run = RunFolder::open_locked(&self.run.out)?;
        let mut plan: SsdRun = run.config()?;
        let limits = options.limits_alone();
        if limits != *options {
            bail!(LIMITS_ALONE);
        }
        let changed = limits != Options::default();
        if changed {
            options.set_limits(&mut plan.training);
        }
        let (data, validation) = self.parts(&plan, plan.data.load()?)?;
        plan.training.check(&data)?;
        self.common.try_device()?;
        if changed {
            run.save_config(&plan)?;
        }
        Ok(Begun {
            run,
            plan,
            data,
            validation,
        })
    }

    /// The images to train on and those to judge by, after what was done to boxes was said: of the whole where it is split.
    fn parts(
        &self,
        plan: &SsdRun,
        set: DetectionSet,
    ) -> anyhow::Result<(DetectionSet, Option<DetectionSet>)> {
        say_remarks(&set, &self.common);
        let (data, validation) = plan.split(set)?;
        if let (Some(_), Some(set)) = (&plan.validation, &validation) {
            say_remarks(set, &self.common);
        }
        Ok((data, validation))
    }

    fn say_data(&self, data: &DetectionSet, validation: Option<&DetectionSet>) {
        let counts = data.class_names().iter().zip(data.class_counts());
        let classes: Vec<String> = counts
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        self.common.say(format!(
            "{} images to train on, {} to choose the best network by; objects: {}",
            data.len(),
            validation.map_or(0, DetectionSet::len),
            classes.join(", "),
        ));
    }
}

/// A run that can be trained: its folder, locked, and its data.
struct Begun {
    run: RunFolder,
    plan: SsdRun,
    data: DetectionSet,
    validation: Option<DetectionSet>,
}

/// The path of the curves of both losses and of the mean average precision; none where nothing was logged.
fn write_curves(run: &RunFolder) -> anyhow::Result<Option<PathBuf>> {
    let records: Vec<DetectionRecord> = run.metrics()?;
    if records.is_empty() {
        return Ok(None);
    }
    let series = |name: &str, value: fn(&DetectionRecord) -> Option<f64>| {
        let points = records
            .iter()
            .filter_map(|record| Some((record.step as f64, value(record)?)));
        Series::new(name, points.collect())
    };
    let options = ChartOptions {
        title: "SSD training".into(),
        log_y: true,
        ..ChartOptions::default()
    };
    let curves = [
        series("boxes", |record| Some(f64::from(record.loc_loss))),
        series("classes", |record| Some(f64::from(record.conf_loss))),
        series("mAP@.5", |record| record.map),
    ];
    let path = run.samples().join("loss.png");
    write_png(&path, &line_chart(&options, &curves)?)?;
    Ok(Some(path))
}
