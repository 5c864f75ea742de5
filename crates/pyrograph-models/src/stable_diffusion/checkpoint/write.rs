//! Writing a checkpoint as a diffusers folder.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::{Display, Write as _},
    fs,
    path::Path,
};

use burn::tensor::{DType, backend::Backend};
use pyrograph_base::atomic_write;
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{Checkpoint, Part, refused, scheduler_file::write_scheduler, tiny_vae};
use crate::{
    ModelError,
    stable_diffusion::{
        clip::{ClipTextConfig, ClipTextModel},
        tiny_vae::{AutoencoderTiny, AutoencoderTinyConfig},
        unet::{UNet2DConditionConfig, UNet2DConditionModel, is_int8_layer},
        vae::{AutoencoderKl, AutoencoderKlConfig},
    },
    weights::{KeyReport, LayerType, Precision, StateDict, TensorEntry, match_keys},
};

/// The name of the manifest in a written folder.
const MANIFEST: &str = "pyrograph.json";
/// The form of the manifest.
const FORMAT: u32 = 1;
/// Channels of the input of a UNet for inpainting: latents, masked latents, mask.
const INPAINTING_CHANNELS: usize = 9;
/// The version of diffusers whose class names stand in the index.
const DIFFUSERS_VERSION: &str = "0.30.0";

/// The contents of a written folder.
#[derive(Clone, Debug, Serialize)]
pub struct Manifest {
    format: u32,
    /// The folder, file or Hub repository that was converted.
    pub source: String,
    /// The commit of a Hub repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The type of the weights: `stored`, `f32`, `bf16`, `f16`, `int8` or `int8-activations` (for the UNet's layers),
    /// or `auto`, where each of these layers has a type of its own.
    pub dtype: String,
    /// The limit of a layer's error by which the types were chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_limit: Option<f64>,
    /// The LoRA files that were merged into the weights, with their scales.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub loras: Vec<(String, f64)>,
    /// The networks by the names of their folders.
    pub parts: BTreeMap<String, PartManifest>,
    /// Unused parts of the source, and assumptions.
    pub notes: Vec<String>,
}

/// One network of a written folder.
#[derive(Clone, Debug, Serialize)]
pub struct PartManifest {
    /// The class of diffusers or transformers.
    pub class: String,
    /// The path of the file of weights, relative to the folder.
    pub file: String,
    /// The config as written.
    pub config: Value,
    /// Keys that the network needs and the source does not have.
    pub missing: Vec<String>,
    /// Keys of the source that the network does not have.
    pub unused: Vec<String>,
    /// The tensors by key.
    pub tensors: BTreeMap<String, TensorRecord>,
}

/// One tensor of a written file.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct TensorRecord {
    /// The number type.
    pub dtype: String,
    /// The shape.
    pub shape: Vec<usize>,
    /// SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
}

impl Manifest {
    /// A manifest without parts, of weights of the type `dtype`.
    pub fn new(source: impl Into<String>, dtype: impl Display) -> Self {
        Self {
            format: FORMAT,
            source: source.into(),
            revision: None,
            dtype: dtype.to_string(),
            error_limit: None,
            loras: Vec::new(),
            parts: BTreeMap::new(),
            notes: Vec::new(),
        }
    }

    /// Whether no key is missing and none is unused.
    pub fn is_complete(&self) -> bool {
        let mut parts = self.parts.values();
        parts.all(|part| part.missing.is_empty() && part.unused.is_empty())
    }

    /// Writes `pyrograph.json` into a folder.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), ModelError> {
        write_json(&folder.join(MANIFEST), self)
    }
}

/// The types of the weights of a written folder.
#[derive(Clone, Debug, Default)]
pub struct WeightTypes {
    /// The type of all weights but those of `layers`.
    pub precision: Precision,
    /// The types of weights of the UNet, by their published keys.
    pub layers: BTreeMap<String, LayerType>,
}

