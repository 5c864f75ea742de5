//! Files of weights, told apart by their content.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{StateDict, not_weights, pytorch, safetensors_file, shared_bytes::SharedBytes};
use crate::ModelError;

/// Opens a file of weights, or the index of several.
pub(super) fn open(path: &Path) -> Result<StateDict, ModelError> {
    unjoined(path)?.with_joined_scales()
}

/// The tensors as the file holds them.
fn unjoined(path: &Path) -> Result<StateDict, ModelError> {
    let file = read(path)?;
    if !safetensors_file::is_safetensors(&file)
        && let Some(index) = index_of(&file)
    {
        return open_shards(path, &index);
    }
    open_single(path, &file)
}

fn read(path: &Path) -> Result<SharedBytes, ModelError> {
    SharedBytes::open(path).map_err(|source| ModelError::Io {
        path: path.into(),
        source,
    })
}

fn open_single(path: &Path, file: &SharedBytes) -> Result<StateDict, ModelError> {
    let refuse = |reason: String| ModelError::Format {
        path: path.into(),
        reason,
    };
    // A safetensors header's length may begin with a pickle's first byte, but its ninth byte opens the JSON header.
    if safetensors_file::is_safetensors(file) {
        let read = safetensors_file::read(file).map_err(refuse)?;
        let dict = StateDict::of_file(path, read.tensors, read.metadata);
        return Ok(dict.with_unread(read.unread));
    }
    if pytorch::is_pytorch(file) {
        let read = pytorch::read(file).map_err(refuse)?;
        let dict = StateDict::of_file(path, read.tensors, Default::default());
        return Ok(dict.with_unread(read.unread));
    }
    Err(refuse(not_weights::described(file)))
}

/// The index of weights that are spread over several files.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

fn index_of(bytes: &[u8]) -> Option<Index> {
    let is_object = bytes.trim_ascii_start().first() == Some(&b'{');
    is_object.then(|| serde_json::from_slice(bytes).ok())?
}

fn open_shards(path: &Path, index: &Index) -> Result<StateDict, ModelError> {
    let names: BTreeSet<&str> = index.weight_map.values().map(String::as_str).collect();
    let refuse = |shard: &str, reason: String| ModelError::Shard {
        path: path.into(),
        shard: shard.into(),
        reason,
    };
    for name in &names {
        if let Some(count) = claimed_count(name)
            && count != names.len()
        {
            let reason = format!(
                "its name counts {count} shards, but the index names {}: the set is not whole",
                names.len()
            );
            return Err(refuse(name, reason));
        }
    }
    if names.is_empty() {
        return Err(ModelError::Format {
            path: path.into(),
            reason: "it is an index that names no tensor".into(),
        });
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut shards = BTreeMap::new();
    for name in names {
        // An index names files beside it, no others.
        if Path::new(name).file_name() != Some(name.as_ref()) {
            return Err(refuse(
                name,
                "a shard must be a file beside the index".into(),
            ));
        }
        let shard: PathBuf = folder.join(name);
        if !shard.is_file() {
            return Err(refuse(name, "the file is missing beside the index".into()));
        }
        shards.insert(name, open_single(&shard, &read(&shard)?)?);
    }
    let mut dict = StateDict::of_file(path, BTreeMap::new(), Default::default());
    let mut unread = BTreeMap::new();
    for (key, name) in &index.weight_map {
        let shard = shards.get(name.as_str());
        if let Some(reason) = shard.and_then(|shard| shard.unread(key)) {
            unread.insert(key.clone(), reason.to_owned());
            continue;
        }
        let tensor = shard.and_then(|shard| shard.get(key));
        let tensor = tensor.ok_or_else(|| {
            let reason = format!("it lacks `{key}`, which the index looks for there: the set was not written as a whole");
            refuse(name, reason)
        })?;
        dict.insert(key.clone(), tensor.clone());
    }
    Ok(dict.with_unread(unread))
}

/// What a file is that is one of several, by its name.
pub(super) fn shard_described(path: &Path) -> Option<String> {
    let count = claimed_count(path.file_name()?.to_str()?)?;
    (count > 1).then(|| {
        format!("its name says that it is one of {count} files, whose index (*.index.json) is opened instead")
    })
}

/// The number of shards that a name such as `model-00001-of-00003.safetensors` tells.
fn claimed_count(name: &str) -> Option<usize> {
    let (_, rest) = name.rsplit_once("-of-")?;
    rest.split('.').next()?.parse().ok()
}
