//! Tokenizer folders: a tiny one in both forms, and those that are refused.

use std::path::Path;

use pyrograph_pipelines::stable_diffusion::tokenizer::{PromptSyntax, Tokenizer};
use serde_json::{Value, json};

/// A vocabulary of a few letters and two merges.
fn tiny() -> (Value, [&'static str; 2]) {
    let tokens = [
        "!",
        "c",
        "a",
        "t",
        "t</w>",
        "s</w>",
        "ca",
        "cat</w>",
        "<|startoftext|>",
        "<|endoftext|>",
    ];
    let ids = tokens
        .iter()
        .enumerate()
        .map(|(id, token)| ((*token).to_owned(), id.into()));
    (Value::Object(ids.collect()), ["c a", "ca t</w>"])
}

fn write(folder: &Path, name: &str, text: impl AsRef<[u8]>) {
    std::fs::write(folder.join(name), text).expect("writable");
}

fn separate(folder: &Path) {
    let (vocabulary, merges) = tiny();
    write(folder, "vocab.json", vocabulary.to_string());
    write(
        folder,
        "merges.txt",
        format!("#version: 0.2\n{}\n", merges.join("\n")),
    );
}

fn ids(tokenizer: &Tokenizer, prompt: &str) -> Vec<u32> {
    tokenizer
        .encode(prompt, PromptSyntax::Plain)
        .expect("encodes")
        .ids
}

#[track_caller]
fn refusal(folder: &Path) -> String {
    Tokenizer::open(folder).expect_err("refused").to_string()
}

#[test]
fn a_tiny_vocabulary_reads_from_separate_files_and_from_one() {
    let folder = tempfile::tempdir().expect("a folder");
    separate(folder.path());
    let config = json!({"model_max_length": 8, "pad_token": "!"}).to_string();
    write(folder.path(), "tokenizer_config.json", &config);
    let separate = Tokenizer::open(folder.path()).expect("a tokenizer");
    assert_eq!(separate.length(), 8);
    // Characters outside the vocabulary become the unknown token.
    assert_eq!(ids(&separate, "Cat t"), [8, 7, 4, 9, 0, 0, 0, 0]);
    assert_eq!(ids(&separate, "z cat"), [8, 9, 7, 9, 0, 0, 0, 0]);

    let one = tempfile::tempdir().expect("a folder");
    let (vocabulary, merges) = tiny();
    let pairs: Vec<Vec<&str>> = merges
        .iter()
        .map(|merge| merge.split(' ').collect())
        .collect();
    for merges in [json!(merges), json!(pairs)] {
        let file = json!({
            "added_tokens": [{"id": 9, "content": "<|endoftext|>", "normalized": false, "special": true}],
            "model": {"type": "BPE", "vocab": vocabulary, "merges": merges},
        });
        write(one.path(), "tokenizer.json", file.to_string());
        write(one.path(), "tokenizer_config.json", &config);
        let whole = Tokenizer::open(one.path()).expect("a tokenizer");
        assert_eq!(ids(&whole, "Cat t"), ids(&separate, "Cat t"));
    }
}

#[test]
fn special_tokens_that_the_config_lists_come_before_the_map() {
    let folder = tempfile::tempdir().expect("a folder");
    separate(folder.path());
    write(
        folder.path(),
        "special_tokens_map.json",
        json!({"pad_token": "!"}).to_string(),
    );
    let padding = |tokenizer: Tokenizer| *ids(&tokenizer, "cat").last().expect("77 ids");
    assert_eq!(
        padding(Tokenizer::open(folder.path()).expect("a tokenizer")),
        0
    );
    let listed =
        json!({"added_tokens_decoder": {"9": {"content": "<|endoftext|>", "special": true}}});
    write(folder.path(), "tokenizer_config.json", listed.to_string());
    assert_eq!(
        padding(Tokenizer::open(folder.path()).expect("a tokenizer")),
        9
    );
}

#[test]
fn damaged_folders_are_refused_with_the_file_and_the_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    assert!(refusal(path).contains("vocab.json: the file does not exist"));
    separate(path);
    write(path, "merges.txt", "#version: 0.2\nc a t\n");
    assert!(
        refusal(path).contains("line 2 is `c a t`, not two tokens"),
        "{}",
        refusal(path)
    );
    write(path, "merges.txt", "z z\n");
    assert!(refusal(path).contains("z"), "{}", refusal(path));
    separate(path);
    write(path, "vocab.json", "{\"a\":");
    assert!(refusal(path).contains("vocab.json"), "{}", refusal(path));
    separate(path);
    write(
        path,
        "tokenizer_config.json",
        json!({"pad_token": "<pad>", "model_max_length": 1}).to_string(),
    );
    assert!(
        refusal(path).contains("`model_max_length` is 1"),
        "{}",
        refusal(path)
    );
    write(
        path,
        "tokenizer_config.json",
        json!({"added_tokens_decoder": {"7": {"content": "!"}}}).to_string(),
    );
    assert!(
        refusal(path).contains("`!` has the id"),
        "{}",
        refusal(path)
    );
    write(
        path,
        "tokenizer.json",
        json!({"model": {"type": "Unigram"}}).to_string(),
    );
    assert!(
        refusal(path).contains("its model is Unigram"),
        "{}",
        refusal(path)
    );
}
