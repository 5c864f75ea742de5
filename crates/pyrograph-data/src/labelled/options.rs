//! How labelled images are read, and what is said of it.

use std::convert::Infallible;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{LabelledImages, Split};
use crate::{DataError, Faults};

/// A choice that is made by what the data look like unless it is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    /// As the data look.
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
    /// Grey where no image has a colour, else RGB.
    #[default]
    Auto,
    /// Grey: of colours Pillow's `L`, (19595 R + 38470 G + 7471 B) / 65536.
    Grey,
    /// RGB: of grey three equal channels.
    Rgb,
}

/// Where a line of a CSV file has its label.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LabelColumn {
    /// As the header says, else the first column, or the last where only that looks like labels.
    #[default]
    Auto,
    /// The first column that is no row number.
    First,
    /// The last column.
    Last,
    /// Nowhere: all columns are pixels.
    None,
    /// In the column of this name in the header, or of this number, counted from 1.
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

/// As [`LabelColumn::from_name`].
impl FromStr for LabelColumn {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::from_name(text))
    }
}

/// How labelled images are read; the default guesses where nothing else tells, and says what it guessed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct LabelledOptions {
    /// Where a CSV file has its labels.
    pub label_column: LabelColumn,
    /// Whether rows and columns of idx and CSV files are swapped. Auto: in files whose names begin with `emnist-`.
    pub transpose: Switch,
    /// The value of a pixel that is white. None: 255; 1 in a CSV file without a larger one; and in pictures of 16 bits
    /// a channel 65535, or 255, 1023 or 4095 where no pixel of the set is above it.
    pub white_level: Option<u16>,
    /// Whether masks among images are taken for images: the folders `ground_truth`, `mask` and such, and files such as
    /// `000_mask.png` beside `000.png`.
    pub keep_masks: bool,
    /// The channels of the images.
    pub channels: Channels,
    /// What becomes of items that cannot be used.
    pub faults: Faults,
}

impl LabelledOptions {
    /// Whether these are the default; for configs that leave defaults out.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Reads labelled images, whatever a path holds; [`LabelledImages::open`] is the short way.
#[derive(Clone, Debug)]
pub struct LabelledReader {
    /// The part that is read.
    pub split: Split,
    /// Height and width to which image files are resized; none leaves them as they are, and all have to be of one size.
    /// Images of idx and CSV files keep theirs.
    pub size: Option<(usize, usize)>,
    /// Whether images without labels are read: a folder of images, one image, a CSV file of pixels alone.
    pub unlabelled: bool,
    /// The white level of pictures of 16 bits where the options give none, in place of a guess: that of the training.
    pub usual_white_level: Option<u16>,
    /// How it is read.
    pub options: LabelledOptions,
}

impl LabelledReader {
    /// A reader of the labelled images of a part, as they are.
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

    /// Reads what a path holds, in the order that [`LabelledImages::open`] lists. `progress` hears how many files of how
    /// many were read.
    ///
    /// # Errors
    /// Those of [`LabelledImages::open`]; unless the options say otherwise, [`DataError::BrokenItems`] lists the files or
    /// lines that cannot be used.
    pub fn read(
        &self,
        path: impl AsRef<Path>,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<LabelledReading, DataError> {
        let reading = super::open::read(self, path.as_ref(), progress)?;
        Ok(reading.with_channels(self.options.channels))
    }
}

/// A set that was read, and what is to be said of it.
#[derive(Clone, Debug)]
pub struct LabelledReading {
    /// The images.
    pub images: LabelledImages,
    /// Whether the data say what the images show; otherwise all are of one class.
    pub has_labels: bool,
    /// What was guessed or left out, a sentence each.
    pub remarks: Vec<String>,
    /// The white level of pictures of 16 bits, or of a CSV file without larger values than 1; none where it is 255.
    pub white_level: Option<u16>,
}

impl LabelledReading {
    /// That of images with labels of which nothing is to be said.
    pub fn of(images: LabelledImages) -> Self {
        Self {
            images,
            has_labels: true,
            remarks: Vec::new(),
            white_level: None,
        }
    }

    /// The same with images of these channels.
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
