//! Single-file checkpoints with CompVis key names.

use std::path::Path;

use super::{
    Checkpoint, CheckpointOptions, Part, TokenizerFiles, compvis,
    infer::{self, Kind},
    open_clip, refused,
    tokenizer::padding_of,
};
use crate::{ModelError, error::first, weights::StateDict};

const UNET: &str = "model.diffusion_model.";
const VAE: &str = "first_stage_model.";
/// The text tower of Hugging Face, in Stable Diffusion 1.
const HUGGING_FACE: &str = "cond_stage_model.transformer.";
/// OpenCLIP's text tower, in Stable Diffusion 2.
const OPEN_CLIP: &str = "cond_stage_model.model.";
const AVERAGES: &str = "model_ema.";
/// Prefixes that training scripts add to a state dict.
const WRAPPERS: [&str; 2] = ["", "state_dict."];
/// Keys that identify other architectures.
const FOREIGN: [(&str, &str); 4] = [
    ("conditioner.embedders.", "Stable Diffusion XL"),
    ("model.diffusion_model.joint_blocks.", "Stable Diffusion 3"),
    ("double_blocks.", "Flux"),
    ("control_model.", "a ControlNet"),
];

pub(super) fn open(path: &Path, options: &CheckpointOptions) -> Result<Checkpoint, ModelError> {
    let file = StateDict::open(path)?;
    let wrapper = WRAPPERS
        .iter()
        .find(|wrapper| has(&file, &format!("{wrapper}{UNET}")));
    let dict = match wrapper {
        Some(wrapper) => file.part(wrapper),
        None => return Err(foreign(path, &file)),
    };
    if let Some((_, name)) = FOREIGN.iter().find(|(prefix, _)| has(&dict, prefix)) {
        return Err(refused(
            path,
            format!("it is of {name}, not of Stable Diffusion 1 or 2"),
        ));
    }
    let mut notes = Vec::new();
    let unet = compvis::unet(&unet_weights(path, &dict, options, &mut notes)?);
    let kind = Kind::of_unet(&unet);
    let prediction = options.prediction.unwrap_or_else(|| {
        let assumed = kind.prediction();
        if kind.second {
            notes.push(format!(
                "a single file cannot tell what its UNet predicts: {} is assumed; `--prediction` names another",
                assumed.name()
            ));
        }
        assumed
    });
    let vae = compvis::vae(&part_of(path, &dict, VAE, "vae")?);
    let text_encoder = text_encoder(path, &dict, &mut notes)?;
    note_unused(&dict, &mut notes);
    let padding = padding_of(infer::text_width(&text_encoder.weights)).into();
    Ok(Checkpoint {
        text_encoder,
        unet: Part {
            config: infer::unet(&unet, kind, prediction),
            weights: unet,
        },
        vae: Part {
            config: infer::vae(&vae, kind, prediction),
            weights: vae,
        },
        tiny_vae: None,
        scheduler: Some(kind.scheduler(prediction)),
        tokenizer: TokenizerFiles::BuiltIn { padding },
        notes,
    })
}

fn has(dict: &StateDict, prefix: &str) -> bool {
    dict.keys().any(|key| key.starts_with(prefix))
}

fn foreign(path: &Path, file: &StateDict) -> ModelError {
    let name = FOREIGN
        .iter()
        .find(|(prefix, _)| has(file, prefix))
        .map(|(_, name)| *name);
    let keys: Vec<_> = file.keys().map(str::to_owned).collect();
    refused(
        path,
        match name {
            Some(name) => format!("it is of {name}, not of Stable Diffusion 1 or 2"),
            None => format!("it holds no keys under `{UNET}`, but {}", first(&keys)),
        },
    )
}

fn part_of(
    path: &Path,
    dict: &StateDict,
    prefix: &str,
    name: &str,
) -> Result<StateDict, ModelError> {
    let part = dict.part(prefix);
    if part.keys().next().is_none() {
        let reason = format!("the part `{name}` is missing: it holds no keys under `{prefix}`");
        return Err(refused(path, reason));
    }
    Ok(part)
}

/// The trained weights, or their moving averages if the options request them.
fn unet_weights(
    path: &Path,
    dict: &StateDict,
    options: &CheckpointOptions,
    notes: &mut Vec<String>,
) -> Result<StateDict, ModelError> {
    let trained = dict.part(UNET);
    let averaged = has(dict, AVERAGES);
    if !options.averages {
        if averaged {
            notes.push(format!(
                "the moving averages under `{AVERAGES}` are not used"
            ));
        }
        return Ok(trained);
    }
    // The averages' keys are those of the weights without the first segment and without dots.
    let name = |key: &str| {
        format!(
            "{AVERAGES}{}",
            format!("diffusion_model.{key}").replace('.', "")
        )
    };
    let mut averages = trained.clone();
    for key in trained.keys() {
        let average = dict.get(&name(key)).ok_or_else(|| {
            refused(
                path,
                format!(
                    "it holds no moving average `{}`; open it without the averages",
                    name(key)
                ),
            )
        })?;
        averages.insert(key, average.clone());
    }
    notes.push(format!(
        "the moving averages under `{AVERAGES}` are used, not the trained weights"
    ));
    Ok(averages)
}

fn text_encoder(
    path: &Path,
    dict: &StateDict,
    notes: &mut Vec<String>,
) -> Result<Part, ModelError> {
    let (weights, activation) = if has(dict, OPEN_CLIP) {
        let (weights, unused) = open_clip::text_encoder(&dict.part(OPEN_CLIP));
        if !unused.is_empty() {
            notes.push(format!(
                "of the text tower, {} tensors are not used: {}",
                unused.len(),
                first(&unused)
            ));
        }
        (weights, "gelu")
    } else {
        (
            part_of(path, dict, HUGGING_FACE, "text_encoder")?,
            "quick_gelu",
        )
    };
    let config = infer::text_encoder(&weights, activation);
    Ok(Part { config, weights })
}

/// Names the keys outside the parts: the schedule's tables, for example.
fn note_unused(dict: &StateDict, notes: &mut Vec<String>) {
    let parts = [UNET, VAE, HUGGING_FACE, OPEN_CLIP, AVERAGES];
    let unused = dict
        .keys()
        .filter(|key| !parts.iter().any(|part| key.starts_with(part)));
    let unused: Vec<_> = unused.map(str::to_owned).collect();
    if !unused.is_empty() {
        notes.push(format!(
            "{} tensors are not used: {}",
            unused.len(),
            first(&unused)
        ));
    }
}