impl From<Precision> for WeightTypes {
    /// One precision, and no layer with a type of its own.
    fn from(precision: Precision) -> Self {
        Self {
            precision,
            layers: BTreeMap::new(),
        }
    }
}

/// Writes a checkpoint's networks, its scheduler's file and the index of a diffusers folder into
/// `folder`, and adds the networks to `manifest`. The same checkpoint always gives the same bytes.
///
/// # Errors
/// When a config is not supported, when the shape of a tensor does not fit its network, when a
/// value is not finite in its type of `types`, or when a file cannot be written.
pub fn write_parts<B: Backend>(
    checkpoint: &Checkpoint,
    folder: &Path,
    types: &WeightTypes,
    manifest: &mut Manifest,
    device: &B::Device,
) -> Result<(), ModelError> {
    let Checkpoint {
        text_encoder,
        unet,
        vae,
        ..
    } = checkpoint;
    let config = ClipTextConfig::from_diffusers(&text_encoder.config)?;
    let matched = match_keys::<B, ClipTextModel<B>>(&config, &text_encoder.weights, device)?;
    let text_class = "CLIPTextModel";
    let mut writer = PartWriter {
        folder,
        precision: types.precision,
        manifest,
    };
    let form_of = |key: &str, tensor: &TensorEntry| match types.layers.get(key) {
        Some(layer_type) => layer_type.dtype,
        None => unet_form(types.precision, key, tensor),
    };
    let plain = |_: &str, tensor: &TensorEntry| plain_form(types.precision, tensor);
    let place = ("text_encoder", text_class, "model");
    writer.write(place, text_encoder, matched, &plain)?;

    let unet_config = UNet2DConditionConfig::from_diffusers(&unet.config)?;
    let (mut weights, report) =
        match_keys::<B, UNet2DConditionModel<B>>(&unet_config, &unet.weights, device)?;
    for (key, layer_type) in &types.layers {
        if let Some(weight) = weights.get(key) {
            let weight = layer_type.marked(weight);
            weights.insert(key, weight);
        }
    }
    let base = "diffusion_pytorch_model";
    let place = ("unet", "UNet2DConditionModel", base);
    writer.write(place, unet, (weights, report), &form_of)?;

    let (vae_class, matched) = if tiny_vae::is_tiny(&vae.config) {
        let config = AutoencoderTinyConfig::from_diffusers(&vae.config)?;
        let matched = match_keys::<B, AutoencoderTiny<B>>(&config, &vae.weights, device)?;
        (tiny_vae::CLASS, matched)
    } else {
        let config = AutoencoderKlConfig::from_diffusers(&vae.config)?;
        let matched = match_keys::<B, AutoencoderKl<B>>(&config, &vae.weights, device)?;
        ("AutoencoderKL", matched)
    };
    writer.write(("vae", vae_class, base), vae, matched, &plain)?;

    let scheduler = write_scheduler(checkpoint, folder)?;
    let pipeline = match unet_config.in_channels {
        INPAINTING_CHANNELS => "StableDiffusionInpaintPipeline",
        _ => "StableDiffusionPipeline",
    };
    let index = json!({
        "_class_name": pipeline,
        "_diffusers_version": DIFFUSERS_VERSION,
        "feature_extractor": [null, null],
        "image_encoder": [null, null],
        "requires_safety_checker": false,
        "safety_checker": [null, null],
        "scheduler": scheduler.map_or(json!([null, null]), |class| json!(["diffusers", class])),
        "text_encoder": ["transformers", text_class],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", vae_class],
    });
    write_json(&folder.join("model_index.json"), &index)
}

/// The type of a weight of the UNet in a file of this precision.
fn unet_form(precision: Precision, key: &str, tensor: &TensorEntry) -> DType {
    match tensor.takes_int8(precision, is_int8_layer(key)) {
        true => DType::I8,
        false => plain_form(precision, tensor),
    }
}

