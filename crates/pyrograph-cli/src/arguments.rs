//! Flags that several commands share.

use std::{fs, io::Write, path::PathBuf, sync::LazyLock, time::Instant};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use pyrograph::{
    backend::{
        BackendError, BackendTask, Device, DeviceSpec,
        rng::RngKind,
        vision::{VisionAutodiff, VisionBackend},
    },
    diffusion::{DdpmVariance, DiffusionCard, SamplerConfig, SamplerKind},
    models::{
        context_unet::{ContextUnet, ContextUnetConfig},
        weights::{StateDict, build_model_by},
    },
    pipelines::{PipelineError, sprites::SpritePipeline},
    train::{
        run_folder::{RunFolder, RunKind},
        whole_weights,
    },
};
use serde::de::DeserializeOwned;

use crate::{
    bounds::BoundOptions, checkpoint::PartOption, dtype::DtypeOption, outputs::files_of_run,
    progress, schedulers::LevelOptions,
};

/// When the program began, for the time to the first result.
pub(crate) static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A LoRA's file and its scale, as in `style.safetensors:0.8`; without a scale it is 1.
pub(crate) fn lora_and_scale(text: &str) -> Result<(PathBuf, f64), String> {
    let split = text
        .rsplit_once(':')
        .and_then(|(path, scale)| Some((path, scale.parse::<f64>().ok()?)));
    match split {
        Some((_, scale)) if !scale.is_finite() => Err(format!(
            "the scale of a LoRA is {scale}, but must be a finite number"
        )),
        Some((path, scale)) if !path.is_empty() => Ok((path.into(), scale)),
        _ => Ok((text.into(), 1.0)),
    }
}

/// What a recipe file (TOML) sets; nothing where none is given.
pub(crate) fn read_recipe<T: Default + DeserializeOwned>(
    path: Option<&PathBuf>,
) -> anyhow::Result<T> {
    let Some(path) = path else {
        return Ok(T::default());
    };
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    toml::from_str(&text).with_context(|| path.display().to_string())
}

/// The device and the form of the output.
#[derive(Args)]
pub(crate) struct Common {
    /// auto, cpu, ndarray, wgpu, wgpu:N, cuda or cuda:N.
    #[arg(long, default_value = "auto")]
    pub(crate) device: DeviceSpec,
    /// Print the result as JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
    /// Print neither a progress bar nor remarks.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

impl Common {
    /// A remark for the person at the terminal.
    pub(crate) fn say(&self, text: impl AsRef<str>) {
        if !self.quiet {
            eprintln!("{}", text.as_ref());
        }
    }

    /// Starts the device and does nothing on it, so that one that does not work fails before anything else is done.
    pub(crate) fn try_device(&self) -> Result<(), BackendError> {
        self.device.run(Probe)
    }

    /// Says how many steps `sampler` walks where they are not those asked for, and refuses what the model cannot do.
    pub(crate) fn say_steps<B: VisionBackend>(
        &self,
        pipeline: &SpritePipeline<B>,
        sampler: &SamplerConfig,
    ) -> Result<(), PipelineError> {
        let (asked, timesteps) = (sampler.steps, pipeline.timesteps());
        let walked = pipeline.steps_walked(sampler)?;
        if walked != asked {
            let why = match sampler.kind {
                SamplerKind::Heun { .. } => {
                    "heun calls the network twice a step, but once in the last".into()
                }
                SamplerKind::Pndm { .. } => "pndm visits one timestep twice".into(),
                _ => format!(
                    "the course's timesteps go down by T // n = {timesteps} // {asked} = {}",
                    timesteps / asked
                ),
            };
            self.say(format!("{asked} steps asked, {walked} walked: {why}"));
        }
        Ok(())
    }

