//! LoRA files: low-rank changes of the weights of a UNet and a text encoder.
//!
//! [`Lora::open`] reads diffusers', kohya's and PEFT's files; [`apply_loras`] adds several, each
//! times a scale, to the weights of a checkpoint: `W + Σ scale · alpha / rank · up · down`, linear
//! and convolutional.

mod adapter_config;
mod apply;
mod keys;
mod layer;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use burn::tensor::DType;
use serde_json::Value;

use self::{
    adapter_config::AdapterConfig,
    keys::{Network, Role, Target},
    layer::Layer,
};
use crate::{ModelError, error::first, weights::StateDict};

pub use apply::apply_loras;

/// Files of PEFT's folders.
const PEFT_FILES: [&str; 4] = [
    "adapter_model.safetensors",
    "adapter_model.bin",
    "pytorch_lora_weights.safetensors",
    "pytorch_lora_weights.bin",
];
const PEFT_CONFIG: &str = "adapter_config.json";
/// Where diffusers keeps PEFT's config in a safetensors header.
const METADATA: &str = "lora_adapter_metadata";

/// The layers of a LoRA file.
#[derive(Clone, Debug)]
pub struct Lora {
    path: PathBuf,
    layers: BTreeMap<Target, Layer>,
    /// Scales of the UNet and of the text encoder.
    configs: [AdapterConfig; 2],
}

impl Lora {
    /// Opens a file, or a folder of diffusers or PEFT.
    ///
    /// # Errors
    /// When the file cannot be read, when a key is of no known form, when a layer lacks a factor,
    /// and for DoRA, LoHa, LoKr and OFT, which are not supported.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ModelError> {
        let path = path.as_ref();
        let file = match path.is_dir() {
            true => PEFT_FILES
                .iter()
                .map(|name| path.join(name))
                .find(|file| file.is_file()),
            false => Some(path.to_owned()),
        };
        let Some(file) = file else {
            return Err(refused(
                path,
                format!("the folder holds none of {}", PEFT_FILES.join(", ")),
            ));
        };
        let dict = StateDict::open(&file)?;
        dict.check_finite()?;
        let configs = configs(&dict, &file)?;
        if configs.iter().any(|config| config.is_dora) {
            return Err(refused(&file, unsupported("DoRA")));
        }
        let lora = Self {
            layers: layers(&dict, &file)?,
            path: file,
            configs,
        };
        lora.check_factors()?;
        Ok(lora)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of layers that the file changes.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Whether the file changes no layer.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    fn check_factors(&self) -> Result<(), ModelError> {
        if self.is_empty() {
            return Err(refused(&self.path, "it holds no layer of a LoRA"));
        }
        let lacking = self
            .layers
            .iter()
            .filter(|(_, layer)| layer.down.is_none() || layer.up.is_none());
        let lacking: Vec<_> = lacking.map(|(target, _)| target.module.clone()).collect();
        match lacking.is_empty() {
            true => Ok(()),
            false => Err(refused(
                &self.path,
                format!(
                    "{} layers lack their up or down weight: {}",
                    lacking.len(),
                    first(&lacking)
                ),
            )),
        }
    }
}

fn refused(path: &Path, reason: impl Into<String>) -> ModelError {
    ModelError::Adapter {
        path: path.into(),
        reason: reason.into(),
    }
}

fn unsupported(method: &str) -> String {
    format!("it holds {method}, which is not supported; LoRA and LoCon are")
}

fn layers(dict: &StateDict, path: &Path) -> Result<BTreeMap<Target, Layer>, ModelError> {
    let mut layers = BTreeMap::<Target, Layer>::new();
    let mut unknown = Vec::new();
    for key in dict.keys() {
        if let Some(method) = keys::other_method(key) {
            return Err(refused(path, format!("{} (`{key}`)", unsupported(method))));
        }
        let (Some((target, role)), Some(tensor)) = (keys::parse(key), dict.get(key)) else {
            unknown.push(key.to_owned());
            continue;
        };
        let layer = layers.entry(target).or_default();
        match role {
            Role::Down => layer.down = Some(tensor.clone()),
            Role::Up => layer.up = Some(tensor.clone()),
            Role::Mid => layer.mid = Some(tensor.clone()),
            Role::Alpha => {
                layer.alpha = tensor
                    .cast(DType::F32)
                    .to_f32()
                    .first()
                    .map(|alpha| f64::from(*alpha))
            }
        }
    }
    if !unknown.is_empty() {
        return Err(refused(
            path,
            format!("{} keys are of no LoRA: {}", unknown.len(), first(&unknown)),
        ));
    }
    Ok(layers)
}

/// The scales of both networks: diffusers' metadata, or PEFT's config beside the file, which does not tell the network.
fn configs(dict: &StateDict, file: &Path) -> Result<[AdapterConfig; 2], ModelError> {
    let parse = |path: &Path, text: &str| {
        serde_json::from_str::<Value>(text)
            .map_err(|error| refused(path, format!("its adapter config is no JSON: {error}")))
    };
    if let Some(text) = dict.metadata().get(METADATA) {
        let value = parse(file, text)?;
        return Ok([Network::Unet, Network::TextEncoder]
            .map(|network| AdapterConfig::read(&value, AdapterConfig::prefix(network))));
    }
    let beside = file.with_file_name(PEFT_CONFIG);
    match std::fs::read_to_string(&beside) {
        Ok(text) => {
            let config = AdapterConfig::read(&parse(&beside, &text)?, "");
            Ok([config.clone(), config])
        }
        Err(_) => Ok(Default::default()),
    }
}
