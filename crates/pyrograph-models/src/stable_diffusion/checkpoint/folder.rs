//! Diffusers folders.

use std::path::Path;

use serde_json::Value;

use super::{
    Checkpoint, CheckpointOptions, Part, TokenizerFiles,
    part_files::{has_variant, names, open_part, read_text},
    refused, scheduler_file, tiny_vae,
    tokenizer::padding_of,
};
use crate::ModelError;

const INDEX: &str = "model_index.json";
/// The networks, and the classes that this crate has for each.
const PARTS: [(&str, &[&str]); 3] = [
    (
        "text_encoder",
        &["CLIPTextModel", "CLIPTextModelWithProjection"],
    ),
    ("unet", &["UNet2DConditionModel"]),
    ("vae", &["AutoencoderKL", tiny_vae::CLASS]),
];
/// Parts of other architectures, which would change a picture if they were left out.
const FOREIGN: [&str; 6] = [
    "text_encoder_2",
    "text_encoder_3",
    "transformer",
    "prior",
    "controlnet",
    "image_normalizer",
];

pub(super) fn open(path: &Path, options: &CheckpointOptions) -> Result<Checkpoint, ModelError> {
    check_classes(path)?;
    let mut notes = Vec::new();
    if let Some(variant) = &options.variant {
        check_variant(path, variant)?;
    }
    let mut part = |name: &str| -> Result<Part, ModelError> {
        let folder = path.join(name);
        if !folder.is_dir() {
            return Err(refused(path, format!("the part `{name}` is missing")));
        }
        let variant = options.variant.as_deref();
        let held = variant.filter(|variant| has_variant(&folder, variant));
        if let (Some(variant), None) = (variant, held) {
            notes.push(format!(
                "{name}/ holds no variant `{variant}`: its weights without one are used"
            ));
        }
        let (part, others) = open_part(&folder, held)?;
        notes.extend(
            others
                .iter()
                .map(|file| format!("{name}/{file} is not used")),
        );
        Ok(part)
    };
    let (text_encoder, unet, vae) = (part("text_encoder")?, part("unet")?, part("vae")?);
    let own_tiny = tiny_vae::is_tiny(&vae.config).then(|| vae.clone());
    let tokenizer = tokenizer(path, &text_encoder, &mut notes);
    let scheduler = scheduler(path, options, &mut notes)?;
    let used = ["text_encoder", "unet", "vae", "scheduler", "tokenizer"];
    for name in names(path)? {
        let is_folder = path.join(&name).is_dir();
        if is_folder && !used.contains(&name.as_str()) {
            notes.push(format!("{name}/ is not used"));
        } else if !is_folder && is_weights(&name) {
            notes.push(format!("{name} is not used"));
        }
    }
    Ok(Checkpoint {
        text_encoder,
        unet,
        vae,
        tiny_vae: own_tiny,
        scheduler,
        tokenizer,
        notes,
    })
}

/// Whether a file at the top of a folder holds weights: those of a single-file checkpoint, for example.
fn is_weights(name: &str) -> bool {
    let endings = [
        ".safetensors",
        ".ckpt",
        ".bin",
        ".pt",
        ".pth",
        ".onnx",
        ".msgpack",
    ];
    endings.iter().any(|ending| name.ends_with(ending))
}

/// Refuses a folder of another architecture by its index.
fn check_classes(path: &Path) -> Result<(), ModelError> {
    let file = path.join(INDEX);
    if !file.is_file() {
        return Ok(());
    }
    let index: Value = serde_json::from_str(&read_text(&file)?)
        .map_err(|error| refused(&file, format!("it is no JSON: {error}")))?;
    let class = |name: &str| index.get(name)?.as_array()?.get(1)?.as_str();
    let pipeline = index
        .get("_class_name")
        .and_then(Value::as_str)
        .unwrap_or("an unnamed pipeline");
    for name in FOREIGN {
        if let Some(class) = class(name) {
            let reason = format!(
                "it is of {pipeline}, whose part `{name}` ({class}) Stable Diffusion 1 and 2 do not have"
            );
            return Err(refused(&file, reason));
        }
    }
    for (name, known) in PARTS {
        if let Some(class) = class(name)
            && !known.contains(&class)
        {
            let reason = format!(
                "the part `{name}` is of the class {class}, but must be {}",
                known.join(" or ")
            );
            return Err(refused(&file, reason));
        }
    }
    Ok(())
}

/// Refuses a variant that no part has.
fn check_variant(path: &Path, variant: &str) -> Result<(), ModelError> {
    let held = PARTS
        .iter()
        .any(|(name, _)| has_variant(&path.join(name), variant));
    match held {
        true => Ok(()),
        false => Err(refused(
            path,
            format!(
                "no part holds weights of the variant `{variant}`, such as unet/diffusion_pytorch_model.{variant}.safetensors"
            ),
        )),
    }
}

fn tokenizer(path: &Path, text_encoder: &Part, notes: &mut Vec<String>) -> TokenizerFiles {
    let folder = path.join("tokenizer");
    if folder.is_dir() {
        return TokenizerFiles::Folder(folder);
    }
    notes.push("there is no tokenizer/: CLIP's vocabulary is assumed".into());
    let config: Value = serde_json::from_str(&text_encoder.config).unwrap_or_default();
    let width = config
        .get("hidden_size")
        .and_then(Value::as_u64)
        .unwrap_or_default();
    TokenizerFiles::BuiltIn {
        padding: padding_of(width as usize).into(),
    }
}

/// The text of the scheduler's file, with the prediction that the options name.
fn scheduler(
    path: &Path,
    options: &CheckpointOptions,
    notes: &mut Vec<String>,
) -> Result<Option<String>, ModelError> {
    let file = path.join("scheduler/scheduler_config.json");
    if !file.is_file() {
        notes.push(
            "there is no scheduler/scheduler_config.json: that of Stable Diffusion 1 and 2 is assumed (PNDM, epsilon; \
             --prediction v for a model of velocities)"
                .into(),
        );
        return Ok(None);
    }
    let text = read_text(&file)?;
    let Some(prediction) = options.prediction else {
        return Ok(Some(text));
    };
    let mut config = scheduler_file::parse(&file, &text)?;
    config.insert("prediction_type".into(), prediction.name().into());
    Ok(Some(scheduler_file::text(&config)))
}
