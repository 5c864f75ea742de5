//! The layers: which crate of the workspace may depend on which.

use super::Problem;
use super::manifest::Manifest;

/// What a crate may depend on besides crates from outside the workspace.
enum Allowed {
    These(&'static [&'static str]),
    /// Every library of the table.
    Libraries,
    Nothing,
}

use Allowed::{Libraries, Nothing, These};

/// From the lowest layer up. Where a layer's edges bring `pyrograph-base`, `pyrograph-backend` and
/// `pyrograph-vision` along anyway (train, pipelines), they are written out: that layer names their
/// types itself.
const TABLE: &[(&str, Allowed)] = &[
    ("pyrograph-base", Nothing),
    ("pyrograph-backend", Nothing),
    ("pyrograph-vision", These(&["pyrograph-base"])),
    (
        "pyrograph-figures",
        These(&["pyrograph-base", "pyrograph-vision"]),
    ),
    ("pyrograph-diffusion", These(&["pyrograph-backend"])),
    (
        "pyrograph-losses",
        These(&["pyrograph-backend", "pyrograph-vision"]),
    ),
    (
        "pyrograph-models",
        These(&["pyrograph-base", "pyrograph-backend", "pyrograph-vision"]),
    ),
    (
        "pyrograph-data",
        These(&["pyrograph-base", "pyrograph-backend", "pyrograph-vision"]),
    ),
    (
        "pyrograph-art",
        These(&["pyrograph-base", "pyrograph-vision", "pyrograph-data"]),
    ),
    (
        "pyrograph-metrics",
        These(&["pyrograph-base", "pyrograph-vision"]),
    ),
    ("pyrograph-gradcheck", These(&["pyrograph-backend"])),
    (
        "pyrograph-train",
        These(&[
            "pyrograph-base",
            "pyrograph-backend",
            "pyrograph-vision",
            "pyrograph-data",
            "pyrograph-art",
            "pyrograph-losses",
            "pyrograph-models",
            "pyrograph-diffusion",
            "pyrograph-metrics",
        ]),
    ),
    (
        "pyrograph-pipelines",
        These(&[
            "pyrograph-base",
            "pyrograph-backend",
            "pyrograph-vision",
            "pyrograph-figures",
            "pyrograph-models",
            "pyrograph-diffusion",
            "pyrograph-losses",
            "pyrograph-metrics",
        ]),
    ),
    (
        "pyrograph-serve",
        These(&[
            "pyrograph-base",
            "pyrograph-backend",
            "pyrograph-vision",
            "pyrograph-models",
            "pyrograph-diffusion",
            "pyrograph-pipelines",
        ]),
    ),
    (
        "pyrograph-loadtest",
        These(&["pyrograph-base", "pyrograph-vision", "pyrograph-figures"]),
    ),
    (
        "pyrograph-conformance",
        These(&[
            "pyrograph-backend",
            "pyrograph-vision",
            "pyrograph-models",
            "pyrograph-diffusion",
            "pyrograph-losses",
            "pyrograph-gradcheck",
            "pyrograph-train",
            "pyrograph-pipelines",
        ]),
    ),
    (
        "pyrograph-workloads",
        These(&[
            "pyrograph-backend",
            "pyrograph-vision",
            "pyrograph-models",
            "pyrograph-diffusion",
            "pyrograph-losses",
            "pyrograph-train",
        ]),
    ),
    ("pyrograph", Libraries),
    ("pyrograph-cli", Libraries),
    ("pyrograph-examples", Libraries),
    ("pyrograph-benches", Libraries),
    ("xtask", Nothing),
];

/// The packages that are programs: nothing may depend on them.
const PROGRAMS: &[&str] = &[
    "pyrograph-cli",
    "pyrograph-examples",
    "pyrograph-benches",
    "xtask",
];

/// Tests of any layer may check gradients, and hold a model to its origin through its losses; neither knows a model.
const ANY_TEST_MAY_USE: &[&str] = &["pyrograph-gradcheck", "pyrograph-losses"];

fn is_ours(name: &str) -> bool {
    TABLE.iter().any(|(member, _)| *member == name) || name.starts_with("pyrograph")
}

fn allows(allowed: &Allowed, name: &str) -> bool {
    match allowed {
        These(names) => names.contains(&name),
        Libraries => !PROGRAMS.contains(&name),
        Nothing => false,
    }
}

