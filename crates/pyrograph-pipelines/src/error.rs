//! What can be wrong with a request.

use pyrograph_diffusion::DiffusionError;
use pyrograph_models::ModelError;
use pyrograph_vision::VisionError;

/// Why a request cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// A context names an entry that the model does not have.
    #[error("unknown context `{seen}`: this model knows {}", allowed.join(", "))]
    ContextName {
        /// The name given.
        seen: String,
        /// The names that the model knows.
        allowed: Vec<String>,
    },
    /// A context does not parse.
    #[error(
        "context `{seen}` does not read: write NAME=WEIGHT, several with commas, such as hero=0.5,food=0.5"
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
    /// The caller broke off.
    #[error("sampling was stopped")]
    Stopped,
    /// The device could not be read.
    #[error("the result could not be read from the device: {0}")]
    Device(String),
    /// The model refuses.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The sampler refuses.
    #[error(transparent)]
    Diffusion(#[from] DiffusionError),
    /// A picture cannot be made or written.
    #[error(transparent)]
    Vision(#[from] VisionError),
}
