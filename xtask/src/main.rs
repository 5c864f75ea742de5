//! The project's own checks: `cargo xtask ci|tidy|fixtures|bench|help`.

mod bench;
mod ci;
mod fixtures;
mod tidy;
mod tools;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own checks")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run every check, cheapest first: the same command for a person and for CI
    Ci(CiArgs),
    /// Check the rules that no other tool knows: layers, manifests, sources, file sizes
    Tidy,
    /// Run every fixture's make.py with $PYTHON (default python3) and show what changed
    Fixtures(FixturesArgs),
    /// Time pyrograph
    #[command(subcommand)]
    Bench(Bench),
}

#[derive(Subcommand)]
enum Bench {
    /// Beside PyTorch, by turns in one run: writes docs/benchmarks.md and its plot
    Compare(CompareArgs),
}

#[derive(Args)]
struct CompareArgs {
    /// A Python that has torch
    #[arg(long, env = "PYTHON", default_value = "python3")]
    python: String,
    /// What compare.py takes, after `--`: `-- --rounds 1 --only conv`
    #[arg(last = true)]
    words: Vec<String>,
}

#[derive(Args)]
struct CiArgs {
    /// Leave a step out (may be repeated)
    #[arg(long, value_name = "STEP", value_parser = ci::step_names())]
    skip: Vec<String>,
    /// Run only this step (may be repeated)
    #[arg(long, value_name = "STEP", value_parser = ci::step_names(), conflicts_with = "skip")]
    only: Vec<String>,
    /// Go on after a failed step, and fail at the end
    #[arg(long)]
    keep_going: bool,
}

#[derive(Args)]
struct FixturesArgs {
    /// Succeed although fixtures changed
    #[arg(long)]
    accept: bool,
}

fn main() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> Result<()> {
    let root = workspace::root()?;
    match command {
        Command::Ci(args) => {
            let wanted = |name: &str| {
                let listed = |names: &[String]| names.iter().any(|n| n == name);
                !listed(&args.skip) && (args.only.is_empty() || listed(&args.only))
            };
            ci::run(&root, wanted, args.keep_going)
        }
        Command::Tidy => tidy::run(&root),
        Command::Bench(Bench::Compare(args)) => bench::compare(&root, &args.python, &args.words),
        Command::Fixtures(args) => fixtures::run(&root, args.accept),
    }
}
