//! The networks of Stable Diffusion, with the config files and key names of diffusers.
//!
//! - [`unet`]: the denoising U-Net with cross-attention to the text.

pub mod unet;

pub use unet::{UNet2DConditionConfig, UNet2DConditionModel};
