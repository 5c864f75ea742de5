//! Knowledge distillation from end to end, with no download: train a teacher on many scenes of
//! shapes, then a student of half its width on fifty of them, once alone and once with the
//! teacher's help, for the same time, and set all three side by side.
//!
//! ```text
//! cargo run --release --example distill [-- OUT_FOLDER [MINUTES]]
//! ```
//!
//! Ten minutes on two cores by default: 5.4 for the teacher, 1.8 for each student, and the rest for
//! the evaluations. The teacher is asked for six augmentations of each scene, and its outputs are
//! kept. It prints a table of size, latency and average precision on scenes that none of them has
//! seen, and writes `accuracy.png`, the average precision over the latency. One seed and minutes of
//! training show how it is done; docs/distillation.md says what distillation is worth.

use std::{path::PathBuf, time::Instant};

use anyhow::Context;
use pyrograph::{
    art,
    backend::{
        BackendTask, Device, DeviceSpec,
        vision::{VisionAutodiff, VisionBackend},
    },
    data::detection::{DetectionSet, SsdAugment},
    figures::{ScatterOptions, ScatterPoint, scatter_chart},
    losses::DistillMethod,
    metrics::VocConfig,
    models::ssd::{Detector, DetectorCard, SsdBackbone, SsdConfig},
    train::{
        run_folder::RunFolder,
        ssd::{
            CacheOptions, Distillation, SsdHooks, SsdOptimizer, SsdTraining, WeightedMethod,
            best_weights, score_set, teacher_checksum, train_ssd,
        },
    },
    vision::{DetectOptions, RgbImage, write_png},
};

/// Memory stays with the program from one step to the next.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIDE: u32 = 300;
/// Scenes that the teacher learns from, and those of them that the students have.
const TEACHER_SCENES: usize = 2000;
const STUDENT_SCENES: usize = 50;
const TEST_SCENES: usize = 150;
const TEACHER_WIDTH: f64 = 0.25;
const STUDENT_WIDTH: f64 = 0.125;
const BATCH: usize = 8;
const MINUTES: f64 = 9.0;
/// The shares of the time that the teacher and each student get.
const TEACHER_SHARE: f64 = 5.4 / 9.0;
const STUDENT_SHARE: f64 = 1.8 / 9.0;
/// Augmentations of each scene that the teacher is asked for.
const VIEWS: u64 = 6;
/// What the student learns beside the boxes.
const METHOD: &str = "response";

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let out = PathBuf::from(arguments.next().unwrap_or_else(|| "distill-out".into()));
    let minutes = arguments
        .next()
        .map_or(Ok(MINUTES), |text| text.parse())
        .context("MINUTES is a number")?;
    DeviceSpec::Auto.run(Story { out, minutes })?
}

struct Story {
    out: PathBuf,
    minutes: f64,
}

/// Prints what a training has to say.
struct Remarks;

impl<B: VisionBackend> SsdHooks<B> for Remarks {
    fn remark(&mut self, text: &str) {
        println!("  {text}");
    }
}

/// A row of the table.
struct Row {
    name: &'static str,
    model: SsdConfig,
    parameters: u64,
    milliseconds: f64,
    ap50: f64,
    ap: f64,
}

impl BackendTask for Story {
    type Output = anyhow::Result<()>;

    fn run<B: VisionAutodiff>(self, device: Device<B>) -> Self::Output {
        let scenes = art::scenes(TEACHER_SCENES, SIDE, 1)?;
        let few = scenes.choose(STUDENT_SCENES, 0)?;
        let unseen = art::scenes(TEST_SCENES, SIDE, 2)?;
        let folder = tempfile::tempdir()?;
        let recipe = |width: f64, share: f64| SsdTraining {
            batch_size: BATCH,
            optimizer: SsdOptimizer::AdamW,
            learning_rate: 2e-3,
            augment: SsdAugment::light(),
            ema: Some(0.99),
            max_minutes: Some(self.minutes * share),
            checkpoint_every: 0,
            ..SsdTraining::for_set(&scenes, SsdBackbone::Vgg16, width)
        };
        let mut rows = Vec::new();
        let mut train = |name: &'static str, training: SsdTraining, set: &DetectionSet| {
            println!(
                "{name}: width {}, {} scenes",
                training.model.width,
                set.len()
            );
            let run = RunFolder::create(folder.path().join(name), &training)?;
            let devices = [device.clone()];
            let trained = train_ssd::<B>(&training, set, None, &run, &mut Remarks, &devices)?;
            println!("  {} steps in {:.0} s", trained.steps, trained.seconds);
            let card = DetectorCard {
                classes: set.class_names().to_vec(),
                normalisation: training.normalisation,
            };
            let detector = Detector::new(trained.network, training.model, card, device.clone())?;
            let row = judge(name, &detector, &unseen, &rows)?;
            rows.push(row);
            anyhow::Ok(best_weights(&run)?)
        };

