//! Where the model of a task is.

use std::{
    fs,
    path::{Path, PathBuf},
};

use pyrograph_models::weights::{StateDict, model_name};

use super::TaskKind;
use crate::ServeError;

/// What a diffusers folder holds.
const INDEX: &str = "model_index.json";
const UNET: &str = "unet";
/// The folder of checkpoints in a run, and how each is named.
const CHECKPOINTS: &str = "checkpoints";
const STEP: &str = "step-";
/// Files of weights in a checkpoint, the better one first.
const WEIGHTS: [&str; 2] = ["ema.safetensors", "model.safetensors"];
/// The fitted scorer of a run.
const FITTED: &str = "anomaly.safetensors";
/// The detector of a run's best evaluation.
const BEST: &str = "best.safetensors";
/// Extensions of files of weights.
const EXTENSIONS: [&str; 4] = ["safetensors", "ckpt", "pth", "pt"];
/// What the keys of a single-file checkpoint of Stable Diffusion have in common.
const SINGLE_FILE: &str = "model.diffusion_model.";
/// The names of models in model files.
const SPRITES: &str = "context-unet";
const ANOMALY: &str = "anogan";
const DETECTOR: &str = "ssd300";
const GENERATOR: &str = "dcgan";

/// A model that was found.
#[derive(Debug)]
pub(crate) struct Located {
    pub(crate) kind: TaskKind,
    /// The diffusers folder, or the file.
    pub(crate) path: PathBuf,
}

/// The model that `path` names: a diffusers folder, a file, a run folder, or a folder that holds one of them.
pub(crate) fn locate(path: &Path) -> Result<Located, ServeError> {
    located(path, None)
}

/// Where the model of a task is, with `path` as in [`locate`].
pub(crate) fn model_path(kind: TaskKind, path: &Path) -> Result<PathBuf, ServeError> {
    // A file may be what its header does not say, such as published weights: its task's pipeline tells what is wrong with it.
    if path.is_file() {
        return Ok(path.into());
    }
    let found = located(path, Some(kind))?;
    match found.kind == kind {
        true => Ok(found.path),
        false => Err(ServeError::Setting {
            name: "--task".into(),
            seen: kind.name().into(),
            allowed: format!(
                "{}, the task of {}: leave --task out",
                found.kind,
                found.path.display()
            ),
        }),
    }
}

fn located(path: &Path, wanted: Option<TaskKind>) -> Result<Located, ServeError> {
    let kind = fs::metadata(path).map_err(|source| ServeError::File {
        path: path.into(),
        source,
    })?;
    if kind.is_file() {
        return of_file(path);
    }
    if is_diffusers(path) {
        return Ok(Located {
            kind: TaskKind::Txt2img,
            path: path.into(),
        });
    }
    if path.join(CHECKPOINTS).is_dir() {
        return of_run(path, wanted);
    }
    only_one(path, wanted)
}

fn is_diffusers(path: &Path) -> bool {
    path.join(INDEX).is_file() || path.join(UNET).is_dir()
}

/// A file of weights, by its header.
fn of_file(path: &Path) -> Result<Located, ServeError> {
    let dict = StateDict::open(path)
        .map_err(|error| unknown(path, format!("it does not read: {error}")))?;
    let kind = match model_name(&dict).as_deref() {
        Some(SPRITES) => TaskKind::Sprites,
        Some(ANOMALY) => TaskKind::Anomaly,
        Some(DETECTOR) => TaskKind::Detect,
        Some(GENERATOR) => {
            let reason = "a DCGAN scores nothing before `pyrograph anomaly fit`";
            return Err(unknown(path, reason.into()));
        }
        Some(other) => return Err(unknown(path, format!("a {other} is no model of a task"))),
        None if dict.keys().any(|key| key.contains(SINGLE_FILE)) => TaskKind::Txt2img,
        None => {
            return Err(unknown(
                path,
                "its header names no model of pyrograph".into(),
            ));
        }
    };
    Ok(Located {
        kind,
        path: path.into(),
    })
}

/// The best weights of a run folder.
fn of_run(path: &Path, wanted: Option<TaskKind>) -> Result<Located, ServeError> {
    for (kind, name) in [(TaskKind::Anomaly, FITTED), (TaskKind::Detect, BEST)] {
        let file = path.join(name);
        if wanted.is_none_or(|wanted| wanted == kind) && file.is_file() {
            return of_file(&file);
        }
    }
    let last = last_checkpoint(path)?;
    let file = WEIGHTS.map(|name| last.join(name));
    match file.iter().find(|file| file.is_file()) {
        Some(file) => of_file(file),
        None => Err(unknown(
            &last,
            format!("it holds none of {}", WEIGHTS.join(", ")),
        )),
    }
}

/// The checkpoint of a run with the most steps.
fn last_checkpoint(path: &Path) -> Result<PathBuf, ServeError> {
    let folder = path.join(CHECKPOINTS);
    let step = |path: &PathBuf| -> Option<u64> {
        path.file_name()?.to_str()?.strip_prefix(STEP)?.parse().ok()
    };
    let last = entries(&folder)?
        .into_iter()
        .filter_map(|path| Some((step(&path)?, path)))
        .max();
    match last {
        Some((_, path)) => Ok(path),
        None => Err(unknown(&folder, "it holds no whole checkpoint yet".into())),
    }
}

/// The one model in a folder.
fn only_one(path: &Path, wanted: Option<TaskKind>) -> Result<Located, ServeError> {
    let is_weights = |path: &Path| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        path.is_file() && extension.is_some_and(|extension| EXTENSIONS.contains(&extension))
    };
    let candidates = entries(path)?.into_iter().filter_map(|entry| {
        if is_weights(&entry) {
            return of_file(&entry).ok();
        }
        if is_diffusers(&entry) {
            return Some(Located {
                kind: TaskKind::Txt2img,
                path: entry,
            });
        }
        match entry.join(CHECKPOINTS).is_dir() {
            true => of_run(&entry, wanted).ok(),
            false => None,
        }
    });
    let mut models: Vec<Located> = candidates
        .filter(|found| wanted.is_none_or(|wanted| found.kind == wanted))
        .collect();
    let wrong = |allowed: String| ServeError::Setting {
        name: "model".into(),
        seen: path.display().to_string(),
        allowed,
    };
    match (models.pop(), models.is_empty()) {
        (Some(only), true) => Ok(only),
        (None, _) => Err(wrong(
            "a diffusers folder, a checkpoint of Stable Diffusion, a model file of pyrograph, a run, or a folder with one of \
             them"
                .into(),
        )),
        (Some(last), false) => {
            let all = models.iter().chain([&last]);
            let paths: Vec<_> = all.map(|found| found.path.display().to_string()).collect();
            let paths = paths.join(", ");
            match models.iter().all(|found| found.kind == last.kind) {
                true => Err(wrong(format!("one of the models in it: {paths}"))),
                false => Err(unknown(
                    path,
                    format!("the folder holds models of several tasks: {paths}"),
                )),
            }
        }
    }
}

/// What a folder holds, by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, ServeError> {
    let failed = |source| ServeError::File {
        path: folder.into(),
        source,
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    Ok(paths)
}

fn unknown(path: &Path, reason: String) -> ServeError {
    ServeError::UnknownTask {
        path: path.into(),
        reason,
    }
}

#[cfg(test)]
mod tests;
