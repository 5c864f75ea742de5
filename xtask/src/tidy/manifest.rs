//! Reads a member's `Cargo.toml` and checks what it leaves to the workspace.

use anyhow::{Context, Result};
use toml::{Table, Value};

use super::Problem;

/// A dependency as written: its key, its section and its value.
#[derive(Debug)]
pub(super) struct Dependency {
    pub(super) name: String,
    pub(super) is_dev: bool,
    value: Value,
}

/// The parts of a member's manifest that the rules look at.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) path: String,
    pub(super) name: String,
    pub(super) dependencies: Vec<Dependency>,
    inherits_lints: bool,
}

impl Manifest {
    pub(super) fn parse(path: &str, text: &str) -> Result<Self> {
        let table: Table = text.parse().context("no valid TOML")?;
        let name = table
            .get("package")
            .and_then(|package| package.get("name"))
            .and_then(Value::as_str)
            .context("[package] has no name")?;
        let inherits_lints = table
            .get("lints")
            .and_then(|lints| lints.get("workspace"))
            .and_then(Value::as_bool)
            .unwrap_or(false);

        let mut dependencies = sections(&table);
        if let Some(targets) = table.get("target").and_then(Value::as_table) {
            dependencies.extend(
                targets
                    .values()
                    .filter_map(Value::as_table)
                    .flat_map(sections),
            );
        }
        Ok(Self {
            path: path.to_owned(),
            name: name.to_owned(),
            dependencies,
            inherits_lints,
        })
    }
}

/// The entries of `[dependencies]`, `[build-dependencies]` and `[dev-dependencies]` in one table.
fn sections(table: &Table) -> Vec<Dependency> {
    let mut out = Vec::new();
    for section in ["dependencies", "build-dependencies", "dev-dependencies"] {
        for (key, value) in table
            .get(section)
            .and_then(Value::as_table)
            .into_iter()
            .flatten()
        {
            // A renamed dependency is what its `package` says.
            let name = value.get("package").and_then(Value::as_str).unwrap_or(key);
            let is_dev = section == "dev-dependencies";
            out.push(Dependency {
                name: name.to_owned(),
                is_dev,
                value: value.clone(),
            });
        }
    }
    out
}

pub(super) fn check(manifest: &Manifest) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !manifest.inherits_lints {
        problems.push(Problem::new(
            &manifest.path,
            "`[lints] workspace = true` is missing",
        ));
    }
    for dependency in &manifest.dependencies {
        let from_workspace = dependency
            .value
            .get("workspace")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        if !from_workspace {
            let message = format!(
                "`{}` names its own source or version; put it under [workspace.dependencies] in the \
                 root Cargo.toml and write `{}.workspace = true` here",
                dependency.name, dependency.name
            );
            problems.push(Problem::new(&manifest.path, message));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(text: &str) -> Vec<String> {
        let manifest = Manifest::parse("a/Cargo.toml", text).unwrap();
        check(&manifest)
            .into_iter()
            .map(|problem| problem.message)
            .collect()
    }

    const GOOD: &str = "[package]\nname = \"a\"\n[lints]\nworkspace = true\n";

    #[test]
    fn a_manifest_that_leaves_all_to_the_workspace_passes() {
        let text = format!(
            "{GOOD}[dependencies]\nb.workspace = true\nc = {{ workspace = true, optional = true }}\n"
        );
        assert!(messages(&text).is_empty());
    }

    #[test]
    fn a_version_in_a_member_is_refused_in_every_section() {
        for section in [
            "dependencies",
            "dev-dependencies",
            "target.'cfg(unix)'.dependencies",
        ] {
            for entry in [
                "b = \"1\"",
                "b = { version = \"1\" }",
                "b = { path = \"../b\" }",
            ] {
                let found = messages(&format!("{GOOD}[{section}]\n{entry}\n"));
                assert_eq!(found.len(), 1, "{section} {entry}");
                assert!(found[0].contains("`b`"), "{}", found[0]);
            }
        }
    }

    #[test]
    fn missing_lints_are_refused() {
        assert_eq!(messages("[package]\nname = \"a\"\n").len(), 1);
        assert_eq!(
            messages("[package]\nname = \"a\"\n[lints]\nworkspace = false\n").len(),
            1
        );
    }

    #[test]
    fn a_renamed_dependency_is_known_by_its_package() {
        let text = format!("{GOOD}[dependencies]\nb = {{ package = \"c\", workspace = true }}\n");
        assert_eq!(
            Manifest::parse("a", &text).unwrap().dependencies[0].name,
            "c"
        );
    }

    #[test]
    fn broken_toml_is_an_error() {
        assert!(Manifest::parse("a", "[package\n").is_err());
        assert!(Manifest::parse("a", "[lints]\n").is_err());
    }
}
