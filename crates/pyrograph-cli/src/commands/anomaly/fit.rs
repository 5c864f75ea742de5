//! `pyrograph anomaly fit`.

use std::{collections::BTreeMap, path::PathBuf, sync::atomic::AtomicBool, time::Instant};

use clap::Args;
use pyrograph::{
    backend::{BackendTask, Device, vision::VisionAutodiff},
    data::LabelledImages,
    losses::{AnomalyScore, EncoderLoss},
    metrics::quantile_threshold,
    models::{
        dcgan::{AnoGan, Discriminator, Generator},
        weights::load_model,
    },
    pipelines::anomaly::{AnomalyCard, AnomalyScorer, Method, SearchConfig},
    train::{
        dcgan::{DcganRun, EncoderTraining, train_encoder},
        run_folder::RunFolder,
        whole_weights,
    },
};
use serde_json::json;

use super::{FITTED, SearchOptions, stepping};
use crate::{
    arguments::Common,
    outputs::{as_text, check_files, files_of_run},
    progress,
    reading::counted,
    stop::on_interrupt,
};

#[derive(Args)]
pub(crate) struct Fit {
    /// The run folder of `pyrograph train dcgan`; the fitted model is written into it.
    #[arg(long)]
    run: PathBuf,
    /// Another path for the fitted model [default: in the run folder].
    #[arg(long)]
    out: Option<PathBuf>,
    /// Use the generator's weights of the last step instead of their moving average.
    #[arg(long)]
    no_ema: bool,
    /// λ: the weight of the discriminator's features in the score, 0 to 1.
    #[arg(long, default_value_t = 0.1, allow_negative_numbers = true)]
    lambda: f64,
    /// The fraction of normal images below the threshold.
    #[arg(long, default_value_t = 0.95, allow_negative_numbers = true)]
    quantile: f64,
    /// The methods that get a threshold.
    #[arg(long, value_delimiter = ',', default_values_t = Method::ALL)]
    methods: Vec<Method>,
    /// The largest number of held-out images that thresholds are drawn from.
    #[arg(long, default_value_t = 200, allow_negative_numbers = true)]
    calibration_images: usize,
    /// Steps of the encoder's training [default: 1000].
    #[arg(long, allow_negative_numbers = true)]
    encoder_steps: Option<u64>,
    /// Adam's learning rate at the start of the encoder's training; it falls to 0 [default: 0.001].
    #[arg(long, allow_negative_numbers = true)]
    encoder_rate: Option<f64>,
    /// κ: the weight of the features in the encoder's loss [default: 1].
    #[arg(long, allow_negative_numbers = true)]
    kappa: Option<f64>,
    /// Weight of the distance between the latent vectors of generated images and the encoder's
    /// [default: 0.1].
    #[arg(long, allow_negative_numbers = true)]
    latent_weight: Option<f64>,
    #[command(flatten)]
    search: SearchOptions,
    /// Steps of a search that starts from the encoder's vector.
    #[arg(long, default_value_t = 40, allow_negative_numbers = true)]
    warm_steps: usize,
    #[command(flatten)]
    common: Common,
}

impl Fit {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let out = self.out();
        let inputs: Vec<_> = files_of_run(&self.run)
            .into_iter()
            .filter(|file| *file != out)
            .collect();
        check_files(&[("--out", &out)], &inputs)?;
        let device = self.common.device;
        device.run(self)?
    }

    fn out(&self) -> PathBuf {
        self.out.clone().unwrap_or_else(|| self.run.join(FITTED))
    }

    fn encoder_training(&self, plan: &DcganRun) -> EncoderTraining {
        let usual = EncoderTraining::default();
        EncoderTraining {
            loss: EncoderLoss {
                kappa: self.kappa.unwrap_or(usual.loss.kappa),
            },
            latent_weight: self.latent_weight.unwrap_or(usual.latent_weight),
            learning_rate: self.encoder_rate.unwrap_or(usual.learning_rate),
            steps: self.encoder_steps.unwrap_or(usual.steps),
            jitter: plan.training.jitter,
            seed: plan.training.seed,
            ..usual
        }
    }

    /// The normal images that thresholds are drawn from.
    fn calibration_set(
        &self,
        training: &LabelledImages,
        held_out: Option<LabelledImages>,
    ) -> anyhow::Result<LabelledImages> {
        let set = held_out.unwrap_or_else(|| {
            self.common.say(
                "no images were held out: thresholds are drawn from training images, whose scores are lower than new ones'",
            );
            training.clone()
        });
        Ok(set.head(self.calibration_images.min(set.len()))?)
    }
}

