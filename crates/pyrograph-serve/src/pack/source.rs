//! The files of a model.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::MANIFEST;
use crate::ServeError;

/// The model files that runs keep at their root: those of `anomaly fit` and `train ssd`.
const RUN_MODELS: [&str; 2] = ["anomaly.safetensors", "best.safetensors"];
/// The folder of a run's checkpoints, and how their names begin.
const CHECKPOINTS: &str = "checkpoints";
const STEP: &str = "step-";
/// The weights of a checkpoint, the better first.
const CHECKPOINT_MODELS: [&str; 2] = ["ema.safetensors", "model.safetensors"];

/// The files of a model, and what of them the model is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// The model in the archive: a file, or `.` for the whole of it.
    pub(super) model: String,
    /// The model on the disk.
    pub(super) path: PathBuf,
    /// The files: path in the archive, path on the disk, in the order of the former.
    pub(super) files: Vec<(String, PathBuf)>,
}

/// The model that a path means: a file or a diffusers folder is itself; of a run folder, the model file of the run; of
/// another folder, its only safetensors file.
///
/// # Errors
/// When the path does not read, or a run has no model yet.
pub fn model_in(path: &Path) -> Result<PathBuf, ServeError> {
    let unreadable = |source| ServeError::File {
        path: path.into(),
        source,
    };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_dir() || is_pipeline(path) {
        return Ok(path.into());
    }
    if let Some(model) = model_of_run(path)? {
        return Ok(model);
    }
    let mut files = fs::read_dir(path)
        .and_then(|entries| {
            entries
                .map(|entry| Ok(entry?.path()))
                .collect::<io::Result<Vec<_>>>()
        })
        .map_err(unreadable)?;
    files.retain(|file| file.extension().is_some_and(|it| it == "safetensors") && file.is_file());
    match &files[..] {
        [file] => Ok(file.clone()),
        _ => Ok(path.into()),
    }
}

/// Whether a folder is one of diffusers.
fn is_pipeline(folder: &Path) -> bool {
    folder.join("model_index.json").is_file() || folder.join("unet").is_dir()
}

/// The model file of a run folder; none for another folder.
fn model_of_run(folder: &Path) -> Result<Option<PathBuf>, ServeError> {
    let checkpoints = folder.join(CHECKPOINTS);
    if !folder.join("config.json").is_file() || !checkpoints.is_dir() {
        return Ok(None);
    }
    let whole = RUN_MODELS.map(|name| folder.join(name));
    if let Some(model) = whole.into_iter().find(|path| path.is_file()) {
        return Ok(Some(model));
    }
    let mut steps = Vec::new();
    let unreadable = |source| ServeError::File {
        path: checkpoints.clone(),
        source,
    };
    for entry in fs::read_dir(&checkpoints).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        let step = name.to_str().and_then(|name| name.strip_prefix(STEP));
        steps.extend(step.and_then(|step| step.parse::<u64>().ok()));
    }
    let last = steps.into_iter().max();
    let found = last.and_then(|step| {
        let folder = checkpoints.join(format!("{STEP}{step}"));
        let files = CHECKPOINT_MODELS.map(|name| folder.join(name));
        files.into_iter().find(|path| path.is_file())
    });
    found.map(Some).ok_or_else(|| ServeError::Package {
        path: folder.into(),
        reason:
            "the run has no model yet: train it, and fit an AnoGAN with `pyrograph anomaly fit`"
                .into(),
    })
}

impl Source {
    /// Finds the files of the model at `path`.
    pub(super) fn find(path: &Path) -> Result<Self, ServeError> {
        let model = model_in(path)?;
        if model.is_dir() {
            let files = files_below(&model)?;
            return Ok(Self {
                model: ".".into(),
                path: model,
                files,
            });
        }
        let name = text_of(&model, model.file_name().unwrap_or_default().to_str())?;
        let is_plain_folder = path.is_dir() && model.parent() == Some(path);
        let is_run = RUN_MODELS.contains(&name.as_str());
        let files = match is_plain_folder && !is_run {
            true => files_below(path)?,
            false => vec![(name.clone(), model.clone())],
        };
        Ok(Self {
            model: name,
            path: model,
            files,
        })
    }
}

/// All files below a folder but hidden ones and an earlier manifest, by name. A link that leads out of the folder is
/// refused, as is one to a folder.
fn files_below(root: &Path) -> Result<Vec<(String, PathBuf)>, ServeError> {
    let unreadable = |path: &Path, source| ServeError::File {
        path: path.into(),
        source,
    };
    let real_root = root
        .canonicalize()
        .map_err(|source| unreadable(root, source))?;
    let mut files = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|source| unreadable(&folder, source))? {
            let entry = entry.map_err(|source| unreadable(&folder, source))?;
            let path = entry.path();
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let kind = entry
                .file_type()
                .map_err(|source| unreadable(&path, source))?;
            if kind.is_symlink() {
                check_link(&path, &real_root)?;
            }
            if kind.is_dir() {
                folders.push(path);
                continue;
            }
            if !fs::metadata(&path)
                .map_err(|source| unreadable(&path, source))?
                .is_file()
            {
                return Err(refuse(&path, "it is neither a file nor a folder"));
            }
            let name = name_below(root, &path)?;
            if name != MANIFEST {
                files.push((name, path));
            }
        }
    }
    files.sort();
    Ok(files)
}

fn check_link(path: &Path, real_root: &Path) -> Result<(), ServeError> {
    let target = path.canonicalize().map_err(|source| ServeError::File {
        path: path.into(),
        source,
    })?;
    if !target.starts_with(real_root) {
        return Err(refuse(
            path,
            "it is a link that leads out of the folder: copy the file in its place; `pyrograph convert` makes a folder without \
             links of a repository of the Hugging Face Hub",
        ));
    }
    match target.is_dir() {
        true => Err(refuse(
            path,
            "it is a link to a folder: copy the folder in its place",
        )),
        false => Ok(()),
    }
}

fn name_below(root: &Path, path: &Path) -> Result<String, ServeError> {
    let below = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = below
        .components()
        .map(|part| text_of(path, part.as_os_str().to_str()))
        .collect::<Result<_, _>>()?;
    Ok(parts.join("/"))
}

fn text_of(path: &Path, name: Option<&str>) -> Result<String, ServeError> {
    name.map(str::to_owned)
        .ok_or_else(|| refuse(path, "its name is no UTF-8: rename it"))
}

fn refuse(path: &Path, reason: &str) -> ServeError {
    ServeError::Package {
        path: path.into(),
        reason: reason.into(),
    }
}
