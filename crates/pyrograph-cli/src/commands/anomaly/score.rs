//! `pyrograph anomaly score`.

use std::{
    fs,
    path::{self, PathBuf},
    time::Instant,
};

use anyhow::{Context, bail};
use clap::Args;
use pyrograph::{
    backend::{BackendTask, Device, vision::VisionAutodiff},
    base::atomic_write,
    data::{Channels, LabelledReading, Split},
    losses::AnomalyScore,
    metrics::Pca,
    models::{dcgan::DcganConfig, weights::Precision},
    pipelines::anomaly::{
        AnomalyCard, AnomalyReport, AnomalyScorer, Calibration, Method, SearchConfig, roc_chart,
        score_histogram,
    },
    train::{
        dcgan::{DcganRun, ImageSource},
        run_folder::RunFolder,
    },
    vision::write_png,
};
use serde_json::{Value, json};

use super::{
    SearchOptions, fitted_path,
    known::Known,
    pictures::Pictures,
    stepping,
    table::{csv, verdict},
};
use crate::{
    arguments::Common,
    dtype::DtypeOption,
    outputs::{as_text, check_files, files_of_run},
    progress,
    reading::{FaultFlags, LabelledFlags, READING_NEEDS_DATA, counted, read_labelled, warn},
    stop::on_interrupt,
};

#[derive(Args)]
pub(crate) struct Score {
    /// A run folder with a fitted model.
    #[arg(long, required_unless_present = "model", conflicts_with = "model")]
    run: Option<PathBuf>,
    /// A fitted model file.
    #[arg(long)]
    model: Option<PathBuf>,
    /// The images: idx files of MNIST and its relatives, a CSV file, MVTec's folders, a folder for
    /// each class, or images without labels (a folder of images, one image, a CSV file of pixels
    /// only); docs/labelled-data.md lists the layouts. Without --data, the built-in stroke digits.
    #[arg(long)]
    data: Option<PathBuf>,
    /// The part of the data.
    #[arg(long, default_value_t = Split::Test)]
    split: Split,
    /// Names of the classes to score [default: all; of the built-in digits 2,7,8].
    #[arg(long, value_delimiter = ',')]
    classes: Vec<String>,
    /// Names of the normal classes, or none if all images are anomalous [default: those that the
    /// model was trained on].
    #[arg(long, value_delimiter = ',')]
    normal: Vec<String>,
    /// Score only the first LIMIT images.
    #[arg(long, allow_negative_numbers = true)]
    limit: Option<usize>,
    /// Number of built-in digits of each class.
    #[arg(long, default_value_t = 50, conflicts_with = "data")]
    per_class: usize,
    /// The method that finds an image's latent vector: search, encoder, or warm (a search from the
    /// encoder's vector).
    #[arg(long, default_value_t = Method::Search)]
    method: Method,
    #[command(flatten)]
    dtype: DtypeOption,
    /// A λ other than that of the fitted model; there is then no threshold.
    #[arg(long, allow_negative_numbers = true)]
    lambda: Option<f64>,
    #[command(flatten)]
    search: SearchOptions,
    #[command(flatten)]
    reading: LabelledFlags,
    #[command(flatten)]
    faults: FaultFlags,
    /// A CSV file for the scores, with the file of each image.
    #[arg(long)]
    out: Option<PathBuf>,
    /// A folder for pictures, named after the images: each image beside its twin and a heat map of
    /// the difference; also the histogram of scores and the ROC curve.
    #[arg(long)]
    heatmaps: Option<PathBuf>,
    /// Also evaluate a principal component analysis of the run's training images.
    #[arg(long)]
    baseline: bool,
    #[command(flatten)]
    common: Common,
}

/// Scored of the built-in digits when no classes are given.
const BUILT_IN_CLASSES: [&str; 3] = ["2", "7", "8"];
/// Components of the baseline, as many as the default latent vector has.
const COMPONENTS: usize = 20;

impl Score {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        if self.baseline && self.run.is_none() {
            bail!("--baseline needs --run: it is fitted to the run's training images");
        }
        let path = fitted_path(self.run.as_ref(), self.model.as_ref())?;
        let dtype = self.dtype.precision();
        if dtype != Precision::F32 && self.method != Method::Encoder {
            bail!(
                "--dtype {dtype} needs --method encoder: --method {} follows gradients, which takes weights in f32",
                self.method
            );
        }
        if self.method == Method::Encoder && self.search.is_given() {
            self.common
                .say("the encoder searches nothing: the search's flags have no effect");
        }
        let of_run = self.run.iter().flat_map(|run| files_of_run(run));
        let inputs: Vec<_> = [path]
            .into_iter()
            .chain(self.data.clone())
            .chain(of_run)
            .collect();
        if let Some(out) = &self.out {
            check_files(&[("--out", out)], &inputs)?;
        }
        if let Some(folder) = &self.heatmaps {
            // A file that could stand in it stands for all that will.
            check_files(&[("--heatmaps", &folder.join("twins.png"))], &inputs)?;
        }
        let device = self.common.device;
        device.run(self)?
    }

    fn source(&self) -> anyhow::Result<ImageSource> {
        let path = match &self.data {
            Some(path) => Some(path::absolute(path).context("--data")?),
            None => None,
        };
        let options = self.reading.options(self.faults.faults());
        if path.is_none() && !options.is_default() {
            bail!(READING_NEEDS_DATA);
        }
        let built_in = path.is_none() && self.classes.is_empty();
        Ok(ImageSource {
            path,
            per_class: self.per_class,
            classes: match built_in {
                true => BUILT_IN_CLASSES.map(str::to_owned).into(),
                false => self.classes.clone(),
            },
            limit: self.limit,
            seed: 0,
            options,
        })
    }
}

