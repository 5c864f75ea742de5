//! `pyrograph train dcgan`.

mod job;
mod options;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

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
use serde_json::{Map, json};

use self::{job::Job, options::Options};
use crate::{
    arguments::{Common, read_recipe},
    outputs::as_text,
    reading::{counted, read_training},
    training::{
        Begun, ENDS, LimitsMut, Report, RunArguments, RunLimits, Summary, TrainCommand, Trained,
        Watch, given, goes_on, refuse_other_options, run_training, same_but_limits,
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
    pub(crate) fn run(mut self) -> anyhow::Result<ExitCode> {
        let recipe = read_recipe(self.run.config.as_ref())?;
        self.options = self.options.over(recipe)?;
        let goes_on = goes_on(self.run.resume, &self.run.out, &self.common);
        run_training(&self, goes_on)?.print(&self)
    }

    /// The run that is asked for, and its whole data.
    fn plan(&self) -> anyhow::Result<(DcganRun, LabelledImages)> {
        let options = &self.options;
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
}

impl TrainCommand for TrainDcgan {
    type Plan = DcganRun;
    /// To train on, and held out.
    type Data = (LabelledImages, Option<LabelledImages>);
    type Last = AdversarialRecord;
    const CURVES: fn(&RunFolder) -> anyhow::Result<Option<PathBuf>> = write_curves;

    fn common(&self) -> &Common {
        &self.common
    }

    fn out(&self) -> &Path {
        &self.run.out
    }

    fn limits(&self) -> RunLimits {
        self.options.limits()
    }

    fn limits_of(plan: &mut DcganRun) -> LimitsMut<'_> {
        let t = &mut plan.training;
        (&mut t.epochs, &mut t.steps, &mut t.max_minutes)
    }

    fn prepare(&self) -> anyhow::Result<(DcganRun, Self::Data)> {
        let (plan, set) = self.plan()?;
        let parts = plan.split(&set)?;
        plan.training.check(&parts.0)?;
        // The device, too, is tried before a folder is made.
        self.common.try_device()?;
        Ok((plan, parts))
    }

    fn check_same(&self, plan: &DcganRun) -> anyhow::Result<()> {
        let own = given(&Options::of_run(plan))?;
        let asked = given(&self.options.clone().with_absolute_data()?)?;
        refuse_other_options(&asked, &own, || {
            Ok(same_but_limits::<Self>(self.plan()?.0, plan))
        })
    }

    fn reload(&self, plan: &DcganRun) -> anyhow::Result<Self::Data> {
        let parts = plan.load_data()?;
        plan.training.check(&parts.0)?;
        Ok(parts)
    }

    fn say_data(&self, plan: &DcganRun, (training, held_out): &Self::Data) -> Option<u64> {
        self.common.say(format!(
            "{} of {}×{} to train on, {} held out; normal: {}",
            counted(training.len(), "image"),
            training.height(),
            training.width(),
            held_out.as_ref().map_or(0, LabelledImages::len),
            plan.normal_names(training).join(", "),
        ));
        plan.training.limits(training.len()).steps
    }

    fn train(
        &self,
        begun: Begun<DcganRun, Self::Data>,
        watch: Watch,
    ) -> anyhow::Result<Summary<AdversarialRecord>> {
        self.common.device.run(Job {
            run: begun.run,
            training: begun.plan.training,
            data: begun.data.0,
            watch,
        })?
    }

    fn report(&self, trained: &Trained<AdversarialRecord>) -> Report {
        let (last, picture) = (trained.summary.last, &trained.summary.picture);
        let figures = last.map(|last| {
            format!(
                "; last losses: discriminator {:.4}, generator {:.4}",
                last.discriminator_loss, last.generator_loss
            )
        });
        Report {
            figures: figures.unwrap_or_default(),
            files: vec![
                ("last picture", picture.clone()),
                ("losses", trained.curves.clone()),
            ],
            fields: Map::from_iter([
                ("last".into(), json!(last)),
                ("picture".into(), json!(picture.as_deref().map(as_text))),
            ]),
        }
    }
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
