//! Changes of brightness and colour.

/// The largest value of a byte.
pub(super) const WHITE: f32 = 255.0;
/// Degrees of a sixth of the circle of hues, from red to yellow and so on.
pub(super) const SEXTANT: f32 = 60.0;
/// The factor that leaves contrast or saturation as it is.
pub(super) const SAME: f32 = 1.0;
/// Sextants of the circle.
const CIRCLE: f32 = 6.0;
/// Pixels that are computed together.
const BLOCK: usize = 64;

/// A change of every pixel on its own.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Distortion {
    /// What each byte becomes by brightness and by contrast that comes first, 0 to 255.
    pub(super) light: [f32; 256],
    /// A factor of the saturation.
    pub(super) saturation: f32,
    /// A turn of the hue in sextants, -3 to 3.
    pub(super) hue: f32,
    /// A factor that comes last.
    pub(super) contrast: f32,
    /// Where each channel comes from.
    pub(super) channels: [usize; 3],
}

impl Distortion {
    /// One that changes nothing.
    pub(super) fn none() -> Self {
        Self {
            light: std::array::from_fn(|byte| byte as f32),
            saturation: SAME,
            hue: 0.0,
            contrast: SAME,
            channels: [0, 1, 2],
        }
    }

    /// Changes pixels of three bytes each.
    pub(super) fn apply(&self, bytes: &mut [u8]) {
        let (pixels, _) = bytes.as_chunks_mut::<3>();
        if self.saturation != SAME || self.hue != 0.0 {
            pixels
                .chunks_mut(BLOCK)
                .for_each(|block| self.colour(block));
        } else if *self != Self::none() {
            let table = self.light.map(|value| self.finished(value));
            for pixel in pixels {
                *pixel = self.channels.map(|from| table[usize::from(pixel[from])]);
            }
        }
    }

    /// Changes up to [`BLOCK`] pixels, whose channels are taken apart so that several are computed at once.
    fn colour(&self, pixels: &mut [[u8; 3]]) {
        let mut values = [[0.0; BLOCK]; 3];
        for (at, pixel) in pixels.iter().enumerate() {
            for (channel, &byte) in values.iter_mut().zip(pixel) {
                channel[at] = self.light[usize::from(byte)];
            }
        }
        let [red, green, blue] = &mut values;
        for ((red, green), blue) in red.iter_mut().zip(green).zip(blue) {
            [*red, *green, *blue] = self.coloured([*red, *green, *blue]);
        }
        let bytes = values.map(|channel| channel.map(|value| self.finished(value)));
        for (at, pixel) in pixels.iter_mut().enumerate() {
            *pixel = self.channels.map(|from| bytes[from][at]);
        }
    }

    /// The contrast that comes last, and rounding.
    fn finished(&self, value: f32) -> u8 {
        // A cast cuts off what is above a byte.
        (value * self.contrast + 0.5) as u8
    }

