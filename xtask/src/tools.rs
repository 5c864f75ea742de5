//! The programs that the checks call, and how to get them.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A program beside cargo itself.
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    probe: &'static [&'static str],
    pub(crate) install: &'static str,
}

pub(crate) const RUSTFMT: Tool = Tool {
    name: "rustfmt",
    probe: &["cargo", "fmt", "--version"],
    install: "rustup component add rustfmt",
};
pub(crate) const CLIPPY: Tool = Tool {
    name: "clippy",
    probe: &["cargo", "clippy", "--version"],
    install: "rustup component add clippy",
};
pub(crate) const TYPOS: Tool = Tool {
    name: "typos",
    probe: &["typos", "--version"],
    install: "pip install typos  (or: cargo install --locked typos-cli)",
};
pub(crate) const DENY: Tool = Tool {
    name: "cargo-deny",
    probe: &["cargo", "deny", "--version"],
    install: "cargo install --locked cargo-deny",
};
pub(crate) const NEXTEST: Tool = Tool {
    name: "cargo-nextest",
    probe: &["cargo", "nextest", "--version"],
    install: "cargo install --locked cargo-nextest",
};

impl Tool {
    pub(crate) fn is_present(&self) -> bool {
        command(self.probe)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }
}

/// A command from its words. `cargo` is the one that runs us, so that a `+toolchain` holds for all.
fn command(words: &[&str]) -> Command {
    let program = match words[0] {
        "cargo" => std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()),
        other => other.to_owned(),
    };
    let mut command = Command::new(program);
    command.args(&words[1..]);
    // `cargo run` sets these for this program alone. Left in place, build scripts that watch them (ring's)
    // would run again, and what stands on them would be built again.
    for (name, _) in std::env::vars() {
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command line in `root` and fails unless it succeeds.
pub(crate) fn run(root: &Path, line: &str, env: &[(&str, &str)]) -> Result<()> {
    let words: Vec<&str> = line.split_whitespace().collect();
    println!("   $ {line}");
    let status = command(&words)
        .current_dir(root)
        .envs(env.iter().copied())
        .status()
        .with_context(|| format!("`{line}` could not be started"))?;
    if !status.success() {
        bail!("`{line}`: {status}");
    }
    Ok(())
}

/// Whether a quiet command succeeds within `limit`; it is stopped when it does not.
pub(crate) fn succeeds_within(root: &Path, line: &str, limit: Duration) -> Result<bool> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut child = command(&words)
        .current_dir(root)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("`{line}` could not be started"))?;
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
