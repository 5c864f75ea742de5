//! The examples of the libraries' documentation are written for this crate alone.

use std::{fs, path::Path};

/// Libraries whose documentation a user of this crate reads.
const LIBRARIES: [&str; 12] = [
    "backend",
    "vision",
    "diffusion",
    "losses",
    "models",
    "data",
    "metrics",
    "gradcheck",
    "train",
    "pipelines",
    "serve",
    "loadtest",
];

fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("a folder of this workspace") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("text");
            found.push((path.display().to_string(), text));
        }
    }
}

/// The lines of Rust examples that a reader sees.
fn visible_lines(text: &str) -> Vec<&str> {
    let (mut inside, mut is_rust, mut lines) = (false, false, Vec::new());
    for line in text.lines() {
        let line = line.trim_start();
        let Some(line) = line
            .strip_prefix("///")
            .or_else(|| line.strip_prefix("//!"))
        else {
            continue;
        };
        let line = line.trim_start();
        if let Some(language) = line.strip_prefix("```") {
            inside = !inside;
            is_rust = ["", "no_run", "rust", "should_panic"].contains(&language);
        } else if inside && is_rust && line != "#" && !line.starts_with("# ") {
            lines.push(line);
        }
    }
    lines
}

#[test]
fn examples_name_nothing_but_this_crate() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut examples = 0;
    for library in LIBRARIES {
        let mut found = Vec::new();
        sources(&crates.join(format!("pyrograph-{library}/src")), &mut found);
        for (path, text) in found {
            for line in visible_lines(&text) {
                examples += usize::from(line.starts_with("use pyrograph::"));
                let others = ["pyrograph_", "use burn::", "burn_flex"];
                let named = others.iter().find(|other| line.contains(*other));
                assert!(named.is_none(), "{path}: {line}");
            }
        }
    }
    assert!(examples > 20, "{examples} lines");
}
