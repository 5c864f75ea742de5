//! From a request to typed output, over pyrograph's models.
//!
//! - [`sprites`]: images from a trained ContextUnet, by any sampler.

mod error;
pub mod sprites;

pub use error::PipelineError;
