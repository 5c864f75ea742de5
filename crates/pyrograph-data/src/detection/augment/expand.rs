//! Expansion: empty space around an image.

use serde::{Deserialize, Serialize};

use super::check;
use super::window::Window;
use crate::DataError;
use crate::order::Draws;

/// The mean colour of ImageNet, with SSD's values.
const MEAN: [u8; 3] = [123, 117, 104];
/// The largest ratio that is allowed: an image takes its square as many times the memory.
const LARGEST_RATIO: f32 = 16.0;

/// Places an image at random on a larger canvas, with some probability, so that its objects become
/// small (SSD, section 3.6).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Expand {
    /// The probability that an image is expanded, 0 to 1.
    pub probability: f32,
    /// The smallest and largest factor of the sides, 1 to 16; both sides have the same factor.
    pub ratio: [f32; 2],
    /// The colour of the empty space: the mean colour of the images that the backbone was trained
    /// with, which its normalisation maps to 0.
    pub fill: [u8; 3],
}

impl Default for Expand {
    /// SSD's parameters: probability ½, factors up to 4, ImageNet's mean colour.
    fn default() -> Self {
        Self {
            probability: 0.5,
            ratio: [1.0, 4.0],
            fill: MEAN,
        }
    }
}

impl Expand {
    pub(super) fn check(&self) -> Result<(), DataError> {
        let what = "the probability of the expansion";
        check::number(what, self.probability, 0.0..=1.0, "0 to 1")?;
        let allowed = "two numbers from 1 to 16, the smaller first";
        let what = "a ratio of the expansion";
        check::pair(what, self.ratio, 1.0..=LARGEST_RATIO, allowed)
    }

    /// The canvas, in pixels of the image that `whole` covers.
    pub(super) fn drawn(&self, whole: Window, draws: &mut Draws) -> Window {
        if !draws.chance(self.probability) {
            return whole;
        }
        let ratio = draws.range(self.ratio[0], self.ratio[1]);
        // Casts cut off what is below one pixel; a canvas is never smaller than its image.
        let canvas = |side: u32| ((side as f32 * ratio) as u32).max(side);
        let (width, height) = (canvas(whole.width), canvas(whole.height));
        let mut before = |space: u32| (space as f32 * draws.unit()) as i64;
        Window {
            left: -before(width - whole.width),
            top: -before(height - whole.height),
            width,
            height,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{Purpose, draws_of};

    fn drawn(expand: Expand, index: usize) -> Window {
        let draws = &mut draws_of(Purpose::Expand, 0, 0, index);
        expand.drawn(Window::whole(40, 30), draws)
    }

    #[test]
    fn the_image_lies_anywhere_on_a_canvas_of_its_shape() {
        let mut ratios = Vec::new();
        for index in 0..2000 {
            let canvas = drawn(Expand::default(), index);
            let (across, down) = (canvas.width as f32 / 40.0, canvas.height as f32 / 30.0);
            assert!((across - down).abs() <= 1.0 / 30.0, "{canvas:?}");
            assert!((1.0..=4.0).contains(&across), "{canvas:?}");
            assert!(canvas.left <= 0 && canvas.top <= 0, "{canvas:?}");
            assert!(40 - canvas.left <= canvas.width.into(), "{canvas:?}");
            assert!(30 - canvas.top <= canvas.height.into(), "{canvas:?}");
            ratios.push(across);
        }
        let share = |low, high| ratios.iter().filter(|&&r| r > low && r <= high).count();
        // Half as they were, and a sixth from each part of the range.
        assert!((900..1100).contains(&share(0.9, 1.0)));
        for low in [1.0, 2.0, 3.0] {
            assert!((260..400).contains(&share(low, low + 1.0)), "{low}");
        }
    }

    #[test]
    fn an_expansion_that_never_happens_leaves_the_image_whole() {
        let expand = Expand {
            probability: 0.0,
            ..Expand::default()
        };
        assert!((0..100).all(|index| drawn(expand, index) == Window::whole(40, 30)));
    }
}
