//! `cargo xtask bench compare`: pyrograph and PyTorch by turns, and the page that says how they stand.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Runs `benches/pytorch/compare.py` with `python`, which writes `docs/benchmarks.md` and its plot.
pub(crate) fn compare(root: &Path, python: &str, words: &[String]) -> Result<()> {
    let import = Command::new(python).args(["-c", "import torch"]).output();
    let import = import.with_context(|| format!("`{python}` could not be started"))?;
    if !import.status.success() {
        bail!("`{python}` has no torch: give --python one that has (benches/pytorch/README.md)");
    }
    let status = Command::new(python)
        .args(["benches/pytorch/compare.py", "--write"])
        .args(words)
        .current_dir(root)
        .status()
        .with_context(|| format!("`{python}` could not be started"))?;
    if !status.success() {
        bail!("compare.py: {status}");
    }
    Ok(())
}
