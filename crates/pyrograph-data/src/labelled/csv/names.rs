//! The names of columns.

use super::number;
use super::text::clean;

/// Names of the column of labels, in small letters.
const LABELS: [&str; 16] = [
    "label",
    "labels",
    "class",
    "classes",
    "target",
    "y",
    "digit",
    "category",
    "classid",
    "class_id",
    "class_label",
    "label_id",
    "labelid",
    "letter",
    "emotion",
    "character",
];
/// Names of columns that number the rows or name their files, in small letters; also no name.
const INDICES: [&str; 14] = [
    "", "index", "idx", "id", "imageid", "image_id", "row", "rowid", "row_id", "no", "nr",
    "filename", "file", "image",
];
/// The fewest columns whose numbers are a header: a label and an image of 4 by 4.
const LEAST_COUNTED: usize = 17;
/// How pandas names a column without a name.
const UNNAMED: &str = "unnamed:";

/// Whether a column of this name holds labels.
pub(super) fn is_label(name: &str) -> bool {
    LABELS.contains(&plain(name).as_str())
}

/// Whether a column of this name numbers the rows.
pub(super) fn is_index(name: &str) -> bool {
    let name = plain(name);
    INDICES.contains(&name.as_str()) || name.starts_with(UNNAMED)
}

fn plain(name: &str) -> String {
    name.trim_matches(['#', '\'', ' ']).to_lowercase()
}

/// What a numbered name is called before its number, and the number: `pixel12`, `12`, or the row and column of `3x7`.
pub(super) fn numbered(name: &str) -> Option<(String, [u64; 2])> {
    let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (rest, last) = name.split_at(name.len() - digits);
    let last = last.parse().ok()?;
    if let Some(before) = rest.strip_suffix(['x', 'X', '_', '-', ','])
        && before.ends_with(|c: char| c.is_ascii_digit())
    {
        let prefix = before.trim_end_matches(|c: char| c.is_ascii_digit());
        let row = before[prefix.len()..].parse().ok()?;
        return Some((format!("{prefix}#x"), [row, last]));
    }
    Some((rest.to_owned(), [0, last]))
}

/// Whether the fields of a first line name the columns.
pub(super) fn is_header(fields: &[&[u8]]) -> bool {
    let texts = || {
        fields
            .iter()
            .map(|field| str::from_utf8(clean(field)).unwrap_or("?"))
    };
    if texts().any(is_label) {
        return true;
    }
    // A semicolon stands for anything but a comma, so that decimal commas are read.
    let is_number = |field: &str| number(field.as_bytes(), b';').is_some();
    let starts_with_a_number = texts().next().is_some_and(is_number);
    if !starts_with_a_number {
        // A word before nothing but pixels is a damaged label, unless the pixels count the columns.
        let pixels = || texts().skip(1);
        let all_are_pixels = pixels().all(|field| field.parse::<u8>().is_ok());
        let counts_from = |first: usize| {
            let numbers = pixels().enumerate();
            numbers
                .take(256)
                .all(|(place, field)| field == (first + place).to_string())
        };
        return !all_are_pixels
            || (pixels().nth(1).is_some() && (counts_from(0) || counts_from(1)));
    }
    let mut counted = texts().enumerate();
    fields.len() >= LEAST_COUNTED && counted.all(|(column, field)| field == column.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_labels_and_indices_are_known_in_any_case() {
        assert!(is_label("Label") && is_label(" class ") && is_label("'y'"));
        assert!(is_index("") && is_index("Unnamed: 0") && is_index("Id"));
        assert!(!is_label("pixel1") && !is_index("pixel1"));
    }

    #[test]
    fn numbers_of_names_are_read() {
        for (name, prefix, numbers) in [
            ("pixel12", "pixel", [0, 12]),
            ("7", "", [0, 7]),
            ("3x7", "#x", [3, 7]),
            ("p_3_7", "p_#x", [3, 7]),
            ("pixel_9", "pixel_", [0, 9]),
        ] {
            assert_eq!(numbered(name), Some((prefix.into(), numbers)), "{name}");
        }
        for name in ["label", "", "99999999999999999999999"] {
            assert_eq!(numbered(name), None, "{name}");
        }
    }
}
