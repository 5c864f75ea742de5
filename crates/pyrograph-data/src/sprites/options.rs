//! Options and remarks of reading sprites.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{SpriteSet, open};
use crate::{DataError, Faults};

/// A set whose largest byte is below this is nearly black.
const DARK: u8 = 64;

/// The meaning of an array of labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpriteLabels {
    /// Contexts of shape (count, classes). One column of whole numbers above 1 is refused, since
    /// its meaning is ambiguous.
    #[default]
    Auto,
    /// Class numbers from 0, of shape (count) or (count, 1); contexts are one-hot.
    Classes,
    /// Contexts of shape (count, classes), with any values.
    Contexts,
}

/// Options of reading sprites.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SpriteOptions {
    /// The meaning of the array of labels.
    pub labels: SpriteLabels,
    /// The handling of image files that cannot be used.
    pub faults: Faults,
}

impl SpriteOptions {
    /// Whether these are the defaults, which configs omit.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A reader of sprites with options. [`SpriteSet::open`] is the short form.
#[derive(Clone, Copy, Debug, Default)]
pub struct SpriteReader {
    /// The side to which every image is resized; `None` does not resize.
    pub side: Option<usize>,
    /// Options of reading.
    pub options: SpriteOptions,
}

/// A set that was read, with remarks.
#[derive(Clone, Debug)]
pub struct SpriteReading {
    /// The sprites.
    pub sprites: SpriteSet,
    /// Guesses and skipped items, one sentence each.
    pub remarks: Vec<String>,
}

impl SpriteReader {
    /// A reader that stops at the first fault.
    pub(super) fn strict(side: Option<usize>) -> Self {
        let options = SpriteOptions {
            faults: Faults::Strict,
            ..SpriteOptions::default()
        };
        Self { side, options }
    }

    /// Reads the set in a folder, of either kind of [`SpriteSet::open`]. `progress` is called with
    /// the number of files read and the total number.
    ///
    /// # Errors
    /// Those of [`SpriteSet::open`]; unless the options say otherwise, [`DataError::BrokenItems`]
    /// lists the files that cannot be used.
    pub fn read(
        &self,
        path: impl AsRef<Path>,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<SpriteReading, DataError> {
        let mut reading = open::read(self, path.as_ref(), progress)?;
        let largest = reading.sprites.pixels.iter().copied().max().unwrap_or(0);
        if largest < DARK {
            reading.remarks.push(format!(
                "the sprites are nearly black: no pixel is above {largest} of 255; pictures that use a part of their \
                 bits have to be brought to the full range first"
            ));
        }
        Ok(reading)
    }
}