    /// Prints the result: `value` as JSON, or `text`.
    pub(crate) fn print(&self, value: &serde_json::Value, text: &str) -> anyhow::Result<()> {
        print(self.json, value, text)
    }
}

/// Prints a result: `value` as JSON, or `text`.
pub(crate) fn print(json: bool, value: &serde_json::Value, text: &str) -> anyhow::Result<()> {
    let text = match json {
        true => serde_json::to_string_pretty(value)?,
        false => text.trim_end().to_owned(),
    };
    match writeln!(std::io::stdout().lock(), "{text}") {
        // Who reads has read enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

struct Probe;

impl BackendTask for Probe {
    type Output = ();

    fn run<B: VisionAutodiff>(self, _: Device<B>) {}
}

/// Options of a sampler.
#[derive(Args, Clone, Copy)]
pub(crate) struct SamplerOptions {
    /// Fraction of DDPM's noise that a DDIM step adds, 0 to 1 [default: 0].
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) eta: Option<f64>,
    /// Variance of the noise that a DDPM step adds [default: beta].
    #[arg(long, value_enum)]
    pub(crate) variance: Option<VarianceName>,
    #[command(flatten)]
    pub(crate) bounds: BoundOptions,
    #[command(flatten)]
    pub(crate) levels: LevelOptions,
    /// Classifier-free guidance; 1 is off.
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    pub(crate) guidance: f64,
    /// Seed of the noise.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Generator of the noise: counter-based, or the draws of torch.randn on a CPU.
    #[arg(long, value_enum, default_value_t = RngName::Counter)]
    pub(crate) rng: RngName,
    /// Images in a forward pass.
    #[arg(long, default_value_t = 64)]
    pub(crate) batch_size: usize,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum VarianceName {
    /// β of the step, as in the course.
    Beta,
    /// β̃, the posterior variance.
    BetaTilde,
}

impl From<VarianceName> for DdpmVariance {
    fn from(name: VarianceName) -> Self {
        match name {
            VarianceName::Beta => Self::Beta,
            VarianceName::BetaTilde => Self::BetaTilde,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum RngName {
    Counter,
    Torch,
}

impl From<RngName> for RngKind {
    fn from(name: RngName) -> Self {
        match name {
            RngName::Counter => Self::Counter,
            RngName::Torch => Self::Torch,
        }
    }
}

// clap lets `requires` pass where the argument required is in conflict with one that is given: hence both below.
/// The model to sample from: a run, a model file of pyrograph, or a PyTorch checkpoint.
#[derive(Args)]
pub(crate) struct ModelSource {
    /// A run folder; its last complete checkpoint is used.
    #[arg(long, required_unless_present_any = ["model", "weights"], conflicts_with_all = ["model", "weights"])]
    pub(crate) run: Option<PathBuf>,
    /// A model file that pyrograph wrote.
    #[arg(long, conflicts_with = "weights")]
    model: Option<PathBuf>,
    /// A state dict (.pth or .safetensors) of a ContextUnet.
    #[arg(long)]
    weights: Option<PathBuf>,
    #[command(flatten)]
    part: PartOption,
    #[command(flatten)]
    dtype: DtypeOption,
    /// With --weights: features of the network [default: read from the weights].
    #[arg(long, requires = "weights", conflicts_with_all = ["run", "model"])]
    n_feat: Option<usize>,
    /// With --weights: length of the context [default: read from the weights].
    #[arg(long, requires = "weights", conflicts_with_all = ["run", "model"])]
    n_cfeat: Option<usize>,
    /// With --weights: channels of an image [default: read from the weights].
    #[arg(long, requires = "weights", conflicts_with_all = ["run", "model"])]
    in_channels: Option<usize>,
    /// With --weights: side of an image [default: read from the weights].
    #[arg(long, requires = "weights", conflicts_with_all = ["run", "model"])]
    height: Option<usize>,
    /// With --run: use the weights of the last step instead of their moving average.
    #[arg(long, requires = "run", conflicts_with_all = ["model", "weights"])]
    no_ema: bool,
}

impl ModelSource {
    /// What no output may overwrite.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let given = self.model.iter().chain(&self.weights).cloned();
        let of_run = self.run.iter().flat_map(|run| files_of_run(run));
        given.chain(of_run).collect()
    }

    /// Whether the model comes without a word on its training and its classes.
    pub(crate) fn is_weights_alone(&self) -> bool {
        self.weights.is_some()
    }

    pub(crate) fn open<B: VisionBackend>(
        &self,
        common: &Common,
        device: &Device<B>,
    ) -> anyhow::Result<SpritePipeline<B>> {
        if self.part.is_given() && self.weights.is_none() {
            bail!("--part names a part of --weights, which is not given");
        }
        let options = self.dtype.load_options();
        if let Some(run) = &self.run {
            let run = RunFolder::open(run)?;
            run.expect_kind(RunKind::Sprites)?;
            let [path] = whole_weights(&run, [self.no_ema], &mut progress::say)?;
            return Ok(SpritePipeline::open_by(path, &options, device)?);
        }
        if let Some(path) = &self.model {
            return Ok(SpritePipeline::open_by(path, &options, device)?);
        }
        let path = self
            .weights
            .as_ref()
            .context("give --run, --model or --weights")?;
        let dict = StateDict::open(path)?;
        let found = self
            .part
            .find_by::<B, ContextUnet<B>>(&dict, common, device, |inferred| {
                let read = inferred.unwrap_or_default();
                Ok(ContextUnetConfig {
                    in_channels: self.in_channels.unwrap_or(read.in_channels),
                    n_feat: self.n_feat.unwrap_or(read.n_feat),
                    n_cfeat: self.n_cfeat.unwrap_or(read.n_cfeat),
                    height: self.height.unwrap_or(read.height),
                    ..read
                })
            })?;
        let model = build_model_by(&found.config, &found.weights, &options, device)?;
        let card = DiffusionCard::course();
        Ok(SpritePipeline::new(model, found.config, card, device)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lora_may_carry_its_scale() {
        let read = |text| lora_and_scale(text).expect("a file and a scale");
        assert_eq!(read("a.safetensors:0.8"), ("a.safetensors".into(), 0.8));
        assert_eq!(read("a:b.safetensors"), ("a:b.safetensors".into(), 1.0));
        assert_eq!(read("a:-1"), ("a".into(), -1.0));
        assert!(lora_and_scale("a:nan").is_err() && lora_and_scale("a:inf").is_err());
    }
}
