//! The networks against PyTorch, torchvision, transformers and diffusers; see the `make.py` of each folder of fixtures.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/diffusers.rs"]
mod diffusers;
#[path = "../common/formula.rs"]
mod formula;

mod context_unet;
mod dcgan;
mod half_precision;
mod int8;
mod layer_types;
mod ssd;
mod ssd_distillation;
mod stable_diffusion_clip;
mod stable_diffusion_tiny_vae;
mod stable_diffusion_unet;
mod stable_diffusion_unet_pass;
mod stable_diffusion_vae;
