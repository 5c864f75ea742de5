//! Token ids of prompts, held to transformers.

use std::path::{Path, PathBuf};

use pyrograph_pipelines::stable_diffusion::tokenizer::{PromptSyntax, Tokenizer};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    prompt: String,
    sd15: Vec<u32>,
    sd21: Vec<u32>,
}

fn cases() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tokenizer/prompts.json");
    serde_json::from_slice(&std::fs::read(path).expect("the fixture")).expect("its cases")
}

pub(crate) fn sd21() -> Tokenizer {
    Tokenizer::built_in("!").expect("the built-in vocabulary")
}

fn ids(tokenizer: &Tokenizer, prompt: &str) -> Vec<u32> {
    let encoded = tokenizer.encode(prompt, PromptSyntax::Plain);
    encoded.expect("any text encodes").ids
}

fn padded(mut ids: Vec<u32>, padding: u32) -> Vec<u32> {
    ids.resize(77, padding);
    ids
}

#[track_caller]
fn assert_equal_to_transformers(sd15: &Tokenizer, sd21: &Tokenizer) {
    let cases = cases();
    assert!(cases.len() > 40);
    for case in cases {
        let prompt = &case.prompt;
        assert_eq!(
            ids(sd15, prompt),
            padded(case.sd15, 49407),
            "1.5: {prompt:?}"
        );
        assert_eq!(ids(sd21, prompt), padded(case.sd21, 0), "2.1: {prompt:?}");
    }
}

#[test]
fn hard_prompts_get_the_ids_that_transformers_gives() {
    let sd15 = Tokenizer::built_in("<|endoftext|>").expect("the built-in vocabulary");
    assert_equal_to_transformers(&sd15, &sd21());
}

#[test]
fn an_astronaut_on_mars_has_the_ids_of_the_traced_model() {
    let mut expected = vec![49406, 18376, 525, 7496, 49407];
    expected.resize(77, 0);
    assert_eq!(ids(&sd21(), "astronaut on mars"), expected);
}

/// A folder with the published vocabulary, and the special tokens of a release.
fn published(folder: &Path, padding: &str) {
    let data = PathBuf::from(std::env::var_os("PYROGRAPH_DATA").unwrap_or_default());
    for name in ["vocab.json", "merges.txt"] {
        std::fs::copy(data.join("clip-bpe").join(name), folder.join(name)).expect(name);
    }
    let token = |content: &str| {
        serde_json::json!({
            "content": content, "lstrip": false, "normalized": true, "rstrip": false, "single_word": false,
        })
    };
    let (start, end) = (token("<|startoftext|>"), token("<|endoftext|>"));
    let config = serde_json::json!({
        "bos_token": start, "eos_token": end, "unk_token": end, "pad_token": "<|endoftext|>", "model_max_length": 77,
    });
    let map = serde_json::json!({"bos_token": start, "eos_token": end, "unk_token": end, "pad_token": padding});
    std::fs::write(folder.join("tokenizer_config.json"), config.to_string()).expect("writable");
    std::fs::write(folder.join("special_tokens_map.json"), map.to_string()).expect("writable");
}

#[test]
fn the_published_files_make_the_same_tokenizer() {
    let data = PathBuf::from(std::env::var_os("PYROGRAPH_DATA").unwrap_or_default());
    if !data.join("clip-bpe/vocab.json").is_file() {
        eprintln!("skipped: PYROGRAPH_DATA names no folder that holds clip-bpe/vocab.json");
        return;
    }
    let (one, two) = (
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    );
    published(one.path(), "<|endoftext|>");
    published(two.path(), "!");
    let open = |folder: &tempfile::TempDir| Tokenizer::open(folder.path()).expect("a tokenizer");
    assert_equal_to_transformers(&open(&one), &open(&two));
}

#[test]
fn words_that_do_not_fit_are_told() {
    let tokenizer = sd21();
    let encode = |prompt: &str| {
        tokenizer
            .encode(prompt, PromptSyntax::Plain)
            .expect("encodes")
    };
    let fits = vec!["word"; 75].join(" ");
    assert_eq!(encode(&fits).lost, None);
    let encoded = encode(&format!("{fits} Old  CASTLE, "));
    assert_eq!(encoded.lost.as_deref(), Some("Old  CASTLE,"));
    assert_eq!(encoded.ids.len(), 77);
    assert_eq!(encoded.ids[76], 49407);
    // A word of several tokens that is cut within counts as lost as a whole.
    let cut = format!(
        "{} pneumonoultramicroscopic castle",
        vec!["word"; 73].join(" ")
    );
    assert_eq!(
        encode(&cut).lost.as_deref(),
        Some("pneumonoultramicroscopic castle")
    );
}

#[test]
fn a_prompt_of_ten_thousand_words_is_cut_and_told() {
    let words: Vec<_> = (0..10_000).map(|n| format!("word{n}")).collect();
    let encoded = sd21()
        .encode(&words.join(" "), PromptSyntax::Weighted)
        .expect("encodes");
    assert_eq!(encoded.ids.len(), 77);
    let lost = encoded.lost.expect("words are lost");
    assert!(lost.ends_with("word9999"), "{}", &lost[lost.len() - 40..]);
    // One word without a space, and brackets alone, are no slower.
    assert!(
        sd21()
            .encode(&"ab".repeat(50_000), PromptSyntax::Plain)
            .is_ok()
    );
    assert!(
        sd21()
            .encode(&"(a".repeat(10_000), PromptSyntax::Weighted)
            .is_ok()
    );
}

#[test]
fn an_added_token_of_several_vectors_expands() {
    let mut tokenizer = sd21();
    assert_eq!(tokenizer.vocabulary_size(), 49408);
    assert_eq!(
        tokenizer.add_token("<cat-toy>", 3).expect("a new token"),
        [49408, 49409, 49410]
    );
    assert_eq!(
        tokenizer.add_token("sks-style", 1).expect("a new token"),
        [49411]
    );
    assert_eq!(tokenizer.vocabulary_size(), 49412);
    let encoded = tokenizer
        .encode("a <Cat-Toy> in sks-style", PromptSyntax::Plain)
        .expect("encodes");
    assert_eq!(
        encoded.ids[..8],
        [49406, 320, 49408, 49409, 49410, 530, 49411, 49407]
    );
    let error = tokenizer
        .add_token("cat</w>", 1)
        .expect_err("a token of the vocabulary");
    assert!(
        error.to_string().contains("already holds `cat</w>`"),
        "{error}"
    );
    assert!(tokenizer.add_token("<cat-toy>", 1).is_err());
    assert!(tokenizer.add_token("none", 0).is_err());
}
