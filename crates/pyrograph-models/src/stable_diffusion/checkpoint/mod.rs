//! Checkpoints of Stable Diffusion.

mod tokenizer;

use std::path::Path;

use crate::{ModelError, weights::StateDict};

pub use tokenizer::TokenizerFiles;

/// Options.
#[derive(Clone, Debug, Default)]
pub struct CheckpointOptions {}

/// Part.
#[derive(Clone, Debug)]
pub struct Part {
    /// JSON.
    pub config: String,
    /// Weights.
    pub weights: StateDict,
}

/// Checkpoint.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Text encoder.
    pub text_encoder: Part,
    /// UNet.
    pub unet: Part,
    /// VAE.
    pub vae: Part,
    /// Tiny VAE.
    pub tiny_vae: Option<Part>,
    /// Scheduler.
    pub scheduler: Option<String>,
    /// Tokenizer.
    pub tokenizer: TokenizerFiles,
    /// Notes.
    pub notes: Vec<String>,
}

impl Checkpoint {
    /// Opens.
    ///
    /// # Errors
    /// Always.
    pub fn open(path: &Path, _options: &CheckpointOptions) -> Result<Self, ModelError> {
        let read = |place: &str| {
            std::fs::read_to_string(path.join(place)).map_err(|source| ModelError::Io {
                path: path.join(place),
                source,
            })
        };
        let part = |name: &str, file: &str| -> Result<Part, ModelError> {
            Ok(Part {
                config: read(&format!("{name}/config.json"))?,
                weights: StateDict::open(path.join(name).join(file))?,
            })
        };
        Ok(Self {
            text_encoder: part("text_encoder", "model.safetensors")?,
            unet: part("unet", "diffusion_pytorch_model.safetensors")?,
            vae: part("vae", "diffusion_pytorch_model.safetensors")?,
            tiny_vae: None,
            scheduler: Some(read("scheduler/scheduler_config.json")?),
            tokenizer: TokenizerFiles::Folder(path.join("tokenizer")),
            notes: Vec::new(),
        })
    }
}
