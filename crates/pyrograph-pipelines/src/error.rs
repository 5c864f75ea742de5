//! What can be wrong with a request.

use std::path::PathBuf;

use pyrograph_base::WriteError;
use pyrograph_diffusion::DiffusionError;
use pyrograph_losses::LossError;
use pyrograph_metrics::MetricsError;
use pyrograph_models::ModelError;
use pyrograph_vision::VisionError;

#[cfg(feature = "anomaly")]
use crate::anomaly::Method;

/// Why a request cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// A context names an entry that the model does not have.
    #[error("unknown context `{seen}`: this model knows {}, and `none` alone is no class", allowed.join(", "))]
    ContextName {
        /// The name given.
        seen: String,
        /// The names that the model knows.
        allowed: Vec<String>,
    },
    /// A context does not parse.
    #[error(
        "context `{seen}` does not read: write NAME=WEIGHT, several with commas, such as hero=0.5,food=0.5, or none for no class"
    )]
    ContextForm {
        /// What was written.
        seen: String,
    },
    /// A context gives one entry two weights.
    #[error("context `{seen}` names `{name}` twice: give each name one weight")]
    ContextTwice {
        /// What was written.
        seen: String,
        /// The name.
        name: String,
    },
    /// A context has the wrong width or is not finite.
    #[error("context {index} is {seen:?}: it must hold {width} finite numbers")]
    Context {
        /// Which image's.
        index: usize,
        /// The values.
        seen: Vec<f32>,
        /// The model's width.
        width: usize,
    },
    /// A number of the request is not allowed.
    #[error("{field} is {seen}, but must be {allowed}")]
    Number {
        /// The field.
        field: &'static str,
        /// The value given.
        seen: String,
        /// What is allowed.
        allowed: String,
    },
    /// The model's output is not finite.
    #[error("the sample holds {value} at place {index}: the weights or the noise are damaged")]
    NonFinite {
        /// Place of the first such value.
        index: usize,
        /// The value.
        value: f32,
    },
    /// What a stage of a pipeline puts out is not finite.
    #[error(
        "{stage} gave {value}: the weights are damaged, or too large for their number type (with half precision try --dtype bf16 or f32)"
    )]
    Stage {
        /// The stage: the text encoder, the UNet at a step, or the VAE.
        stage: String,
        /// The first such value.
        value: f32,
    },
    /// A network cannot be made of the config of a checkpoint's part.
    #[error("{}: {source}", path.display())]
    PartConfig {
        /// The config file, or the single-file checkpoint.
        path: PathBuf,
        /// Which field is wrong, its value, and what is allowed.
        source: Box<ModelError>,
    },
    /// The memory would not do.
    #[error(
        "{what} needs {:.1} GiB of memory, but {:.1} GiB are free: ask for a smaller or fewer pictures, --tile, or --dtype bf16",
        gibibytes(*need), gibibytes(*available)
    )]
    Memory {
        /// What needs it.
        what: &'static str,
        /// The bytes it needs.
        need: u64,
        /// The bytes that are free.
        available: u64,
    },
    /// A value of an image is not finite.
    #[error("image {image} holds {value} at place {place}: every value must be finite")]
    Image {
        /// Which image.
        image: usize,
        /// Place of the first such value.
        place: usize,
        /// The value.
        value: f32,
    },
    /// A verdict is asked of a model that has no threshold.
    #[cfg(feature = "anomaly")]
    #[error(
        "the model has no threshold for the method {method}, {}: run `pyrograph anomaly fit`",
        if known.is_empty() { "or any other".into() } else { format!("but for {}", known.join(", ")) }
    )]
    NoThreshold {
        /// The method.
        method: Method,
        /// The methods that have one.
        known: Vec<String>,
    },
    /// A detector's file does not say what its classes are, nor how pixels become values.
    #[error(
        "{}: the file names no classes: give them beside it, one a line in a text file (`pyrograph detect --weights FILE --classes NAMES`)",
        path.display()
    )]
    NoDetectorCard {
        /// The file.
        path: PathBuf,
    },
    /// The files of a tokenizer do not describe one.
    #[error(
        "{}: {reason}; a tokenizer folder holds vocab.json and merges.txt, or tokenizer.json, of CLIP's byte-pair encoding",
        path.display()
    )]
    Tokenizer {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A token cannot be added to the vocabulary.
    #[error("the token `{token}` cannot be added: {reason}")]
    Token {
        /// The token.
        token: String,
        /// Why not.
        reason: String,
    },
    /// A prompt cannot be encoded.
    #[error("the prompt cannot be encoded: {reason}")]
    Prompt {
        /// Why not.
        reason: String,
    },
    /// The caller broke off.
    #[error("sampling was stopped")]
    Stopped,
    /// The device could not be read.
    #[error("the result could not be read from the device: {0}")]
    Device(String),
    /// A loss refuses.
    #[error(transparent)]
    Loss(#[from] LossError),
    /// A figure refuses the scores.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The model refuses.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The sampler refuses.
    #[error(transparent)]
    Diffusion(#[from] DiffusionError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A figure cannot be drawn.
    #[cfg(any(feature = "anomaly", feature = "detection", feature = "sprites"))]
    #[error(transparent)]
    Figure(#[from] pyrograph_figures::FigureError),
    /// A picture cannot be made or written.
    #[error(transparent)]
    Vision(#[from] VisionError),
}

fn gibibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}
