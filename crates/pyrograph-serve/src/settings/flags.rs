//! What is told of a flag by its name.

use std::path::Path;

use super::ModelOverrides;
use crate::ServeError;

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
