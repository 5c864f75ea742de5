//! Errors of images and files.

use std::io;
use std::path::PathBuf;

use pyrograph_base::WriteError;

use crate::blank::MAX_PIXELS;
use crate::boxes::MAX_PRIORS;

/// The errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VisionError {
    /// The number of values does not fit the shape.
    #[error(
        "{seen} values do not fill an image of {channels} channels, height {height} and width {width}: \
         {expected} are needed"
    )]
    Length {
        /// Values handed in.
        seen: usize,
        /// Values that the shape needs, `usize::MAX` if the number overflows.
        expected: usize,
        /// Channels of the shape.
        channels: usize,
        /// Height of the shape.
        height: usize,
        /// Width of the shape.
        width: usize,
    },

    /// No image has this number of channels.
    #[error("an image cannot have {seen} channels: allowed are {allowed}")]
    Channels {
        /// Channels handed in.
        seen: usize,
        /// The allowed numbers, in words.
        allowed: &'static str,
    },

    /// A value is infinite or not a number.
    #[error(
        "the value at channel {channel}, row {row}, column {column} is {value}, not a finite number"
    )]
    NonFinite {
        /// The value.
        value: f32,
        /// Its channel, from 0.
        channel: usize,
        /// Its row, from 0.
        row: usize,
        /// Its column, from 0.
        column: usize,
    },

    /// There is nothing to compute from.
    #[error("{what}: at least one is needed, there are none")]
    Empty {
        /// What is missing.
        what: &'static str,
    },

    /// A number that must be at least one is zero.
    #[error("{what} is 0: it has to be at least 1")]
    Zero {
        /// What is zero.
        what: &'static str,
    },

    /// The picture would be too large.
    #[error(
        "a picture of {width} by {height} pixels is too large: at most {MAX_PIXELS} pixels are allowed"
    )]
    TooLarge {
        /// Width it would have.
        width: u64,
        /// Height it would have.
        height: u64,
    },

    /// A fraction or a weight lies outside its range.
    #[error("{what} is {seen:?}: allowed is {allowed}")]
    Range {
        /// What is out of range.
        what: &'static str,
        /// The value.
        seen: f64,
        /// The allowed range, in words.
        allowed: &'static str,
    },

    /// A number of one of a detector's feature maps lies outside its range.
    #[error("feature map {index} of the priors: {what} is {seen:?}: allowed is {allowed}")]
    PriorMap {
        /// The map, from 0.
        index: usize,
        /// The number's name.
        what: &'static str,
        /// The number.
        seen: f64,
        /// The allowed range, in words.
        allowed: &'static str,
    },

    /// The priors of a detector are too many.
    #[error("the feature maps give {seen} priors: at most {MAX_PRIORS} are allowed")]
    TooManyPriors {
        /// Their number, `usize::MAX` if it overflows.
        seen: usize,
    },

    /// The outputs of a detector do not fit its priors.
    #[error("a detector put out {seen} {what} for {priors} priors: needed are {needed}")]
    HeadLength {
        /// Which outputs.
        what: &'static str,
        /// Values handed in.
        seen: usize,
        /// Number of priors.
        priors: usize,
        /// The required number of values, in words.
        needed: &'static str,
    },

    /// The name of a normalisation is unknown.
    #[error("{seen:?} is no normalisation: allowed are tanh and mnist")]
    UnknownNormalisation {
        /// The name.
        seen: String,
    },

    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),

    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },

    /// A file holds an image with more pixels than are allowed.
    #[error(
        "{} is an image of {width} by {height} pixels: at most {allowed} pixels are allowed", path.display()
    )]
    TooManyPixels {
        /// The file.
        path: PathBuf,
        /// Width of the image.
        width: u32,
        /// Height of the image.
        height: u32,
        /// The most pixels that are allowed.
        allowed: u64,
    },

    /// A file holds an image whose pixels take more memory than is allowed, although they are not too many.
    #[error("{} is an image that takes {seen} bytes: at most {allowed} are allowed", path.display())]
    TooManyBytes {
        /// The file.
        path: PathBuf,
        /// Bytes that its pixels take as they are stored.
        seen: u64,
        /// The most that are allowed.
        allowed: u64,
    },

    /// A file holds an image without pixels.
    #[error("{} is an image of {width} by {height} pixels: at least 1 by 1 is needed", path.display())]
    NoPixels {
        /// The file.
        path: PathBuf,
        /// Width of the image.
        width: u32,
        /// Height of the image.
        height: u32,
    },

    /// A file ends before its image does.
    #[error("{} is a {format} file that was cut off: its end{} is missing", path.display(),
        if *format == "WebP" { "" } else { " marker" })]
    CutOff {
        /// The file.
        path: PathBuf,
        /// Its format: JPEG, PNG or WebP.
        format: &'static str,
    },

    /// A file has a known format that is not a supported image format.
    #[error(
        "{} is not an image that can be read (PNG, JPEG, GIF, BMP, WebP or TIFF): it is {seen}",
        path.display()
    )]
    NoImage {
        /// The file.
        path: PathBuf,
        /// The format, and advice.
        seen: &'static str,
    },

    /// A file holds no image that can be decoded.
    #[error("{} is not an image that can be read (PNG, JPEG, GIF, BMP, WebP or TIFF)", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: image::ImageError,
    },

    /// A file whose texts are read is not a complete PNG file.
    #[error("{} is not a whole PNG file: only such files carry texts", path.display())]
    NoPng {
        /// The file.
        path: PathBuf,
    },

    /// A keyword of a PNG's text is not allowed.
    #[error("{seen:?} is no keyword of a PNG's text: allowed are 1 to 79 printable ASCII letters")]
    Keyword {
        /// The keyword.
        seen: String,
    },

    /// An image cannot be encoded.
    #[error("cannot encode the image for {}", path.display())]
    Encode {
        /// The target file.
        path: PathBuf,
        /// The cause.
        source: image::ImageError,
    },
}
