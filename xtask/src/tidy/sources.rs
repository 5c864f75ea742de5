//! What a source file may not hold.

use super::Problem;
use super::strip::code_only;

const LINE_LIMIT: usize = 500;

/// Macros and attributes that park work instead of doing it.
const PARKED: &[&str] = &["todo!", "unimplemented!", "dbg!", "#[ignore"];

/// Top-level folders of a machine; a path into one works on one machine only.
const MACHINE_FOLDERS: &[&str] = &["work", "root", "home"];

pub(super) fn check(path: &str, text: &str) -> Vec<Problem> {
    let mut problems = machine_paths(path, text);
    if path.ends_with(".rs") || path.ends_with(".py") {
        problems.extend(length(path, text));
    }
    if path.ends_with(".rs") {
        let code = code_only(text);
        problems.extend(parked(path, &code));
        if path.starts_with("crates/") && path.ends_with("/src/lib.rs") && !has_item(&code) {
            problems.push(Problem::new(
                path,
                "an empty crate: give it an item or remove it",
            ));
        }
    }
    problems
}

fn length(path: &str, text: &str) -> Option<Problem> {
    let lines = text.lines().count();
    let message = || format!("{lines} lines; a source file has at most {LINE_LIMIT}");
    (lines > LINE_LIMIT).then(|| Problem::new(path, message()))
}

fn parked(path: &str, code: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (number, line) in code.lines().enumerate() {
        for word in PARKED.iter().filter(|word| has_word(line, word)) {
            problems.push(Problem::at(
                path,
                number + 1,
                format!("`{word}` parks work; do it or leave it out"),
            ));
        }
    }
    problems
}

/// Whether `word` is in `line` and no longer word ends in it.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

fn machine_paths(path: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for folder in MACHINE_FOLDERS {
            let start = format!("/{folder}/");
            // Inside a longer path or address (`a/home/b`, `example.org/home/`) it is no path from the root.
            let from_root = |at: usize| {
                !line[..at].ends_with(|c: char| c.is_alphanumeric() || "_-.})$*~".contains(c))
            };
            if line.match_indices(&start).any(|(at, _)| from_root(at)) {
                let message =
                    format!("a machine path (`{start}…`); make it relative or an argument");
                problems.push(Problem::at(path, number + 1, message));
            }
        }
    }
    problems
}

/// Whether anything is left besides inner attributes (`#![…]`).
fn has_item(code: &str) -> bool {
    let mut rest = code.trim_start();
    while let Some(attribute) = rest.strip_prefix("#![") {
        let mut depth = 1;
        let end = attribute.find(|c| {
            depth += match c {
                '[' => 1,
                ']' => -1,
                _ => 0,
            };
            depth == 0
        });
        rest = end.map_or("", |end| attribute[end + 1..].trim_start());
    }
    !rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        check(path, text).len()
    }

    #[test]
    fn parked_work_is_refused_with_its_line() {
        for text in [
            "todo!()",
            "unimplemented!(\"x\")",
            "dbg!(x)",
            "#[ignore]",
            "#[ignore = \"slow\"]",
        ] {
            let found = check("src/a.rs", &format!("fn f() {{}}\n{text}\n"));
            assert_eq!(found.len(), 1, "{text}");
            assert_eq!(found[0].line, Some(2));
        }
    }

    #[test]
    fn words_in_comments_strings_and_longer_names_are_no_parked_work() {
        assert_eq!(
            count("src/a.rs", "// todo!()\nlet x = \"dbg!(\"; my_todo!();\n"),
            0
        );
    }

    #[test]
    fn machine_paths_are_refused_in_every_kind_of_file() {
        for folder in MACHINE_FOLDERS {
            let path = format!("/{folder}/x");
            assert_eq!(count("README.md", &format!("see {path}")), 1);
            assert_eq!(count("a.toml", &format!("p = \"{path}\"")), 1);
        }
    }

    #[test]
    fn relative_paths_and_addresses_are_no_machine_paths() {
        for text in [
            "crates/home/x",
            "https://example.org/home/x",
            "../root/x",
            "${A}/work/x",
        ] {
            assert_eq!(count("README.md", text), 0, "{text}");
        }
    }

    #[test]
    fn a_long_source_file_is_refused() {
        assert_eq!(count("src/a.rs", &"//\n".repeat(LINE_LIMIT)), 0);
        assert_eq!(count("src/a.rs", &"//\n".repeat(LINE_LIMIT + 1)), 1);
        assert_eq!(count("docs/a.md", &"x\n".repeat(LINE_LIMIT + 1)), 0);
    }

    #[test]
    fn an_empty_crate_is_refused() {
        let docs = "//! Docs.\n#![doc = include_str!(\"../README.md\")]\n#![warn(missing_docs)]\n";
        assert_eq!(count("crates/a/src/lib.rs", docs), 1);
        assert_eq!(
            count("crates/a/src/lib.rs", &format!("{docs}pub mod b;\n")),
            0
        );
        assert_eq!(count("examples/src/lib.rs", docs), 0);
    }
}
