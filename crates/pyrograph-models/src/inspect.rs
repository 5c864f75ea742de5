//! The contents of a file or folder of weights, and the model that it is recognised as.

use std::{fs, path::Path};

use serde::Serialize;
use serde_json::Value;

use crate::{
    ModelError,
    dcgan::networks_in,
    stable_diffusion::{
        checkpoint::{Checkpoint, CheckpointOptions, Part, weights_among},
        lora::Lora,
        textual_inversion::TextualInversion,
    },
    weights::{StateDict, TensorEntry, model_header},
};

/// The result of [`inspect()`].
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// The kind of file or folder that pyrograph recognises.
    pub kind: String,
    /// The networks of a folder, or the single file.
    pub parts: Vec<PartInspection>,
    /// Assumptions, and unused parts, one sentence each.
    pub notes: Vec<String>,
}

/// One network, or one file.
#[derive(Clone, Debug, Serialize)]
pub struct PartInspection {
    /// The name of the network; empty for a file that is not a network of a pipeline.
    pub name: String,
    /// The file of weights.
    pub file: String,
    /// The config, if there is one.
    pub config: Option<Value>,
    /// The metadata of the header, without the config.
    pub metadata: std::collections::BTreeMap<String, String>,
    /// The tensors, sorted by key.
    pub tensors: Vec<TensorLine>,
    /// The layers that the tensors belong to.
    pub layers: Vec<LayerLine>,
    /// The number of values in all tensors.
    pub parameters: usize,
    /// Bytes of all tensors.
    pub bytes: usize,
}

/// One tensor.
#[derive(Clone, Debug, Serialize)]
pub struct TensorLine {
    /// The key.
    pub key: String,
    /// The number type.
    pub dtype: &'static str,
    /// The shape.
    pub shape: Vec<usize>,
    /// The bytes of its values.
    pub bytes: usize,
}

/// One layer: the tensors under one name.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct LayerLine {
    /// The name.
    pub name: String,
    /// The shape of the layer's output, with letters for sizes that depend on the input:
    /// `[n, 320, h, w]`. `None` if the weight does not determine it.
    pub output: Option<String>,
    /// The number of values in the layer's tensors.
    pub parameters: usize,
    /// Floating-point operations for each position of the output (pixel, token): one multiplication
    /// and one addition for each weight. `None` if the layer is not a matrix product.
    pub flops_per_place: Option<usize>,
}

/// Inspects a file of weights, the folder of a pipeline, or the folder of one network.
///
/// # Errors
/// When the path cannot be read, or contains no weights.
pub fn inspect(path: &Path) -> Result<Inspection, ModelError> {
    if path.is_dir() {
        return inspect_folder(path);
    }
    let dict = StateDict::open(path)?;
    if let Some((model, config)) = model_header(&dict) {
        let part = PartInspection::new("", Some(config), &dict);
        return Ok(single(format!("a model file of pyrograph: {model}"), part));
    }
    if dict
        .keys()
        .any(|key| key.contains("model.diffusion_model."))
    {
        let checkpoint = Checkpoint::open(path, &CheckpointOptions::default())?;
        return Ok(of_checkpoint(
            "a single-file checkpoint of Stable Diffusion",
            checkpoint,
        ));
    }
    let kind = match (Lora::open(path), TextualInversion::open(path)) {
        (Ok(lora), _) if !lora.is_empty() => {
            format!(
                "a LoRA of Stable Diffusion that changes {} layers",
                lora.len()
            )
        }
        (_, Ok(inversion)) => format!("a textual inversion, the token `{}`", inversion.token()),
        _ => network_of(path, &dict),
    };
    let config = config_beside(path);
    let mut found = single(kind, PartInspection::new("", config, &dict));
    found.notes = notes_on(&dict);
    Ok(found)
}

/// Notes on the networks under prefixes, and on tensors that are not read.
fn notes_on(dict: &StateDict) -> Vec<String> {
    let mut notes = Vec::new();
    for (key, network) in NETWORKS {
        let parts = dict.keys().filter_map(|found| found.strip_suffix(key));
        let parts = parts.filter(|part| part.ends_with('.'));
        notes.extend(parts.map(|part| format!("part `{}`: {network}", part.trim_end_matches('.'))));
    }
    let networks = networks_in(dict).into_iter();
    notes.extend(
        networks
            .filter(|(part, _)| !part.is_empty())
            .map(|(part, network)| format!("part `{}`: {network}", part.trim_end_matches('.'))),
    );
    notes.sort();
    let unread = dict.unread_keys();
    notes.extend(unread.filter_map(|key| Some(format!("`{key}`: {}", dict.unread(key)?))));
    notes
}

