//! The tokenizer of a checkpoint as a folder of files.

use std::{fs, path::Path};

use pyrograph_base::atomic_write;
use pyrograph_models::stable_diffusion::checkpoint::TokenizerFiles;
use serde_json::{Value, json};

use super::{
    special::{END, START},
    vocabulary::Vocabulary,
};
use crate::PipelineError;

/// The files of a tokenizer that transformers reads.
const FILES: [&str; 6] = [
    "added_tokens.json",
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
];
/// Tokens of a prompt with start and end.
const LENGTH: usize = 77;

/// Writes the files of a tokenizer into `folder`: copies of a folder's, or those of the built-in vocabulary.
///
/// # Errors
/// When a file cannot be read or written.
pub fn write_tokenizer(files: &TokenizerFiles, folder: &Path) -> Result<(), PipelineError> {
    match files {
        TokenizerFiles::Folder(source) => {
            for name in FILES {
                let file = source.join(name);
                if file.is_file() {
                    let bytes = fs::read(&file).map_err(|source| io(&file, source))?;
                    atomic_write(folder.join(name), &bytes)?;
                }
            }
            Ok(())
        }
        TokenizerFiles::BuiltIn { padding } => write_built_in(padding, folder),
    }
}

fn write_built_in(padding: &str, folder: &Path) -> Result<(), PipelineError> {
    let vocabulary = Vocabulary::built_in().map_err(|source| io(folder, source))?;
    let mut merges = String::from("#version: 0.2\n");
    for pair in &vocabulary.merges {
        let word = |at: usize| pair[at].as_str().unwrap_or_default();
        merges.push_str(&format!("{} {}\n", word(0), word(1)));
    }
    let tokens = json!({
        "bos_token": START, "eos_token": END, "pad_token": padding, "unk_token": END,
    });
    let mut config = json!({
        "add_prefix_space": false,
        "do_lower_case": true,
        "errors": "replace",
        "model_max_length": LENGTH,
        "tokenizer_class": "CLIPTokenizer",
    });
    if let (Value::Object(config), Value::Object(tokens)) = (&mut config, &tokens) {
        config.extend(tokens.clone());
    }
    for (name, value) in [
        ("vocab.json", Value::Object(vocabulary.ids)),
        ("special_tokens_map.json", tokens),
        ("tokenizer_config.json", config),
    ] {
        let path = folder.join(name);
        let text = serde_json::to_vec_pretty(&value).map_err(|error| io(&path, error.into()))?;
        atomic_write(path, &text)?;
    }
    Ok(atomic_write(folder.join("merges.txt"), merges.as_bytes())?)
}

fn io(path: &Path, source: std::io::Error) -> PipelineError {
    pyrograph_models::ModelError::Io {
        path: path.into(),
        source,
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stable_diffusion::tokenizer::{PromptSyntax, Tokenizer};

    #[test]
    fn the_built_in_tokenizer_reads_back_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = TokenizerFiles::BuiltIn {
            padding: "!".into(),
        };
        write_tokenizer(&files, folder.path()).expect("writable");
        let written = Tokenizer::open(folder.path()).expect("readable");
        let built_in = Tokenizer::of_checkpoint(&files).expect("built in");
        for prompt in [
            "",
            "astronaut on mars",
            "a café, 猫 & 🎉!",
            "Pixel-Art (2x)",
        ] {
            let ids = |tokenizer: &Tokenizer| tokenizer.encode(prompt, PromptSyntax::Plain);
            let (ours, theirs) = (ids(&written), ids(&built_in));
            assert_eq!(ours.expect("ids"), theirs.expect("ids"), "{prompt}");
        }
    }
}
