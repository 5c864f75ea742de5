//! Errors of figures.

use pyrograph_base::WriteError;
use pyrograph_vision::VisionError;

/// The errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FigureError {
    /// There is nothing to draw or to write.
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

    /// The frames of an animation differ in size.
    #[error(
        "frame {index} is {} by {} pixels, the first frame {} by {}: all frames have to agree",
        seen.0, seen.1, first.0, first.1
    )]
    FrameSize {
        /// The frame, from 0.
        index: usize,
        /// Its width and height.
        seen: (u32, u32),
        /// Width and height of the first frame.
        first: (u32, u32),
    },

    /// The frames of a GIF have a side that the format cannot hold.
    #[error(
        "frames of {width} by {height} pixels do not fit a GIF: each side is between 1 and 65535"
    )]
    GifSize {
        /// Width of the frames.
        width: u32,
        /// Height of the frames.
        height: u32,
    },

    /// A number lies outside its range.
    #[error("{what} is {seen:?}: allowed is {allowed}")]
    Range {
        /// What is out of range.
        what: &'static str,
        /// The value.
        seen: f64,
        /// The allowed range, in words.
        allowed: &'static str,
    },

    /// No series has a point that can be drawn.
    #[error("none of the {points} points in {series} series can be drawn: finite numbers are needed{}",
        if *log_y { ", above zero on a logarithmic axis" } else { "" })]
    NothingToPlot {
        /// Number of series handed in.
        series: usize,
        /// Number of points in all of them.
        points: usize,
        /// Whether the vertical axis is logarithmic.
        log_y: bool,
    },

    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),

    /// An image cannot be made: its values do not fit, or it is too large.
    #[error(transparent)]
    Vision(#[from] VisionError),
}
