//! `pyrograph eval ssd`.

mod pictures;
mod table;

use std::{path::PathBuf, time::Instant};

use anyhow::{Context, bail};
use clap::Args;
use pyrograph::{
    backend::{BackendTask, Device, vision::VisionAutodiff},
    base::atomic_write,
    data::detection::DetectionSet,
    pipelines::detection::{DetectionReport, precision_recall_charts},
    train::{
        run_folder::RunFolder,
        ssd::{SsdRun, score_set},
    },
    vision::{DetectOptions, write_png},
};
use serde_json::json;

use self::{
    pictures::{draw, picture_name, places},
    table::in_words,
};
use super::{
    data_preview::{SetFlags, check_images, load, say_remarks},
    detect::{DetectorSource, Suppression, exact},
};
use crate::{
    arguments::Common,
    outputs::{check_files, check_pictures},
    progress,
};

#[derive(Args)]
pub(crate) struct EvalSsd {
    #[command(flatten)]
    source: DetectorSource,
    #[command(flatten)]
    set: SetFlags,
    /// The part of the data; VOC's part `all` is every annotation file [default: test; with --run
    /// and without --data, the validation images of the run].
    #[arg(long)]
    split: Option<String>,
    /// With --data scenes: the number of scenes.
    #[arg(long, default_value_t = 200, value_name = "COUNT", requires = "data")]
    scenes: usize,
    /// With --data scenes: the seed that draws the scenes.
    #[arg(long, default_value_t = 0, requires = "data")]
    seed: u64,
    /// Ignore detections with a lower score, 0 to 1. Average precision needs nearly all detections.
    #[arg(long, default_value_t = 0.01, allow_negative_numbers = true)]
    score: f32,
    #[command(flatten)]
    suppression: Suppression,
    /// A folder for report.json, pr_curves.png and pictures.
    #[arg(long)]
    out: Option<PathBuf>,
    /// With --out: the number of images to draw, spread over the set, with annotated boxes in white
    /// and detections in colours.
    #[arg(long, default_value_t = 8, requires = "out")]
    pictures: usize,
    #[command(flatten)]
    common: Common,
}

/// The part of the data without --split.
const TEST: &str = "test";
/// The figures.
const REPORT: &str = "report.json";

impl EvalSsd {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        self.suppression.options(self.score)?;
        self.source.path()?;
        if let Some(folder) = &self.out {
            let inputs = [self.source.files(), self.set.files()].concat();
            // A file that could stand in it stands for all that will.
            check_files(&[("--out", &folder.join(REPORT))], &inputs)?;
        }
        let device = self.common.device;
        device.run(self)?
    }

    /// Refuses pictures that would overwrite images of the set.
    fn check_outputs(&self, set: &DetectionSet) -> anyhow::Result<()> {
        let Some(folder) = &self.out else {
            return Ok(());
        };
        let drawn = places(set.len(), self.pictures).map(picture_name);
        let charts = (0..set.class_names().len()).map(chart_name);
        let outputs: Vec<_> = drawn.chain(charts).map(|name| folder.join(name)).collect();
        check_pictures(&outputs, &set.files())
    }

    /// The images, whose classes are `classes`.
    fn data(&self, classes: &[String]) -> anyhow::Result<DetectionSet> {
        let part = self.split.as_deref().unwrap_or(TEST);
        let set = match (&self.set.data, &self.source.run) {
            (Some(_), _) => {
                let scenes = (self.scenes, self.seed);
                let source = self.set.source(part, scenes, Some(classes.to_vec()))?;
                load(&source, &self.common)?
            }
            (None, Some(run)) => {
                let run: SsdRun = RunFolder::open(run)?.plan()?;
                match &self.split {
                    Some(part) => {
                        let source = run.data.part(part)?.with_classes(classes);
                        load(&source, &self.common)?
                    }
                    None => {
                        let (_, held_out) = run.load_data()?;
                        let held_out = held_out.filter(|set| !set.is_empty()).context(
                            "the run held no images out: give --data, or --split with a part of its data",
                        )?;
                        say_remarks(&held_out, &self.common);
                        let source = run.validation.as_ref().unwrap_or(&run.data);
                        check_images(&held_out, source.faults(), &self.common)?;
                        held_out
                    }
                }
            }
            (None, None) => bail!("give --data: without a run folder the images are not known"),
        };
        if set.class_names() != classes {
            bail!(
                "the data have the classes {}, the detector has {}: give data of the detector's classes",
                set.class_names().join(", "),
                classes.join(", ")
            );
        }
        Ok(set)
    }
}

/// What the chart at `place` is called; there is one for every few classes.
fn chart_name(place: usize) -> String {
    match place {
        0 => "pr_curves.png".into(),
        more => format!("pr_curves-{}.png", more + 1),
    }
}

impl BackendTask for EvalSsd {
    type Output = anyhow::Result<()>;

    fn run<B: VisionAutodiff>(self, device: Device<B>) -> Self::Output {
        // 1. The detector and the images.
        let options: DetectOptions = self.suppression.options(self.score)?;
        let pipeline = self.source.open::<B::InnerBackend>(&self.common, &device)?;
        let detector = pipeline.detector();
        let set = self.data(detector.classes())?;
        self.check_outputs(&set)?;

        // 2. What is found in each.
        let begun = Instant::now();
        let bar = progress::bar(set.len() as u64, self.common.quiet);
        let scorer = score_set(
            detector,
            &set,
            &options,
            self.suppression.batch,
            &mut |done| {
                bar.set_position(done as u64);
            },
        );
        bar.finish_and_clear();
        let scorer = scorer?;
        let seconds = begun.elapsed().as_secs_f64();

        // 3. What it is worth.
        let (report, voc) = DetectionReport::new(&scorer, detector.classes())?;
        let mut value = json!({
            "model": self.source.path()?.display().to_string(), "options": exact(&options)?,
            "images": set.len(), "objects": set.objects(), "report": exact(&report)?,
            "seconds": seconds,
        });

        // 4. Files.
        let mut text = in_words(&report, seconds);
        if let Some(folder) = &self.out {
            atomic_write(folder.join(REPORT), &serde_json::to_vec_pretty(&value)?)?;
            let charts = precision_recall_charts(detector.classes(), &voc)?;
            for (place, chart) in charts.iter().enumerate() {
                write_png(folder.join(chart_name(place)), chart)?;
            }
            draw(&pipeline, &set, &options, self.pictures, folder)?;
            text += &format!("\nwrote {}", folder.display());
            let drawn = places(set.len(), self.pictures);
            let drawn = drawn.map(
                |place| json!({"image": set.samples()[place].name, "picture": picture_name(place)}),
            );
            value["pictures"] = drawn.collect();
            value["written"] = folder.display().to_string().into();
        }
        self.common.print(&value, &text)
    }
}
