//! From a request to typed output, over pyrograph's models.
//!
//! - [`anomaly`]: scores of images by AnoGAN's search or f-AnoGAN's encoder, and verdicts.
//! - [`detection`]: objects in pictures by an SSD, and how well they are found.
//! - [`sprites`]: images from a trained ContextUnet, by any sampler.
//! - [`stable_diffusion`]: images from a text.

pub mod anomaly;
pub mod detection;
mod error;
pub mod sprites;
pub mod stable_diffusion;

pub use error::PipelineError;
