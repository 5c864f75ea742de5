//! From settings to what the pipeline takes.

use std::path::Path;

use anyhow::{Context, anyhow, bail};
use pyrograph::{
    backend::rng::RngKind,
    diffusion::{FinalPoint, SigmaSpacing},
    models::{
        stable_diffusion::checkpoint::Prediction,
        weights::{Precision, StateDict},
    },
    pipelines::stable_diffusion::{
        ImagePrompt, ImageRequest, ImageStart, Latents, LoraFile, MAX_IMAGES, OpenOptions,
        SchedulerChoice, TimestepSpacing, tokenizer::PromptSyntax,
    },
    vision::read_image,
};

use super::{
    options::{DtypeName, NoiseName, PredictionName, named},
    settings::Settings,
};
use crate::{
    arguments::lora_and_scale,
    schedulers::{FinalSigmaName, SigmaName, SpacingName},
};

/// How the checkpoint is opened.
pub(super) fn open_options(settings: &Settings) -> anyhow::Result<OpenOptions> {
    let prediction: Option<PredictionName> = named("prediction", settings.prediction.as_deref())?;
    let dtype: Option<DtypeName> = named("dtype", settings.dtype.as_deref())?;
    let loras = settings.lora.iter().map(|text| {
        let (path, scale) = lora_and_scale(text).map_err(|reason| anyhow!("{text}: {reason}"))?;
        Ok(LoraFile { path, scale })
    });
    Ok(OpenOptions {
        precision: dtype.map_or(Precision::AsStored, Precision::from),
        tiny_vae: settings.taesd.clone(),
        loras: loras.collect::<anyhow::Result<_>>()?,
        embeddings: settings.embedding.clone(),
        prediction: prediction.map(Prediction::from),
        ..OpenOptions::default()
    })
}

/// The request for `count` pictures of each prompt.
pub(super) fn request(
    settings: &Settings,
    prompts: &[String],
    count: usize,
) -> anyhow::Result<ImageRequest> {
    let seed = settings.seed.unwrap_or(0);
    if prompts.len().saturating_mul(count) > MAX_IMAGES {
        bail!(
            "{} prompts with -n {count} are more than {MAX_IMAGES} pictures",
            prompts.len()
        );
    }
    let of_prompt = prompts
        .iter()
        .flat_map(|prompt| std::iter::repeat_n(prompt, count));
    let images = of_prompt.zip(0..).map(|(prompt, place)| ImagePrompt {
        prompt: prompt.clone(),
        negative: settings.negative.clone().unwrap_or_default(),
        seed: seed.wrapping_add(place),
    });
    let rng: Option<NoiseName> = named("rng", settings.rng.as_deref())?;
    let default = ImageRequest::new("", seed);
    Ok(ImageRequest {
        images: images.collect(),
        steps: settings.steps.unwrap_or(default.steps),
        scheduler: scheduler(settings)?,
        guidance: settings.guidance.unwrap_or(default.guidance),
        guidance_rescale: settings
            .guidance_rescale
            .unwrap_or(default.guidance_rescale),
        width: settings.width,
        height: settings.height,
        rng: rng.map_or(RngKind::Torch, RngKind::from),
        start: start(settings)?,
        syntax: match settings.prompt_weights {
            Some(true) => PromptSyntax::Weighted,
            _ => PromptSyntax::Plain,
        },
        tiled: settings.tile == Some(true),
    })
}

fn scheduler(settings: &Settings) -> anyhow::Result<SchedulerChoice> {
    let name = settings.scheduler.as_deref().map(str::parse).transpose()?;
    let sigmas: Option<SigmaName> = named("sigmas", settings.sigmas.as_deref())?;
    let spacing: Option<SpacingName> = named("spacing", settings.spacing.as_deref())?;
    let last: Option<FinalSigmaName> = named("final_sigma", settings.final_sigma.as_deref())?;
    Ok(SchedulerChoice {
        name,
        sigmas: sigmas.map(|name| match name {
            SigmaName::Karras => SigmaSpacing::Karras,
            SigmaName::Exponential => SigmaSpacing::Exponential,
            SigmaName::Beta => SigmaSpacing::Beta,
        }),
        spacing: spacing.map(|name| match name {
            SpacingName::Linspace => TimestepSpacing::Linspace,
            SpacingName::Leading => TimestepSpacing::Leading,
            SpacingName::Trailing => TimestepSpacing::Trailing,
        }),
        final_point: last.map(|name| match name {
            FinalSigmaName::Zero => FinalPoint::Clean,
            FinalSigmaName::SigmaMin => FinalPoint::TableStart,
        }),
    })
}

fn start(settings: &Settings) -> anyhow::Result<ImageStart> {
    let strength = settings.strength.unwrap_or(1.0);
    Ok(match (&settings.image, &settings.mask, &settings.latents) {
        (Some(image), Some(mask), _) => ImageStart::Inpaint {
            image: read_image(image)?,
            mask: read_image(mask)?,
            strength,
        },
        (Some(image), None, _) => ImageStart::Image {
            image: read_image(image)?,
            strength,
        },
        (None, _, Some(latents)) => ImageStart::Latents(read_latents(latents)?),
        (None, _, None) => ImageStart::Noise,
    })
}

/// The tensor `latents` of a safetensors file.
fn read_latents(path: &Path) -> anyhow::Result<Latents> {
    let dict = StateDict::open(path)?;
    let tensor = dict
        .get("latents")
        .ok_or_else(|| anyhow!("{}: it has no tensor `latents`", path.display()))?;
    let shape: [usize; 4] = tensor.shape().try_into().with_context(|| {
        let seen = tensor.shape();
        format!(
            "{}: `latents` has shape {seen:?}, but must be [images, channels, height, width]",
            path.display()
        )
    })?;
    Ok(Latents {
        shape,
        values: tensor.to_f32(),
    })
}
