//! `pyrograph eval compare`.

mod measure;
mod picture;
mod sets;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use pyrograph::{
    backend::{BackendTask, Device, vision::VisionAutodiff},
    base::atomic_write,
    data::detection::DetectionSet,
    models::ssd::SsdConfig,
    pipelines::detection::DetectionPipeline,
    train::{
        compare::{ComparedRun, Comparison, ComparisonRow, GroupFigures, RunFigures, RunGroup},
        run_folder::RunFolder,
        ssd::{DetectionRecord, SsdRun, best_weights},
    },
    vision::{DetectOptions, write_png},
};
use serde_json::{Value, json};

use self::{measure::Measure, picture::chart, table::in_words};
use super::{
    data_preview::{SetFlags, load},
    detect::Suppression,
};
use crate::{
    arguments::Common,
    outputs::{as_text, check_files, files_of_run},
};

/// The figures.
const REPORT: &str = "compare.json";
/// Accuracy against latency.
const PICTURE: &str = "compare.png";

#[derive(Args)]
pub(crate) struct EvalCompare {
    /// Run folders of `train ssd` and `train distill`. Runs that differ only in their seed are one
    /// group. Its name is taken from the folders, or is NAME if a run is given as NAME=PATH.
    #[arg(long, required = true, num_args = 1.., value_name = "PATH")]
    runs: Vec<String>,
    #[command(flatten)]
    set: SetFlags,
    /// The part of the data.
    #[arg(long, default_value = "test")]
    split: String,
    /// With built-in scenes: the number of scenes.
    #[arg(long, default_value_t = 200, value_name = "COUNT")]
    scenes: usize,
    /// With built-in scenes: the seed that draws them; no run is trained on these scenes.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Require that every group has the same seeds as its baseline.
    #[arg(long)]
    seeds: bool,
    /// The baseline group of the gains, for all groups of its network [default: the first group of
    /// the same network and data that was trained without a teacher].
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
    /// Number of passes of one image; the latency of a group is their median.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    repeat: u32,
    /// Ignore detections with a lower score, 0 to 1. Average precision needs nearly all detections.
    #[arg(long, default_value_t = 0.01, allow_negative_numbers = true)]
    score: f32,
    #[command(flatten)]
    suppression: Suppression,
    /// A folder for compare.json and compare.png, accuracy against latency.
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// The command with its runs.
struct Job {
    options: DetectOptions,
    runs: Vec<ComparedRun>,
    /// The config and the weights of each run.
    plans: Vec<(SsdRun, PathBuf)>,
    comparison: Comparison,
    set: DetectionSet,
    command: EvalCompare,
}

impl EvalCompare {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        // Everything that can be refused is refused before anything is measured.
        let options = self.suppression.options(self.score)?;
        let runs = self
            .runs
            .iter()
            .map(|text| open(text))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let comparison = Comparison::new(&runs, self.baseline.as_deref())?;
        if self.seeds {
            comparison.check_seeds()?;
        }
        let plans = runs
            .iter()
            .map(|run| plan(&run.path))
            .collect::<anyhow::Result<Vec<_>>>()?;
        for (run, (config, _)) in runs.iter().zip(&plans) {
            if let Some(remark) = unfinished(&run.path, config)? {
                self.common.say(remark);
            }
        }
        if let Some(folder) = &self.out {
            let of_runs = runs.iter().flat_map(|run| files_of_run(&run.path));
            let inputs: Vec<_> = of_runs.chain(self.set.files()).collect();
            let outputs = [REPORT, PICTURE].map(|name| folder.join(name));
            let outputs: Vec<_> = outputs
                .iter()
                .map(|path| ("--out", path.as_path()))
                .collect();
            check_files(&outputs, &inputs)?;
        }
        let set = load(&self.source(&runs, &plans)?, &self.common)?;
        let classes = &plans[0].0.classes;
        if set.class_names() != classes {
            bail!(
                "the data have the classes {}, the runs have {}: give data of the runs' classes",
                set.class_names().join(", "),
                classes.join(", ")
            );
        }
        let device = self.common.device;
        device.run(Job {
            options,
            runs,
            plans,
            comparison,
            set,
            command: self,
        })?
    }
}

/// A run from `PATH` or `NAME=PATH`; a path that is there is a path, whatever is in its name.
fn open(text: &str) -> anyhow::Result<ComparedRun> {
    let (name, path) = match text.split_once('=') {
        Some((name, path)) if !Path::new(text).exists() => {
            if name.is_empty() || path.is_empty() {
                bail!("--runs {text}: a run is given as PATH or NAME=PATH");
            }
            (Some(name.to_owned()), path)
        }
        _ => (None, text),
    };
    ComparedRun::open(path, name).context("--runs")
}

