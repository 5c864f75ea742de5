//! Checkpoints of Stable Diffusion: diffusers folders and single files with CompVis key names, by part.
//!
//! [`Checkpoint::open`] returns the config of each part, as the text of diffusers' `config.json`,
//! and the part's weights under diffusers' key names. Weights stay in their files until a model
//! takes them.

mod compvis;
mod folder;
mod infer;
mod open_clip;
mod part_files;
mod scheduler_file;
mod single_file;
mod tiny_vae;
mod tokenizer;
mod write;

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{ModelError, weights::StateDict};

pub use part_files::weights_among;
pub use tiny_vae::open_tiny_vae;
pub use tokenizer::TokenizerFiles;
pub use write::{Manifest, PartManifest, TensorRecord, WeightTypes, write_parts};

/// The prediction type of a UNet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prediction {
    /// The noise ε.
    Epsilon,
    /// The velocity v.
    Velocity,
    /// The image without noise.
    Sample,
}

impl Prediction {
    /// diffusers' name: the value of `prediction_type` in a scheduler's file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Epsilon => "epsilon",
            Self::Velocity => "v_prediction",
            Self::Sample => "sample",
        }
    }
}

/// Options of [`Checkpoint::open`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckpointOptions {
    /// The prediction type of the UNet, which single files do not tell. For a folder it replaces
    /// the value of the scheduler's file.
    pub prediction: Option<Prediction>,
    /// The variant of the files to take if a folder has several, such as `fp16` for
    /// `diffusion_pytorch_model.fp16.safetensors`.
    pub variant: Option<String>,
    /// Whether the moving averages (`model_ema.*`) of a single file are taken instead of its
    /// trained weights.
    pub averages: bool,
    /// A folder or file of TAESD.
    pub tiny_vae: Option<PathBuf>,
}

/// A network's config and weights.
#[derive(Clone, Debug)]
pub struct Part {
    /// The text of diffusers' `config.json`.
    pub config: String,
    /// The weights under diffusers' key names.
    pub weights: StateDict,
}

/// The parts of a checkpoint.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The text encoder.
    pub text_encoder: Part,
    /// The UNet.
    pub unet: Part,
    /// The VAE. If the checkpoint's own VAE is a tiny VAE, this equals `tiny_vae`.
    pub vae: Part,
    /// The tiny VAE, if the options name one or the checkpoint's own VAE is one.
    pub tiny_vae: Option<Part>,
    /// The text of `scheduler_config.json`; for a single file the default scheduler of its kind.
    pub scheduler: Option<String>,
    /// The source of the tokenizer.
    pub tokenizer: TokenizerFiles,
    /// Unused parts of the checkpoint, and assumptions, one sentence each.
    pub notes: Vec<String>,
}

impl Checkpoint {
    /// Opens a diffusers folder or a single-file checkpoint.
    ///
    /// # Errors
    /// When the path does not exist, when a part is missing, damaged or of an unknown kind, or when
    /// an option names a file that does not exist.
    pub fn open(path: &Path, options: &CheckpointOptions) -> Result<Self, ModelError> {
        let mut checkpoint = if path.is_dir() {
            folder::open(path, options)?
        } else if path.exists() {
            single_file::open(path, options)?
        } else {
            let source = io::Error::from(io::ErrorKind::NotFound);
            return Err(ModelError::Io {
                path: path.into(),
                source,
            });
        };
        if let Some(tiny) = &options.tiny_vae {
            checkpoint.tiny_vae = Some(open_tiny_vae(tiny)?);
        }
        Ok(checkpoint)
    }
}

fn refused(path: &Path, reason: impl Into<String>) -> ModelError {
    ModelError::Checkpoint {
        path: path.into(),
        reason: reason.into(),
    }
}
