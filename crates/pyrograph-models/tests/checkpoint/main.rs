//! Checkpoints of Stable Diffusion, and what is added to their weights.

#[path = "../common/formula.rs"]
mod formula;

mod folder;
mod single_file;
mod tiny_vae;
