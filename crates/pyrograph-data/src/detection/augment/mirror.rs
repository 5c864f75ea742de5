//! Horizontal flips.

use pyrograph_vision::{BoundingBox, RgbImage};
use serde::{Deserialize, Serialize};

use super::check;
use crate::DataError;
use crate::detection::BoxObject;
use crate::order::Draws;

/// Flips an image horizontally with some probability. Do not use it for sets in which left and
/// right have a meaning, such as writing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mirror {
    /// The probability that an image is flipped, 0 to 1.
    pub probability: f32,
}

impl Default for Mirror {
    /// Probability ½.
    fn default() -> Self {
        Self { probability: 0.5 }
    }
}

impl Mirror {
    pub(super) fn check(&self) -> Result<(), DataError> {
        let what = "the probability of the mirror";
        check::number(what, self.probability, 0.0..=1.0, "0 to 1")
    }

    /// Whether to mirror.
    pub(super) fn drawn(&self, draws: &mut Draws) -> bool {
        draws.chance(self.probability)
    }
}

/// Exchanges left and right of an image and its boxes.
pub(super) fn mirror(image: &mut RgbImage, objects: &mut [BoxObject]) {
    let width = image.width();
    let (pixels, _) = image.as_chunks_mut::<3>();
    // An image without columns has no pixels, whatever a row of it is.
    for row in pixels.chunks_exact_mut(width.max(1) as usize) {
        row.reverse();
    }
    for object in objects {
        let BoundingBox { x1, y1, x2, y2 } = object.bbox;
        object.bbox = BoundingBox::new(width as f32 - x2, y1, width as f32 - x1, y2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{Purpose, draws_of};

    #[test]
    fn a_mirrored_box_is_where_its_pixels_went_and_the_mirror_undoes_itself() {
        let mut image = RgbImage::from_fn(5, 2, |x, y| [x as u8, y as u8, 7].into());
        let (original, object) = (
            image.clone(),
            BoxObject::new(BoundingBox::new(0.0, 1.0, 2.0, 2.0), 3),
        );
        let mut objects = [object];
        mirror(&mut image, &mut objects);
        assert_eq!(image.get_pixel(4, 1).0, [0, 1, 7]);
        assert_eq!(image.get_pixel(3, 0).0, [1, 0, 7]);
        assert_eq!(objects[0].bbox, BoundingBox::new(3.0, 1.0, 5.0, 2.0));
        mirror(&mut image, &mut objects);
        assert_eq!((image, objects), (original, [object]));
    }

    #[test]
    fn an_image_without_pixels_is_mirrored_too() {
        let mut image = RgbImage::new(0, 4);
        mirror(&mut image, &mut []);
        assert_eq!(image.dimensions(), (0, 4));
    }

    #[test]
    fn the_share_of_mirrored_images_is_the_probability() {
        let share = |probability| {
            let mirrored = |&index: &usize| {
                Mirror { probability }.drawn(&mut draws_of(Purpose::Mirror, 0, 0, index))
            };
            (0..10_000).filter(mirrored).count()
        };
        assert_eq!((share(0.0), share(1.0)), (0, 10_000));
        assert!((4800..5200).contains(&share(0.5)));
    }
}
