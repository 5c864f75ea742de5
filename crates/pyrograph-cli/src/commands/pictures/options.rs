//! Flags of the commands that make pictures.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use pyrograph::{
    backend::rng::RngKind, diffusion::SchedulerName,
    models::stable_diffusion::checkpoint::Prediction,
};

use super::{acceleration::AccelerationOptions, settings::Settings};
use crate::{
    arguments::{Common, lora_and_scale},
    dtype::DtypeName,
    schedulers::{LevelOptions, scheduler_parser},
};

/// What `txt2img`, `img2img` and `inpaint` share. A flag that is not given takes the value of `--like`, else the
/// default.
#[derive(Args)]
pub(crate) struct PictureOptions {
    /// The prompt, a description of the picture. Each of several prompts gives pictures of its own
    /// [default: that of --like].
    #[arg(required_unless_present = "like", value_name = "PROMPT")]
    pub(super) prompts: Vec<String>,
    /// A diffusers folder, or a single-file checkpoint (.safetensors, .ckpt) [default: that of --like].
    #[arg(long, value_name = "DIR|FILE", required_unless_present = "like")]
    pub(super) model: Option<PathBuf>,
    /// The negative prompt, from which guidance leads away; no effect at a guidance of 1 or less
    /// [default: empty].
    #[arg(long, value_name = "PROMPT")]
    pub(super) negative: Option<String>,
    /// Denoising steps; img2img and inpaint take a fraction --strength of them [default: 50].
    #[arg(long)]
    pub(super) steps: Option<usize>,
    /// The scheduler; its settings are those of the model's scheduler file [default: that of the file].
    #[arg(long, value_parser = scheduler_parser())]
    scheduler: Option<SchedulerName>,
    #[command(flatten)]
    levels: LevelOptions,
    /// The quantity that the UNet predicts [default: that of the model's scheduler file; for a single 2.x file v].
    #[arg(long, value_enum)]
    prediction: Option<PredictionName>,
    /// Scale of classifier-free guidance; at 1 and below guidance is off, and a step takes half the
    /// time [default: 7.5].
    #[arg(long, allow_negative_numbers = true)]
    guidance: Option<f64>,
    /// Fraction of the guided output that is rescaled to the standard deviation of the conditional
    /// output, 0 to 1 [default: 0].
    #[arg(long, allow_negative_numbers = true)]
    guidance_rescale: Option<f64>,
    /// Width in pixels, a multiple of the VAE's factor (8) [default: the model's own; for img2img the picture's].
    #[arg(long)]
    width: Option<usize>,
    /// Height in pixels, a multiple of the VAE's factor (8) [default: the model's own; for img2img the picture's].
    #[arg(long)]
    height: Option<usize>,
    /// Seed of the first picture; each further picture has the next number [default: 0].
    #[arg(long)]
    seed: Option<u64>,
    /// Generator of the noise: `torch` draws as torch.randn on a CPU, `counter` is counter-based [default: torch].
    #[arg(long, value_enum)]
    rng: Option<NoiseName>,
    /// Number of pictures of each prompt.
    #[arg(short = 'n', long = "count", default_value_t = 1)]
    pub(super) count: usize,
    /// Type of the weights in memory [default: that of the files].
    #[arg(long, value_enum)]
    dtype: Option<DtypeName>,
    /// A LoRA file, and its scale after a colon [default scale: 1]; several are added together [default: none].
    #[arg(long, value_name = "FILE[:SCALE]", value_parser = checked_lora)]
    lora: Vec<String>,
    /// A textual-inversion embedding, whose token the prompt then may use; may be given several times [default: none].
    #[arg(long, value_name = "FILE")]
    embedding: Vec<PathBuf>,
    /// A tiny VAE (TAESD), which replaces the model's VAE for decoding, encoding and previews
    /// [default: none].
    #[arg(long, value_name = "DIR|FILE")]
    taesd: Option<PathBuf>,
    /// Start from the noise in the tensor `latents` of a safetensors file, of standard deviation 1 [default: noise of
    /// --seed].
    #[arg(long, value_name = "FILE")]
    latents: Option<PathBuf>,
    /// Write the finished latents, before the VAE, as the tensor `latents` of a safetensors file [default: not
    /// written].
    #[arg(long, value_name = "FILE")]
    pub(super) save_latents: Option<PathBuf>,
    /// Write a preview after every N UNet calls as out-step-N.png: one pixel a latent, or full size with --taesd
    /// [default: none].
    #[arg(long, value_name = "N")]
    pub(super) preview_every: Option<usize>,
    /// Decode in overlapping tiles of the VAE's `sample_size`, so that the VAE's memory does not
    /// grow with the picture [default: off].
    #[arg(long)]
    tile: bool,
    /// Weight words by brackets in prompts: `(word:1.3)`, `(word)` by 1.1, `[word]` by 1/1.1
    /// [default: brackets are text].
    #[arg(long)]
    prompt_weights: bool,
    /// The picture to write; several are numbered: out-0.png, out-1.png.
    #[arg(long, default_value = "out.png")]
    pub(super) out: PathBuf,
    /// A PNG that pyrograph wrote: each setting that is not given has the value of that picture [default: none].
    #[arg(long, value_name = "PNG")]
    like: Option<PathBuf>,
    #[command(flatten)]
    pub(super) common: Common,
    #[command(flatten)]
    acceleration: AccelerationOptions,
}