impl Score {
    /// Reads the images with the channels that the model takes.
    fn read(&self, config: &DcganConfig, card: &AnomalyCard) -> anyhow::Result<LabelledReading> {
        let source = self.source()?;
        let mut reader = source.reader(self.split, config.side());
        reader.unlabelled = true;
        reader.usual_white_level = card.white_level;
        let reading = read_labelled(&source, reader, &self.common)?;
        Ok(match (config.channels, reading.images.channels()) {
            (1, 3) => {
                let remark = "the model takes grey images: colours are made grey, as Pillow's L";
                warn(&self.common, &[remark.to_owned()]);
                reading.with_channels(Channels::Grey)
            }
            (3, 1) => reading.with_channels(Channels::Rgb),
            _ => reading,
        })
    }
}

impl BackendTask for Score {
    type Output = anyhow::Result<()>;

    fn run<B: VisionAutodiff>(self, device: Device<B>) -> Self::Output {
        // 1. The model, its line, and the images.
        let path = fitted_path(self.run.as_ref(), self.model.as_ref())?;
        let mut scorer = AnomalyScorer::<B>::open_by(path, &self.dtype.load_options(), &device)?;
        let fitted = *scorer.calibration(self.method)?;
        if let Some(lambda) = self.lambda {
            scorer = scorer.with_score(AnomalyScore::new(lambda)?);
        }
        // With another λ the line is gone.
        let line = scorer.calibration(self.method).ok().copied();
        let search = self.search.over(fitted.search.unwrap_or_default());
        search.check()?;
        self.remark_on(line.as_ref(), &search);
        let config = scorer.config().clone();
        let reading = self.read(&config, scorer.card())?;
        let set = &reading.images;
        config.check_images(&[set.len(), set.channels(), set.height(), set.width()])?;
        let normalisation = scorer.card().normalisation;
        let images = set.to_nchw(&normalisation);
        let known = Known::new(&reading, &self.normal, &scorer.card().normal)?;
        warn(&self.common, known.remark.as_slice());
        let known = known.anomalous;
        let baseline = match self.baseline {
            true => Some(self.baseline_scores(&images)?),
            false => None,
        };

        // 2. Scores.
        let begun = Instant::now();
        let bar = progress::bar(1, self.common.quiet);
        let stop = on_interrupt()?;
        let scored = scorer.score(&images, self.method, &search, &mut stepping(&bar, &stop));
        bar.finish_and_clear();
        let scored = scored?;
        let seconds = begun.elapsed().as_secs_f64();
        let scores: Vec<f32> = scored.iter().map(|image| image.score).collect();

        // 3. What they are worth.
        let threshold = line.map(|line| line.threshold);
        let report = match &known {
            Some(known) => Some(AnomalyReport::new(&scores, known, threshold)?),
            None => None,
        };
        let of_baseline = match (&baseline, &known) {
            (Some(scores), Some(known)) => Some(AnomalyReport::new(scores, known, None)?),
            _ => None,
        };

        // 4. Files.
        let label_of = |&label: &usize| {
            let name = set.class_names()[label].as_str();
            reading.has_labels.then_some(name)
        };
        let labels: Vec<Option<&str>> = set.labels().iter().map(label_of).collect();
        let files: Vec<Option<&str>> = (0..set.len()).map(|index| set.item_name(index)).collect();
        if let Some(out) = &self.out {
            let text = csv(&scored, &labels, &files, known.as_deref(), line.as_ref());
            atomic_write(out, text.as_bytes())?;
        }
        if let Some(folder) = &self.heatmaps {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
            let pictures = Pictures {
                folder,
                images: &images,
                scored: &scored,
                labels: &labels,
                files: &files,
                line: line.as_ref(),
            };
            pictures.write(&scorer)?;
            let histogram = score_histogram(&scores, set.labels(), set.class_names(), threshold)?;
            write_png(folder.join("histogram.png"), &histogram)?;
            if let (
                Some(known),
                Some(AnomalyReport {
                    ranking: Some(_), ..
                }),
            ) = (&known, &report)
            {
                let mut curves = vec![(self.method.to_string(), scores.clone())];
                curves.extend(baseline.map(|scores| ("PCA".to_owned(), scores)));
                write_png(folder.join("roc.png"), &roc_chart(&curves, known)?)?;
            }
        }

        // 5. The result.
        let mut text = format!(
            "{} by {} in {seconds:.1} s: {:.1} ms each\n",
            counted(scored.len(), "image"),
            self.method,
            1000.0 * seconds / scored.len() as f64
        );
        if let Some(report) = &report {
            text += &in_words(report, threshold);
        }
        if let Some(ranking) = of_baseline.as_ref().and_then(|report| report.ranking) {
            text += &format!(
                "PCA of {COMPONENTS} components, for comparison: AUROC {:.4}, average precision {:.4}\n",
                ranking.auroc, ranking.average_precision
            );
        }
        for written in self.out.iter().chain(&self.heatmaps) {
            text += &format!("wrote {}\n", written.display());
        }
        let results: Vec<_> = scored
            .iter()
            .enumerate()
            .map(|(index, image)| {
                json!({
                    "index": index, "file": files[index], "label": labels[index],
                    "anomalous": known.as_ref().map(|known| known[index]),
                    "score": image.score, "residual": image.residual,
                    "discrimination": image.discrimination,
                    "normalised": line.map(|line| line.normalised(image.score)),
                    "verdict": line.map(|line| verdict(&line, image.score)),
                })
            })
            .collect();
        let value = json!({
            "method": self.method, "images": scored.len(), "seconds": seconds,
            "search": (self.method != Method::Encoder).then_some(search),
            "lambda": scorer.card().score, "threshold": threshold,
            "report": report.as_ref().map(in_numbers),
            "baseline": of_baseline.as_ref().map(in_numbers),
            "results": results, "remarks": reading.remarks, "out": self.out.as_deref().map(as_text),
            "heatmaps": self.heatmaps.as_deref().map(as_text),
        });
        self.common.print(&value, &text)
    }
}

