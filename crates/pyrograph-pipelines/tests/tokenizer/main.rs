//! CLIP's tokenizer: equal to transformers, prompt weighting, refusals.

mod files;
mod prompts;
mod weighting;
