//! Changes of brightness and colour.

use serde::{Deserialize, Serialize};

use super::check;
use super::distortion::{Distortion, SAME, SEXTANT, WHITE};
use crate::DataError;
use crate::order::Draws;

/// The largest factor that is allowed.
const LARGEST_FACTOR: f32 = 10.0;

/// SSD's photometric distortion: random brightness, contrast, saturation, hue and permutation of
/// channels, each applied with some probability. The default is SSD's.
///
/// As in ssd.pytorch, brightness is added and contrast multiplies the values. (In torchvision
/// brightness multiplies too, by 0.875 to 1.125, and contrast stretches about the mean of the
/// image.) Values are clamped to black and white after each step and rounded at the end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PhotometricDistort {
    /// The probability of each of the five steps, 0 to 1.
    pub probability: f32,
    /// The largest amount that is added or subtracted, in units of a byte, 0 to 255.
    pub brightness: f32,
    /// The smallest and largest contrast factor, 0 to 10. It is applied before or after saturation
    /// and hue, at random.
    pub contrast: [f32; 2],
    /// The smallest and largest saturation factor, 0 to 10.
    pub saturation: [f32; 2],
    /// The largest rotation of the hue in degrees, 0 to 180.
    pub hue: f32,
    /// Whether to permute red, green and blue; one of the six orders is drawn.
    pub shuffle_channels: bool,
}

impl Default for PhotometricDistort {
    fn default() -> Self {
        Self {
            probability: 0.5,
            brightness: 32.0,
            contrast: [0.5, 1.5],
            saturation: [0.5, 1.5],
            hue: 18.0,
            shuffle_channels: true,
        }
    }
}

impl PhotometricDistort {
    pub(super) fn check(&self) -> Result<(), DataError> {
        let what = "the probability of the photometric distortion";
        check::number(what, self.probability, 0.0..=1.0, "0 to 1")?;
        let what = "the brightness of the photometric distortion";
        check::number(what, self.brightness, 0.0..=WHITE, "0 to 255")?;
        let what = "the hue of the photometric distortion";
        check::number(what, self.hue, 0.0..=180.0, "0 to 180 degrees")?;
        let allowed = "two numbers from 0 to 10, the smaller first";
        for (what, factors) in [
            ("a contrast of the photometric distortion", self.contrast),
            (
                "a saturation of the photometric distortion",
                self.saturation,
            ),
        ] {
            check::pair(what, factors, 0.0..=LARGEST_FACTOR, allowed)?;
        }
        Ok(())
    }

    /// What happens to one image.
    pub(super) fn drawn(&self, draws: &mut Draws) -> Distortion {
        let mut step = |low: f32, high: f32, otherwise: f32| {
            let (happens, value) = (draws.chance(self.probability), draws.range(low, high));
            if happens { value } else { otherwise }
        };
        let brightness = step(-self.brightness, self.brightness, 0.0);
        let contrast = step(self.contrast[0], self.contrast[1], SAME);
        let saturation = step(self.saturation[0], self.saturation[1], SAME);
        let hue = step(-self.hue, self.hue, 0.0) / SEXTANT;
        let is_contrast_first = draws.chance(0.5);
        let mut channels = [0, 1, 2];
        if self.shuffle_channels && draws.chance(self.probability) {
            for last in [2, 1] {
                channels.swap(last, draws.below(last + 1));
            }
        }
        let (before, after) = if is_contrast_first {
            (contrast, SAME)
        } else {
            (SAME, contrast)
        };
        Distortion {
            light: std::array::from_fn(|byte| {
                let bright = (byte as f32 + brightness).clamp(0.0, WHITE);
                (bright * before).clamp(0.0, WHITE)
            }),
            saturation,
            hue,
            contrast: after,
            channels,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{Purpose, draws_of};

    fn draws(index: usize) -> Draws {
        draws_of(Purpose::Photometric, 2, 0, index)
    }

    #[test]
    fn brightness_is_added_and_contrast_multiplied_before_or_after_the_colours() {
        let part = PhotometricDistort {
            probability: 1.0,
            brightness: 32.0,
            contrast: [1.5, 1.5],
            saturation: [2.0, 2.0],
            hue: 0.0,
            shuffle_channels: false,
        };
        let seen: Vec<_> = (0..200).map(|i| part.drawn(&mut draws(i))).collect();
        for distortion in &seen {
            let expected = |byte: f32| distortion.light[byte as usize] * distortion.contrast;
            let mut grey = [100; 3];
            distortion.apply(&mut grey);
            let [red, green, blue] = grey.map(f32::from);
            assert!((red - expected(100.0)).abs() <= 0.51 && green == red && blue == red);
            assert!(
                (68.0 * 1.5 - 0.51..=132.0 * 1.5 + 0.51).contains(&red),
                "{red}"
            );
        }
        let first = seen.iter().filter(|d| d.contrast == SAME).count();
        assert!((70..130).contains(&first), "{first}");
    }

    #[test]
    fn all_orders_of_the_channels_occur() {
        let orders: Vec<_> = (0..2400)
            .map(|i| PhotometricDistort::default().drawn(&mut draws(i)).channels)
            .collect();
        let count = |order| orders.iter().filter(|&&seen| seen == order).count();
        for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            // Two hundred each, with a standard deviation of 14.
            assert!((140..260).contains(&count(order)), "{order:?}");
        }
    }

    #[test]
    fn without_a_step_nothing_changes() {
        let part = PhotometricDistort {
            probability: 0.0,
            ..PhotometricDistort::default()
        };
        assert!((0..50).all(|i| part.drawn(&mut draws(i)) == Distortion::none()));
    }
}
