//! Text to image with Stable Diffusion.
//!
//! - [`tokenizer`]: prompts to token ids, with weights.

pub mod tokenizer;
