//! The source of a checkpoint's tokenizer.

use std::path::PathBuf;

/// The files of a checkpoint's tokenizer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenizerFiles {
    /// A folder with `vocab.json` and `merges.txt`, or `tokenizer.json`.
    Folder(PathBuf),
    /// CLIP's vocabulary, which every Stable Diffusion 1 and 2 uses; single-file checkpoints carry none.
    BuiltIn {
        /// The padding token of prompts: `!` for Stable Diffusion 2, `<|endoftext|>` for 1.
        padding: String,
    },
}

/// Width of the text encoder of Stable Diffusion 2, OpenCLIP-H.
const OPEN_CLIP_WIDTH: usize = 1024;

/// The token that prompts are filled up with, by the width of the text encoder.
pub(super) fn padding_of(width: usize) -> &'static str {
    match width {
        OPEN_CLIP_WIDTH => "!",
        _ => "<|endoftext|>",
    }
}
