//! The networks of Stable Diffusion 1 and 2 ([Rombach et al.,
//! 2022](https://arxiv.org/abs/2112.10752)), and their files.
//!
//! Each network is built from the `config.json` of its part of a diffusers folder and has the key
//! names of its safetensors file.
//!
//! - [`checkpoint`]: diffusers folders and single-file checkpoints, by part.
//! - [`clip`]: the text encoder.
//! - [`lora`]: low-rank changes of the weights.
//! - [`textual_inversion`]: learned tokens.
//! - [`unet`]: the denoising U-Net with cross-attention to the text.
//! - [`vae`]: the autoencoder between pictures and latents.
//! - [`tiny_vae`]: TAESD, a small replacement of the autoencoder.

pub mod checkpoint;
pub mod clip;
mod fields;
pub mod lora;
pub mod textual_inversion;
pub mod tiny_vae;
pub mod unet;
pub mod vae;
