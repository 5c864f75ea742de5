//! From settings to what the pipeline takes.

use std::path::Path;

use anyhow::{anyhow, bail};
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
    acceleration::acceleration,
    options::{NoiseName, PredictionName, named},
    settings::Settings,
};
use crate::{
    arguments::lora_and_scale,
    dtype::DtypeName,
    schedulers::{FinalSigmaName, SigmaName, SpacingName},
};

/// How the checkpoint is opened.
pub(super) fn open_options(settings: &Settings) -> anyhow::Result<OpenOptions> {
    let prediction: Option<PredictionName> = named("prediction", settings.prediction.as_deref())?;
    let dtype: Option<DtypeName> = named("dtype", settings.dtype.as_deref())?;
    let loras = settings.lora.iter().map(|text| lora_file(text));
    Ok(OpenOptions {
        precision: dtype.map_or(Precision::AsStored, Precision::from),
        tiny_vae: settings.taesd.clone(),
        loras: loras.collect::<anyhow::Result<_>>()?,
        embeddings: settings.embedding.clone(),
        prediction: prediction.map(Prediction::from),
        ..OpenOptions::default()
    })
}

/// The LoRA that `--lora` names.
fn lora_file(text: &str) -> anyhow::Result<LoraFile> {
    let (path, scale) = lora_and_scale(text).map_err(|reason| anyhow!("{text}: {reason}"))?;
    if !path.exists() {
        bail!(
            "--lora {text}: there is no file {}; write FILE, or FILE:SCALE with a number for the scale",
            path.display()
        );
    }
    Ok(LoraFile { path, scale })
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
        acceleration: acceleration(settings),
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
    let seen = tensor.shape();
    let Ok(shape) = <[usize; 4]>::try_from(seen) else {
        bail!(
            "{}: `latents` has shape {seen:?}, but must be [images, channels, height, width]",
            path.display()
        );
    };
    Ok(Latents {
        shape,
        values: tensor.to_f32(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use pyrograph::models::weights::TensorEntry;

    use super::*;

    #[test]
    fn a_lora_that_is_not_there_is_refused_with_the_form_to_write() {
        let error = lora_file("nowhere.safetensors:much")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("nowhere.safetensors:much") && error.contains("FILE:SCALE"),
            "{error}"
        );
    }

    #[test]
    fn latents_of_another_rank_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("latents.safetensors");
        let mut dict = StateDict::new();
        dict.insert(
            "latents",
            TensorEntry::from_f32(vec![4, 2, 2], vec![0.0; 16]),
        );
        dict.save(&path, HashMap::new()).unwrap();
        let error = read_latents(&path).unwrap_err().to_string();
        assert!(
            error.contains("[4, 2, 2]") && error.ends_with("width]"),
            "{error}"
        );
    }
}
