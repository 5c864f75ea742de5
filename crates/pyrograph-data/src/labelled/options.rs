//! Options and remarks of reading labelled images.

use std::convert::Infallible;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{LabelledImages, Split};
use crate::{DataError, Faults};

/// A setting that is guessed from the data unless it is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    /// Guessed from the data.
    #[default]
    Auto,
    /// Yes.
    On,
    /// No.
    Off,
}

/// The channels of the images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channels {
    /// Grey if no image has a colour, otherwise RGB.
    #[default]
    Auto,
    /// Grey; colours are converted as by Pillow's `L`, (19595 R + 38470 G + 7471 B) / 65536.
    Grey,
    /// RGB; grey becomes three equal channels.
    Rgb,
}

/// The label column of a CSV file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LabelColumn {
    /// The column that the header names, otherwise the first column, or the last one if only the
    /// last looks like labels.
    #[default]
    Auto,
    /// The first column that is not a row number.
    First,
    /// The last column.
    Last,
    /// No label column: all columns are pixels.
    None,
    /// The column with this name in the header, or with this number, counted from 1.
    Named(String),
}

impl fmt::Display for LabelColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Auto => "auto",
            Self::First => "first",
            Self::Last => "last",
            Self::None => "none",
            Self::Named(name) => name,
        })
    }
}

impl LabelColumn {
    /// By name: `auto`, `first`, `last`, `none`, or the name or number of a column.
    pub fn from_name(name: &str) -> Self {
        match name {
            "auto" => Self::Auto,
            "first" => Self::First,
            "last" => Self::Last,
            "none" => Self::None,
            name => Self::Named(name.into()),
        }
    }
}

/// Parses as [`LabelColumn::from_name`].
impl FromStr for LabelColumn {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::from_name(text))
    }
}

/// Options of reading labelled images. By default everything that the data do not tell is guessed,
/// with a remark for each guess.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct LabelledOptions {
    /// The label column of CSV files.
    pub label_column: LabelColumn,
    /// Whether to swap rows and columns of idx and CSV files. `Auto` swaps them in files whose
    /// names begin with `emnist-`.
    pub transpose: Switch,
    /// The value of a white pixel. `None` means 255; in a CSV file without a value above 1 it means
    /// 1; in pictures of 16 bits a channel it means 65535, or 255, 1023 or 4095 if no pixel of the
    /// set is above that value.
    pub white_level: Option<u16>,
    /// Whether masks are read as images: the folders `ground_truth`, `mask` and such, and files
    /// such as `000_mask.png` beside `000.png`.
    pub keep_masks: bool,
    /// The channels of the images.
    pub channels: Channels,
    /// The handling of items that cannot be used.
    pub faults: Faults,
}

impl LabelledOptions {
    /// Whether these are the defaults, which configs omit.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A reader of labelled images with options. [`LabelledImages::open`] is the short form.
#[derive(Clone, Debug)]
pub struct LabelledReader {
    /// The part that is read.
    pub split: Split,
    /// Height and width to which image files are resized. With `None` they are not resized and must
    /// all have the same size. Images of idx and CSV files keep their size.
    pub size: Option<(usize, usize)>,
    /// Whether images without labels are read: a folder of images, one image, or a CSV file of
    /// pixels without labels.
    pub unlabelled: bool,
    /// The white level of 16-bit pictures if the options give none, instead of a guess: the level
    /// of the training.
    pub usual_white_level: Option<u16>,
    /// Options of reading.
    pub options: LabelledOptions,
}

impl LabelledReader {
    /// A reader of the labelled images of a part, without resizing.
    pub fn new(split: Split) -> Self {
        Self {
            split,
            size: None,
            unlabelled: false,
            usual_white_level: None,
            options: LabelledOptions::default(),
        }
    }

    /// A reader that stops at the first fault.
    pub(super) fn strict(split: Split) -> Self {
        let mut reader = Self::new(split);
        reader.options.faults = Faults::Strict;
        reader
    }

    /// Reads the images at a path; [`LabelledImages::open`] lists the kinds in the order in which
    /// they are tried. `progress` is called with the number of files read and the total number.
    ///
    /// # Errors
    /// Those of [`LabelledImages::open`]; unless the options say otherwise,
    /// [`DataError::BrokenItems`] lists the files or lines that cannot be used.
    pub fn read(
        &self,
        path: impl AsRef<Path>,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<LabelledReading, DataError> {
        let reading = super::open::read(self, path.as_ref(), progress)?;
        Ok(reading.with_channels(self.options.channels))
    }
}

/// A set that was read, with remarks.
#[derive(Clone, Debug)]
pub struct LabelledReading {
    /// The images.
    pub images: LabelledImages,
    /// Whether the data have labels; otherwise all images are of one class.
    pub has_labels: bool,
    /// Guesses and skipped items, one sentence each.
    pub remarks: Vec<String>,
    /// The white level of 16-bit pictures, or of a CSV file without values above 1; `None` if it is
    /// 255.
    pub white_level: Option<u16>,
}

impl LabelledReading {
    /// The reading of labelled images without remarks.
    pub fn of(images: LabelledImages) -> Self {
        Self {
            images,
            has_labels: true,
            remarks: Vec::new(),
            white_level: None,
        }
    }

    /// Converts the images to `channels`.
    #[must_use]
    pub fn with_channels(mut self, channels: Channels) -> Self {
        match (channels, self.images.channels()) {
            (Channels::Grey, 3) => self.images = self.images.to_grey(),
            (Channels::Rgb, 1) => self.images = self.images.to_rgb(),
            _ => {}
        }
        self
    }
}
