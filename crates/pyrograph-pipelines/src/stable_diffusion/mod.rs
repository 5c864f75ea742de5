//! Pictures from text by Stable Diffusion 1 and 2: what diffusers' pipelines give for the same seed.
//!
//! - [`StableDiffusion`]: a checkpoint made ready: text encoder, UNet and VAE on a device. It has no state between calls and can
//!   be shared.
//! - [`ImageRequest`] and [`ImageResponse`]: text to image, image to image, inpainting.
//! - [`Acceleration`]: DeepCache, T-GATE, merging of tokens, and guidance in a part of the steps.
//! - [`RequestRules`]: what a request is checked against, without the weights.
//! - [`ImageWalk`]: one picture on its way from noise; walks of several requests, at different steps, can share a pass.
//! - [`tokenizer`]: prompts to token ids, with weights.
//! - [`linear_previews`]: pictures of unfinished latents without a network.
//! - [`NetworkConfigs`]: a pipeline with random weights, for measurements.
//! - [`MemoryLimit`]: memory is foreseen before it is taken.

mod acceleration;
mod assemble;
mod begin;
mod coder;
mod contexts;
mod guide;
mod host;
mod image;
mod memory;
mod open;
mod pass;
mod pipeline;
mod preview;
mod random;
mod request;
mod rules;
mod schedule;
mod scheduler;
mod start;
mod text;
pub mod tokenizer;
mod walk;

pub use acceleration::Acceleration;
pub use begin::BegunRequest;
pub use contexts::prompt_contexts;
pub use host::Latents;
pub use memory::{MemoryLimit, MemoryNeed, available_memory};
pub use open::{LoraFile, OpenOptions};
pub use pipeline::{StableDiffusion, Step};
pub use preview::linear_previews;
pub use random::NetworkConfigs;
pub use request::{ImagePrompt, ImageRequest, ImageResponse, ImageStart, MAX_IMAGES, StageSeconds};
pub use rules::{CheckedRequest, RequestRules};
pub use scheduler::{SchedulerChoice, TimestepSpacing};
pub use text::LostWords;
pub use walk::ImageWalk;
