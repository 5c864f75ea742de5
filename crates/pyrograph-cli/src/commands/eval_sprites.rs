//! `pyrograph eval sprites`.

use std::{path::PathBuf, time::Instant};

use anyhow::{Context, bail};
use clap::Args;
use pyrograph::{
    backend::{
        BackendTask, Device,
        vision::{VisionAutodiff, VisionBackend},
    },
    data::SpriteSet,
    diffusion::{SamplerConfig, SchedulerName},
    pipelines::sprites::{SpritePipeline, SpriteRequest},
    train::{
        run_folder::RunFolder,
        sprites::{DataSource, SpriteJudge, SpriteReport, SpriteRun},
    },
};
use serde_json::json;

use crate::{
    arguments::{Common, ModelSource, SamplerOptions},
    progress,
    schedulers::{check_options, sprite_sampler, sprite_sampler_parser},
};

#[derive(Args)]
pub(crate) struct EvalSprites {
    #[command(flatten)]
    source: ModelSource,
    /// The samplers to judge, with commas.
    #[arg(
        long,
        value_parser = sprite_sampler_parser(),
        value_delimiter = ',',
        default_values_t = [SchedulerName::Ddpm, SchedulerName::Ddim],
    )]
    sampler: Vec<SchedulerName>,
    /// The steps of each, with commas [default: all timesteps for ddpm, 20 for ddim and dpm++]. On the course's schedule
    /// every T // n-th of the T timesteps is walked, from T down: more than n steps where n does not divide T.
    #[arg(long, value_delimiter = ',')]
    steps: Vec<usize>,
    #[command(flatten)]
    options: SamplerOptions,
    /// Images a sampler, with the contexts of held-out sprites in turn [default: as many as are held out].
    #[arg(short = 'n', long = "count")]
    count: Option<usize>,
    /// The real sprites; needed without --run, which knows its own.
    #[arg(long)]
    data: Option<PathBuf>,
    /// With --data: the side to which its images are resized [default: as they are].
    #[arg(long, requires = "data")]
    side: Option<usize>,
    /// The share held out, with --data.
    #[arg(
        long,
        default_value_t = 0.1,
        requires = "data",
        allow_negative_numbers = true
    )]
    held_out: f64,
    /// The seed of the split, with --data.
    #[arg(long, default_value_t = 0, requires = "data")]
    split_seed: u64,
    #[command(flatten)]
    common: Common,
}

impl EvalSprites {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        check_options(&self.sampler, &self.options)?;
        let device = self.common.device;
        device.run(self)?
    }

    /// The training and the held-out sprites.
    fn data(&self) -> anyhow::Result<(SpriteSet, SpriteSet)> {
        let (training, held_out) = match (&self.data, &self.source.run) {
            (Some(path), _) => {
                let (path, side) = (path.clone(), self.side);
                let set = DataSource::Folder { path, side }.load()?;
                set.split(self.held_out, self.split_seed)?
            }
            (None, Some(run)) => RunFolder::open(run)?.plan::<SpriteRun>()?.load_data()?,
            (None, None) => {
                bail!("give --data: without a run folder the real sprites are not known")
            }
        };
        if held_out.is_empty() {
            bail!("no sprites are held out: judge with --data and --held-out above 0");
        }
        Ok((training, held_out))
    }
}

impl EvalSprites {
    /// What each sampler is to do.
    fn plans<B: VisionBackend>(
        &self,
        pipeline: &SpritePipeline<B>,
    ) -> anyhow::Result<Vec<SamplerConfig>> {
        let plan = |(place, sampler): (usize, &SchedulerName)| {
            let steps = self.steps.get(place).copied();
            let plan = sprite_sampler(*sampler, steps, pipeline.timesteps(), &self.options)?;
            self.common.say_steps(pipeline, &plan)?;
            Ok(plan)
        };
        self.sampler.iter().enumerate().map(plan).collect()
    }
}

/// One line of the table.
struct Row {
    sampler: &'static str,
    steps: usize,
    seconds: f64,
    report: SpriteReport,
}

impl BackendTask for EvalSprites {
    type Output = anyhow::Result<()>;