        // 1. A teacher, from all the scenes.
        let teacher = train("teacher", recipe(TEACHER_WIDTH, TEACHER_SHARE), &scenes)?;

        // 2. A student, from a few scenes alone.
        let plain = recipe(STUDENT_WIDTH, STUDENT_SHARE);
        train("plain student", plain.clone(), &few)?;

        // 3. The same student, which learns from the teacher's outputs too.
        let method: DistillMethod = METHOD.parse()?;
        let distilled = SsdTraining {
            distillation: Some(Distillation {
                teacher_checksum: teacher_checksum(&teacher)?,
                teacher,
                teacher_classes: Vec::new(),
                methods: vec![WeightedMethod {
                    method,
                    weight: 1.0,
                }],
                until: 1.0,
                every: 1,
                projector: Default::default(),
                cache: Some(CacheOptions {
                    draws: VIEWS,
                    file: None,
                }),
                // A run of minutes is judged by the table, whatever its teacher is worth.
                any_teacher: true,
                unlabelled: None,
            }),
            ..plain
        };
        train("distilled student", distilled, &few)?;

        print_table(&rows);
        let points: Vec<_> = rows.iter().map(point).collect();
        let options = ScatterOptions {
            title: "accuracy over latency".into(),
            x_label: "milliseconds an image".into(),
            y_label: "AP@[.5:.95]".into(),
            ..ScatterOptions::default()
        };
        let picture = self.out.join("accuracy.png");
        write_png(&picture, &scatter_chart(&options, &points)?)?;
        println!("picture: {}", picture.display());
        Ok(())
    }
}

/// What a detector finds in scenes that it has not seen, and how fast. Equal networks take equally
/// long: one among `before` is not timed again.
fn judge<B: VisionBackend>(
    name: &'static str,
    detector: &Detector<B>,
    unseen: &DetectionSet,
    before: &[Row],
) -> anyhow::Result<Row> {
    let options = DetectOptions::default();
    let scorer = score_set(detector, unseen, &options, BATCH, &mut |_| ())?;
    let model = detector.config().clone();
    let milliseconds = match before.iter().find(|row| row.model == model) {
        Some(same) => same.milliseconds,
        None => latency(detector, &unseen.image(0)?)?,
    };
    Ok(Row {
        name,
        parameters: model.cost()?.parameters,
        model,
        milliseconds,
        ap50: scorer.voc(&VocConfig::default())?.map.unwrap_or(0.0),
        ap: scorer.coco().mean.ap.unwrap_or(0.0),
    })
}

/// Median milliseconds of an image.
fn latency<B: VisionBackend>(detector: &Detector<B>, image: &RgbImage) -> anyhow::Result<f64> {
    let options = DetectOptions::default();
    let mut times = Vec::new();
    for _ in 0..15 {
        let begun = Instant::now();
        detector.detect(std::slice::from_ref(image), &options)?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

fn print_table(rows: &[Row]) {
    println!(
        "{:>18} {:>11} {:>7} {:>6} {:>10}",
        "", "parameters", "ms", "AP@.5", "AP@.5:.95"
    );
    for row in rows {
        println!(
            "{:>18} {:>11} {:>7.1} {:>6.3} {:>10.3}",
            row.name, row.parameters, row.milliseconds, row.ap50, row.ap
        );
    }
}

fn point(row: &Row) -> ScatterPoint {
    ScatterPoint {
        label: row.name.into(),
        group: row.name.into(),
        x: row.milliseconds,
        y: row.ap,
        spread: None,
    }
}
