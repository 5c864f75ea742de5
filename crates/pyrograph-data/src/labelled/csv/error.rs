//! Errors of tables of images.

use std::path::PathBuf;

use crate::faults::counted;

/// The errors of reading a CSV file of images.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CsvError {
    /// A field of a CSV file is not a valid label or pixel.
    #[error("{}, line {line}, column {column}: {seen:?} where {allowed} is needed", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// Its column, from 1.
        column: usize,
        /// The value, or its beginning.
        seen: String,
        /// What is allowed, in words.
        allowed: &'static str,
    },

    /// A line of a CSV file has more or fewer columns than the first.
    #[error("{}, line {line}: {seen} columns, but the first line has {expected}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Its columns.
        seen: usize,
        /// Columns of the first line.
        expected: usize,
    },

    /// The columns of a CSV file are not a label and a square of pixels.
    #[error(
        "{} has {}: allowed is a label and a square number of pixels, as 785 for 28 by 28",
        path.display(), counted(*seen, "column")
    )]
    Columns {
        /// The file.
        path: PathBuf,
        /// Its columns.
        seen: usize,
    },

    /// A CSV file holds pixels and no labels.
    #[error(
        "{} has {columns} columns, of which {pixels} are the pixels of an image of {side} by {side} and none is a \
         label: name the column of the labels with --label-column, or score the images with `anomaly score`, \
         which needs no labels",
        path.display()
    )]
    NoLabel {
        /// The file.
        path: PathBuf,
        /// Its columns.
        columns: usize,
        /// The number of pixel columns.
        pixels: usize,
        /// The side of the images.
        side: usize,
    },

    /// The label column cannot be determined.
    #[error("{}: the column of the labels {reason}: name it with --label-column", path.display())]
    LabelColumn {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },

    /// The file is not valid text.
    #[error("{} is no text that can be read: {reason}", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
}
