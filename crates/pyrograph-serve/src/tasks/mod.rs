//! The four tasks of pyrograph.
//!
//! [`TaskKind::start`] runs the model at a path; [`TextToImage`], [`Sprites`], [`AnomalyScores`] and [`ObjectDetection`] are the
//! [`Task`](crate::Task)s behind it.

mod anomaly;
mod body;
mod detect;
mod faults;
mod locate;
mod passes;
mod schema;
mod sprites;
mod text_to_image;
#[cfg(test)]
mod trial;

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use pyrograph_models::weights::Precision;
use pyrograph_pipelines::stable_diffusion::{LoraFile, MemoryLimit};

pub use self::{
    anomaly::{AnomalyInput, AnomalyScores},
    body::decode_image,
    detect::{DetectInput, ObjectDetection},
    sprites::{SpriteInput, Sprites},
    text_to_image::{ImageInput, TextToImage},
};
pub(crate) use body::{OPENAI_TEXTS, OPENAI_WORDS};
pub(crate) use locate::{Located, locate, model_path};

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
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Txt2img, Self::Sprites, Self::Anomaly, Self::Detect];

    /// Its name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Txt2img => "txt2img",
            Self::Sprites => "sprites",
            Self::Anomaly => "anomaly",
            Self::Detect => "detect",
        }
    }

    /// The task of a model: a diffusers folder, a checkpoint of Stable Diffusion, a model file of pyrograph, a run folder, or a
    /// folder that holds one of them.
    ///
    /// # Errors
    /// When the model does not read, or is none of a task.
    pub fn of(path: &Path) -> Result<Self, ServeError> {
        Ok(locate::locate(path)?.kind)
    }

    /// Starts the workers of a model, which may be named as in [`of`](Self::of).
    pub fn start(
        self,
        name: &str,
        path: &Path,
        options: ModelOptions,
        settings: ModelSettings,
        metrics: Metrics,
    ) -> Model {
        let limits = settings.limits.clone();
        match self {
            Self::Txt2img => {
                let task = TextToImage::new(path, options, limits);
                Model::start(name, task, settings, metrics)
            }
            Self::Sprites => {
                let task = Sprites::new(path, options.steps, limits);
                Model::start(name, task, settings, metrics)
            }
            Self::Anomaly => {
                let task = AnomalyScores::new(path, limits);
                Model::start(name, task, settings, metrics)
            }
            Self::Detect => Model::start(name, ObjectDetection::new(path), settings, metrics),
        }
    }
}

impl fmt::Display for TaskKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for TaskKind {
    type Err = ServeError;

    fn from_str(text: &str) -> Result<Self, ServeError> {
        let known = Self::ALL.into_iter().find(|kind| kind.name() == text);
        known.ok_or_else(|| ServeError::Setting {
            name: "task".into(),
            seen: format!("`{text}`"),
            allowed: Self::ALL.map(Self::name).join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_others_refused() {
        for kind in TaskKind::ALL {
            assert_eq!(kind.to_string().parse::<TaskKind>().expect("known"), kind);
        }
        let error = "text".parse::<TaskKind>().expect_err("unknown").to_string();
        assert!(
            error.contains("txt2img, sprites, anomaly, detect"),
            "{error}"
        );
    }
}
