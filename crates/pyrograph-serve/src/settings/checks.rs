//! Faults of flags that are found before a model is loaded.

use std::path::Path;

use super::{ModelChoice, ModelOverrides};
use crate::{Limits, ServeError};

/// The refusal of a model that is not there.
pub(super) fn missing(choice: &ModelChoice) -> ServeError {
    let path = choice.path.display().to_string();
    let allowed = match path.split_once('=') {
        Some((name, _)) if choice.name.is_none() && !name.is_empty() => format!(
            "a folder or file that is there, or NAME=DIR; the NAME has at most 64 letters, digits, `-`, `_` and `.`, \
             the first a letter or digit, and `{name}` is none"
        ),
        _ => "a folder or file that is there; `pyrograph convert` makes a folder of a repository of the Hugging Face Hub"
            .into(),
    };
    ServeError::Setting {
        name: "--model".into(),
        seen: path,
        allowed,
    }
}

/// Refuses defaults that a request could not ask for.
pub(super) fn check_defaults(given: &ModelOverrides, limits: &Limits) -> Result<(), ServeError> {
    if let Some(steps) = given.steps
        && steps > limits.steps
    {
        return Err(ServeError::Setting {
            name: "--steps".into(),
            seen: steps.to_string(),
            allowed: format!("at most --max-steps, which is {}", limits.steps),
        });
    }
    let sizes = given.sizes.iter().flatten();
    let pixels = |[width, height]: &[usize; 2]| *width as u64 * *height as u64;
    match sizes.clone().find(|size| pixels(size) > limits.pixels) {
        Some([width, height]) => Err(ServeError::Setting {
            name: "--size".into(),
            seen: format!("{width}x{height}"),
            allowed: format!("at most --max-pixels, which is {} pixels", limits.pixels),
        }),
        None => Ok(()),
    }
}

/// Refuses files that are not there before a model is loaded.
pub(super) fn check_files(given: &ModelOverrides) -> Result<(), ServeError> {
    let loras = given.loras.iter().flatten();
    let embeddings = given.embeddings.iter().flatten();
    let files = (given.tiny_vae.iter().map(|path| ("--taesd", path)))
        .chain(loras.map(|lora| ("--lora", &lora.path)))
        .chain(embeddings.map(|path| ("--embedding", path)));
    let missing = files.into_iter().find(|(_, path)| !path.exists());
    missing.map_or(Ok(()), |(flag, path)| {
        let allowed = match flag {
            "--taesd" => "a folder or file that is there",
            "--lora" => "FILE or FILE:SCALE, of a file that is there",
            _ => "a file that is there",
        };
        Err(setting(flag, path, allowed.into()))
    })
}

/// The failure of a file of tokens, with its flag.
pub(super) fn of_tokens(error: ServeError) -> ServeError {
    match error {
        ServeError::File { path, source } => {
            setting("--tokens", &path, format!("a file that reads: {source}"))
        }
        other => other,
    }
}

/// The flags that only models of the task txt2img know.
pub(super) fn idle(flags: &ModelOverrides) -> Vec<&'static str> {
    let given = [
        ("--taesd", flags.tiny_vae.is_some()),
        ("--lora", flags.loras.is_some()),
        ("--embedding", flags.embeddings.is_some()),
        ("--size", flags.sizes.is_some()),
        ("--dtype", flags.precision.is_some()),
    ];
    let given = given.into_iter().filter(|(_, is_given)| *is_given);
    given.map(|(flag, _)| flag).collect()
}

fn setting(flag: &str, path: &Path, allowed: String) -> ServeError {
    ServeError::Setting {
        name: flag.into(),
        seen: path.display().to_string(),
        allowed,
    }
}
