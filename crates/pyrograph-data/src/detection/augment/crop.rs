//! Random crops, chosen by their overlap with objects.

use serde::{Deserialize, Serialize};

use super::check;
use super::window::Window;
use crate::DataError;
use crate::detection::BoxObject;
use crate::order::Draws;

/// Options that are drawn at most until one of them finds a part; with SSD's, one in 7 keeps the whole.
const MOST_ROUNDS: usize = 50;
/// The most trials for an option that are allowed.
const MOST_TRIALS: usize = 10_000;
/// The narrowest and the widest shape that is allowed.
const ASPECTS: [f32; 2] = [0.01, 100.0];

/// A random crop that overlaps an object by at least a drawn IoU (SSD, section 2.2), so that
/// objects become large or are cut off. The default is SSD's.
///
/// First an option is drawn: one of [`min_ious`](IouCrop::min_ious), or keeping the whole image.
/// Then crops of random size and position are tried. A crop is taken if its aspect ratio is allowed
/// and an object whose centre lies in the crop has at least the drawn IoU with it. If none of the
/// [`trials`](IouCrop::trials) succeeds, another option is drawn. Objects whose centre lies in the
/// crop stay, and are clipped to it.
///
/// This is torchvision's `RandomIoUCrop`. In ssd.pytorch the overlap test never refused a crop, and
/// the option 0.5 was missing. COCO's crowds do not count as objects here, since they are not
/// trained on. An image without objects stays whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IouCrop {
    /// The minimum IoUs to draw from, each 0 to 1. With 0 every crop that contains the centre of an
    /// object is accepted.
    pub min_ious: Vec<f32>,
    /// Whether keeping the whole image is one of the options.
    pub keep_whole: bool,
    /// The number of crops that are tried for an option, 1 to 10000.
    pub trials: usize,
    /// The smallest and largest side of the crop as a fraction of the image's side, above 0 to 1;
    /// drawn for each side.
    pub sides: [f32; 2],
    /// The smallest and largest aspect ratio (width over height) of the crop, 0.01 to 100.
    pub aspects: [f32; 2],
}

impl Default for IouCrop {
    /// SSD's parameters, with torchvision's 40 trials.
    fn default() -> Self {
        Self {
            min_ious: vec![0.0, 0.1, 0.3, 0.5, 0.7, 0.9],
            keep_whole: true,
            trials: 40,
            sides: [0.3, 1.0],
            aspects: [0.5, 2.0],
        }
    }
}

impl IouCrop {
    pub(super) fn check(&self) -> Result<(), DataError> {
        for &min_iou in &self.min_ious {
            check::number("a least overlap of the crop", min_iou, 0.0..=1.0, "0 to 1")?;
        }
        if !(1..=MOST_TRIALS).contains(&self.trials) {
            return Err(DataError::Range {
                what: "the number of trials of the crop",
                seen: self.trials as f64,
                allowed: "1 to 10000",
            });
        }
        let allowed = "two numbers from above 0 to 1, the smaller first";
        let range = f32::MIN_POSITIVE..=1.0;
        check::pair("a side of the crop", self.sides, range, allowed)?;
        let allowed = "two numbers from 0.01 to 100, the smaller first";
        let range = ASPECTS[0]..=ASPECTS[1];
        check::pair("an aspect of the crop", self.aspects, range, allowed)
    }

    /// The part of the image seen in `whole` that is kept, in pixels of it, as `objects` are.
    pub(super) fn drawn(&self, whole: Window, objects: &[BoxObject], draws: &mut Draws) -> Window {
        let image = Window::whole(whole.width, whole.height);
        if objects.iter().all(|object| object.crowd) {
            return image;
        }
        for _ in 0..MOST_ROUNDS {
            let Some(min_iou) = self.option(draws) else {
                return image;
            };
            for _ in 0..self.trials {
                let part = self.part(image, draws);
                if part.is_some_and(|part| overlaps(part, objects, min_iou)) {
                    return part.unwrap_or(image);
                }
            }
        }
        image
    }

    /// A least overlap, or nothing to keep the whole image.
    fn option(&self, draws: &mut Draws) -> Option<f32> {
        let options = self.min_ious.len() + usize::from(self.keep_whole);
        self.min_ious.get(draws.below(options)).copied()
    }

    /// One trial: a part of an allowed shape.
    fn part(&self, image: Window, draws: &mut Draws) -> Option<Window> {
        let [least, most] = self.sides;
        // Casts cut off what is below one pixel.
        let mut side = |full: u32| ((full as f32 * draws.range(least, most)) as u32).min(full);
        let (width, height) = (side(image.width), side(image.height));
        // Without a pixel there is no aspect, or one that is infinite or not a number.
        let aspect = width as f32 / height as f32;
        if !(self.aspects[0]..=self.aspects[1]).contains(&aspect) {
            return None;
        }
        let mut before = |space: u32| (space as f32 * draws.unit()) as i64;
        Some(Window {
            left: before(image.width - width),
            top: before(image.height - height),
            width,
            height,
        })
    }
}

