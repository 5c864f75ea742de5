//! The four tasks of pyrograph.

use std::path::{Path, PathBuf};

use pyrograph_models::weights::Precision;
use pyrograph_pipelines::stable_diffusion::{LoraFile, MemoryLimit};

use crate::{Metrics, Model, ModelSettings, ServeError};

/// The tasks of pyrograph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskKind {
    /// Text to image, image to image and inpainting with Stable Diffusion.
    Txt2img,
    /// Sprites from a ContextUnet.
    Sprites,
    /// Anomaly scores of images by an AnoGAN.
    Anomaly,
    /// Objects in images by an SSD.
    Detect,
}

/// How a model is opened. What a task does not know has no effect on it.
#[derive(Clone, Debug)]
pub struct ModelOptions {
    /// Type of the weights in memory.
    pub precision: Precision,
    /// A tiny VAE, which decodes and makes previews in place of the model's VAE.
    pub tiny_vae: Option<PathBuf>,
    /// LoRA files, added to the weights.
    pub loras: Vec<LoraFile>,
    /// Textual-inversion embeddings.
    pub embeddings: Vec<PathBuf>,
    /// Sizes (width and height) to be ready for: warm-up measures the batch of each. The model's own where there are none.
    pub sizes: Vec<[usize; 2]>,
    /// Steps of a request that names none.
    pub steps: usize,
    /// Bound on memory.
    pub memory: MemoryLimit,
}

impl TaskKind {
    /// The task of a model: a folder or file that `--model` names.
    ///
    /// # Errors
    /// When the model does not read, or is none of a task.
    pub fn of(_path: &Path) -> Result<Self, ServeError> {
        unimplemented!()
    }

    /// Starts the workers of a model.
    pub fn start(
        self,
        _name: &str,
        _path: &Path,
        _options: ModelOptions,
        _settings: ModelSettings,
        _metrics: Metrics,
    ) -> Model {
        unimplemented!()
    }
}
