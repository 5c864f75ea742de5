//! How near the pictures of a type are to those of f32.

use std::{
    collections::btree_map::{BTreeMap, Entry},
    path::{Path, PathBuf},
};

use pyrograph::vision::{RgbImage, VisionError, read_image, write_png};
use serde::{Deserialize, Serialize};

use super::figures::TypeFigures;

/// The type that others are compared with.
pub(super) const REFERENCE: &str = "f32";
/// The largest value of a colour.
const LARGEST: f64 = 255.0;

/// The distance of pictures from those of f32, of the same seeds and steps.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Likeness {
    /// The mean of the squared differences of 8-bit values.
    pub(super) mean_squared_error: f64,
    /// 10·log₁₀(255² / mean squared error); none where the pictures are the same.
    pub(super) psnr_db: Option<f64>,
}

impl Likeness {
    /// The distance of two lists of pictures of one size.
    fn of(pictures: &[RgbImage], reference: &[RgbImage]) -> Option<Self> {
        let bytes = |pictures: &[RgbImage]| -> Vec<u8> {
            let rows = pictures.iter().flat_map(|picture| picture.as_raw());
            rows.copied().collect()
        };
        let (ours, theirs) = (bytes(pictures), bytes(reference));
        if ours.is_empty() || ours.len() != theirs.len() {
            return None;
        }
        let squares = ours.iter().zip(&theirs).map(|(a, b)| {
            let difference = f64::from(*a) - f64::from(*b);
            difference * difference
        });
        let error = squares.sum::<f64>() / ours.len() as f64;
        Some(Self {
            mean_squared_error: error,
            psnr_db: (error > 0.0).then(|| 10.0 * (LARGEST * LARGEST / error).log10()),
        })
    }
}

/// The file of a picture that one process writes for another.
fn file(folder: &Path, dtype: &str, steps: usize, place: usize) -> PathBuf {
    folder.join(format!("{dtype}-{steps}-{place}.png"))
}

/// Writes the pictures of a type and a number of steps.
pub(super) fn keep(
    folder: &Path,
    dtype: &str,
    steps: usize,
    pictures: &[RgbImage],
) -> Result<(), VisionError> {
    let mut places = pictures.iter().enumerate();
    places.try_for_each(|(place, picture)| write_png(file(folder, dtype, steps, place), picture))
}

/// Adds the distance from the pictures of f32 to every other type's figures. `count` pictures of each type and number
/// of steps lie in the folder.
pub(super) fn compare(
    folder: &Path,
    types: &mut [TypeFigures],
    count: usize,
) -> Result<(), VisionError> {
    let read = |dtype: &str, steps: usize| -> Result<Vec<RgbImage>, VisionError> {
        let places = 0..count;
        places
            .map(|place| read_image(file(folder, dtype, steps, place)))
            .collect()
    };
    let mut references = BTreeMap::new();
    for figures in types
        .iter_mut()
        .filter(|figures| figures.dtype != REFERENCE)
    {
        for picture in &mut figures.pictures {
            let steps = picture.steps;
            let reference = match references.entry(steps) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(read(REFERENCE, steps)?),
            };
            let pictures = read(&figures.dtype, steps)?;
            picture.against_f32 = Likeness::of(&pictures, reference);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(value: u8) -> RgbImage {
        RgbImage::from_pixel(2, 2, [value; 3].into())
    }

    #[test]
    fn a_difference_of_one_everywhere_has_the_ratio_of_255() {
        let same = Likeness::of(&[grey(7)], &[grey(7)]).expect("one size");
        assert_eq!((same.mean_squared_error, same.psnr_db), (0.0, None));
        let near = Likeness::of(&[grey(7), grey(7)], &[grey(8), grey(6)]).expect("one size");
        assert_eq!(near.mean_squared_error, 1.0);
        let ratio = near.psnr_db.expect("not the same");
        assert!((ratio - 20.0 * 255_f64.log10()).abs() < 1e-12, "{ratio}");
        assert_eq!(Likeness::of(&[grey(7)], &[]), None);
    }
}
