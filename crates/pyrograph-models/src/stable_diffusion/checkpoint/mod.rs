//! Checkpoints of Stable Diffusion.

mod tokenizer;

pub use tokenizer::TokenizerFiles;
