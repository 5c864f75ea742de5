//! TAESD: a diffusers folder, or the files of its authors.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Part, part_files::open_part, refused};
use crate::{ModelError, weights::StateDict};

/// diffusers' class.
pub(super) const CLASS: &str = "AutoencoderTiny";
/// Endings of a file of weights.
const ENDINGS: [&str; 3] = ["safetensors", "pth", "pt"];
/// Prefixes of the halves in files that hold both.
const PREFIXES: [[&str; 2]; 2] = [
    ["encoder.", "decoder."],
    ["taesd_encoder.", "taesd_decoder."],
];

/// Whether a config is of a tiny VAE.
pub(super) fn is_tiny(config: &str) -> bool {
    let config: Value = serde_json::from_str(config).unwrap_or_default();
    config.get("_class_name").and_then(Value::as_str) == Some(CLASS)
}

/// Opens a TAESD: a diffusers folder of `AutoencoderTiny`, a file of both halves, or a folder of
/// the authors' two files (`taesd_encoder.pth` and `taesd_decoder.pth`). `path` may also be one of
/// these two files.
///
/// # Errors
/// When a half is missing, or when a file is damaged or of another architecture.
pub fn open_tiny_vae(path: &Path) -> Result<Part, ModelError> {
    if path.is_dir() {
        if path.join("config.json").is_file() {
            return Ok(open_part(path, None)?.0);
        }
        let half = |name: &str| {
            let files = ENDINGS
                .iter()
                .map(|ending| path.join(format!("taesd_{name}.{ending}")));
            files
                .into_iter()
                .find(|file| file.is_file())
                .ok_or_else(|| {
                    refused(
                        path,
                        format!(
                            "it holds neither config.json nor taesd_{name}.safetensors or .pth"
                        ),
                    )
                })
        };
        return of_halves(&half("encoder")?, &half("decoder")?);
    }
    let dict = StateDict::open(path)?;
    if dict
        .keys()
        .any(|key| key.starts_with("encoder.layers.") || key.starts_with("decoder.layers."))
    {
        let beside = path.with_file_name("config.json");
        return match std::fs::read_to_string(beside) {
            Ok(config) if is_tiny(&config) => Ok(Part {
                config,
                weights: dict,
            }),
            _ => Ok(with_config(dict)),
        };
    }
    for [encoder, decoder] in PREFIXES {
        let halves = (dict.part(encoder), dict.part(decoder));
        if halves.0.keys().next().is_some() && halves.1.keys().next().is_some() {
            return joined(path, &halves.0, &halves.1);
        }
    }
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    let sibling = |from: &str, to: &str| -> Option<PathBuf> {
        name.contains(from)
            .then(|| path.with_file_name(name.replace(from, to)))
    };
    match (sibling("encoder", "decoder"), sibling("decoder", "encoder")) {
        (Some(decoder), None) => of_halves(path, &decoder),
        (None, Some(encoder)) => of_halves(&encoder, path),
        _ => Err(refused(
            path,
            "it holds no tiny VAE: neither `encoder.layers.0.weight` nor both halves of TAESD",
        )),
    }
}

fn of_halves(encoder: &Path, decoder: &Path) -> Result<Part, ModelError> {
    joined(
        encoder,
        &StateDict::open(encoder)?,
        &StateDict::open(decoder)?,
    )
}

/// Both halves under diffusers' names: its decoder leaves out the clamp, which is the authors' layer 0.
fn joined(path: &Path, encoder: &StateDict, decoder: &StateDict) -> Result<Part, ModelError> {
    let mut dict = StateDict::new();
    for (half, source, first) in [("encoder", encoder, 0), ("decoder", decoder, 1)] {
        for key in source.keys() {
            let layer = key.split_once('.').and_then(|(number, rest)| {
                Some((number.parse::<usize>().ok()?.checked_sub(first)?, rest))
            });
            let Some((number, rest)) = layer else {
                return Err(refused(
                    path,
                    format!(
                        "`{key}` is no key of TAESD's {half}, such as `{}.weight`",
                        1 + first
                    ),
                ));
            };
            if let Some(tensor) = source.get(key) {
                dict.insert(format!("{half}.layers.{number}.{rest}"), tensor.clone());
            }
        }
    }
    Ok(with_config(dict))
}

/// The config of weights that come without one: TAESD's, with the channels of their latents.
fn with_config(weights: StateDict) -> Part {
    let latents = weights
        .get("decoder.layers.0.weight")
        .and_then(|first| first.shape().get(1).copied());
    let config = json!({"_class_name": CLASS, "latent_channels": latents.unwrap_or(4)});
    Part {
        config: config.to_string(),
        weights,
    }
}
