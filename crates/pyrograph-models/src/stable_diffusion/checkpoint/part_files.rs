//! The file of weights of a part's folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Part, refused};
use crate::{ModelError, weights::StateDict};

/// Names of weights without their endings: diffusers', then transformers'.
const BASES: [&str; 3] = ["diffusion_pytorch_model", "model", "pytorch_model"];
/// Endings in the order of preference.
const ENDINGS: [&[&str]; 4] = [
    &["safetensors"],
    &["safetensors", "index", "json"],
    &["bin"],
    &["bin", "index", "json"],
];
/// Variants in the order of preference; others come after them.
const VARIANTS: [&str; 2] = ["fp16", "bf16"];
/// The variant that comes last: the weights before their average.
const NOT_AVERAGED: &str = "non_ema";

/// The first words of a file that git-lfs has not fetched yet.
const LFS_POINTER: &str = "version https://git-lfs";

/// A file of weights in a part's folder.
struct WeightsFile {
    name: String,
    variant: Option<String>,
    /// The place of its ending in the order of preference.
    ending: usize,
}

impl WeightsFile {
    /// None for a shard or a file of another kind.
    fn parse(name: &str) -> Option<Self> {
        let mut segments = name.split('.');
        if !BASES.contains(&segments.next()?) {
            return None;
        }
        let rest: Vec<_> = segments.collect();
        let form = |ending: &&[&str]| match rest.len().checked_sub(ending.len())? {
            0 => (rest == **ending).then_some(None),
            // The variant stands before the ending, or between its words in old indices.
            1 => (0..rest.len()).find_map(|place| {
                let mut without = rest.clone();
                let variant = without.remove(place);
                (without == **ending).then(|| Some(variant.to_owned()))
            }),
            _ => None,
        };
        let (ending, variant) = ENDINGS
            .iter()
            .enumerate()
            .find_map(|(at, e)| Some((at, form(e)?)))?;
        Some(Self {
            name: name.to_owned(),
            variant,
            ending,
        })
    }

    /// The place in the order: safetensors before PyTorch's files; of each, no variant before any.
    fn rank(&self) -> (bool, usize, usize) {
        let variant = match self.variant.as_deref() {
            None => 0,
            Some(NOT_AVERAGED) => VARIANTS.len() + 2,
            Some(name) => {
                1 + VARIANTS
                    .iter()
                    .position(|v| *v == name)
                    .unwrap_or(VARIANTS.len())
            }
        };
        (self.ending >= 2, variant, self.ending)
    }
}

/// Opens a part's `config.json` and the weights beside it, and gives the names of the other files of weights.
pub(super) fn open_part(
    folder: &Path,
    variant: Option<&str>,
) -> Result<(Part, Vec<String>), ModelError> {
    let config = read_text(&folder.join("config.json"))?;
    let (weights, others) = choose(folder, variant)?;
    let weights = StateDict::open(weights)?;
    Ok((Part { config, weights }, others))
}

/// Whether a part's folder holds weights of a variant.
pub(super) fn has_variant(folder: &Path, variant: &str) -> bool {
    let names = names(folder).unwrap_or_default();
    let mut files = names.iter().filter_map(|name| WeightsFile::parse(name));
    files.any(|file| file.variant.as_deref() == Some(variant))
}

/// The text of a file that a checkpoint must have.
pub(super) fn read_text(path: &Path) -> Result<String, ModelError> {
    let text = fs::read_to_string(path).map_err(|source| ModelError::Io {
        path: path.into(),
        source,
    })?;
    match text.starts_with(LFS_POINTER) {
        true => Err(refused(
            path,
            "it is a git-lfs pointer in the place of the file; `git lfs pull` fetches the file",
        )),
        false => Ok(text),
    }
}

