//! The columns of a table without a header in which labels or row numbers can stand.

use std::collections::BTreeSet;

use ::csv::ByteRecord;

use super::number;
use super::text::clean;

/// The most classes that numbers in a column are taken for: the letters and digits of EMNIST.
const MOST_CLASSES: usize = 62;
/// Rows from which on 0, 1, 2, … number the rows: fewer may be an image of each digit.
const ROWS_OF_INDEX: usize = 11;

/// What two columns of all rows hold, the first and the last that are no row numbers by name.
pub(super) struct Edges {
    places: [usize; 2],
    pub(super) first: Edge,
    pub(super) last: Edge,
}

/// What a column holds.
#[derive(Default)]
pub(super) struct Edge {
    rows: usize,
    /// The different whole numbers, up to one more than there can be classes.
    seen: BTreeSet<u64>,
    /// Whether a field was no whole number from 0 on.
    has_other: bool,
    /// Fields that are no numbers at all, and not empty.
    words: usize,
    /// The number of the first row, where each row so far has one more than the row before.
    counts_from: Option<u64>,
}

impl Edges {
    pub(super) fn new(first: usize, last: usize) -> Self {
        Self {
            places: [first, last],
            first: Edge::default(),
            last: Edge::default(),
        }
    }

    pub(super) fn add(&mut self, record: &ByteRecord) {
        let field = |place: usize| record.get(place).map(clean).unwrap_or_default();
        self.first.add(field(self.places[0]));
        self.last.add(field(self.places[1]));
    }

    /// Whether the last column alone looks like labels.
    pub(super) fn label_is_last(&self) -> bool {
        let is_label = |edge: &Edge| edge.looks_like_labels() || edge.is_words();
        is_label(&self.last) && !is_label(&self.first)
    }

    /// Whether the first column, taken for labels, says nothing while the last could be labels.
    pub(super) fn label_is_doubtful(&self) -> bool {
        let [first, last] = [&self.first, &self.last];
        let are_few = (2..=MOST_CLASSES).contains(&last.seen.len()) && !last.has_other;
        !first.has_other && first.seen.len() == 1 && first.rows >= 2 * last.seen.len() && are_few
    }
}

impl Edge {
    fn add(&mut self, field: &[u8]) {
        // A semicolon stands for anything but a comma, so that decimal commas are read.
        let number = number(field, b';');
        self.words += usize::from(number.is_none() && !field.is_empty());
        let whole = number.filter(|n| (0.0..1e15).contains(n) && n.fract() == 0.0);
        let row = self.rows as u64;
        self.rows += 1;
        let Some(value) = whole.map(|number| number as u64) else {
            self.has_other = true;
            return;
        };
        if row == 0 {
            self.counts_from = Some(value);
        }
        self.counts_from = self.counts_from.filter(|first| first + row == value);
        if self.seen.len() <= MOST_CLASSES {
            self.seen.insert(value);
        }
    }

    /// Whether the column numbers the rows from 0 or 1 on.
    pub(super) fn numbers_rows(&self) -> bool {
        let counts = self.counts_from.is_some_and(|first| first <= 1);
        counts && !self.has_other && self.rows >= ROWS_OF_INDEX
    }

    /// Whether the column holds the numbers of several classes, none of them missing, each in two rows on average.
    pub(super) fn looks_like_labels(&self) -> bool {
        let (Some(&first), Some(&last)) = (self.seen.first(), self.seen.last()) else {
            return false;
        };
        let classes = self.seen.len();
        let is_dense = first <= 1 && last - first + 1 == classes as u64;
        is_dense
            && !self.has_other
            && (2..=MOST_CLASSES).contains(&classes)
            && self.rows >= 2 * classes
    }

    /// Whether the column holds words.
    fn is_words(&self) -> bool {
        self.words > 0 && self.words == self.rows
    }

    /// What looks like labels, in words.
    pub(super) fn classes(&self) -> String {
        match self.is_words() {
            true => "words".into(),
            false => format!("{} different values", self.seen.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(values: &[&str]) -> Edge {
        let mut edge = Edge::default();
        values.iter().for_each(|value| edge.add(value.as_bytes()));
        edge
    }

    #[test]
    fn labels_are_numbers_without_a_gap_that_come_again() {
        assert!(edge(&["1", "0", "2", "0", "1", "2"]).looks_like_labels());
        assert!(edge(&["1", "2", "1", "2.0"]).looks_like_labels());
        for values in [
            &["0", "0", "0", "0"][..],
            &["0", "1", "2"],
            &["0", "2", "0", "2"],
            &["0", "1", "0.5", "1", "0"],
        ] {
            assert!(!edge(values).looks_like_labels(), "{values:?}");
        }
    }

    #[test]
    fn row_numbers_count_from_0_or_1() {
        let from = |first: usize, count: usize| -> Edge {
            let numbers: Vec<String> = (first..first + count).map(|n| n.to_string()).collect();
            edge(&numbers.iter().map(String::as_str).collect::<Vec<_>>())
        };
        assert!(from(0, 11).numbers_rows() && from(1, 300).numbers_rows());
        assert!(!from(0, 10).numbers_rows() && !from(2, 30).numbers_rows());
    }
}
