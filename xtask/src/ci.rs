//! `cargo xtask ci`: every check, cheapest first.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::tidy;
use crate::tools::{self, CLIPPY, DENY, NEXTEST, RUSTFMT, TYPOS, Tool};

/// The advisory database is on the network; a machine without it skips that part and says so.
const ADVISORIES_LIMIT: Duration = Duration::from_secs(60);

struct Step {
    name: &'static str,
    needs: Option<&'static Tool>,
    run: fn(&Path) -> Result<()>,
}

const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        needs: Some(&RUSTFMT),
        run: |root| tools::run(root, "cargo fmt --all --check", &[]),
    },
    Step {
        name: "typos",
        needs: Some(&TYPOS),
        run: |root| tools::run(root, "typos", &[]),
    },
    Step {
        name: "tidy",
        needs: None,
        run: tidy::run,
    },
    Step {
        name: "package",
        needs: None,
        run: package,
    },
    Step {
        name: "clippy",
        needs: Some(&CLIPPY),
        run: clippy,
    },
    Step {
        name: "doc",
        needs: None,
        run: doc,
    },
    Step {
        name: "test",
        needs: None,
        run: test,
    },
    Step {
        name: "deny",
        needs: Some(&DENY),
        run: deny,
    },
];

/// The names that `--skip` and `--only` take.
pub(crate) fn step_names() -> Vec<&'static str> {
    STEPS.iter().map(|step| step.name).collect()
}

/// Runs the wanted steps in order and prints the time of each.
pub(crate) fn run(root: &Path, wanted: impl Fn(&str) -> bool, keep_going: bool) -> Result<()> {
    let steps: Vec<&Step> = STEPS.iter().filter(|step| wanted(step.name)).collect();
    refuse_missing_tools(&steps)?;

    let mut report = Vec::new();
    for step in steps {
        println!("\n== {}", step.name);
        let start = Instant::now();
        let outcome = (step.run)(root);
        let seconds = start.elapsed().as_secs_f64();
        let word = if outcome.is_ok() { "passed" } else { "FAILED" };
        println!("   {}: {word} in {seconds:.1} s", step.name);
        if let Err(error) = &outcome {
            println!("   {error:#}");
        }
        report.push((step.name, word, seconds, outcome.is_ok()));
        if outcome.is_err() && !keep_going {
            break;
        }
    }

    println!("\n== summary");
    for (name, word, seconds, _) in &report {
        println!("   {name:<8}{word:<8}{seconds:>8.1} s");
    }
    let failed: Vec<&str> = report
        .iter()
        .filter(|row| !row.3)
        .map(|row| row.0)
        .collect();
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn refuse_missing_tools(steps: &[&Step]) -> Result<()> {
    let missing: Vec<String> = steps
        .iter()
        .filter_map(|step| step.needs)
        .filter(|tool| !tool.is_present())
        .map(|tool| format!("  {:<12}{}", tool.name, tool.install))
        .collect();
    if !missing.is_empty() {
        bail!(
            "missing tools, and how to install them:\n{}",
            missing.join("\n")
        );
    }
    Ok(())
}

/// What a registry takes. Packages are not compiled once more, and their lock files not resolved,
/// which takes a minute.
fn package(root: &Path) -> Result<()> {
    tools::run(
        root,
        "cargo package --workspace --no-verify --exclude-lockfile --allow-dirty --quiet",
        &[],
    )
}

fn clippy(root: &Path) -> Result<()> {
    // The second is the library for one job, without what the others need.
    let one_job = "--package pyrograph --no-default-features --features flex,detection";
    for packages in ["--workspace --all-targets", one_job] {
        tools::run(
            root,
            &format!("cargo clippy {packages} -- -D warnings"),
            &[],
        )?;
    }
    Ok(())
}

fn doc(root: &Path) -> Result<()> {
    tools::run(
        root,
        "cargo doc --workspace --no-deps",
        &[("RUSTDOCFLAGS", "-D warnings")],
    )
}

/// nextest where it is installed: it stops tests that hang and ends in one summary. The same tests run without it.
fn test(root: &Path) -> Result<()> {
    if NEXTEST.is_present() {
        tools::run(root, "cargo nextest run --workspace", &[])?;
        return tools::run(root, "cargo test --doc --workspace", &[]);
    }
    println!(
        "   cargo-nextest is missing, cargo test takes its place; to install it: {}",
        NEXTEST.install
    );
    tools::run(root, "cargo test --workspace", &[])
}

fn deny(root: &Path) -> Result<()> {
    tools::run(
        root,
        "cargo deny --all-features check --hide-inclusion-graph licenses bans sources",
        &[],
    )?;
    if !tools::succeeds_within(root, "cargo deny fetch db", ADVISORIES_LIMIT)? {
        println!("   advisories: SKIPPED, the advisory database cannot be fetched from here");
        return Ok(());
    }
    // Offline: the database was fetched just now, and the packages are those of Cargo.lock.
    tools::run(
        root,
        "cargo deny --offline --all-features check advisories",
        &[],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_run_from_the_cheapest_to_the_dearest() {
        assert_eq!(
            step_names(),
            [
                "fmt", "typos", "tidy", "package", "clippy", "doc", "test", "deny"
            ]
        );
    }

    #[test]
    fn no_wanted_step_is_no_failure() {
        assert!(run(Path::new("."), |_| false, false).is_ok());
    }
}
