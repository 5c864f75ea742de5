//! The networks of Stable Diffusion 1 and 2 ([Rombach et al., 2022](https://arxiv.org/abs/2112.10752)).
//!
//! Each is built from the `config.json` of its part of a diffusers folder and has the key names of its safetensors file.

mod fields;
pub mod unet;
