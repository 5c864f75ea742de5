//! Files that a command is to write, looked at before the work begins.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::bail;
use pyrograph::base::check_target;

/// A path in the JSON of a result: bytes that are no text are shown as the terminal shows them.
pub(crate) fn as_text(path: &Path) -> String {
    path.display().to_string()
}

/// Refuses outputs as [`check_files`] does, and those whose names promise another format.
pub(crate) fn check_outputs(outputs: &[(&str, &Path)], inputs: &[PathBuf]) -> anyhow::Result<()> {
    check_files(outputs, inputs)?;
    outputs
        .iter()
        .try_for_each(|(flag, path)| check_extension(flag, path))
}

/// What of a run folder no output may overwrite.
pub(crate) fn files_of_run(run: &Path) -> [PathBuf; 5] {
    [
        "checkpoints",
        "config.json",
        "metrics.jsonl",
        "anomaly.safetensors",
        "best.safetensors",
    ]
    .map(|name| run.join(name))
}

/// Refuses outputs (a flag and its path) that cannot be written, that would overwrite each other, or that would overwrite
/// one of `inputs`, files or folders.
pub(crate) fn check_files(outputs: &[(&str, &Path)], inputs: &[PathBuf]) -> anyhow::Result<()> {
    for (place, (flag, path)) in outputs.iter().enumerate() {
        check_target(path)?;
        let target = real_path(path);
        // A device or a pipe takes any number of outputs.
        if fs::metadata(&target).is_ok_and(|kind| !kind.is_file()) {
            continue;
        }
        if let Some(input) = inputs
            .iter()
            .find(|input| target.starts_with(real_path(input)))
        {
            bail!(
                "{flag} {} would overwrite the input {}: give another path",
                path.display(),
                input.display()
            );
        }
        let earlier = outputs[..place]
            .iter()
            .find(|(_, earlier)| real_path(earlier) == target);
        if let Some((earlier, _)) = earlier {
            bail!(
                "{earlier} and {flag} are both {}: give two paths",
                path.display()
            );
        }
    }
    Ok(())
}

/// Refuses pictures that would overwrite one of `inputs`, which are files.
pub(crate) fn check_pictures(pictures: &[PathBuf], inputs: &[PathBuf]) -> anyhow::Result<()> {
    let inputs: HashSet<PathBuf> = inputs.iter().map(|input| real_path(input)).collect();
    match pictures
        .iter()
        .find(|path| inputs.contains(&real_path(path)))
    {
        Some(path) => bail!(
            "the picture {} would overwrite an input: give another folder with --out",
            path.display()
        ),
        None => Ok(()),
    }
}

/// Refuses an output whose name promises another format than the one that is written.
fn check_extension(flag: &str, path: &Path) -> anyhow::Result<()> {
    let written = match flag {
        "--out" | "--strip" | "--compare-noise" | "--plot" => "png",
        "--gif" => "gif",
        "--save" => "safetensors",
        _ => return Ok(()),
    };
    match path.extension() {
        Some(seen) if !seen.eq_ignore_ascii_case(written) => {
            bail!(
                "{flag} {} is written as {written}: give a name that ends in .{written}",
                path.display()
            )
        }
        _ => Ok(()),
    }
}

/// Where a path leads, links followed; what is missing of it as written.
pub(crate) fn real_path(path: &Path) -> PathBuf {
    if let Ok(real) = fs::canonicalize(path) {
        return real;
    }
    let folder = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return path.into(),
    };
    match path.file_name() {
        Some(name) => real_path(folder).join(name),
        None => path.into(),
    }
}
