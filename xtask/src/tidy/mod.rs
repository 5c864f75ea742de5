//! `cargo xtask tidy`: the rules that no other tool knows.

mod edges;
mod files;
mod manifest;
mod sources;
mod strip;

use std::fmt;
use std::path::Path;

use anyhow::{Result, bail};

use crate::workspace;
use manifest::Manifest;

/// One broken rule.
#[derive(Debug, PartialEq, Eq)]
struct Problem {
    path: String,
    line: Option<usize>,
    message: String,
}

impl Problem {
    fn new(path: &str, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line: None,
            message: message.into(),
        }
    }

    fn at(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            line: Some(line),
            ..Self::new(path, message)
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path, self.message),
            None => write!(f, "{}: {}", self.path, self.message),
        }
    }
}

pub(crate) fn run(root: &Path) -> Result<()> {
    let files = workspace::files(root)?;
    let mut problems = Vec::new();

    let mut members = Vec::new();
    for path in files.iter().filter(|path| path.ends_with("/Cargo.toml")) {
        let text = std::fs::read_to_string(root.join(path))?;
        match Manifest::parse(path, &text) {
            Ok(manifest) => members.push(manifest),
            Err(error) => problems.push(Problem::new(path, error.to_string())),
        }
    }
    problems.extend(edges::check(&members));
    problems.extend(members.iter().flat_map(manifest::check));

    for path in &files {
        let bytes = std::fs::read(root.join(path))?;
        problems.extend(files::check_size(path, bytes.len() as u64));
        if let Ok(text) = std::str::from_utf8(&bytes) {
            problems.extend(sources::check(path, text));
        }
    }

    for problem in &problems {
        println!("   {problem}");
    }
    if !problems.is_empty() {
        bail!(
            "{} broken rules (CONTRIBUTING.md says why they are there)",
            problems.len()
        );
    }
    println!("   {} files, {} packages", files.len(), members.len());
    Ok(())
}
