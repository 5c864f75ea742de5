//! From a request to typed output, over pyrograph's models. Each module has a feature of Cargo, all on by default:
//! `anomaly`, `detection`, `sprites`, `text-to-image`.
//!
//! - [`anomaly`]: scores of images by AnoGAN's search or f-AnoGAN's encoder, and verdicts.
//! - [`detection`]: objects in pictures by an SSD, and how well they are found.
//! - [`sprites`]: images from a trained ContextUnet, by any sampler.
//! - [`stable_diffusion`]: pictures from a prompt, from a picture and a prompt, and inside a mask.
//!
//! One picture from a checkpoint of Stable Diffusion:
//!
//! ```no_run
//! # mod pyrograph {
//! #     pub mod backend { pub use burn_flex::Flex; }
//! #     pub use pyrograph_vision as vision;
//! #     pub use pyrograph_pipelines as pipelines;
//! # }
//! use std::ops::ControlFlow;
//! use pyrograph::backend::Flex;
//! use pyrograph::pipelines::stable_diffusion::{ImageRequest, OpenOptions, StableDiffusion};
//! use pyrograph::vision::write_png;
//!
//! let device = Default::default();
//! let pipeline = StableDiffusion::<Flex>::open("sd21", &OpenOptions::default(), &device)?;
//! let request = ImageRequest { steps: 20, ..ImageRequest::new("a lovely cat", 1) };
//! let response = pipeline.generate(&request, &mut |step| {
//!     println!("step {} of {}", step.taken, step.steps);
//!     ControlFlow::Continue(())
//! })?;
//! write_png("cat.png", &response.images[0])?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "anomaly")]
pub mod anomaly;
#[cfg(feature = "detection")]
pub mod detection;
mod error;
#[cfg(feature = "sprites")]
pub mod sprites;
#[cfg(feature = "text-to-image")]
pub mod stable_diffusion;

pub use error::PipelineError;