    /// Red, green and blue with another saturation and hue, as by HSV: the largest of the three stays, and hue says how
    /// the others lie below it.
    fn coloured(&self, [red, green, blue]: [f32; 3]) -> [f32; 3] {
        let value = red.max(green).max(blue);
        let chroma = value - red.min(green).min(blue);
        // The place on the circle of hues in sextants, from -1 to 5: 0 is red, 2 green, 4 blue. Without chroma any will do.
        let scale = if chroma > 0.0 { 1.0 / chroma } else { 0.0 };
        let hue = if value == red {
            (green - blue) * scale
        } else if value == green {
            (blue - red) * scale + 2.0
        } else {
            (red - green) * scale + 4.0
        };
        let turned = hue + self.hue;
        let turned = turned + if turned < 0.0 { CIRCLE } else { 0.0 };
        // A colour cannot be more than fully saturated: the least of its values is 0 then.
        let chroma = (chroma * self.saturation).min(value);
        // Red is 5 sextants from where its distance to the largest is counted, green 3 and blue 1.
        [5.0, 3.0, 1.0].map(|place| {
            let at = place + turned;
            let at = at - if at >= CIRCLE { CIRCLE } else { 0.0 };
            let at = at - if at >= CIRCLE { CIRCLE } else { 0.0 };
            value - chroma * at.min(4.0 - at).clamp(0.0, 1.0)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn changed(distortion: &Distortion, pixel: [u8; 3]) -> [u8; 3] {
        let mut pixel = pixel;
        distortion.apply(&mut pixel);
        pixel
    }

    /// A distortion of hue (degrees) and saturation alone.
    fn colours(hue: f32, saturation: f32) -> Distortion {
        Distortion {
            hue: hue / SEXTANT,
            saturation,
            ..Distortion::none()
        }
    }

    #[test]
    fn a_turn_of_the_hue_takes_red_to_green_and_blue() {
        assert_eq!(changed(&colours(120.0, 1.0), [200, 0, 0]), [0, 200, 0]);
        assert_eq!(changed(&colours(-120.0, 1.0), [200, 0, 0]), [0, 0, 200]);
        assert_eq!(
            changed(&colours(60.0, 1.0), [200, 100, 100]),
            [200, 200, 100]
        );
        assert_eq!(changed(&colours(180.0, 1.0), [0, 0, 255]), [255, 255, 0]);
        assert_eq!(changed(&colours(-180.0, 1.0), [9, 250, 9]), [250, 9, 250]);
    }

    #[test]
    fn saturation_leaves_grey_and_the_largest_value() {
        assert_eq!(changed(&colours(18.0, 1.5), [77, 77, 77]), [77, 77, 77]);
        assert_eq!(changed(&colours(0.0, 0.0), [200, 10, 90]), [200, 200, 200]);
        assert_eq!(changed(&colours(0.0, 0.5), [200, 100, 0]), [200, 150, 100]);
        // Full is the most there is, and the hue stays.
        assert_eq!(changed(&colours(0.0, 9.0), [200, 150, 100]), [200, 100, 0]);
    }

    #[test]
    fn values_are_cut_off_before_the_colours_or_after_them() {
        let (before, after) = (
            Distortion {
                light: std::array::from_fn(|byte| (byte as f32 * 3.0).min(WHITE)),
                ..colours(0.0, 0.5)
            },
            Distortion {
                contrast: 3.0,
                ..colours(0.0, 0.5)
            },
        );
        assert_eq!(changed(&before, [100, 50, 50]), [255, 203, 203]);
        assert_eq!(changed(&after, [100, 50, 50]), [255, 225, 225]);
    }

    #[test]
    fn channels_come_from_where_they_are_told() {
        let swap = Distortion {
            channels: [2, 0, 1],
            ..Distortion::none()
        };
        assert_eq!(changed(&swap, [1, 2, 3]), [3, 1, 2]);
    }

    #[test]
    fn a_distortion_of_nothing_changes_nothing() {
        let mut bytes: Vec<u8> = (0..=254).collect();
        Distortion::none().apply(&mut bytes);
        assert!(bytes.into_iter().eq(0..=254));
    }

    /// The textbook's way by HSV, in f64.
    fn oracle(pixel: [u8; 3], degrees: f64, saturation: f64) -> [f64; 3] {
        let [r, g, b] = pixel.map(f64::from);
        let (value, least) = (r.max(g).max(b), r.min(g).min(b));
        let chroma = value - least;
        let hue = 60.0
            * if chroma == 0.0 {
                0.0
            } else if value == r {
                (g - b) / chroma
            } else if value == g {
                2.0 + (b - r) / chroma
            } else {
                4.0 + (r - g) / chroma
            };
        let full = if value > 0.0 { chroma / value } else { 0.0 };
        let full = (full * saturation).min(1.0);
        let hue = (hue + degrees).rem_euclid(360.0) / 60.0;
        let chroma = value * full;
        let second = chroma * (1.0 - (hue.rem_euclid(2.0) - 1.0).abs());
        let rgb = match hue as u32 {
            0 => [chroma, second, 0.0],
            1 => [second, chroma, 0.0],
            2 => [0.0, chroma, second],
            3 => [0.0, second, chroma],
            4 => [second, 0.0, chroma],
            _ => [chroma, 0.0, second],
        };
        rgb.map(|v| v + value - chroma)
    }

    proptest! {
        #[test]
        fn hue_and_saturation_are_those_of_hsv(
            pixel: [u8; 3],
            degrees in -180.0_f32..180.0,
            saturation in 0.0_f32..3.0,
        ) {
            let seen = changed(&colours(degrees, saturation), pixel);
            let expected = oracle(pixel, degrees.into(), saturation.into());
            for (seen, expected) in seen.into_iter().zip(expected) {
                prop_assert!((f64::from(seen) - expected).abs() <= 0.51, "{} {}", seen, expected);
            }
        }
    }
}