/// Generators of noise on the command line.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum NoiseName {
    Torch,
    Counter,
}

/// Outputs of a UNet on the command line.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum PredictionName {
    /// The noise.
    Epsilon,
    /// The velocity.
    #[value(alias = "v_prediction")]
    V,
    /// The clean sample.
    Sample,
}

fn name_of(value: impl ValueEnum) -> Option<String> {
    let value = value.to_possible_value()?;
    Some(value.get_name().to_owned())
}

impl PictureOptions {
    /// The settings of `command`: flags, then those of `--like`. Defaults are filled in by the reader.
    pub(super) fn settings(&self, command: &str) -> anyhow::Result<Settings> {
        let like = match &self.like {
            Some(path) => Settings::read(path)?,
            None => Settings::default(),
        };
        let levels = &self.levels;
        let karras = levels.karras.then(|| "karras".to_owned());
        let either =
            |given: bool, like: Option<bool>| (given || like == Some(true)).then_some(true);
        let list = |given: &Vec<String>, like: Vec<String>| match given.is_empty() {
            true => like,
            false => given.clone(),
        };
        let like = self.acceleration.on(like);
        Ok(Settings {
            command: command.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            model: self.model.clone().or(like.model),
            prompt: self.prompts.first().cloned().or(like.prompt),
            negative: self.negative.clone().or(like.negative),
            steps: self.steps.or(like.steps),
            scheduler: self
                .scheduler
                .map(|name| name.to_string())
                .or(like.scheduler),
            sigmas: levels.sigmas.and_then(name_of).or(karras).or(like.sigmas),
            spacing: levels.spacing.and_then(name_of).or(like.spacing),
            final_sigma: levels.final_sigma.and_then(name_of).or(like.final_sigma),
            prediction: self.prediction.and_then(name_of).or(like.prediction),
            guidance: self.guidance.or(like.guidance),
            guidance_rescale: self.guidance_rescale.or(like.guidance_rescale),
            width: self.width.or(like.width),
            height: self.height.or(like.height),
            seed: self.seed.or(like.seed),
            rng: self.rng.and_then(name_of).or(like.rng),
            dtype: self.dtype.and_then(name_of).or(like.dtype),
            lora: list(&self.lora, like.lora),
            embedding: match self.embedding.is_empty() {
                true => like.embedding,
                false => self.embedding.clone(),
            },
            taesd: self.taesd.clone().or(like.taesd),
            latents: self.latents.clone().or(like.latents),
            tile: either(self.tile, like.tile),
            prompt_weights: either(self.prompt_weights, like.prompt_weights),
            ..like
        })
    }
}

/// The value of `kind` that settings name; nothing where they name none.
pub(super) fn named<T: ValueEnum>(kind: &str, name: Option<&str>) -> anyhow::Result<Option<T>> {
    let read = |name| {
        T::from_str(name, false)
            .map_err(|_| anyhow::anyhow!("{kind} is {name}, which is not known"))
    };
    name.map(read).transpose()
}

impl From<NoiseName> for RngKind {
    fn from(name: NoiseName) -> Self {
        match name {
            NoiseName::Torch => Self::Torch,
            NoiseName::Counter => Self::Counter,
        }
    }
}

impl From<PredictionName> for Prediction {
    fn from(name: PredictionName) -> Self {
        match name {
            PredictionName::Epsilon => Self::Epsilon,
            PredictionName::V => Self::Velocity,
            PredictionName::Sample => Self::Sample,
        }
    }
}

/// The text of a LoRA's file and scale, as settings keep it.
fn checked_lora(text: &str) -> Result<String, String> {
    lora_and_scale(text).map(|_| text.to_owned())
}