    fn run<B: VisionAutodiff>(self, device: Device<B>) -> Self::Output {
        if !self.steps.is_empty() && self.steps.len() != self.sampler.len() {
            bail!(
                "{} samplers but {} step counts: give one for each",
                self.sampler.len(),
                self.steps.len()
            );
        }
        // Before the data are read: what is wrong with a request should cost no time.
        self.count.map_or(Ok(()), SpriteRequest::check_count)?;
        let pipeline: SpritePipeline<B::InnerBackend> = self.source.open(&device)?;
        let plans = self.plans(&pipeline)?;
        let (training, held_out) = self.data()?;
        let config = pipeline.config();
        if [
            training.channels(),
            training.side(),
            training.context_width(),
        ] != [config.in_channels, config.height, config.n_cfeat]
        {
            bail!("the model and the sprites differ in channels, side or classes");
        }
        self.common
            .say("training the judge of classes on the real sprites …");
        let judge = SpriteJudge::new::<B>(&training, &held_out, 0, &device)?;

        let count = self.count.unwrap_or(held_out.len());
        SpriteRequest::check_count(count)?;
        let item = |place: usize| place % held_out.len();
        let contexts: Vec<_> = (0..count)
            .map(|place| held_out.context(item(place)).to_vec())
            .collect();
        let asked: Vec<_> = (0..count)
            .map(|place| held_out.class_of(item(place)))
            .collect();
        let mut rows = Vec::new();
        for (sampler, plan) in self.sampler.iter().zip(plans) {
            let request = SpriteRequest {
                seed: self.options.seed,
                rng: self.options.rng.into(),
                guidance: self.options.guidance,
                batch_size: self.options.batch_size,
                ..SpriteRequest::new(plan, contexts.clone())
            };
            let bar = progress::bar(0, self.common.quiet);
            let begun = Instant::now();
            let samples = pipeline.sample(&request, &mut |done, total| {
                bar.set_length(total as u64);
                bar.set_position(done as u64);
            });
            bar.finish_and_clear();
            let samples = samples?;
            let seconds = begun.elapsed().as_secs_f64();
            let report = judge.judge(&samples.values, Some(&asked))?;
            rows.push(Row {
                sampler: sampler.as_str(),
                steps: samples.steps,
                seconds,
                report,
            });
        }

        let values: Vec<_> = rows
            .iter()
            .map(|row| json!({ "sampler": row.sampler, "steps": row.steps, "seconds": row.seconds, "report": row.report }))
            .collect();
        let names = training.class_names();
        let value = json!({ "classes": names, "results": values });
        self.common
            .print(&value, &table(&rows, names).context("nothing was judged")?)
    }
}

fn table(rows: &[Row], classes: &[String]) -> Option<String> {
    let real = &rows.first()?.report;
    let mut text = format!(
        "{:<14} {:>6} {:>8} {:>9} {:>9} {:>7} {:>10}\n",
        "", "steps", "seconds", "sliced W", "nearest", "copies", "class"
    );
    for row in rows {
        let report = &row.report;
        let agreement = report
            .class_agreement
            .map_or("-".into(), |share| format!("{:.1} %", share * 100.0));
        text += &format!(
            "{:<14} {:>6} {:>8.1} {:>9.4} {:>9.4} {:>5.1} % {:>10}\n",
            row.sampler,
            row.steps,
            row.seconds,
            report.sliced_wasserstein,
            report.nearest_training,
            report.near_copies * 100.0,
            agreement,
        );
    }
    text += &format!(
        "{:<14} {:>6} {:>8} {:>9.4} {:>9.4} {:>5.1} % {:>8.1} %\n\n",
        "real sprites",
        "",
        "",
        real.sliced_wasserstein_training,
        real.nearest_training_held_out,
        real.near_copies_held_out * 100.0,
        real.class_agreement_held_out * 100.0,
    );
    for row in rows {
        let shares = classes
            .iter()
            .zip(&row.report.class_agreement_by_class)
            .map(|(name, share)| match share {
                Some(share) => format!("{name} {:.0} %", share * 100.0),
                None => format!("{name} -"),
            });
        text += &format!(
            "{} by class: {}\n",
            row.sampler,
            shares.collect::<Vec<_>>().join(", ")
        );
    }
    text += "sliced W: distance to held-out sprites, lower is better; the real row is the training set's own\n";
    text += "nearest: mean RMS distance to the nearest training sprite; copies: share that equal one but for rounding\n";
    Some(
        text + "class: share in which a classifier sees the class asked for; the real row is its own accuracy",
    )
}
