//! Errors in the words of the command line.

use std::sync::OnceLock;

/// What follows the name of a setting where its value is refused.
const REFUSED: &str = ", but must be ";

/// The long flags of the command that runs.
static FLAGS: OnceLock<Vec<String>> = OnceLock::new();

/// Notes the long flags of the command that runs.
pub(crate) fn set_flags(flags: Vec<String>) {
    FLAGS.get_or_init(|| flags);
}

/// The error and its causes, each said once: some errors of libraries hold the words of their
/// cause. Settings are named as the flags of the command are spelt.
pub(crate) fn message(error: &anyhow::Error) -> String {
    let flags = FLAGS.get().map_or(&[][..], Vec::as_slice);
    said(error, flags)
}

fn said(error: &anyhow::Error, flags: &[String]) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    of_files(&with_flags(&text, flags))
}

/// The system's words for files, as a person says them.
fn of_files(text: &str) -> String {
    const WORDS: [(&str, &str); 5] = [
        (
            "Is a directory (os error 21)",
            "this is a folder, but a file is needed",
        ),
        (
            "the file cannot be read or written: is a directory",
            "this is a folder, but a file is needed",
        ),
        (
            "Not a directory (os error 20)",
            "a part of this path is a file, but must be a folder",
        ),
        (
            "No such file or directory (os error 2)",
            "there is no such file or folder",
        ),
        (
            "Permission denied (os error 13)",
            "it may not be read or written: permission denied",
        ),
    ];
    let mut text = text.to_owned();
    for (system, words) in WORDS {
        text = text.replace(system, words);
    }
    text
}

/// The names of settings, such as `batch_size`, as flags: a name that a message is about, and one
/// that no other word is like.
fn with_flags(text: &str, flags: &[String]) -> String {
    let mut text = text.to_owned();
    for flag in flags {
        let field = flag.replace('-', "_");
        if field.contains('_') {
            text = with_flag(&text, &field, flag);
        }
        for advice in ["another", "a lower", "a smaller"] {
            text = text.replace(
                &format!("{advice} `{field}`"),
                &format!("{advice} --{flag}"),
            );
        }
        let subject = format!("{field} is ");
        let starts = |place: usize| {
            let before = &text[..place];
            (before.is_empty() || before.ends_with(": ")) && text[place..].contains(REFUSED)
        };
        let mut places = text.match_indices(&subject).map(|(place, _)| place);
        if let Some(place) = places.find(|place| starts(*place)) {
            text.replace_range(place..place + field.len(), &format!("--{flag}"));
        }
    }
    text
}

/// Every `field` that stands alone, in backticks or not, as a flag. Keys of files stay: a wrong one
/// is shown as it was written.
fn with_flag(text: &str, field: &str, flag: &str) -> String {
    let mut said = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find(field) {
        let (before, after) = (&rest[..place], &rest[place + field.len()..]);
        let quoted = before.ends_with('`') && after.starts_with('`');
        let (before, after) = match quoted {
            true => (&before[..before.len() - 1], &after[1..]),
            false => (before, after),
        };
        let joins = |letter: char| letter.is_alphanumeric() || "_-/\\.`'\"".contains(letter);
        // The end of a sentence is no part of a name.
        let ends = after
            .trim_start_matches('.')
            .starts_with(char::is_whitespace);
        let goes_on = after.starts_with(joins) && !ends && after != ".";
        let is_part = before.ends_with(joins) || goes_on;
        said += before;
        match is_part || before.ends_with("field ") {
            true if quoted => said += &format!("`{field}`"),
            true => said += field,
            false => said += &format!("--{flag}"),
        }
        rest = after;
    }
    said + rest
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    fn said(error: &anyhow::Error) -> String {
        let flags = ["batch-size", "steps", "n-feat", "image"].map(str::to_owned);
        super::said(error, &flags)
    }

    #[test]
    fn a_cause_is_said_once() {
        let error = anyhow!("the file is torn").context("a.png: the file is torn");
        assert_eq!(said(&error), "a.png: the file is torn");
        let error = anyhow!("it is torn").context("a.png");
        assert_eq!(said(&error), "a.png: it is torn");
    }

    #[test]
    fn settings_are_named_as_flags_are_spelt() {
        for (text, words) in [
            (
                "batch_size is 0, but must be 1 or more",
                "--batch-size is 0, but must be 1 or more",
            ),
            (
                "context-unet: n_feat is 12, but must be a multiple of 8",
                "context-unet: --n-feat is 12, but must be a multiple of 8",
            ),
            (
                "give a smaller `batch_size` or `learning_rate`",
                "give a smaller --batch-size or `learning_rate`",
            ),
            ("a.png: image is cut off", "a.png: image is cut off"),
            (
                "begin with another `steps`, not in `steps`",
                "begin with another --steps, not in `steps`",
            ),
            (
                "give steps, without batch_size. Or epochs",
                "give steps, without --batch-size. Or epochs",
            ),
            (
                "unknown field `batch_size`, expected `batch-size`",
                "unknown field `batch_size`, expected `batch-size`",
            ),
            (
                "runs/batch_size/a.png, my_batch_size",
                "runs/batch_size/a.png, my_batch_size",
            ),
            (
                "the number of steps is 0, but must be 1",
                "the number of steps is 0, but must be 1",
            ),
        ] {
            assert_eq!(said(&anyhow!(text)), words);
        }
    }

    #[test]
    fn a_folder_given_as_a_file_is_called_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let read = std::fs::read_to_string(folder.path());
        let error = read.context("--config").expect_err("a folder");
        let text = said(&error);
        if cfg!(unix) {
            assert!(text.contains("this is a folder"), "{text}");
        }
    }
}
