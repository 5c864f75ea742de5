//! `cargo xtask fixtures`: makes the golden fixtures anew and shows what changed.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace;

pub(crate) fn run(root: &Path, accept: bool) -> Result<()> {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let scripts: Vec<String> = workspace::files(root)?
        .into_iter()
        .filter(|path| is_script(path))
        .collect();
    if scripts.is_empty() {
        bail!("no crates/*/tests/fixtures/**/make.py");
    }
    for script in &scripts {
        println!("   $ {python} {script}");
        let status = Command::new(&python)
            .arg(script)
            .current_dir(root)
            .status()
            .with_context(|| {
                format!("`{python}` could not be started; set PYTHON to one that has torch")
            })?;
        if !status.success() {
            bail!("{script}: {status}");
        }
    }

    let folders = scripts
        .iter()
        .map(|script| script.trim_end_matches("make.py"));
    let diff = Command::new("git")
        .args(["diff", "--stat", "--exit-code", "HEAD", "--"])
        .args(folders)
        .current_dir(root)
        .status()
        .context("git could not be started")?;
    if !diff.success() && !accept {
        bail!("fixtures changed; look at why, then run again with --accept");
    }
    Ok(())
}

fn is_script(path: &str) -> bool {
    path.starts_with("crates/") && path.contains("/tests/fixtures/") && path.ends_with("/make.py")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scripts_in_a_fixture_folder_are_run() {
        assert!(is_script("crates/a/tests/fixtures/unit/make.py"));
        assert!(!is_script("crates/a/src/make.py"));
        assert!(!is_script("benches/pytorch/make.py"));
        assert!(!is_script("crates/a/tests/fixtures/unit/remake.py"));
    }
}