impl BackendTask for Fit {
    type Output = anyhow::Result<()>;

    fn run<B: VisionAutodiff>(self, device: Device<B>) -> Self::Output {
        // 1. What was trained, and every number that can be refused before hours of work.
        let run = RunFolder::open(&self.run)?;
        let plan: DcganRun = run.plan()?;
        let score = AnomalyScore::new(self.lambda)?;
        quantile_threshold(&[0.0], self.quantile)?;
        let search = self.search.over(SearchConfig::default());
        let warm = SearchConfig {
            steps: self.warm_steps,
            restarts: 1,
            ..search
        };
        search.check()?;
        warm.check()?;
        let config = self.encoder_training(&plan);
        config.check()?;
        let (training, held_out) = plan.load_data()?;
        let calibration = self.calibration_set(&training, held_out)?;
        let model = plan.training.model.clone();
        let [generator, discriminator] =
            whole_weights(&run, [self.no_ema, true], &mut progress::say)?;
        let (generator, _) =
            load_model::<B::InnerBackend, Generator<B::InnerBackend>>(generator, &device)?;
        let (discriminator, _) =
            load_model::<B::InnerBackend, Discriminator<B::InnerBackend>>(discriminator, &device)?;

        // 2. The encoder.
        let begun = Instant::now();
        let bar = progress::bar(config.steps, self.common.quiet);
        let normalisation = plan.training.normalisation;
        let mut last_loss = f32::NAN;
        let encoder = train_encoder::<B>(
            &config,
            &model,
            &generator,
            &discriminator,
            &training,
            normalisation,
            &mut |record| {
                last_loss = record.loss;
                bar.set_position(record.step);
                bar.set_message(format!("· encoder loss {:.4}", record.loss));
            },
            &device,
        );
        bar.finish_and_clear();
        let encoder_seconds = begun.elapsed().as_secs_f64();
        let card = AnomalyCard {
            normalisation,
            score,
            normal: plan.normal_names(&training),
            // A smaller one is that of a table.
            white_level: (plan.data.options.white_level).filter(|&level| level >= 255),
            calibrations: BTreeMap::new(),
        };
        let networks = AnoGan {
            generator,
            discriminator,
            encoder: encoder?,
        };
        let mut scorer = AnomalyScorer::<B>::new(networks, model, card, &device);

        // 3. A threshold for each method.
        let stop = on_interrupt().unwrap_or_else(|_| AtomicBool::new(false).into());
        let images = calibration.to_nchw(&normalisation);
        for &method in &self.methods {
            let search = if method == Method::Warm { warm } else { search };
            let bar = progress::bar(1, self.common.quiet);
            bar.set_message(format!("· threshold of {method}"));
            let calibrated = scorer.calibrated(
                &images,
                method,
                &search,
                self.quantile,
                &mut stepping(&bar, &stop),
            );
            bar.finish_and_clear();
            scorer = calibrated?;
        }
        let out = self.out();
        scorer.save(&out)?;

        let mut text = format!(
            "encoder: {} in {encoder_seconds:.0} s, last loss {last_loss:.4}\n",
            counted(config.steps as usize, "step")
        );
        for (method, line) in &scorer.card().calibrations {
            text += &format!(
                "{method}: {:.0} % of {} score below {:.2} (mean {:.2}, deviation {:.2})\n",
                100.0 * line.quantile,
                counted(line.images, "normal image"),
                line.threshold,
                line.mean,
                line.deviation
            );
        }
        text += &format!("wrote {}", out.display());
        let value = json!({
            "model": as_text(&out), "encoder_seconds": encoder_seconds, "encoder_loss": last_loss,
            "calibrations": scorer.card().calibrations,
        });
        self.common.print(&value, &text)
    }
}
