//! Heat maps of magnitudes, such as the residual of a reconstruction.

use image::RgbImage;
use pyrograph_vision::{VisionError, blank};

use crate::{FigureError, canvas};

/// Ten evenly spaced colours of matplotlib's inferno (van der Walt and Smith, CC0), whose lightness
/// rises evenly from black to pale yellow; the first is exactly black here.
const INFERNO: [[u8; 3]; 10] = [
    [0x00, 0x00, 0x00],
    [0x1b, 0x0c, 0x42],
    [0x4b, 0x0c, 0x6b],
    [0x78, 0x1c, 0x6d],
    [0xa5, 0x2c, 0x60],
    [0xcf, 0x44, 0x46],
    [0xed, 0x69, 0x25],
    [0xfb, 0x9a, 0x06],
    [0xf7, 0xd0, 0x3c],
    [0xfc, 0xff, 0xa4],
];

/// Draws the magnitudes of `values`, row after row, as colours from black at 0 over purple and
/// orange to pale yellow at `scale_max` and beyond. Signs are ignored, so a residual can be passed
/// directly.
///
/// `None` uses the largest magnitude in `values` as the scale. Maps that are compared need a common
/// scale: with `None` every map has a bright spot.
///
/// # Errors
/// [`VisionError::Length`] unless there are `height · width` values, [`VisionError::NonFinite`]
/// with the position of the first value that is infinite or NaN, [`FigureError::Range`] for a scale
/// that is not finite or not above 0, [`VisionError::TooLarge`] beyond 2²⁸ pixels.
pub fn heat_map(
    values: &[f32],
    height: usize,
    width: usize,
    scale_max: Option<f32>,
) -> Result<RgbImage, FigureError> {
    let expected = height.saturating_mul(width);
    if values.len() != expected {
        return Err(FigureError::Vision(VisionError::Length {
            seen: values.len(),
            expected,
            channels: 1,
            height,
            width,
        }));
    }
    if let Some(index) = values.iter().position(|value| !value.is_finite()) {
        // A value exists, so the width is not 0.
        return Err(FigureError::Vision(VisionError::NonFinite {
            value: values[index],
            channel: 0,
            row: index / width,
            column: index % width,
        }));
    }
    if let Some(seen) = scale_max.filter(|most| !(most.is_finite() && *most > 0.0)) {
        return Err(FigureError::Range {
            what: "the largest value of a heat map",
            seen: seen.into(),
            allowed: "above 0 and finite",
        });
    }
    let largest = || values.iter().fold(0.0, |most: f32, x| most.max(x.abs()));
    let most = scale_max.unwrap_or_else(largest);
    let mut map = blank(width as u64, height as u64, canvas::BLACK)?;
    for (pixel, value) in map.pixels_mut().zip(values) {
        // Where all values are 0 so is the scale: 0 / 0 is NaN, which becomes black.
        pixel.0 = colour(value.abs() / most);
    }
    Ok(map)
}

/// The colour at a share of the scale; all above 1 is as 1, and NaN is black, as casts make it 0.
fn colour(share: f32) -> [u8; 3] {
    let steps = INFERNO.len() - 1;
    let place = share.clamp(0.0, 1.0) * steps as f32;
    // Within the table, as the share is at most 1.
    let below = (place as usize).min(steps - 1);
    let (from, to) = (INFERNO[below], INFERNO[below + 1]);
    let weight = place - below as f32;
    std::array::from_fn(|channel| {
        let (from, to) = (f32::from(from[channel]), f32::from(to[channel]));
        // Between two bytes, so it fits one.
        (from + (to - from) * weight).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Rec. 601 luma.
    fn light([red, green, blue]: [u8; 3]) -> f32 {
        0.299 * f32::from(red) + 0.587 * f32::from(green) + 0.114 * f32::from(blue)
    }

    #[test]
    fn zero_is_black_the_largest_pale_and_signs_do_not_count() {
        let map = heat_map(&[0.0, -2.0, 1.0, -1.0], 2, 2, None).unwrap();
        assert_eq!(map.get_pixel(0, 0).0, [0, 0, 0]);
        assert_eq!(map.get_pixel(1, 0).0, [0xfc, 0xff, 0xa4]);
        assert_eq!(map.get_pixel(0, 1), map.get_pixel(1, 1));
    }

    #[test]
    fn a_shared_scale_keeps_small_residuals_dark_and_cuts_large_ones() {
        let map = heat_map(&[0.1, 1.0, 50.0], 1, 3, Some(1.0)).unwrap();
        assert!(light(map.get_pixel(0, 0).0) < 40.0);
        assert_eq!(map.get_pixel(1, 0), map.get_pixel(2, 0));
    }

    #[test]
    fn nothing_missed_is_all_black() {
        let map = heat_map(&[0.0; 6], 2, 3, None).unwrap();
        assert_eq!(map.dimensions(), (3, 2));
        assert!(map.pixels().all(|pixel| pixel.0 == [0, 0, 0]));
        assert_eq!(heat_map(&[], 0, 7, None).unwrap().dimensions(), (7, 0));
    }

    #[test]
    fn what_has_no_colour_is_refused_with_its_place() {
        let nan = heat_map(&[0.0, 0.0, 0.0, f32::NAN], 2, 2, None).unwrap_err();
        assert!(matches!(
            nan,
            FigureError::Vision(VisionError::NonFinite {
                row: 1,
                column: 1,
                ..
            })
        ));
        let length = heat_map(&[0.0; 3], 2, 2, None);
        assert!(matches!(
            length,
            Err(FigureError::Vision(VisionError::Length { .. }))
        ));
        assert!(heat_map(&[], usize::MAX, 2, None).is_err());
        for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            let result = heat_map(&[0.0], 1, 1, Some(scale));
            assert!(matches!(result, Err(FigureError::Range { .. })), "{scale}");
        }
    }

    proptest! {
        #[test]
        fn larger_is_lighter(low in 0_f32..1.0, step in 0.01_f32..1.0) {
            let high = (low + step).min(1.0);
            prop_assert!(light(colour(low)) <= light(colour(high)));
        }
    }
}
