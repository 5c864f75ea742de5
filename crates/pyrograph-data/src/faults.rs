//! Handling of items of a set that cannot be used: files, or lines of a table.

use std::error::Error;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::DataError;
use crate::listing::name_of;

/// The faults that an error lists in words.
const LISTED: usize = 20;
/// After this many faults a list ends: something is wrong with all of the data.
const MOST: usize = 1000;

/// Files that a remark names.
const NAMED: usize = 3;

/// The handling of items that cannot be used: files, lines of a table, or images with their
/// annotations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Faults {
    /// The set is refused with a list of all faults, up to a thousand.
    #[default]
    List,
    /// The set is refused at the first fault.
    Strict,
    /// The items are skipped and counted.
    Skip,
}

/// The faults found so far.
#[derive(Debug)]
pub(crate) struct FaultList {
    policy: Faults,
    found: Vec<DataError>,
    /// Whether every fault so far is of an item that may be left out.
    may_skip: bool,
}

impl FaultList {
    pub(crate) fn new(policy: Faults) -> Self {
        Self {
            policy,
            found: Vec::new(),
            may_skip: true,
        }
    }

    /// The value, or nothing where there is a fault that is kept in the list.
    pub(crate) fn keep<T>(&mut self, result: Result<T, DataError>) -> Result<Option<T>, DataError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(fault) => self.note(fault).map(|()| None),
        }
    }

    /// Keeps a fault in the list, or ends the reading with it.
    pub(crate) fn note(&mut self, fault: DataError) -> Result<(), DataError> {
        if self.policy == Faults::Strict {
            return Err(fault);
        }
        // What becomes of these is said by options of their own.
        self.may_skip &= !matches!(
            fault,
            DataError::UnknownObjectClass { .. } | DataError::BoxRefused { .. }
        );
        self.found.push(fault);
        Ok(())
    }

    /// Whether the set is refused already, so that further faults are listed with those found.
    pub(crate) fn are_listed(&self) -> bool {
        self.policy == Faults::List && !self.found.is_empty()
    }

    /// Whether so many faults were found that there is no use in looking for more.
    pub(crate) fn is_full(&self) -> bool {
        self.policy == Faults::List && self.found.len() >= MOST
    }

    /// Refuses the set where faults are not left out.
    pub(crate) fn check(&mut self, path: &Path, items: usize) -> Result<(), DataError> {
        match self.policy {
            Faults::Skip if self.may_skip => Ok(()),
            _ => self.nothing_left(path, items),
        }
    }

    /// Refuses a set of which nothing is left, by its faults if there are some.
    pub(crate) fn nothing_left(&mut self, path: &Path, items: usize) -> Result<(), DataError> {
        if self.found.is_empty() {
            return Ok(());
        }
        Err(DataError::BrokenItems {
            path: path.into(),
            items,
            faults: std::mem::take(&mut self.found),
            may_skip: self.may_skip,
        })
    }

    /// A sentence on what was left out; none where nothing was.
    pub(crate) fn remark(&self) -> Option<String> {
        let first = with_causes(self.found.first()?);
        let count = self.found.len();
        let were = if count == 1 { "was" } else { "were" };
        Some(format!(
            "{} that cannot be used {were} left out, the first: {first}",
            counted(count, "item")
        ))
    }

    /// The faults of what was left out, a sentence each.
    pub(crate) fn in_words(&self) -> Vec<String> {
        self.found.iter().map(|fault| with_causes(fault)).collect()
    }
}

/// The faults in words, a line each, and what can be done about them.
pub(crate) fn listed(faults: &[DataError], may_skip: bool) -> String {
    let mut text = String::new();
    for fault in faults.iter().take(LISTED) {
        text += "\n  ";
        text += &with_causes(fault);
    }
    if faults.len() > LISTED {
        text += &format!("\n  and {} more", faults.len() - LISTED);
    }
    let is_of_class = |fault: &DataError| matches!(fault, DataError::UnknownObjectClass { .. });
    text + match () {
        () if may_skip => {
            "\nMend them, or leave these items out with --skip-broken; --strict stops at the first."
        }
        () if faults.iter().any(is_of_class) => {
            "\n--unknown-classes skip leaves objects of other classes out."
        }
        () => "",
    }
}

/// An error with its causes, as a program would print it.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // A wrapper that says what it wraps would say it twice.
        if !text.contains(&more) {
            text += ": ";
            text += &more;
        }
        cause = error.source();
    }
    text
}

/// A sentence on files that are no images; none where there are none.
pub(crate) fn remark_on_others(others: &[PathBuf]) -> Option<String> {
    let first: Vec<_> = others
        .iter()
        .take(NAMED)
        .map(|file| name_of(file))
        .collect();
    let more = if others.len() > NAMED { ", …" } else { "" };
    let is_one = others.len() == 1;
    let (are, images) = if is_one {
        ("is", "an image and was")
    } else {
        ("are", "images and were")
    };
    (!others.is_empty()).then(|| {
        format!(
            "{} that {are} not {images} left out: {}{more}",
            counted(others.len(), "file"),
            first.join(", ")
        )
    })
}

/// A number with its noun: `1 image`, `2 images`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(number: usize) -> Result<(), DataError> {
        Err(DataError::Empty {
            path: format!("file{number}").into(),
        })
    }

    #[test]
    fn faults_are_listed_together_up_to_twenty() {
        let mut list = FaultList::new(Faults::List);
        for number in 0..25 {
            assert_eq!(list.keep(fault(number)).unwrap(), None);
        }
        assert_eq!(list.keep(Ok(7)).unwrap(), Some(7));
        let text = list.check(Path::new("set"), 40).unwrap_err().to_string();
        for part in [
            "set: 25 faults in 40 items:",
            "file0",
            "file19",
            "and 5 more",
            "--skip-broken",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("file20"), "{text}");
    }

    #[test]
    fn the_strict_way_stops_at_the_first_and_skipping_counts() {
        let mut strict = FaultList::new(Faults::Strict);
        assert!(strict.keep(fault(3)).is_err());
        let mut skip = FaultList::new(Faults::Skip);
        assert_eq!(skip.remark(), None);
        for number in 0..2000 {
            skip.keep(fault(number)).unwrap();
        }
        assert!(!skip.is_full());
        skip.check(Path::new("set"), 3000).unwrap();
        let text = skip.remark().unwrap();
        assert!(
            text.starts_with("2000 items") && text.contains("file0"),
            "{text}"
        );
        let nothing = skip.nothing_left(Path::new("set"), 2000);
        let Err(DataError::BrokenItems { faults, .. }) = nothing else {
            panic!("{nothing:?}");
        };
        assert_eq!(faults.len(), 2000);
    }

    #[test]
    fn a_fault_that_another_option_governs_is_not_passed_over() {
        let mut skip = FaultList::new(Faults::Skip);
        skip.keep(fault(0)).unwrap();
        let governed = DataError::UnknownObjectClass {
            path: "a.xml".into(),
            place: "object 1".into(),
            seen: "dog".into(),
            allowed: "cat".into(),
        };
        skip.note(governed).unwrap();
        let text = skip.check(Path::new("set"), 2).unwrap_err().to_string();
        assert!(text.contains("file0") && text.contains("dog"), "{text}");
        assert!(!text.contains("--skip-broken"), "{text}");
    }

    #[test]
    fn a_list_of_a_thousand_is_full() {
        let mut list = FaultList::new(Faults::List);
        (0..1000).for_each(|number| assert!(list.keep(fault(number)).unwrap().is_none()));
        assert!(list.is_full());
    }
}
