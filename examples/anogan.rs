//! Anomalies from end to end, with no download: draw sevens and eights by code, train a DCGAN on them alone, and find the twos
//! among new digits, by AnoGAN's search for each image's twin and by f-AnoGAN's encoder.
//!
//! ```text
//! cargo run --release --example anogan [-- OUT_FOLDER [MINUTES]]
//! ```
//!
//! About four minutes on two cores, three of them training. It writes `samples.png` (what the generator makes), `twins.png` (digits, the
//! nearest the generator knows, and what differs), `histogram.png` (scores of each class, with the threshold that was drawn from normal
//! digits alone) and `roc.png`, and prints AUROC and the time an image takes, with a principal component analysis beside them.

use std::{collections::BTreeMap, ops::ControlFlow, path::PathBuf, time::Instant};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use pyrograph::{
    art,
    backend::{
        BackendTask, Device, DeviceSpec,
        rng::{NoiseKey, Purpose},
        vision::{VisionAutodiff, VisionBackend},
    },
    data::LabelledImages,
    figures::grid,
    losses::AnomalyScore,
    metrics::{Pca, auroc},
    models::dcgan::AnoGan,
    pipelines::anomaly::{
        AnomalyCard, AnomalyScorer, Method, ScoredImage, SearchConfig, roc_chart, score_histogram,
        twin_row, twin_sheet,
    },
    train::{
        dcgan::{
            AdversarialRecord, DcganHooks, DcganTraining, EncoderTraining, train_dcgan,
            train_encoder,
        },
        run_folder::RunFolder,
    },
    vision::{Rgb, batch_from_chw, enlarge, write_png},
};

/// Memory stays with the program from one step to the next.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NORMAL: [u8; 2] = [7, 8];
const ALL: [u8; 3] = [2, 7, 8];
const TRAINING: usize = 2000;
const HELD_OUT: usize = 60;
const TEST: usize = 150;
const MINUTES: f64 = 2.5;
const ENCODER_STEPS: u64 = 500;
/// A quarter of the reference's width: digits need no more, and many quick steps get further in minutes.
const WIDTH: usize = 16;
const SIDE: usize = 64;
const QUANTILE: f64 = 0.95;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let out = PathBuf::from(arguments.next().unwrap_or_else(|| "anogan-out".into()));
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

/// A bar that follows the clock.
struct Bar(ProgressBar);

impl<B: VisionBackend> DcganHooks<B> for Bar {
    fn logged(&mut self, records: &[AdversarialRecord], progress: f64) {
        self.0.set_position((progress * 100.0) as u64);
        if let Some(last) = records.last() {
            let (d, g) = (last.discriminator_loss, last.generator_loss);
            let message = format!("step {} D {d:.3} G {g:.3}", last.step);
            self.0.set_message(message);
        }
    }

    fn remark(&mut self, text: &str) {
        self.0.suspend(|| eprintln!("{text}"));
    }
}

/// `count` digits of `classes`, large enough for the network.
fn digits(count: usize, classes: &[u8], seed: u64) -> anyhow::Result<LabelledImages> {
    Ok(art::stroke_digits(count, classes, seed)?.resized(SIDE, SIDE)?)
}

impl BackendTask for Story {
    type Output = anyhow::Result<()>;

