//! `pyrograph eval sprites`.

mod table;
mod walk;

use std::{path::PathBuf, time::Instant};

use anyhow::{Context, bail};
use clap::Args;
use pyrograph::{
    backend::{
        BackendTask, Device,
        vision::{VisionAutodiff, VisionBackend},
    },
    base::atomic_write,
    data::{Faults, SpriteSet},
    diffusion::{SamplerConfig, SchedulerName},
    metrics::ValueMoments,
    pipelines::sprites::{SpritePipeline, SpriteRequest},
    train::{
        run_folder::RunFolder,
        sprites::{DataSource, SpriteJudge, SpriteReport, SpriteRun},
    },
};
use serde_json::{Value, json};

use self::{table::table, walk::WalkRow};
use crate::{
    arguments::{Common, ModelSource, SamplerOptions},
    outputs::check_outputs,
    progress,
    reading::{FaultFlags, LabelsName, read_sprites, sprite_options},
    schedulers::{check_options, sprite_sampler, sprite_sampler_parser},
};

#[derive(Args)]
pub(crate) struct EvalSprites {
    #[command(flatten)]
    source: ModelSource,
    /// The samplers to evaluate, separated by commas.
    #[arg(
        long,
        value_parser = sprite_sampler_parser(),
        value_delimiter = ',',
        default_values_t = [SchedulerName::Ddpm, SchedulerName::Ddim],
    )]
    sampler: Vec<SchedulerName>,
    /// The number of steps of each sampler, separated by commas [default: all timesteps for ddpm,
    /// 20 for ddim and dpm++]. On the course's schedule a sampler visits every T // n-th of the T
    /// timesteps, from T down, which is more than n steps if n does not divide T.
    #[arg(long, value_delimiter = ',')]
    steps: Vec<usize>,
    #[command(flatten)]
    options: SamplerOptions,
    /// Images for each sampler, with the contexts of held-out sprites in turn [default: the number
    /// of held-out sprites].
    #[arg(short = 'n', long = "count")]
    count: Option<usize>,
    /// A CSV file for the mean, deviation and kurtosis of the samples along each walk, beside those
    /// of the forward process at the same √ᾱ and √(1−ᾱ).
    #[arg(long, value_name = "FILE")]
    walk: Option<PathBuf>,
    /// The real sprites: a folder with the course's .npy pair, with images, or with a folder of
    /// images for each class (docs/labelled-data.md). Required without --run, whose config names
    /// the data.
    #[arg(long)]
    data: Option<PathBuf>,
    /// With --data: the side to which the images are resized [default: not resized].
    #[arg(long, requires = "data")]
    side: Option<usize>,
    /// With --data: the meaning of the .npy array of labels [default: contexts].
    #[arg(long, value_enum, requires = "data")]
    labels: Option<LabelsName>,
    #[command(flatten)]
    faults: FaultFlags,
    /// With --data: the fraction that is held out.
    #[arg(
        long,
        default_value_t = 0.1,
        requires = "data",
        allow_negative_numbers = true
    )]
    held_out: f64,
    /// With --data: the seed of the split.
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
                let options = sprite_options(self.labels, self.faults.faults());
                let source = DataSource::Folder {
                    path,
                    side,
                    options,
                };
                read_sprites(&source, &self.common)?.split(self.held_out, self.split_seed)?
            }
            (None, _) if self.faults.faults() != Faults::List => {
                bail!(
                    "--strict and --skip-broken belong to --data: a run reads its data as it was begun"
                )
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
        let plans: anyhow::Result<Vec<_>> = self.sampler.iter().enumerate().map(plan).collect();
        let plans = plans?;
        // Said once, by the first that is clipped.
        let clipped = |plan: &&SamplerConfig| pipeline.rules().clip_by_default(plan).is_some();
        if let Some(plan) = plans.iter().find(clipped) {
            self.options.say_clipping(&self.common, pipeline, plan);
        }
        Ok(plans)
    }
}

/// One line of the table.
struct Row {
    sampler: &'static str,
    steps: usize,
    seconds: f64,
    report: SpriteReport,
    /// The images that leave the range of pixels by far.
    beyond_range: Value,
    /// Moments of the samples along the walk, where they are asked for.
    walk: Vec<WalkRow>,
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
        if let Some(path) = &self.walk {
            check_outputs(&[("--walk", path)], &self.source.files())?;
        }
        // Before the data are read: what is wrong with a request should cost no time.
        self.count.map_or(Ok(()), SpriteRequest::check_count)?;
        let pipeline: SpritePipeline<B::InnerBackend> = self.source.open(&self.common, &device)?;
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
        let of_data = ValueMoments::of(&training.to_nchw()).context("there are no sprites")?;
        let frames = self.walk.as_ref().map_or(0, |_| walk::MOMENTS);
        let mut rows = Vec::new();
        for (sampler, plan) in self.sampler.iter().zip(plans) {
            let request = SpriteRequest {
                seed: self.options.seed,
                clipping: self.options.clipping(),
                frames,
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
            let beyond_range =
                self.options
                    .say_range(&self.common, &samples, Some(sampler.as_str()));
            let report = judge.judge(&samples.values, Some(&asked))?;
            rows.push(Row {
                sampler: sampler.as_str(),
                steps: samples.steps,
                seconds,
                report,
                beyond_range,
                walk: walk::rows(sampler.as_str(), &samples, of_data),
            });
        }

        let values: Vec<_> = rows
            .iter()
            .map(|row| {
                let walk: Vec<_> = row.walk.iter().map(WalkRow::value).collect();
                json!({
                    "sampler": row.sampler, "steps": row.steps, "seconds": row.seconds, "report": row.report,
                    "beyond_range": row.beyond_range, "walk": walk,
                })
            })
            .collect();
        if let Some(path) = &self.walk {
            let walks = rows.iter().flat_map(|row| &row.walk);
            atomic_write(path, walk::csv(walks).as_bytes())?;
        }
        let names = training.class_names();
        let value = json!({ "classes": names, "results": values });
        self.common
            .print(&value, &table(&rows, names).context("nothing was judged")?)
    }
}
