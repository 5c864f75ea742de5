//! Faults of data, noted one by one.

use std::error::Error;

use super::options::Broken;
use crate::DataError;

/// The faults that were met while a set is read.
pub(super) struct Faults {
    broken: Broken,
    found: Vec<DataError>,
    /// Whether every fault so far is of an image that may be left out.
    may_go_on: bool,
}

impl Faults {
    pub(super) fn new(broken: Broken) -> Self {
        Self {
            broken,
            found: Vec::new(),
            may_go_on: true,
        }
    }

    /// Notes a fault for which its image is left out, or ends the reading with it.
    ///
    /// # Errors
    /// The fault, under [`Broken::First`].
    pub(super) fn note(&mut self, fault: DataError) -> Result<(), DataError> {
        match self.broken {
            Broken::First => Err(fault),
            Broken::List | Broken::Skip => {
                self.found.push(fault);
                Ok(())
            }
        }
    }

    /// Notes a fault that another option governs, so that none is left out for it.
    ///
    /// # Errors
    /// The fault, under [`Broken::First`].
    pub(super) fn refuse(&mut self, fault: DataError) -> Result<(), DataError> {
        self.may_go_on = false;
        self.note(fault)
    }

    /// Whether there are faults already, and further ones are listed with them.
    pub(super) fn are_listed(&self) -> bool {
        self.broken == Broken::List && !self.found.is_empty()
    }

    /// The value of a result; none after its fault was noted.
    ///
    /// # Errors
    /// As [`note`](Self::note).
    pub(super) fn sound<T>(
        &mut self,
        result: Result<T, DataError>,
    ) -> Result<Option<T>, DataError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(fault) => {
                let governed = matches!(
                    fault,
                    DataError::UnknownObjectClass { .. } | DataError::BoxRefused { .. }
                );
                if governed {
                    self.refuse(fault)?;
                } else {
                    self.note(fault)?;
                }
                Ok(None)
            }
        }
    }

    /// The faults for which images were left out.
    ///
    /// # Errors
    /// The fault, or [`DataError::Several`], where none may be left out.
    pub(super) fn finish(mut self) -> Result<Vec<DataError>, DataError> {
        let goes_on = self.broken == Broken::Skip && self.may_go_on;
        match self.found.len() {
            0 => Ok(Vec::new()),
            _ if goes_on => Ok(self.found),
            1 => Err(self.found.remove(0)),
            _ => Err(DataError::Several {
                faults: self.found,
                may_skip: self.may_go_on,
            }),
        }
    }
}

impl DataError {
    /// The error with its causes, as one sentence.
    pub fn in_words(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(next) = cause {
            let said = next.to_string();
            if !text.contains(&said) {
                text = format!("{text}: {said}");
            }
            cause = next.source();
        }
        text
    }
}

/// The first of several faults, each on a line of its own, and the number of them all.
pub(crate) fn listed(faults: &[DataError]) -> String {
    /// A reader mends no more at once.
    const MOST: usize = 20;
    let mut text = format!("{} faults in the data:", faults.len());
    for fault in faults.iter().take(MOST) {
        text += &format!("\n  {}", fault.in_words());
    }
    match faults.len().saturating_sub(MOST) {
        0 => text,
        more => text + &format!("\n  and {more} more"),
    }
}