impl Score {
    /// Says where a threshold does not go with the search.
    fn remark_on(&self, line: Option<&Calibration>, search: &SearchConfig) {
        let Some(line) = line else {
            self.common
                .say("with another λ than the model was fitted with there is no threshold");
            return;
        };
        let dtype = self.dtype.precision();
        if dtype != Precision::F32 {
            self.common.say(format!(
                "the threshold was drawn with weights in f32: weights in {dtype} score a little otherwise"
            ));
        }
        let Some(fitted) = line.search else { return };
        let alike = SearchConfig {
            batch_size: search.batch_size,
            seed: search.seed,
            ..fitted
        };
        if alike != *search {
            self.common.say(format!(
                "the threshold was drawn with {} steps at a rate of {} and {} starts: another search scores otherwise",
                fitted.steps, fitted.learning_rate, fitted.restarts
            ));
        }
    }

    /// The residuals of a principal component analysis of the run's training images.
    fn baseline_scores(&self, images: &[f32]) -> anyhow::Result<Vec<f32>> {
        let run = self.run.as_ref().context("--baseline needs --run")?;
        let plan: DcganRun = RunFolder::open(run)?.plan()?;
        let (training, _) = plan.load_data()?;
        let dim = training.values_per_image();
        let components = COMPONENTS.min(training.len() - 1).max(1);
        let values = training.to_nchw(&plan.training.normalisation);
        Ok(Pca::fit(&values, dim, components)?.residual_norms(images)?)
    }
}

fn in_words(report: &AnomalyReport, threshold: Option<f32>) -> String {
    let mut text = format!("{} normal, {} anomalous", report.normal, report.anomalous);
    match &report.ranking {
        Some(ranking) => {
            text += &format!(
                ": AUROC {:.4}, average precision {:.4}, F1 up to {:.3} at {:.2}\n",
                ranking.auroc, ranking.average_precision, ranking.best.f1, ranking.best.threshold
            );
        }
        None => text += ": AUROC needs images of both kinds, the threshold is judged alone\n",
    }
    if let (Some(confusion), Some(threshold)) = (&report.calibrated, threshold) {
        let percent = |share: Option<f64>| {
            share.map_or("none to count".into(), |share| {
                format!("{:.1} %", 100.0 * share)
            })
        };
        text += &format!(
            "at the model's threshold {threshold:.2}: anomalies found {} of {}, false alarms {}, F1 {}\n",
            percent(confusion.recall()),
            report.anomalous,
            percent(confusion.false_alarm_rate()),
            confusion.f1().map_or("-".into(), |f1| format!("{f1:.3}"))
        );
    }
    text
}

fn in_numbers(report: &AnomalyReport) -> Value {
    json!({
        "normal": report.normal, "anomalous": report.anomalous,
        "auroc": report.ranking.map(|ranking| ranking.auroc),
        "average_precision": report.ranking.map(|ranking| ranking.average_precision),
        "f1_max": report.ranking.map(|ranking| json!({
            "f1": ranking.best.f1, "threshold": ranking.best.threshold,
            "precision": ranking.best.precision, "recall": ranking.best.recall,
        })),
        "at_threshold": report.calibrated.map(|confusion| json!({
            "true_positives": confusion.true_positives, "false_positives": confusion.false_positives,
            "false_negatives": confusion.false_negatives, "true_negatives": confusion.true_negatives,
            "f1": confusion.f1(), "recall": confusion.recall(),
            "false_alarm_rate": confusion.false_alarm_rate(),
        })),
    })
}
