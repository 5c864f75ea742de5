//! Checkpoints of Stable Diffusion, and what is added to their weights.

#[expect(dead_code, reason = "its images are for tests of other models")]
#[path = "../common/formula.rs"]
mod formula;

mod folder;
mod lora;
mod single_file;
mod textual_inversion;
mod tiny_vae;