    fn run<B: VisionAutodiff>(self, device: Device<B>) -> Self::Output {
        let begun = Instant::now();
        let Self { out, minutes } = self;

        // 1. Normal digits alone, and a DCGAN trained on them.
        let training = digits(TRAINING, &NORMAL, 0)?;
        let usual = DcganTraining::for_set(&training);
        let mut model = usual.model.clone();
        model.width = WIDTH;
        let config = DcganTraining {
            model: model.clone(),
            max_minutes: Some(minutes),
            sample_every: 0,
            checkpoint_every: 0,
            ..usual
        };
        let folder = tempfile::tempdir()?;
        let run = RunFolder::create(folder.path().join("run"), &config)?;
        let bar = ProgressBar::new(100)
            .with_style(ProgressStyle::with_template("training {bar:30} {msg}")?);
        let trained = train_dcgan::<B>(&config, &training, &run, &mut Bar(bar.clone()), &device)?;
        bar.finish_and_clear();
        println!(
            "trained {} steps in {:.0} s on {}",
            trained.steps,
            trained.seconds,
            <B as burn::tensor::backend::Backend>::name(&device)
        );
        let z = NoiseKey::new(0, Purpose::InitialNoise, 0);
        let z = z.normal_tensor(0, [64, model.z_dim], &device);
        let samples: Vec<f32> = trained
            .generator
            .forward(z)
            .into_data()
            .iter::<f32>()
            .collect();
        let samples = grid(
            &batch_from_chw(&samples, 1, SIDE, SIDE)?,
            8,
            2,
            Rgb([255; 3]),
        )?;
        write_png(out.join("samples.png"), &enlarge(&samples, 2)?)?;

        // 2. The encoder, through the frozen generator.
        let encoder_began = Instant::now();
        let encoder_config = EncoderTraining {
            steps: ENCODER_STEPS,
            ..EncoderTraining::default()
        };
        let encoder = train_encoder::<B>(
            &encoder_config,
            &model,
            &trained.generator,
            &trained.discriminator,
            &training,
            config.normalisation,
            &mut |_| {},
            &device,
        )?;
        println!(
            "trained the encoder {ENCODER_STEPS} steps in {:.0} s",
            encoder_began.elapsed().as_secs_f64()
        );
        let networks = AnoGan {
            generator: trained.generator,
            discriminator: trained.discriminator,
            encoder,
        };
        let card = AnomalyCard {
            normalisation: config.normalisation,
            score: AnomalyScore::default(),
            normal: NORMAL.map(|digit| digit.to_string()).into(),
            white_level: None,
            calibrations: BTreeMap::new(),
        };
        let scorer = AnomalyScorer::<B>::new(networks, model.clone(), card, &device);

        // 3. New digits of all three classes, scored by both methods; the threshold knows normal ones alone.
        let test = digits(TEST, &ALL, 1)?;
        let images = test.to_nchw(&config.normalisation);
        let anomalous: Vec<bool> = (0..test.len())
            .map(|index| !NORMAL.contains(&(test.label(index) as u8)))
            .collect();
        let search = SearchConfig::default();
        let go_on = &mut |_, _| ControlFlow::Continue(());
        let held_out = digits(HELD_OUT, &NORMAL, 2)?.to_nchw(&config.normalisation);
        let scorer = scorer.calibrated(&held_out, Method::Search, &search, QUANTILE, go_on)?;
        let mut curves = Vec::new();
        let mut searched: Vec<ScoredImage> = Vec::new();
        for method in [Method::Encoder, Method::Search] {
            let began = Instant::now();
            let scored = scorer.score(&images, method, &search, go_on)?;
            let each = 1000.0 * began.elapsed().as_secs_f64() / test.len() as f64;
            let scores: Vec<f32> = scored.iter().map(|image| image.score).collect();
            println!(
                "{method:8} AUROC {:.3}, {each:.1} ms an image",
                auroc(&scores, &anomalous)?
            );
            curves.push((method.to_string(), scores));
            searched = scored;
        }
        let pca = Pca::fit(
            &training.to_nchw(&config.normalisation),
            SIDE * SIDE,
            model.z_dim,
        )?;
        let residuals = pca.residual_norms(&images)?;
        println!(
            "PCA      AUROC {:.3}, for comparison",
            auroc(&residuals, &anomalous)?
        );
        curves.push(("PCA".into(), residuals));

        // 4. Pictures.
        let line = *scorer.calibration(Method::Search)?;
        let rows = (0..9).map(|index| {
            let scored = &searched[index];
            let verdict = if line.is_anomalous(scored.score) {
                "anomalous"
            } else {
                "normal"
            };
            let caption = format!(
                "{}  score {:.0}  {verdict}",
                test.label(index),
                scored.score
            );
            let image = &images[index * SIDE * SIDE..][..SIDE * SIDE];
            twin_row(caption, image, scored, &model, config.normalisation)
        });
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        write_png(out.join("twins.png"), &twin_sheet(&rows)?)?;
        let scores: Vec<f32> = searched.iter().map(|image| image.score).collect();
        let histogram = score_histogram(
            &scores,
            test.labels(),
            test.class_names(),
            Some(line.threshold),
        )?;
        write_png(out.join("histogram.png"), &histogram)?;
        write_png(out.join("roc.png"), &roc_chart(&curves, &anomalous)?)?;
        println!(
            "wrote samples.png, twins.png, histogram.png and roc.png to {} after {:.0} s",
            out.display(),
            begun.elapsed().as_secs_f64()
        );
        Ok(())
    }
}
