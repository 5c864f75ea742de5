//! `pyrograph detect`.

mod inputs;
mod source;

use std::{path::PathBuf, time::Instant};

use anyhow::bail;
use clap::Args;
use pyrograph::{
    backend::{BackendTask, Device, vision::VisionAutodiff},
    base::atomic_write,
    pipelines::detection::{FileResult, FoundImage, check_batch, draw_found},
    vision::{DetectOptions, write_png},
};
use serde::Serialize;
use serde_json::Value;

use self::inputs::{images_at, picture_names};
pub(super) use self::source::DetectorSource;
use crate::{
    arguments::{Common, STARTED},
    outputs::{check_files, check_pictures},
    progress,
    reading::counted,
};

/// The file that says what was found.
const REPORT: &str = "detections.json";

#[derive(Args)]
pub(crate) struct Detect {
    /// Images, and folders of images; images of subfolders are not included.
    #[arg(required = true)]
    images: Vec<PathBuf>,
    #[command(flatten)]
    source: DetectorSource,
    /// A folder for detections.json and, for each image, a picture with its boxes.
    #[arg(long, default_value = "detections")]
    out: PathBuf,
    /// Drop detections with a lower score, 0 to 1. At 0.5 few detections are wrong; 0.01 keeps all
    /// that an evaluation counts.
    #[arg(long, default_value_t = 0.5, allow_negative_numbers = true)]
    score: f32,
    #[command(flatten)]
    suppression: Suppression,
    /// Write only detections.json, no pictures.
    #[arg(long)]
    no_pictures: bool,
    #[command(flatten)]
    common: Common,
}

/// Options of non-maximum suppression, and the batch size.
#[derive(Args)]
pub(super) struct Suppression {
    /// IoU threshold of non-maximum suppression: of boxes of one class that overlap by more, only
    /// the best is kept.
    #[arg(long, default_value_t = 0.45, allow_negative_numbers = true)]
    nms: f32,
    /// Largest number of objects in an image.
    #[arg(long, default_value_t = 200)]
    top_k: usize,
    /// Images in a forward pass, which are in memory at once.
    #[arg(long, default_value_t = 4)]
    pub(super) batch: usize,
}

impl Suppression {
    /// What counts as found, from a score of `score` on.
    pub(super) fn options(&self, score: f32) -> anyhow::Result<DetectOptions> {
        check_batch(self.batch)?;
        let options = DetectOptions {
            score_threshold: score,
            iou_threshold: self.nms,
            keep: self.top_k,
            ..DetectOptions::default()
        };
        options.check()?;
        Ok(options)
    }
}

/// What is said of an image.
#[derive(Serialize)]
#[serde(untagged)]
enum Entry {
    Found {
        #[serde(flatten)]
        found: FoundImage,
        /// The file of its picture in the folder.
        #[serde(skip_serializing_if = "Option::is_none")]
        picture: Option<String>,
    },
    Failed {
        image: String,
        error: String,
    },
}

/// What is said of all of them: `detections.json`.
#[derive(Serialize)]
struct Report {
    model: String,
    classes: Vec<String>,
    options: DetectOptions,
    images: Vec<Entry>,
}

/// The command with the images that it comes to.
struct Job {
    command: Detect,
    options: DetectOptions,
    paths: Vec<PathBuf>,
    /// Where the picture of each goes.
    pictures: Vec<PathBuf>,
}

impl Detect {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let options = self.suppression.options(self.score)?;
        self.source.path()?;
        let paths = images_at(&self.images)?;
        let report = self.out.join(REPORT);
        let inputs = [paths.clone(), self.source.files()].concat();
        check_files(&[("--out", &report)], &inputs)?;
        let names = picture_names(&paths);
        let pictures: Vec<_> = names.iter().map(|name| self.out.join(name)).collect();
        if !self.no_pictures {
            check_pictures(&pictures, &inputs)?;
            // Pictures of an earlier detection are replaced, others are not ours.
            let foreign = pictures
                .iter()
                .find(|path| path.exists() && !report.exists());
            if let Some(path) = foreign {
                bail!(
                    "{} is there, and {} holds no {REPORT} of an earlier detection: give another folder with --out",
                    path.display(),
                    self.out.display()
                );
            }
        }
        let device = self.common.device;
        device.run(Job {
            command: self,
            options,
            paths,
            pictures,
        })?
    }
}

