//! Errors of configs, weight files and inputs.

use std::{fmt, path::PathBuf};

/// The error of making, loading, saving or running a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A field of a config is outside the range that the architecture allows.
    #[error("{model}: {field} is {seen}, but must be {allowed}")]
    Config {
        /// The model.
        model: &'static str,
        /// The field of its config.
        field: &'static str,
        /// The value given.
        seen: String,
        /// What is allowed, and why.
        allowed: String,
    },
    /// A `config.json` cannot be parsed, or requires a feature that the model does not have.
    #[error("{model}: config.json: {reason}")]
    ConfigFile {
        /// The model.
        model: &'static str,
        /// Which field is wrong, its value, and what is allowed.
        reason: String,
    },
    /// A token id is outside the vocabulary.
    #[error(
        "{model}: input `{input}` holds {id} at place {place}, but must hold ids from 0 to {last}"
    )]
    TokenId {
        /// The model.
        model: &'static str,
        /// The tensor's name.
        input: &'static str,
        /// The first such id.
        id: i64,
        /// The index of the id in the tensor, row-major.
        place: usize,
        /// The last id of the vocabulary.
        last: usize,
    },
    /// An input tensor has the wrong shape.
    #[error("{model}: input `{input}` has shape {seen:?}, but must be {allowed}")]
    Input {
        /// The model.
        model: &'static str,
        /// The tensor's name.
        input: &'static str,
        /// The shape given.
        seen: Vec<usize>,
        /// What is allowed.
        allowed: String,
    },
    /// A weights file cannot be opened, read or written.
    #[error("{}: the file cannot be read or written", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A weights file is damaged, or of no known format.
    #[error("{}: {reason}; expected a PyTorch file (zip or legacy), a safetensors file or its index", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A folder or a file is not a checkpoint of Stable Diffusion, or an incomplete one.
    #[error(
        "{}: {reason}; a checkpoint is a diffusers folder (unet/, vae/, text_encoder/, scheduler/, tokenizer/) or a single file \
         with CompVis key names",
        path.display()
    )]
    Checkpoint {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A LoRA file or a textual-inversion file cannot be applied to a checkpoint.
    #[error("{}: {reason}", path.display())]
    Adapter {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A weights file belongs to another architecture or config.
    #[error("{}: these weights are not of this {model}: {report}", path.display())]
    Architecture {
        /// The file.
        path: PathBuf,
        /// The model.
        model: &'static str,
        /// Which keys differ.
        report: KeyReport,
    },
    /// A file holds no weights of the model.
    #[error("{}: no weights of a {model} are found: {reason}", path.display())]
    NoNetwork {
        /// The file.
        path: PathBuf,
        /// The model.
        model: &'static str,
        /// The weights that were looked for, and the contents of the file.
        reason: String,
    },
    /// A file has no part of the given name, or that part has no weights of the model.
    #[error("{}: no part `{part}` holds weights of this {model}; {allowed}", path.display())]
    NoPart {
        /// The file.
        path: PathBuf,
        /// The model.
        model: &'static str,
        /// The name given.
        part: String,
        /// The parts that hold such weights, or what the file holds.
        allowed: String,
    },
    /// A shard of a set of weights is missing, or is not the file that the index describes.
    #[error("{}: shard {}: {reason}; copy the whole set again", path.display(), shard.display())]
    Shard {
        /// The index.
        path: PathBuf,
        /// The file, as the index names it.
        shard: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The number type for a parameter is not supported by the backend.
    #[error("{}: `{key}` is stored as {stored} and was to be loaded as {wanted}, a type that {backend} lacks; load it as f32 (`--dtype f32`, `Precision::F32`)", path.display())]
    MissingType {
        /// The file.
        path: PathBuf,
        /// The tensor's key.
        key: String,
        /// The type in the file.
        stored: &'static str,
        /// The type of the parameter.
        wanted: &'static str,
        /// The backend and its device.
        backend: String,
    },
    /// A tensor of 8-bit floats cannot be loaded or written in its stored type.
    #[error(
        "{}: `{key}` is stored as {stored}, a type of files alone; widen it by `--dtype f32`, `--dtype bf16` or `--dtype f16` (`Precision::F32`, …)",
        path.display()
    )]
    Float8 {
        /// The file.
        path: PathBuf,
        /// The tensor's key.
        key: String,
        /// The type in the file.
        stored: &'static str,
    },
    /// An int8 weight has no scales, or scales of a wrong shape or type.
    #[error(
        "{}: `{key}` is int8: {reason}; a weight in int8 [out, ..] has a scale in f32 for each output under the name `{key}_scale`, or `{key}_scale_w8a8` for activations in int8",
        path.display()
    )]
    Quantised {
        /// The file.
        path: PathBuf,
        /// The weight's key.
        key: String,
        /// What is wrong with its scales.
        reason: String,
    },
    /// The layers of a checkpoint in int8 were to be measured.
    #[error(
        "{}: `{key}` is int8 already, and the error of its rounding cannot be measured; give the checkpoint in f32, bf16 or f16 \
         that it was made from, or keep its types by `--dtype stored`",
        path.display()
    )]
    AlreadyInt8 {
        /// The file.
        path: PathBuf,
        /// The weight's key.
        key: String,
    },
    /// A tensor of a file did not become a parameter, though names and shapes agree: a fault of the model's code.
    #[error("{}: the parameter `{field}` of this {model} cannot be loaded: {reason}", path.display())]
    Apply {
        /// The file.
        path: PathBuf,
        /// The model.
        model: &'static str,
        /// The field path of the parameter.
        field: String,
        /// What went wrong.
        reason: &'static str,
    },
    /// A value of a file is NaN or infinite, in a weight or in an input tensor.
    #[error("{}: `{key}` holds {value} at place {index}; every value must be finite", path.display())]
    NonFinite {
        /// The file.
        path: PathBuf,
        /// The tensor's key.
        key: String,
        /// The index of the first such value.
        index: usize,
        /// The value.
        value: f32,
    },
    /// An output of a network is NaN or infinite: the weights are damaged, or the input is far from
    /// the training data.
    #[error("{model}: `{output}` of picture {picture} holds {value}; every value must be finite")]
    NonFiniteOutput {
        /// The model.
        model: &'static str,
        /// The output.
        output: &'static str,
        /// The index of the picture in the input, from 0.
        picture: usize,
        /// The first such value.
        value: f32,
    },
    /// A running variance is below zero.
    #[error("{}: `{key}` holds {value}; a variance is at least 0", path.display())]
    NegativeVariance {
        /// The file.
        path: PathBuf,
        /// The tensor's key.
        key: String,
        /// The first such value.
        value: f32,
    },
    /// A picture or an option of a detector is not allowed.
    #[error(transparent)]
    Vision(#[from] pyrograph_vision::VisionError),
    /// A model file has no config, or the config of another model.
    #[error("{}: {reason}", path.display())]
    NoConfig {
        /// The file.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
}

/// The differences between the keys of a file and the keys of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyReport {
    /// Keys that the model needs and the file does not have.
    pub missing: Vec<String>,
    /// Keys of the file that the model does not have.
    pub unused: Vec<String>,
    /// Keys of both whose shapes differ: key, shape in the file, shape in the model.
    pub shapes: Vec<(String, Vec<usize>, Vec<usize>)>,
}

impl KeyReport {
    /// Whether there is no difference.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unused.is_empty() && self.shapes.is_empty()
    }
}

/// How many keys of each kind a message names.
const NAMED: usize = 12;

impl fmt::Display for KeyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        for (what, keys) in [("missing", &self.missing), ("unused", &self.unused)] {
            if !keys.is_empty() {
                parts.push(format!("{} {what}: {}", keys.len(), first(keys)));
            }
        }
        if !self.shapes.is_empty() {
            let lines: Vec<_> = self
                .shapes
                .iter()
                .map(|(key, file, model)| format!("{key} is {file:?}, the model's is {model:?}"))
                .collect();
            parts.push(format!(
                "{} of another shape: {}",
                lines.len(),
                first(&lines)
            ));
        }
        f.write_str(&parts.join("; "))
    }
}

/// The first of `items`, and how many more there are.
pub(crate) fn first(items: &[String]) -> String {
    let shown = items[..items.len().min(NAMED)].join(", ");
    match items.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