/// The config of a run, and its weights.
fn plan(path: &Path) -> anyhow::Result<(SsdRun, PathBuf)> {
    let folder = RunFolder::open(path)?;
    let plan = folder.plan()?;
    let weights = best_weights(&folder).with_context(|| format!("--runs {}", path.display()))?;
    Ok((plan, weights))
}

/// What is to be said of a run that was stopped before its steps were taken; nothing where
/// another limit may have ended it.
fn unfinished(path: &Path, config: &SsdRun) -> anyhow::Result<Option<String>> {
    let training = &config.training;
    let (Some(steps), None, None) = (training.steps, training.epochs, training.max_minutes) else {
        return Ok(None);
    };
    let records: Vec<DetectionRecord> = RunFolder::open(path)?.metrics()?;
    let taken = records.last().map_or(0, |record| record.step);
    let remark = || {
        format!(
            "{}: this run is not finished, it has {taken} of {steps} steps",
            path.display()
        )
    };
    Ok((taken < steps).then(remark))
}

impl BackendTask for Job {
    type Output = anyhow::Result<()>;

    fn run<B: VisionAutodiff>(self, device: Device<B>) -> Self::Output {
        // 1. The accuracy of every run.
        let groups = self.comparison.groups();
        let repeat = self.command.repeat;
        let measure = Measure::new(
            &self.set,
            self.options,
            self.command.suppression.batch,
            self.runs.len(),
            (groups.len(), repeat),
            self.command.common.quiet,
        );
        let open = |place: usize| {
            let (_, weights) = &self.plans[place];
            DetectionPipeline::<B::InnerBackend>::open(weights, &device)
        };
        let mut accuracy: Vec<RunFigures> = Vec::with_capacity(self.runs.len());
        for place in 0..self.runs.len() {
            accuracy.push(measure.accuracy(open(place)?.detector())?);
        }

        // 2. The cost of every group, whose runs have one network.
        let pipelines = groups
            .iter()
            .map(|group| Ok(open(group.runs[0])?))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let detectors: Vec<_> = pipelines
            .iter()
            .map(|pipeline| pipeline.detector())
            .collect();
        let latencies = measure.latencies(&detectors, repeat)?;
        let costs = detectors
            .iter()
            .zip(latencies)
            .map(|(detector, latency_ms)| cost(detector.config(), latency_ms))
            .collect::<anyhow::Result<Vec<_>>>()?;
        measure.finish();

        // 3. The table.
        let rows = self.comparison.rows(&self.runs, &accuracy, &costs)?;
        self.print(&rows, &accuracy)
    }
}

fn cost(config: &SsdConfig, latency_ms: f64) -> anyhow::Result<GroupFigures> {
    let cost = config.cost()?;
    Ok(GroupFigures {
        params: cost.parameters,
        flops: cost.flops,
        latency_ms,
    })
}

impl Job {
    fn print(&self, rows: &[ComparisonRow], accuracy: &[RunFigures]) -> anyhow::Result<()> {
        let mut value = json!({
            "rows": rows, "runs": self.runs_as_json(accuracy), "images": self.set.len(),
            "objects": self.set.objects(), "repeat": self.command.repeat,
        });
        let mut text = in_words(rows);
        text += &format!("on {} images", self.set.len());
        if let Some(folder) = &self.command.out {
            atomic_write(folder.join(REPORT), &serde_json::to_vec_pretty(&value)?)?;
            write_png(
                folder.join(PICTURE),
                &chart(rows, &self.networks(), self.set.len())?,
            )?;
            value["written"] = folder.display().to_string().into();
            text += &format!("\nwrote {}", folder.display());
        }
        self.command.common.print(&value, &text)
    }

    /// Every run with its group and its own figures.
    fn runs_as_json(&self, accuracy: &[RunFigures]) -> Vec<Value> {
        let of_group = |group: &RunGroup| {
            let name = group.name.clone();
            let run = move |&place: &usize| {
                let (run, figures) = (&self.runs[place], &accuracy[place]);
                json!({
                    "run": as_text(&run.path), "group": name, "seed": run.seed,
                    "ap50": figures.ap50, "ap": figures.ap,
                })
            };
            group.runs.iter().map(run).collect::<Vec<_>>()
        };
        self.comparison.groups().iter().flat_map(of_group).collect()
    }

    /// The name of each group's network.
    fn networks(&self) -> Vec<String> {
        let network = |place: usize| {
            let model = &self.plans[place].0.training.model;
            format!("{} × {}", model.backbone, model.width)
        };
        let groups = self.comparison.groups().iter();
        groups.map(|group| network(group.runs[0])).collect()
    }
}