/// The type of a weight in a file of this precision, which names no layer.
fn plain_form(precision: Precision, tensor: &TensorEntry) -> DType {
    match tensor.takes_int8(precision, false) {
        true => DType::I8,
        false => tensor.stored_type(precision),
    }
}

struct PartWriter<'a> {
    folder: &'a Path,
    precision: Precision,
    manifest: &'a mut Manifest,
}

impl PartWriter<'_> {
    /// Writes the part `name` of a class into a file of the name `base`, each weight in the type that `form_of` says:
    /// for `DType::I8` in int8 with scales.
    fn write(
        &mut self,
        (name, class, base): (&str, &str, &str),
        part: &Part,
        (weights, report): (StateDict, KeyReport),
        form_of: &dyn Fn(&str, &TensorEntry) -> DType,
    ) -> Result<(), ModelError> {
        let source = part.weights.path();
        if !report.shapes.is_empty() {
            let report = KeyReport {
                shapes: report.shapes,
                ..KeyReport::default()
            };
            let reason =
                format!("the tensors of the part `{name}` are not those of its config: {report}");
            return Err(refused(source, reason));
        }
        let config = self.config(source, &part.config, class)?;
        let file = format!("{name}/{base}.safetensors");
        let mut tensors = BTreeMap::new();
        // What transformers and diffusers look for in a header.
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        weights.check_float8(self.precision)?;
        let is_int8 = |key| weights.get(key).map(|tensor| form_of(key, tensor)) == Some(DType::I8);
        let products = self.precision.int8_products();
        if weights.keys().any(is_int8) {
            // Before numbers are int8, all of which are finite.
            weights.check_finite()?;
        }
        weights.save_by(
            &self.folder.join(&file),
            &metadata,
            products,
            form_of,
            |key, tensor| {
                tensor.check_finite(source, key, true)?;
                let record = TensorRecord {
                    dtype: tensor.type_name().to_owned(),
                    shape: tensor.shape().to_vec(),
                    sha256: sha256(tensor.bytes()),
                };
                tensors.insert(key.to_owned(), record);
                Ok(())
            },
        )?;
        write_json(&self.folder.join(name).join("config.json"), &config)?;
        let part = PartManifest {
            class: class.to_owned(),
            file,
            config: Value::Object(config),
            missing: report.missing,
            unused: report.unused,
            tensors,
        };
        self.manifest.parts.insert(name.to_owned(), part);
        Ok(())
    }

    /// The config with the class, and with the type of the written weights where it names one.
    fn config(
        &self,
        source: &Path,
        text: &str,
        class: &str,
    ) -> Result<Map<String, Value>, ModelError> {
        let mut config = object(source, text)?;
        let (key, value) = match class.starts_with("CLIP") {
            true => ("architectures", json!([class])),
            false => ("_class_name", json!(class)),
        };
        config.insert(key.into(), value);
        let dtype = match self.precision {
            Precision::AsStored => return Ok(config),
            Precision::F32 => "float32",
            Precision::Bf16 | Precision::Int8 | Precision::Int8Activations => "bfloat16",
            Precision::F16 => "float16",
        };
        for key in ["torch_dtype", "dtype"] {
            if let Some(value) = config.get_mut(key) {
                *value = dtype.into();
            }
        }
        Ok(config)
    }
}

fn object(path: &Path, text: &str) -> Result<Map<String, Value>, ModelError> {
    serde_json::from_str(text)
        .map_err(|error| refused(path, format!("a config is no JSON object: {error}")))
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), ModelError> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| ModelError::Io {
        path: path.into(),
        source: error.into(),
    })?;
    text.push(b'\n');
    write_file(path, &text)
}

/// Writes a file whole or not at all, and the folders above it.
pub(super) fn write_file(path: &Path, content: &[u8]) -> Result<(), ModelError> {
    let io = |source| ModelError::Io {
        path: path.into(),
        source,
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(io)?;
    }
    atomic_write(path, content).map_err(|error| io(std::io::Error::other(error)))
}

/// The SHA-256 of bytes in hexadecimal digits.
fn sha256(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
