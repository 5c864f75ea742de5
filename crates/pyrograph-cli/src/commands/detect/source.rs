//! The detector that a command uses.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use pyrograph::{
    backend::{Device, vision::VisionBackend},
    models::{
        ssd::{DetectorCard, Ssd},
        weights::{StateDict, model_name},
    },
    pipelines::{
        PipelineError,
        detection::{DetectionPipeline, published_card, read_class_names},
    },
    train::{
        run_folder::{RunFolder, RunKind},
        ssd::best_weights,
    },
};

use crate::{arguments::Common, checkpoint::PartOption, dtype::DtypeOption, outputs::files_of_run};

// clap lets `requires` pass where the argument required is in conflict with one that is given: hence both below.
/// The detector: a run, a model file of pyrograph, or published weights.
#[derive(Args)]
pub(crate) struct DetectorSource {
    /// A run folder of `train ssd`; the weights of its best evaluation are used.
    #[arg(long, conflicts_with = "weights")]
    pub(crate) run: Option<PathBuf>,
    /// A model file of pyrograph, or weights (.pth or .safetensors) with the key names of
    /// ssd.pytorch, torchvision or pytorch-ssd.
    #[arg(long)]
    weights: Option<PathBuf>,
    /// With published --weights: a JSON file with the settings that shapes and key names do not
    /// tell, such as {"priors": "coco"} for ssd.pytorch's COCO models. A model file of pyrograph
    /// contains all settings.
    #[arg(long, requires = "weights", conflicts_with = "run")]
    config: Option<PathBuf>,
    /// With --weights: a file with the names of the classes without the background, one a line
    /// [default: those in the model file; for published weights, Pascal VOC's for 20 classes,
    /// COCO's for 90, numbers otherwise].
    #[arg(
        long,
        value_name = "FILE",
        requires = "weights",
        conflicts_with = "run"
    )]
    classes: Option<PathBuf>,
    #[command(flatten)]
    part: PartOption,
    #[command(flatten)]
    dtype: DtypeOption,
}

impl DetectorSource {
    /// What no output may overwrite.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let given = [&self.weights, &self.config, &self.classes];
        let given = given.into_iter().flatten().cloned();
        let of_run = self.run.iter().flat_map(|run| files_of_run(run));
        given.chain(of_run).collect()
    }

    /// The file of the weights, which is not read yet.
    pub(crate) fn path(&self) -> anyhow::Result<PathBuf> {
        match &self.run {
            Some(run) => {
                let run = RunFolder::open(run)?;
                run.expect_kind(RunKind::Detector)?;
                Ok(best_weights(&run)?)
            }
            None => self
                .weights
                .clone()
                .context("no detector is given: give --run or --weights"),
        }
    }

    pub(crate) fn open<B: VisionBackend>(
        &self,
        common: &Common,
        device: &Device<B>,
    ) -> anyhow::Result<DetectionPipeline<B>> {
        if self.part.is_given() && self.weights.is_none() {
            bail!("--part names a part of --weights, which is not given");
        }
        let dict = StateDict::open(self.path()?)?;
        let found = self
            .part
            .find::<B, Ssd<B>>(&dict, self.config.as_deref(), common, device)?;
        // Torchvision's names tell its priors, and are gone in the part that is taken.
        let config = found.config.with_priors_of(&dict);
        let names = self.classes.as_ref().map(read_class_names).transpose()?;
        let card = match (DetectorCard::of(&dict, &config)?, names) {
            (Some(card), None) => card,
            (Some(card), Some(classes)) => DetectorCard { classes, ..card },
            (None, None) if self.config.is_none() && model_name(&dict).is_some() => {
                return Err(PipelineError::NoDetectorCard {
                    path: dict.path().into(),
                }
                .into());
            }
            (None, names) => published_card(&config, names),
        };
        if let Some(path) = &self.classes {
            let file = || format!("--classes {}", path.display());
            card.check(&config).with_context(file)?;
        }
        Ok(DetectionPipeline::from_weights_by(
            &found.weights,
            config,
            card,
            &self.dtype.load_options(),
            device,
        )?)
    }
}