impl BackendTask for Job {
    type Output = anyhow::Result<()>;

    fn run<B: VisionAutodiff>(self, device: Device<B>) -> Self::Output {
        // 1. The detector.
        let Detect { source, common, .. } = &self.command;
        let pipeline = source.open::<B::InnerBackend>(common, &device)?;

        // 2. The images, some at a time.
        let begun = Instant::now();
        let bar = progress::bar(self.paths.len() as u64, common.quiet);
        let mut entries = Vec::with_capacity(self.paths.len());
        let mut first_result = None;
        let batch = self.command.suppression.batch;
        let each = &mut |place, result| {
            let entry = self.entry(place, result)?;
            if let Entry::Failed { error, .. } = &entry {
                bar.suspend(|| eprintln!("error: {error}"));
            }
            entries.push(entry);
            first_result.get_or_insert_with(|| STARTED.elapsed().as_secs_f64());
            bar.inc(1);
            Ok(())
        };
        let done = pipeline.detect_files::<anyhow::Error>(&self.paths, &self.options, batch, each);
        bar.finish_and_clear();
        done?;
        let seconds = begun.elapsed().as_secs_f64();

        // 3. What was found.
        let report = Report {
            model: source.path()?.display().to_string(),
            classes: pipeline.detector().classes().to_vec(),
            options: self.options,
            images: entries,
        };
        let path = self.command.out.join(REPORT);
        atomic_write(&path, &serde_json::to_vec_pretty(&report)?)?;
        let mut value = exact(&report)?;
        value["seconds"] = seconds.into();
        value["seconds_to_first_result"] = first_result.into();
        value["written"] = self.command.out.display().to_string().into();
        common.print(&value, &self.in_words(&report, seconds))?;
        let failed = report
            .images
            .iter()
            .filter(|entry| matches!(entry, Entry::Failed { .. }));
        match failed.count() {
            0 => Ok(()),
            failed => bail!("{failed} of {} images could not be read", self.paths.len()),
        }
    }
}

impl Job {
    /// What is said of the image at `place`, whose picture is drawn.
    fn entry(&self, place: usize, result: FileResult) -> anyhow::Result<Entry> {
        match result {
            Ok((image, found)) => {
                if self.command.no_pictures {
                    let picture = None;
                    return Ok(Entry::Found { found, picture });
                }
                let path = &self.pictures[place];
                write_png(path, &draw_found(&image, &found))?;
                let name = path.file_name().unwrap_or_default();
                let picture = Some(name.to_string_lossy().into_owned());
                Ok(Entry::Found { found, picture })
            }
            Err(error) => Ok(Entry::Failed {
                image: self.paths[place].display().to_string(),
                error: crate::message(&error.into()),
            }),
        }
    }

    fn in_words(&self, report: &Report, seconds: f64) -> String {
        let mut text = String::new();
        let (mut images, mut objects) = (0, 0);
        for entry in &report.images {
            // What failed was said when it did.
            let Entry::Found { found, .. } = entry else {
                continue;
            };
            images += 1;
            objects += found.detections.len();
            let counts = found.counts();
            let counts = counts
                .iter()
                .map(|(label, count)| format!("{count} {label}"));
            let words = match found.detections.is_empty() {
                true => "nothing".into(),
                false => counts.collect::<Vec<_>>().join(", "),
            };
            let name = found.image.as_deref().unwrap_or_default();
            text += &format!("{name}: {words}\n");
        }
        let each = 1000.0 * seconds / self.paths.len() as f64;
        let out = self.command.out.display();
        text + &format!(
            "{} in {} in {seconds:.1} s: {each:.0} ms each\nwrote {out}",
            counted(objects, "object"),
            counted(images, "image")
        )
    }
}

/// As JSON with numbers of single precision as short as they are: of their own accord they would become long ones.
pub(super) fn exact(value: &impl Serialize) -> serde_json::Result<Value> {
    serde_json::from_str(&serde_json::to_string(value)?)
}
