//! The networks of Stable Diffusion, and the files they come in.
//!
//! - [`checkpoint`]: diffusers folders and single-file checkpoints, by part.

pub mod checkpoint;
