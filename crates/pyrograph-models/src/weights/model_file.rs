//! A model in one file: safetensors under published names, with the config in its header.

use std::{collections::HashMap, path::Path};

use burn::tensor::backend::Backend;
use pyrograph_backend::vision::VisionBackend;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{NamedModel, StateDict, build_model, state_dict_of};
use crate::ModelError;

/// The header's key.
pub(crate) const HEADER: &str = "pyrograph";

#[derive(Serialize, Deserialize)]
struct Header {
    model: String,
    config: serde_json::Value,
}

/// Writes `model` and its config to `path` atomically. The entries of `notes` are added to the
/// header.
///
/// # Errors
/// When a tensor cannot be read from its device or the file cannot be written.
pub fn save_model<B: Backend, M: NamedModel<B>>(
    model: &M,
    config: &M::Config,
    notes: HashMap<String, String>,
    path: impl AsRef<Path>,
) -> Result<(), ModelError> {
    save_weights::<B, M>(&state_dict_of(model)?, config, notes, path)
}

/// Like [`save_model`], from the tensors that [`state_dict_of`] read from the model.
///
/// # Errors
/// When the file cannot be written.
pub fn save_weights<B: Backend, M: NamedModel<B>>(
    weights: &StateDict,
    config: &M::Config,
    notes: HashMap<String, String>,
    path: impl AsRef<Path>,
) -> Result<(), ModelError> {
    let unwritable = |error: serde_json::Error| ModelError::Io {
        path: path.as_ref().into(),
        source: error.into(),
    };
    let header = Header {
        model: M::NAME.into(),
        config: serde_json::to_value(config).map_err(unwritable)?,
    };
    let header = serde_json::to_string(&header).map_err(unwritable)?;
    let mut metadata = notes;
    metadata.insert(HEADER.to_owned(), header);
    weights.save(path.as_ref(), metadata)
}

/// The config in a model file.
///
/// # Errors
/// When the file has no config, or the config of another model.
pub fn read_config<B: Backend, M: NamedModel<B>>(
    dict: &StateDict,
) -> Result<M::Config, ModelError> {
    config_of(dict, M::NAME, M::HOLDERS)
}

/// The name and config of a model file's header.
pub(crate) fn model_header(dict: &StateDict) -> Option<(String, serde_json::Value)> {
    let header: Header = serde_json::from_str(dict.metadata().get(HEADER)?).ok()?;
    Some((header.model, header.config))
}

/// The name of the model in a model file of pyrograph; `None` for any other file.
pub fn model_name(dict: &StateDict) -> Option<String> {
    Some(model_header(dict)?.0)
}

/// The config of the model `name`, also from the file of a model in `holders`, which contains it.
pub(crate) fn config_of<C: DeserializeOwned>(
    dict: &StateDict,
    name: &str,
    holders: &[&str],
) -> Result<C, ModelError> {
    let refuse = |reason: String| ModelError::NoConfig {
        path: dict.path().into(),
        reason,
    };
    let text = dict.metadata().get(HEADER).ok_or_else(|| {
        refuse("the file carries no config: name one, for the command by `--config`".into())
    })?;
    let header: Header = serde_json::from_str(text)
        .map_err(|error| refuse(format!("its config does not read: {error}")))?;
    if header.model != name && !holders.contains(&header.model.as_str()) {
        return Err(refuse(format!("it holds a {}, not a {name}", header.model)));
    }
    serde_json::from_value(header.config)
        .map_err(|error| refuse(format!("its config does not read: {error}")))
}

/// Reads a model and its config from a file that [`save_model`] wrote.
///
/// # Errors
/// When the file cannot be read, has no config, or its tensors do not fit the config.
pub fn load_model<B: VisionBackend, M: NamedModel<B>>(
    path: impl AsRef<Path>,
    device: &B::Device,
) -> Result<(M, M::Config), ModelError> {
    let dict = StateDict::open(path)?;
    let config = read_config::<B, M>(&dict)?;
    let model = build_model(&config, &dict, device)?;
    Ok((model, config))
}
