//! What can be wrong with data that users hand in.

use std::io;
use std::path::PathBuf;

use pyrograph_vision::VisionError;

/// The errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },

    /// An image file cannot be read.
    #[error(transparent)]
    Image(#[from] VisionError),

    /// A file does not start as an `.npy` file does.
    #[error("{} is not an .npy file: it starts with {seen:02x?} instead of \"\\x93NUMPY\"", path.display())]
    NotNpy {
        /// The file.
        path: PathBuf,
        /// Its first bytes, at most six.
        seen: Vec<u8>,
    },

    /// The header of an `.npy` file cannot be understood.
    #[error("the header of {} cannot be used: {reason}", path.display())]
    NpyHeader {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },

    /// An array has a type of numbers that its role does not allow.
    #[error("{} holds numbers of type '{seen}': allowed are {allowed}", path.display())]
    Dtype {
        /// The file.
        path: PathBuf,
        /// numpy's name of the type.
        seen: String,
        /// The types that are allowed.
        allowed: &'static str,
    },

    /// An array has a shape that its role does not allow.
    #[error("{} has the shape {seen:?}: allowed is {allowed}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The shape.
        seen: Vec<u64>,
        /// The shape that is allowed, in words.
        allowed: &'static str,
    },

    /// An array is stored column by column.
    #[error(
        "{} is stored in Fortran order: only C order is allowed \
         (save numpy.ascontiguousarray(array))", path.display()
    )]
    FortranOrder {
        /// The file.
        path: PathBuf,
    },

    /// A file ends before its array does.
    #[error(
        "{} is truncated: the shape {shape:?} takes {needed} bytes after the header, there are {present}",
        path.display()
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// The shape that the header claims.
        shape: Vec<u64>,
        /// Bytes the array takes, `u128::MAX` where that is beyond counting.
        needed: u128,
        /// Bytes after the header.
        present: u64,
    },

    /// Images and labels are not of the same number.
    #[error(
        "{} holds {images} images but {} {labels} labels: there has to be one for each",
        images_path.display(), labels_path.display()
    )]
    CountMismatch {
        /// The file of the images.
        images_path: PathBuf,
        /// Their number.
        images: usize,
        /// The file of the labels.
        labels_path: PathBuf,
        /// Their number.
        labels: usize,
    },

    /// A label is infinite or not a number.
    #[error("{} holds {seen:?} at row {row}, column {column}: labels are finite numbers", path.display())]
    NonFiniteLabel {
        /// The file.
        path: PathBuf,
        /// The value.
        seen: f64,
        /// Its row, from 0.
        row: usize,
        /// Its column, from 0.
        column: usize,
    },

    /// There is no image at all.
    #[error("{} holds no images: at least one is needed", path.display())]
    Empty {
        /// The file or folder.
        path: PathBuf,
    },

    /// A file of class names does not fit the labels.
    #[error("{} names {seen} classes, but the labels have {classes} columns", path.display())]
    ClassNames {
        /// The file.
        path: PathBuf,
        /// Names in it.
        seen: usize,
        /// Columns of the labels.
        classes: usize,
    },

    /// An image is not square.
    #[error("{} is {width} by {height} pixels: images have to be square", path.display())]
    NotSquare {
        /// The file.
        path: PathBuf,
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
    },

    /// The images of a folder differ in size and none is wanted.
    #[error(
        "{} has a side of {seen} pixels but {} one of {first}: give the side to which all are resized",
        path.display(), first_path.display()
    )]
    MixedSizes {
        /// The first file that differs.
        path: PathBuf,
        /// Its side.
        seen: u32,
        /// The first file of all.
        first_path: PathBuf,
        /// Its side.
        first: u32,
    },

    /// An image lies beside the folders of the classes.
    #[error(
        "{} lies beside class folders such as {}: put it into one, or take the folders away",
        path.display(), folder.display()
    )]
    LooseImage {
        /// The image.
        path: PathBuf,
        /// The first of the class folders.
        folder: PathBuf,
    },

    /// A path is no data set.
    #[error(
        "{} is no data set ({reason}): allowed is a folder with one *sprites*.npy and one *labels*.npy, \
         or with images, in class folders or not", path.display()
    )]
    NoDataSet {
        /// The path.
        path: PathBuf,
        /// What is missing or too many.
        reason: String,
    },

    /// A number lies outside its range.
    #[error("{what} is {seen:?}: allowed is {allowed}")]
    Range {
        /// The number.
        what: &'static str,
        /// Its value.
        seen: f64,
        /// The range, in words.
        allowed: &'static str,
    },

    /// The parts of a set do not fit together.
    #[error("{what}: {seen} where {expected} is needed")]
    Parts {
        /// The part.
        what: &'static str,
        /// What was found.
        seen: usize,
        /// What fits the other parts, in words.
        expected: String,
    },

    /// More procedural sprites are wanted than can be drawn without a repeat.
    #[error("{seen} different sprites cannot be drawn: with this seed there are {allowed}")]
    TooManySprites {
        /// The number wanted.
        seen: usize,
        /// The most there are.
        allowed: usize,
    },
}