fn inspect_folder(path: &Path) -> Result<Inspection, ModelError> {
    if path.join("unet").is_dir() || path.join("model_index.json").is_file() {
        let checkpoint = Checkpoint::open(path, &CheckpointOptions::default())?;
        return Ok(of_checkpoint(
            "a diffusers folder of Stable Diffusion",
            checkpoint,
        ));
    }
    let io = |source| ModelError::Io {
        path: path.into(),
        source,
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(io)? {
        names.push(
            entry
                .map_err(io)?
                .file_name()
                .to_string_lossy()
                .into_owned(),
        );
    }
    names.sort();
    match weights_among(&names, None) {
        Some(name) => inspect(&path.join(name)),
        None => Err(ModelError::Checkpoint {
            path: path.into(),
            reason: match names.is_empty() {
                true => "it is an empty folder".into(),
                false => format!("it holds no weights, but {}", names.join(", ")),
            },
        }),
    }
}

fn single(kind: String, part: PartInspection) -> Inspection {
    Inspection {
        kind,
        parts: vec![part],
        notes: Vec::new(),
    }
}

fn of_checkpoint(kind: &str, checkpoint: Checkpoint) -> Inspection {
    let part = |name: &str, part: &Part| {
        PartInspection::new(name, serde_json::from_str(&part.config).ok(), &part.weights)
    };
    let mut parts = vec![
        part("text_encoder", &checkpoint.text_encoder),
        part("unet", &checkpoint.unet),
        part("vae", &checkpoint.vae),
    ];
    parts.extend(
        checkpoint
            .tiny_vae
            .iter()
            .map(|tiny| part("tiny_vae", tiny)),
    );
    Inspection {
        kind: kind.to_owned(),
        parts,
        notes: checkpoint.notes,
    }
}

fn config_beside(path: &Path) -> Option<Value> {
    let text = fs::read_to_string(path.with_file_name("config.json")).ok()?;
    serde_json::from_str(&text).ok()
}

/// Characteristic keys of the networks that pyrograph has, with their names.
const NETWORKS: [(&str, &str); 10] = [
    (
        "time_embedding.linear_1.weight",
        "a UNet of Stable Diffusion",
    ),
    (
        "encoder.mid_block.resnets.0.conv1.weight",
        "a VAE of Stable Diffusion",
    ),
    ("decoder.layers.0.weight", "a tiny VAE (TAESD)"),
    ("embeddings.token_embedding.weight", "a CLIP text encoder"),
    (
        "backbone.features.0.weight",
        "an SSD300 with the names of torchvision",
    ),
    ("L2Norm.weight", "an SSD300 with the names of ssd.pytorch"),
    ("contextembed1.model.0.weight", "a ContextUnet of sprites"),
    ("generator_network.0.0.weight", "a generator of a DCGAN"),
    ("critic_network.weight", "a discriminator of a DCGAN"),
    ("latent_network.weight", "an encoder of f-AnoGAN"),
];

/// The network that the keys of a file identify.
fn network_of(path: &Path, dict: &StateDict) -> String {
    let ends = |end: &str| dict.keys().any(|key| key.ends_with(end));
    let known = NETWORKS.iter().find(|(key, _)| ends(key));
    let known = known.map(|(_, network)| *network);
    match known.or_else(|| Some(networks_in(dict).first()?.1)) {
        Some(network) => network.to_owned(),
        None => {
            let class = config_beside(path);
            let class = class
                .as_ref()
                .and_then(|config| config["_class_name"].as_str());
            match class {
                Some(class) => {
                    format!("weights of {class}, a network that pyrograph does not have")
                }
                None => "weights of a network that pyrograph does not know".into(),
            }
        }
    }
}

impl PartInspection {
    fn new(name: &str, config: Option<Value>, dict: &StateDict) -> Self {
        let tensors: Vec<TensorLine> = entries(dict)
            .map(|(key, tensor)| TensorLine {
                key: key.to_owned(),
                dtype: tensor.type_name(),
                shape: tensor.shape().to_vec(),
                bytes: tensor.stored_size(),
            })
            .collect();
        let metadata = dict.metadata().iter();
        Self {
            name: name.to_owned(),
            file: dict.path().display().to_string(),
            config,
            metadata: metadata
                .filter(|(key, _)| *key != crate::weights::HEADER)
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
            layers: layers(dict),
            parameters: entries(dict).map(|(_, tensor)| tensor.count()).sum(),
            bytes: tensors.iter().map(|tensor| tensor.bytes).sum(),
            tensors,
        }
    }
}

fn entries(dict: &StateDict) -> impl Iterator<Item = (&str, &TensorEntry)> {
    dict.keys().filter_map(|key| Some((key, dict.get(key)?)))
}

/// The layers in the order of their names.
fn layers(dict: &StateDict) -> Vec<LayerLine> {
    let mut layers: Vec<LayerLine> = Vec::new();
    for (key, tensor) in entries(dict) {
        let name = key.rsplit_once('.').map_or("", |(layer, _)| layer);
        if layers.last().is_none_or(|last| last.name != name) {
            layers.push(LayerLine {
                name: name.to_owned(),
                output: None,
                parameters: 0,
                flops_per_place: None,
            });
        }
        let Some(layer) = layers.last_mut() else {
            continue;
        };
        layer.parameters += tensor.count();
        if key.ends_with("weight") {
            layer.output = output(key, tensor.shape());
            let is_product = tensor.shape().len() > 1 && !is_table(key);
            layer.flops_per_place = is_product.then(|| 2 * tensor.count());
        }
    }
    layers
}

/// Whether a weight is a table whose rows are looked up.
fn is_table(key: &str) -> bool {
    key.contains("embedding.weight")
}

/// The shape of the output of a layer with this weight.
fn output(key: &str, shape: &[usize]) -> Option<String> {
    match *shape {
        [_, width] if is_table(key) => Some(format!("[n, tokens, {width}]")),
        [out, _] => Some(format!("[n, …, {out}]")),
        [out, _, _, _] => Some(format!("[n, {out}, h, w]")),
        [width] => Some(format!("[n, …, {width}]")),
        _ => None,
    }
}