/// The names of the files and folders in `folder`, sorted, hidden ones left out.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, ModelError> {
    let io = |source| ModelError::Io {
        path: folder.into(),
        source,
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let name = entry
            .map_err(io)?
            .file_name()
            .to_string_lossy()
            .into_owned();
        if !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// The file of weights that is opened, chosen from the names of a part's folder; `None` if no name
/// is that of a file of weights.
pub fn weights_among(names: &[String], variant: Option<&str>) -> Option<String> {
    let mut found: Vec<_> = names
        .iter()
        .filter_map(|name| WeightsFile::parse(name))
        .filter(|file| variant.is_none() || file.variant.as_deref() == variant)
        .collect();
    found.sort_by_key(WeightsFile::rank);
    found.into_iter().next().map(|file| file.name)
}

/// The file of weights to open, and the names of the others.
fn choose(folder: &Path, variant: Option<&str>) -> Result<(PathBuf, Vec<String>), ModelError> {
    let names = names(folder)?;
    let mut found: Vec<_> = names
        .iter()
        .filter_map(|name| WeightsFile::parse(name))
        .collect();
    found.sort_by_key(WeightsFile::rank);
    let fits = |file: &WeightsFile| variant.is_none() || file.variant.as_deref() == variant;
    let Some(taken) = found.iter().position(fits) else {
        let reason = match (variant, found.is_empty()) {
            (Some(variant), false) => {
                let found: Vec<_> = found.iter().map(|file| file.name.as_str()).collect();
                format!(
                    "it holds no weights of the variant `{variant}`, but {}",
                    found.join(", ")
                )
            }
            _ => format!(
                "it holds no weights ({}.safetensors, its index, or .bin), but {}",
                BASES[..2].join(".safetensors, "),
                if names.is_empty() {
                    "nothing".into()
                } else {
                    names.join(", ")
                }
            ),
        };
        return Err(refused(folder, reason));
    };
    let taken = found.remove(taken);
    let others = found.into_iter().map(|file| file.name).collect();
    Ok((folder.join(taken.name), others))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_weights_are_told_from_shards_and_others() {
        let parse = |name| WeightsFile::parse(name).map(|file| (file.variant, file.ending));
        assert_eq!(parse("model.safetensors"), Some((None, 0)));
        assert_eq!(
            parse("diffusion_pytorch_model.fp16.safetensors"),
            Some((Some("fp16".into()), 0))
        );
        assert_eq!(parse("model.safetensors.index.json"), Some((None, 1)));
        assert_eq!(
            parse("model.safetensors.index.fp16.json"),
            Some((Some("fp16".into()), 1))
        );
        assert_eq!(
            parse("model.safetensors.fp16.index.json"),
            Some((Some("fp16".into()), 1))
        );
        assert_eq!(parse("pytorch_model.bin"), Some((None, 2)));
        for other in [
            "model-00001-of-00002.safetensors",
            "config.json",
            "flax_model.msgpack",
            "model.onnx",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_git_lfs_pointer_is_no_config() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("config.json");
        fs::write(
            &file,
            "version https://git-lfs.github.com/spec/v1\nsize 3\n",
        )
        .expect("writable");
        let error = read_text(&file).expect_err("a pointer").to_string();
        assert!(
            error.contains("config.json") && error.contains("git lfs pull"),
            "{error}"
        );
    }

    #[test]
    fn safetensors_come_before_variants_and_those_before_pickles() {
        let folder = tempfile::tempdir().expect("a folder");
        let order = [
            "model.safetensors",
            "model.safetensors.index.json",
            "model.fp16.safetensors",
            "model.non_ema.safetensors",
            "pytorch_model.bin",
            "pytorch_model.fp16.bin",
        ];
        for name in order {
            fs::write(folder.path().join(name), "").expect("writable");
        }
        let chosen = |variant| choose(folder.path(), variant).map(|(path, _)| path);
        for name in order {
            let path = chosen(None).expect("a file");
            assert_eq!(path, folder.path().join(name));
            if name == "model.safetensors" {
                let fp16 = chosen(Some("fp16")).expect("a variant");
                assert_eq!(fp16, folder.path().join("model.fp16.safetensors"));
                let error = chosen(Some("int8"))
                    .expect_err("no such variant")
                    .to_string();
                assert!(error.contains("`int8`, but model.safetensors"), "{error}");
            }
            fs::remove_file(path).expect("removable");
        }
        let error = chosen(None).expect_err("no weights").to_string();
        assert!(
            error.contains("holds no weights") && error.contains("but nothing"),
            "{error}"
        );
    }
}