pub(super) fn check(members: &[Manifest]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for member in members {
        let Some((_, allowed)) = TABLE.iter().find(|(name, _)| *name == member.name) else {
            let message = format!(
                "`{}` is not in the table of layers (xtask/src/tidy/edges.rs)",
                member.name
            );
            problems.push(Problem::new(&member.path, message));
            continue;
        };
        for dependency in member.dependencies.iter().filter(|d| is_ours(&d.name)) {
            let for_tests =
                dependency.is_dev && ANY_TEST_MAY_USE.contains(&dependency.name.as_str());
            if !for_tests && !allows(allowed, &dependency.name) {
                let message = format!("`{}` may not depend on `{}`", member.name, dependency.name);
                problems.push(Problem::new(&member.path, message));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(member: &str, section: &str, dependency: &str) -> Vec<String> {
        let text =
            format!("[package]\nname = \"{member}\"\n[{section}]\n{dependency}.workspace = true\n");
        let manifest = Manifest::parse("x/Cargo.toml", &text).unwrap();
        check(&[manifest])
            .into_iter()
            .map(|problem| problem.message)
            .collect()
    }

    #[test]
    fn a_planted_edge_against_the_layers_is_refused() {
        for (member, dependency) in [
            ("pyrograph-backend", "pyrograph-vision"),
            ("pyrograph-vision", "pyrograph-backend"),
            ("pyrograph-vision", "pyrograph-figures"),
            ("pyrograph-data", "pyrograph-art"),
            ("pyrograph-models", "pyrograph-losses"),
            ("pyrograph-diffusion", "pyrograph-models"),
            ("pyrograph-metrics", "pyrograph-backend"),
            ("pyrograph-pipelines", "pyrograph-train"),
            ("pyrograph-models", "pyrograph"),
            ("pyrograph", "pyrograph-cli"),
            ("xtask", "pyrograph-backend"),
        ] {
            let found = problems(member, "dependencies", dependency);
            assert_eq!(
                found,
                [format!("`{member}` may not depend on `{dependency}`")]
            );
        }
    }

    #[test]
    fn tests_and_build_scripts_keep_to_the_layers_too() {
        for section in [
            "dev-dependencies",
            "build-dependencies",
            "target.'cfg(unix)'.dependencies",
        ] {
            assert_eq!(
                problems("pyrograph-models", section, "pyrograph-train").len(),
                1,
                "{section}"
            );
        }
    }

    #[test]
    fn only_tests_may_reach_for_gradcheck_from_below() {
        assert!(
            problems(
                "pyrograph-losses",
                "dev-dependencies",
                "pyrograph-gradcheck"
            )
            .is_empty()
        );
        assert_eq!(
            problems("pyrograph-losses", "dependencies", "pyrograph-gradcheck").len(),
            1
        );
    }

    #[test]
    fn edges_of_the_table_and_crates_from_outside_pass() {
        assert!(problems("pyrograph-train", "dependencies", "pyrograph-metrics").is_empty());
        assert!(problems("pyrograph-cli", "dependencies", "pyrograph").is_empty());
        assert!(problems("pyrograph", "dependencies", "pyrograph-serve").is_empty());
        assert!(problems("pyrograph-vision", "dependencies", "image").is_empty());
    }

    #[test]
    fn a_crate_that_the_table_lacks_is_refused() {
        assert_eq!(problems("pyrograph-audio", "dependencies", "burn").len(), 1);
        assert_eq!(
            problems("pyrograph-cli", "dependencies", "pyrograph-audio").len(),
            0
        );
        assert_eq!(
            problems("pyrograph-models", "dependencies", "pyrograph-audio").len(),
            1
        );
    }

    /// Following allowed edges from any library never leads back to it.
    #[test]
    fn the_table_has_no_cycle() {
        let row = |name: &str| TABLE.iter().position(|(member, _)| *member == name);
        for (at, (name, allowed)) in TABLE.iter().enumerate() {
            if let These(names) = allowed {
                for dependency in *names {
                    let below =
                        row(dependency).expect("a dependency in the table has a row of its own");
                    assert!(
                        below < at,
                        "{name} depends on {dependency}, which stands above it"
                    );
                }
            }
        }
    }
}
