//! Why annotations cannot be read.

use std::path::PathBuf;

/// Why annotations cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnnotationError {
    /// A file of annotations is no XML, or ends too early.
    #[error("{}, line {line}: no XML that can be read: {reason}", path.display())]
    Xml {
        /// The file.
        path: PathBuf,
        /// The line at which it stops to be one, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },

    /// A file of annotations is no JSON.
    #[error("{}, line {line}, column {column}: {reason}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The line at which it stops to be one, from 1.
        line: usize,
        /// The column there.
        column: usize,
        /// What is wrong, and the item that it is in.
        reason: String,
    },

    /// A JSON file is of another form than COCO's annotations.
    #[error(
        "{} is {seen}: annotations in the form of COCO are an object with the lists images, annotations and categories",
        path.display()
    )]
    NoInstances {
        /// The file.
        path: PathBuf,
        /// What it is.
        seen: String,
    },

    /// A text is not in the encoding that it should be in.
    #[error("{}: {reason}", path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what helps.
        reason: String,
    },

    /// An annotation lacks something.
    #[error("{}: {place} has no {missing}{}{allowed}", path.display(), if allowed.is_empty() { "" } else { ": give " })]
    Lacks {
        /// The file.
        path: PathBuf,
        /// The element that lacks it.
        place: String,
        /// What is missing.
        missing: &'static str,
        /// What is allowed there, in words; empty where the name says it.
        allowed: &'static str,
    },

    /// A field of an annotation is of a wrong type.
    #[error("{}: {place} is {seen}: allowed is {allowed}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field with its item, as `annotations[2].bbox`.
        place: Box<str>,
        /// What stands there, in words.
        seen: String,
        /// What is allowed, in words.
        allowed: &'static str,
    },

    /// Several images could be the one that an annotation is of.
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
