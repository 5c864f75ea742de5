//! How sprites are read, and what is said of it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{SpriteSet, open};
use crate::{DataError, Faults};

/// A set whose largest byte is below this is nearly black.
const DARK: u8 = 64;

/// What an array of labels holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpriteLabels {
    /// Contexts of shape (count, classes). One column of class numbers beyond 1 is refused, as it would be taken for one
    /// context value.
    #[default]
    Auto,
    /// Class numbers from 0, of shape (count) or (count, 1); contexts are one-hot.
    Classes,
    /// Contexts of shape (count, classes), whatever they hold.
    Contexts,
}

/// How sprites are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SpriteOptions {
    /// What the array of labels holds.
    pub labels: SpriteLabels,
    /// What becomes of image files that cannot be used.
    pub faults: Faults,
}

impl SpriteOptions {
    /// Whether these are the default; for configs that leave defaults out.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Reads sprites, whatever a folder holds; [`SpriteSet::open`] is the short way.
#[derive(Clone, Copy, Debug, Default)]
pub struct SpriteReader {
    /// The side to which every image is resized; none leaves them as they are.
    pub side: Option<usize>,
    /// How they are read.
    pub options: SpriteOptions,
}

/// A set that was read, and what is to be said of it.
#[derive(Clone, Debug)]
pub struct SpriteReading {
    /// The sprites.
    pub sprites: SpriteSet,
    /// What was guessed or left out, a sentence each.
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

    /// Reads the set in a folder, of either kind that [`SpriteSet::open`] knows. `progress` hears how many files of how
    /// many were read.
    ///
    /// # Errors
    /// Those of [`SpriteSet::open`]; unless the options say otherwise, [`DataError::BrokenItems`] lists the files that cannot
    /// be used.
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
