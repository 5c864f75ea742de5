//! Running the binary.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

pub(crate) fn pyrograph(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pyrograph"))
        .args(arguments)
        .env("RUST_BACKTRACE", "0")
        .output()
        .expect("the binary runs")
}

#[track_caller]
pub(crate) fn succeeds(arguments: &[&str]) -> String {
    let output = pyrograph(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}\n{errors}");
    String::from_utf8(output.stdout).expect("text")
}

/// Exit code 2 and a message that holds every one of `words`.
#[track_caller]
pub(crate) fn refuses(arguments: &[&str], words: &[&str]) {
    let output = pyrograph(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}\n{errors}");
    for word in words {
        assert!(
            errors.contains(word),
            "{arguments:?} does not say {word:?}:\n{errors}"
        );
    }
    assert!(!errors.contains("panicked"), "{errors}");
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

pub(crate) const TINY: [&str; 12] = [
    "--procedural",
    "60",
    "--n-feat",
    "8",
    "--batch-size",
    "20",
    "--sample-every",
    "0",
    "--seed",
    "3",
    "--device",
    "cpu",
];

pub(crate) fn train(out: &Path, more: &[&str]) -> Vec<String> {
    let words = ["train", "sprites", "--json", "--out", text(out)];
    words
        .iter()
        .chain(&TINY)
        .chain(more)
        .map(|word| (*word).to_owned())
        .collect()
}

#[track_caller]
pub(crate) fn run(arguments: &[String]) -> String {
    succeeds(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

pub(crate) fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().to_owned();
    (folder, path)
}

pub(crate) fn metrics(run: &Path) -> String {
    fs::read_to_string(run.join("metrics.jsonl")).expect("the log")
}
