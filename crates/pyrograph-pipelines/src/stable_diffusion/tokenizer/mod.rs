//! CLIP's tokenizer: prompts to token ids as transformers' `CLIPTokenizer` gives them.
//!
//! - [`Tokenizer`] reads the `tokenizer` folder of a checkpoint, or uses the built-in vocabulary.
//! - [`EncodedPrompt`] holds ids, weights, and the words that did not fit.
//! - [`PromptSyntax`] says whether brackets weight words; [`apply_weights`] applies the weights to hidden states.

mod encode;
mod files;
mod special;
mod vocabulary;
mod weighting;
mod write;

pub use encode::{EncodedPrompt, Tokenizer};
pub use weighting::{PromptSyntax, WeightedText, apply_weights, parse_weights};
pub use write::write_tokenizer;
