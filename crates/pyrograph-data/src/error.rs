//! Errors of reading and preparing data.

use std::io;
use std::path::PathBuf;

use pyrograph_vision::{BoundingBox, VisionError};

use crate::detection::{AnnotationError, BoxFault, Corners, SetError};
use crate::faults::{counted, listed};
use crate::labelled::{CsvError, Split};

/// The errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },

    /// An image file cannot be read.
    #[error(transparent)]
    Image(Box<VisionError>),

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
        /// Bytes that the array takes, `u128::MAX` if the number overflows.
        needed: u128,
        /// Bytes after the header.
        present: u64,
    },

    /// A file has data after its array.
    #[error("{} goes on after the {needed} bytes that the shape {shape:?} takes: it is no single idx file", path.display())]
    TrailingBytes {
        /// The file.
        path: PathBuf,
        /// The shape that the header claims.
        shape: Vec<u64>,
        /// Bytes the array takes.
        needed: u64,
    },

    /// A file does not start as an idx file of its role does.
    #[error("{} is no idx file of {what}: it starts with {seen:02x?} instead of {expected:02x?}", path.display())]
    NotIdx {
        /// The file.
        path: PathBuf,
        /// What it should hold: images or labels.
        what: &'static str,
        /// Its first bytes, at most four.
        seen: Vec<u8>,
        /// What it should start with.
        expected: [u8; 4],
    },

    /// An object would take more memory than is allowed or available.
    #[error("{what} takes {bytes} bytes: allowed is {allowed}")]
    TooLarge {
        /// The object that takes the memory.
        what: String,
        /// Bytes it takes.
        bytes: u128,
        /// The bytes that are allowed, in words.
        allowed: &'static str,
    },

    /// A CSV file has a wrong form.
    #[error(transparent)]
    Csv(#[from] CsvError),

    /// An array of labels holds class numbers where contexts are expected.
    #[error(
        "{} has the shape ({rows}, 1) and holds class numbers from 0 to {largest}, which would be taken for one \
         context value: allowed are one-hot labels of shape (count, classes), such as \
         numpy.eye({})[labels[:, 0]]; say --labels classes if they are class numbers, --labels contexts if they are \
         context values",
        path.display(), largest + 1
    )]
    ClassNumbers {
        /// The file.
        path: PathBuf,
        /// Its rows.
        rows: usize,
        /// The largest number.
        largest: usize,
    },

    /// The numbers of images and labels differ.
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

    /// Items of a set cannot be used.
    #[error(
        "{}: {} in {}:{}",
        path.display(), counted(faults.len(), "fault"), counted(*items, "item"), listed(faults, *may_skip)
    )]
    BrokenItems {
        /// The file or folder of the set.
        path: PathBuf,
        /// How many items there are.
        items: usize,
        /// What is wrong with them, in their order.
        faults: Vec<DataError>,
        /// Whether all of these items may be skipped.
        may_skip: bool,
    },

    /// A file is an image in an unsupported format.
    #[error(
        "{} is an image in a format that is not read ({format}): convert it to PNG, JPEG, GIF, BMP, WebP or TIFF",
        path.display()
    )]
    UnreadFormat {
        /// The file.
        path: PathBuf,
        /// The name of its format.
        format: &'static str,
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

    /// The images of a folder differ in size, and no side to resize them to is given.
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

    /// The images of class folders differ in size, and no size to resize them to is given.
    #[error(
        "{} is {} by {} pixels but {} is {} by {}: give the size to which all are resized",
        path.display(), seen.1, seen.0, first_path.display(), first.1, first.0
    )]
    MixedShapes {
        /// The first file that differs.
        path: PathBuf,
        /// Its height and width.
        seen: (usize, usize),
        /// The first file of all.
        first_path: PathBuf,
        /// Its height and width.
        first: (usize, usize),
    },

    /// An image lies beside the class folders.
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

    /// A path is not a data set.
    #[error(
        "{} is no data set ({reason}): allowed is a folder with one *sprites*.npy and one *labels*.npy, \
         or with images, in class folders or not", path.display()
    )]
    NoDataSet {
        /// The path.
        path: PathBuf,
        /// The missing or surplus files.
        reason: String,
    },

    /// A path holds no labelled images.
    #[error(
        "{} holds no labelled images to {} ({reason}): allowed are a folder with {split_files}, \
         with *{split}*.csv, with the folders train/ and test/ of class folders, or with class folders such as \
         normal/; one .csv file, or the idx file of the images of a named set",
        path.display(), if *split == Split::Train { "train on" } else { "test with" },
        split_files = split.idx_names()
    )]
    NoLabelledImages {
        /// The path.
        path: PathBuf,
        /// The part that was looked for.
        split: Split,
        /// The missing or surplus files.
        reason: String,
    },

    /// The name of a part of a set is unknown.
    #[error("{seen:?} is no part of a data set: allowed are train and test")]
    UnknownSplit {
        /// The name.
        seen: String,
    },

    /// No class has this name.
    #[error("there is no class {seen:?}: the classes are {allowed}")]
    UnknownClass {
        /// The name.
        seen: String,
        /// The names there are.
        allowed: String,
    },

    /// No image belongs to the requested classes.
    #[error("no image is of class {classes}: there are {present}")]
    NothingLeft {
        /// The requested classes.
        classes: String,
        /// The classes that have images, each with their number.
        present: String,
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

    /// More procedural sprites are requested than can be drawn without a repeat.
    #[error("{seen} different sprites cannot be drawn: with this seed there are {allowed}")]
    TooManySprites {
        /// The requested number.
        seen: usize,
        /// The most there are.
        allowed: usize,
    },

    /// A path holds no detection data in the requested layout.
    #[error("{} holds no detection data in the layout of {format}: {reason}", path.display())]
    NoDetectionSet {
        /// The path.
        path: PathBuf,
        /// The layout: VOC or COCO.
        format: &'static str,
        /// The missing or surplus files.
        reason: String,
    },

    /// A part of detection data is missing.
    #[error("{} has no part {seen:?}: {present}", path.display())]
    NoDetectionSplit {
        /// The folder in which the parts are named.
        path: PathBuf,
        /// The requested part.
        seen: String,
        /// The parts there are, in words.
        present: String,
    },

    /// The name of a layout of detection data is unknown.
    #[error("{seen:?} is no layout of detection data: allowed are voc and coco")]
    UnknownDetectionFormat {
        /// The name.
        seen: String,
    },

    /// A file of annotations, or an item of it, has a wrong form.
    #[error(transparent)]
    Annotation(#[from] AnnotationError),

    /// An annotation has a value that is not allowed.
    #[error("{}: {place} is {seen:?}: allowed is {allowed}", path.display())]
    AnnotationValue {
        /// The file.
        path: PathBuf,
        /// The element, or the line.
        place: Box<str>,
        /// The value, or its beginning.
        seen: String,
        /// What is allowed, in words.
        allowed: String,
    },

    /// The class of an object is unknown.
    #[error("{}: {place} is of class {seen:?}: the classes are {allowed}", path.display())]
    UnknownObjectClass {
        /// The file.
        path: PathBuf,
        /// The object.
        place: Box<str>,
        /// The class.
        seen: String,
        /// The names there are.
        allowed: String,
    },

    /// The classes of detection data were given without a name or with one name twice.
    #[error(
        "the classes of the data are {seen:?}: allowed is at least one, each with a name that no other has"
    )]
    BadClasses {
        /// The names.
        seen: Vec<String>,
    },

    /// An annotated image is missing.
    #[error("{} annotates an image that is not there: looked for {looked_for}", path.display())]
    NoImageFile {
        /// The file of annotations.
        path: PathBuf,
        /// The paths that were tried.
        looked_for: String,
    },

    /// A box is unusable for training, and the policy refuses it.
    #[error("{}, object {object} of {image}: the box {} of {class} {fault}", path.display(), Corners(*bbox))]
    BoxRefused {
        /// The file of annotations.
        path: PathBuf,
        /// The name of the image.
        image: String,
        /// The object's number among those of its image, from 1.
        object: u32,
        /// Its class.
        class: String,
        /// The box in pixels.
        bbox: BoundingBox,
        /// What is wrong with it.
        fault: BoxFault,
    },

    /// An image is not of the size that its annotation states.
    #[error(
        "{} is {} by {} pixels, but its annotation states {} by {}: {hint}",
        path.display(), seen.0, seen.1, stated.0, stated.1
    )]
    SizeMismatch {
        /// The image.
        path: PathBuf,
        /// Its width and height.
        seen: (u32, u32),
        /// The width and height in the annotation.
        stated: (u32, u32),
        /// The consequence for the boxes, or a hint that the EXIF data rotate the image.
        hint: String,
    },

    /// A set of images cannot be derived from another set.
    #[error(transparent)]
    Set(#[from] SetError),
}

impl From<VisionError> for DataError {
    fn from(error: VisionError) -> Self {
        Self::Image(Box::new(error))
    }
}
