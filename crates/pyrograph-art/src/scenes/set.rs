//! Scenes as a set.

use std::sync::Arc;

use pyrograph_data::DataError;
use pyrograph_data::detection::{DetectionSet, DrawnImages};
use pyrograph_vision::RgbImage;

use super::{CLASS_NAMES, Scene};

/// The most scenes of a set.
const MOST_SCENES: usize = 1_000_000;
/// The shortest and the longest side of a scene in pixels.
const SIDES: std::ops::RangeInclusive<u32> = 32..=2048;

/// Scenes of one seed and one size.
#[derive(Debug)]
struct Scenes {
    seed: u64,
    side: u32,
}

impl DrawnImages for Scenes {
    fn draw(&self, index: usize) -> RgbImage {
        Scene::new(self.seed, index, self.side).draw()
    }

    fn identity(&self) -> String {
        format!("scenes of seed {} and side {}", self.seed, self.side)
    }
}

/// `count` images of `side` by `side` pixels with one to six objects each, drawn by code: ellipses,
/// rectangles, triangles, stars and crosses, stretched and rotated, of 0.12 to 0.45 of the side.
/// The background is flat, a gradient, striped, cloudy or rough, with lines and specks that are not
/// objects.
///
/// Objects may overlap: the IoU of two boxes is at most 0.3, and no object is hidden by more than
/// half. A box contains the whole shape. Every image depends only on (`seed`, its index) and is the
/// same on every machine, so a shorter set is a prefix of a longer one. Use another seed for a
/// held-out set. Images are drawn on demand.
///
/// # Errors
/// [`DataError::Range`] for a count of 0 or beyond a million, or a side that is not 32 to 2048.
pub fn scenes(count: usize, side: u32, seed: u64) -> Result<DetectionSet, DataError> {
    let range = |what, seen, allowed| DataError::Range {
        what,
        seen,
        allowed,
    };
    if !(1..=MOST_SCENES).contains(&count) {
        let what = "the number of scenes to draw";
        return Err(range(what, count as f64, "1 to 1000000"));
    }
    if !SIDES.contains(&side) {
        let what = "the side of a scene";
        return Err(range(what, side.into(), "32 to 2048 pixels"));
    }
    let images = (0..count).map(|index| {
        let objects = Scene::new(seed, index, side).objects();
        (format!("scene-{seed}-{index}"), (side, side), objects)
    });
    DetectionSet::from_drawn(
        CLASS_NAMES.map(String::from).to_vec(),
        images.collect(),
        Arc::new(Scenes { seed, side }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shorter_set_is_the_beginning_of_a_longer_one_and_another_seed_another_set() {
        let set = |count, seed| scenes(count, 64, seed).unwrap();
        let (short, long, other) = (set(5, 1), set(9, 1), set(5, 2));
        assert_eq!(short.class_names(), CLASS_NAMES);
        assert_eq!(short.samples(), &long.samples()[..5]);
        for index in 0..5 {
            let image = short.image(index).unwrap();
            assert_eq!(image.dimensions(), (64, 64));
            assert_eq!(image, long.image(index).unwrap());
            assert_ne!(image, other.image(index).unwrap());
            assert!(!short.samples()[index].objects.is_empty());
        }
    }

    #[test]
    fn counts_and_sides_that_cannot_be_are_refused() {
        let refusal = |count, side| {
            let refused = scenes(count, side, 0);
            refused.unwrap_err().to_string()
        };
        assert_eq!(
            refusal(0, 64),
            "the number of scenes to draw is 0.0: allowed is 1 to 1000000"
        );
        assert_eq!(
            refusal(3, 31),
            "the side of a scene is 31.0: allowed is 32 to 2048 pixels"
        );
        refusal(usize::MAX, u32::MAX);
    }
}
