//! The networks of Stable Diffusion, and the files they come in.
//!
//! - [`checkpoint`]: diffusers folders and single-file checkpoints, by part.
//! - [`lora`]: low-rank changes of their weights.
//! - [`textual_inversion`]: learned tokens.

pub mod checkpoint;
pub mod lora;
pub mod textual_inversion;