/// Whether an object whose middle is in `part` overlaps it by at least `min_iou`.
fn overlaps(part: Window, objects: &[BoxObject], min_iou: f32) -> bool {
    let mut seen = objects
        .iter()
        .filter(|object| !object.crowd && part.has_middle_of(object.bbox));
    seen.any(|object| object.bbox.iou(part.bbox()) >= min_iou)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pyrograph_vision::BoundingBox;

    use super::*;
    use crate::order::{Purpose, draws_of};

    const WHOLE: Window = Window {
        left: -7,
        top: -9,
        width: 200,
        height: 150,
    };

    fn draws(index: usize) -> Draws {
        draws_of(Purpose::Crop, 5, 1, index)
    }

    fn object(x1: f32, y1: f32, x2: f32, y2: f32) -> BoxObject {
        BoxObject::new(BoundingBox::new(x1, y1, x2, y2), 0)
    }

    #[test]
    fn every_option_is_drawn_as_often_as_any_other() {
        let crop = IouCrop::default();
        let mut draws = draws(0);
        let options: Vec<_> = (0..7000).map(|_| crop.option(&mut draws)).collect();
        let expected = [None, Some(0.0), Some(0.1), Some(0.3), Some(0.5)];
        for option in expected.into_iter().chain([Some(0.7), Some(0.9)]) {
            // A thousand each, with a standard deviation of 29.
            let count = options.iter().filter(|&&drawn| drawn == option).count();
            assert!((860..1140).contains(&count), "{option:?}: {count}");
        }
    }

    #[test]
    fn images_without_objects_to_train_on_stay_whole() {
        let crowd = BoxObject {
            crowd: true,
            ..object(20.0, 20.0, 150.0, 140.0)
        };
        for index in 0..200 {
            for objects in [&[][..], &[crowd]] {
                let kept = IouCrop::default().drawn(WHOLE, objects, &mut draws(index));
                assert_eq!(kept, Window::whole(200, 150));
            }
        }
    }

    #[test]
    fn what_cannot_be_found_leaves_the_image_whole() {
        // No part is that much like an object that small.
        let crop = IouCrop {
            min_ious: vec![0.9],
            keep_whole: false,
            ..IouCrop::default()
        };
        let tiny = [object(20.0, 20.0, 24.0, 24.0)];
        assert_eq!(
            crop.drawn(WHOLE, &tiny, &mut draws(0)),
            Window::whole(200, 150)
        );
        let nothing = IouCrop {
            min_ious: vec![],
            ..crop
        };
        let large = [object(0.0, 0.0, 200.0, 150.0)];
        assert_eq!(
            nothing.drawn(WHOLE, &large, &mut draws(0)),
            Window::whole(200, 150)
        );
    }

    #[test]
    fn images_of_hardly_a_pixel_are_no_trouble() {
        for (width, height) in [(0, 0), (1, 1), (1, 400), (0, 5)] {
            let whole = Window::whole(width, height);
            let objects = [object(0.0, 0.0, width as f32, height as f32)];
            for index in 0..50 {
                let kept = IouCrop::default().drawn(whole, &objects, &mut draws(index));
                assert!(kept.width <= width && kept.height <= height);
            }
        }
    }

    proptest! {
        #[test]
        fn a_part_overlaps_an_object_by_as_much_as_its_option_says(
            index in 0_usize..100_000,
            option in 0_usize..6,
            boxes in prop::collection::vec((0.0_f32..150.0, 0.0_f32..100.0, 10.0_f32..150.0, 10.0_f32..100.0), 1..5),
        ) {
            let objects: Vec<_> = boxes
                .into_iter()
                .map(|(x, y, w, h)| object(x, y, (x + w).min(200.0), (y + h).min(150.0)))
                .collect();
            let min_iou = IouCrop::default().min_ious[option];
            let crop = IouCrop { min_ious: vec![min_iou], keep_whole: false, ..IouCrop::default() };
            let kept = crop.drawn(WHOLE, &objects, &mut draws(index));
            if kept == Window::whole(200, 150) {
                // Given up, which never happens where any overlap will do.
                prop_assert!(min_iou > 0.0);
                return Ok(());
            }
            let part = kept.bbox();
            prop_assert!(part.x1 >= 0.0 && part.y1 >= 0.0 && part.x2 <= 200.0 && part.y2 <= 150.0);
            let (across, down) = (part.width() / 200.0, part.height() / 150.0);
            // A pixel is cut off at most.
            prop_assert!(across >= 0.295 && down >= 0.293, "{across} {down}");
            let aspect = part.width() / part.height();
            prop_assert!((0.5..=2.0).contains(&aspect));
            let middle_in = |b: &BoundingBox| {
                let (x, y) = ((b.x1 + b.x2) / 2.0, (b.y1 + b.y2) / 2.0);
                part.x1 < x && x < part.x2 && part.y1 < y && y < part.y2
            };
            let best = objects.iter().map(|o| o.bbox).filter(middle_in).map(|b| b.iou(part));
            prop_assert!(best.fold(-1.0, f32::max) >= min_iou);
        }
    }
}
