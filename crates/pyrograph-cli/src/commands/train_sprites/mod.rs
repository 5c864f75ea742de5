//! `pyrograph train sprites`.

mod job;
mod options;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

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
use serde_json::{Map, json};

pub(crate) use self::options::ScheduleName;
use self::{job::Job, options::Options};
use crate::{
    arguments::{Common, read_recipe},
    outputs::as_text,
    reading::{counted, read_sprites},
    training::{
        Begun, ENDS, LimitsMut, Report, RunArguments, RunLimits, Summary, TrainCommand, Trained,
        Watch, given, goes_on, refuse_other_options, run_training,
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
    pub(crate) fn run(mut self) -> anyhow::Result<ExitCode> {
        let recipe = read_recipe(self.run.config.as_ref())?;
        self.options = self.options.over(recipe);
        let goes_on = goes_on(self.run.resume, &self.run.out, &self.common);
        run_training(&self, goes_on)?.print(&self)
    }
}

impl TrainCommand for TrainSprites {
    type Plan = SpriteRun;
    /// To train on, and held out.
    type Data = (SpriteSet, SpriteSet);
    type Last = f32;
    const CURVES: fn(&RunFolder) -> anyhow::Result<Option<PathBuf>> = write_loss_curve;

    fn common(&self) -> &Common {
        &self.common
    }

    fn out(&self) -> &Path {
        &self.run.out
    }

    fn limits(&self) -> RunLimits {
        self.options.limits()
    }

    fn limits_of(plan: &mut SpriteRun) -> LimitsMut<'_> {
        let t = &mut plan.training;
        (&mut t.epochs, &mut t.steps, &mut t.max_minutes)
    }

    fn prepare(&self) -> anyhow::Result<(SpriteRun, Self::Data)> {
        let options = &self.options;
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
        let parts = plan.split(&set)?;
        plan.training.check(&parts.0)?;
        // The device, too, is tried before a folder is made.
        self.common.try_device()?;
        Ok((plan, parts))
    }

    fn check_same(&self, plan: &SpriteRun) -> anyhow::Result<()> {
        let asked = given(&self.options.clone().with_absolute_data()?)?;
        let own = given(&Options::of_run(plan))?;
        // Every option shows in the run.
        refuse_other_options(&asked, &own, || Ok(false))
    }

    fn reload(&self, plan: &SpriteRun) -> anyhow::Result<Self::Data> {
        let parts = plan.load_data()?;
        plan.training.check(&parts.0)?;
        Ok(parts)
    }

    fn say_data(&self, plan: &SpriteRun, (training, held_out): &Self::Data) -> Option<u64> {
        self.common.say(format!(
            "{} to train on, {} held out, {}: {}",
            counted(training.len(), "sprite"),
            held_out.len(),
            counted_classes(training.context_width()),
            first_names(training.class_names())
        ));
        plan.training.limits(training.len()).steps
    }

    fn train(
        &self,
        begun: Begun<SpriteRun, Self::Data>,
        watch: Watch,
    ) -> anyhow::Result<Summary<f32>> {
        self.common.device.run(Job {
            run: begun.run,
            training: begun.plan.training,
            data: begun.data.0,
            watch,
        })?
    }

    fn report(&self, trained: &Trained<f32>) -> Report {
        let (last, picture) = (trained.summary.last, &trained.summary.picture);
        let loss = last.map_or("as before".into(), |loss| format!("{loss:.5}"));
        Report {
            figures: format!(", last loss {loss}"),
            files: vec![
                ("last picture", picture.clone()),
                ("loss curve", trained.curves.clone()),
            ],
            fields: Map::from_iter([
                ("last_loss".into(), json!(last)),
                ("picture".into(), json!(picture.as_deref().map(as_text))),
            ]),
        }
    }
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
