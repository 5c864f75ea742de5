//! The files of a model.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::MANIFEST;
use crate::{
    ServeError,
    tasks::{Located, TaskKind, locate, model_path},
};

/// The folder of a run's checkpoints.
const CHECKPOINTS: &str = "checkpoints";

/// The files of a model, and what of them the model is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) task: TaskKind,
    /// The model in the archive: a file, or `.` for the whole of it.
    pub(super) model: String,
    /// The files: path in the archive, path on the disk, in the order of the former.
    pub(super) files: Vec<(String, PathBuf)>,
}

impl Source {
    /// Finds the files of the model at `path`: those of a diffusers folder, a model file, or the model file of a run. A model
    /// file in a folder of its own takes along what lies beside it. `task` is for models whose files do not tell it.
    pub(super) fn find(path: &Path, task: Option<TaskKind>) -> Result<Self, ServeError> {
        let Located { kind, path: model } = located(path, task)?;
        if model.is_dir() {
            return Ok(Self {
                task: kind,
                model: ".".into(),
                files: files_below(&model)?,
            });
        }
        let name = text_of(&model, model.file_name().unwrap_or_default().to_str())?;
        let is_run = path.join(CHECKPOINTS).is_dir();
        let files = match model.parent() == Some(path) && !is_run {
            true => files_below(path)?,
            false => vec![(name.clone(), model)],
        };
        Ok(Self {
            task: kind,
            model: name,
            files,
        })
    }
}

/// The model and its task, which the files tell, or which is given.
fn located(path: &Path, given: Option<TaskKind>) -> Result<Located, ServeError> {
    match (locate(path), given) {
        (Ok(found), Some(given)) if found.kind != given => Err(ServeError::Setting {
            name: "--task".into(),
            seen: given.name().into(),
            allowed: format!(
                "{}, the task of {}: leave --task out",
                found.kind,
                found.path.display()
            ),
        }),
        (Err(ServeError::UnknownTask { .. }), Some(kind)) => Ok(Located {
            kind,
            path: model_path(kind, path)?,
        }),
        (located, _) => located,
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
