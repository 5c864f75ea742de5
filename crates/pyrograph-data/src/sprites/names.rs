//! Names for the columns of a label array.

use std::fs;
use std::io;
use std::path::Path;

use crate::DataError;

/// The five classes of the course's sprites, in the order of their labels.
pub const COURSE_CLASSES: [&str; 5] = ["hero", "non-hero", "food", "spell", "side-facing"];

/// The names of `count` classes from the files beside `labels_path`, or the usual ones.
pub(super) fn beside(labels_path: &Path, count: usize) -> Result<Vec<String>, DataError> {
    let listed = labels_path.with_file_name("classes.txt");
    if let Some(text) = read_if_there(&listed)? {
        let names: Vec<String> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(Into::into)
            .collect();
        if names.len() != count {
            return Err(DataError::ClassNames {
                path: listed,
                seen: names.len(),
                classes: count,
            });
        }
        return Ok(names);
    }
    let described = read_if_there(&labels_path.with_file_name("PROVENANCE.md"))?;
    let described = described.and_then(|text| from_provenance(&text, count));
    Ok(described.unwrap_or_else(|| usual(count)))
}

fn read_if_there(path: &Path) -> Result<Option<String>, DataError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(DataError::Read {
            path: path.into(),
            source,
        }),
    }
}

/// The course's five classes, or numbers.
fn usual(count: usize) -> Vec<String> {
    if count == COURSE_CLASSES.len() {
        COURSE_CLASSES.map(str::to_owned).into()
    } else {
        (0..count).map(|class| format!("class-{class}")).collect()
    }
}

/// The names in a line `Classes: 0 hero (what it holds), 1 non-hero (…), …`. A text without such a
/// line, or with one that does not number exactly the classes there are, names none.
fn from_provenance(text: &str, count: usize) -> Option<Vec<String>> {
    let strip = |line: &'_ str| line.trim_start_matches(['-', '*', ' ']).to_owned();
    let line = text
        .lines()
        .map(strip)
        .find(|line| line.starts_with("Classes:"))?;
    let list = without_parentheses(line.strip_prefix("Classes:")?);
    let entries: Vec<&str> = list
        .trim_end_matches(['.', ' '])
        .split(',')
        .map(str::trim)
        .collect();
    if entries.len() != count {
        return None;
    }
    let name = |(class, entry): (usize, &&str)| {
        let (number, name) = entry.split_once(' ')?;
        (number == class.to_string() && !name.trim().is_empty()).then(|| name.trim().to_owned())
    };
    entries.iter().enumerate().map(name).collect()
}

fn without_parentheses(text: &str) -> String {
    let mut depth = 0_usize;
    let mut kept = String::new();
    for character in text.chars() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => kept.push(character),
            _ => {}
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_five_classes_of_the_course_have_names_and_others_numbers() {
        assert_eq!(
            usual(5),
            ["hero", "non-hero", "food", "spell", "side-facing"]
        );
        assert_eq!(usual(2), ["class-0", "class-1"]);
    }

    #[test]
    fn a_numbered_list_of_classes_is_understood() {
        let text = "# Sprites\n- Classes: 0 hero (a, b), 1 old gear (axes, bows; c).\n- more, 2 x";
        assert_eq!(from_provenance(text, 2).unwrap(), ["hero", "old gear"]);
    }

    #[test]
    fn other_texts_name_nothing() {
        for text in [
            "",
            "Classes: hero, gear",
            "Classes: 0 hero, 2 gear",
            "Classes: 0 hero, 1",
        ] {
            assert_eq!(from_provenance(text, 2), None, "{text}");
        }
        assert_eq!(from_provenance("Classes: 0 hero, 1 gear", 3), None);
    }
}
