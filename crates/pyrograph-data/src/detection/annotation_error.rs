//! The errors of reading annotations.

use std::path::PathBuf;

/// The errors of reading annotations.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnnotationError {
    /// A file of annotations is not XML, or is truncated.
    #[error("{}, line {line}: no XML that can be read: {reason}", path.display())]
    Xml {
        /// The file.
        path: PathBuf,
        /// The line of the error, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },

    /// A file of annotations is not JSON.
    #[error("{}, line {line}, column {column}: {reason}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The line of the error, from 1.
        line: usize,
        /// The column of the error.
        column: usize,
        /// The fault, and the item that contains it.
        reason: String,
    },

    /// A JSON file does not have the form of COCO's annotations.
    #[error(
        "{} is {seen}: annotations in the form of COCO are an object with the lists images, annotations and categories",
        path.display()
    )]
    NoInstances {
        /// The file.
        path: PathBuf,
        /// The kind of value in the file.
        seen: String,
    },

    /// A text is not in its declared encoding.
    #[error("{}: {reason}", path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
        /// The fault, and a remedy.
        reason: String,
    },

    /// An annotation lacks a field.
    #[error("{}: {place} has no {missing}{}{allowed}", path.display(), if allowed.is_empty() { "" } else { ": give " })]
    Lacks {
        /// The file.
        path: PathBuf,
        /// The element that lacks the field.
        place: String,
        /// What is missing.
        missing: &'static str,
        /// The allowed values, in words; empty if the name of the field tells them.
        allowed: &'static str,
    },

    /// A field of an annotation is of a wrong type.
    #[error("{}: {place} is {seen}: allowed is {allowed}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field with its item, as `annotations[2].bbox`.
        place: Box<str>,
        /// The value, in words.
        seen: String,
        /// What is allowed, in words.
        allowed: &'static str,
    },

    /// An annotation may belong to any of several images.
    #[error(
        "{} could be of each of {images}: name one of them in its <filename>, or take the others away",
        path.display()
    )]
    AmbiguousImage {
        /// The file of annotations.
        path: PathBuf,
        /// The images, by name.
        images: String,
    },
}
