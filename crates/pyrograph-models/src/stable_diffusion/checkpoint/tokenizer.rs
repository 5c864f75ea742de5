//! Where a checkpoint's tokenizer comes from.

use std::path::PathBuf;

/// The files of a checkpoint's tokenizer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenizerFiles {
    /// A folder with `vocab.json` and `merges.txt`, or `tokenizer.json`.
    Folder(PathBuf),
    /// CLIP's vocabulary, which every Stable Diffusion 1 and 2 uses; single-file checkpoints carry none.
    BuiltIn {
        /// The token that fills a prompt up: `!` for Stable Diffusion 2, `<|endoftext|>` for 1.
        padding: String,
    },
}
