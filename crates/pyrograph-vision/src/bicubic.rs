//! Bicubic resizing with the same bytes as Pillow.

use image::RgbImage;

use crate::{VisionError, blank};

/// Resizes an image to `width` by `height` by Pillow's bicubic filter, with the same bytes.
///
/// This equals `Image.resize(…, BICUBIC)`, and torchvision's `Resize` on Pillow images: the cubic
/// with a = -0.5, widened when shrinking, first along the rows and then along the columns, with
/// rounding to bytes in between. The rounding matters: overshoots at hard edges are clamped in each
/// of the two steps.
///
/// The bytes equal those of Pillow up to version 12 for all sizes. From version 13 on Pillow
/// processes the columns first if the height shrinks much more than the width ([its
/// #9549](https://github.com/python-pillow/Pillow/pull/9549)); in that case hard edges differ, but
/// never between square sizes.
///
/// # Errors
/// [`VisionError::Zero`] when a side of the image or of the result is 0, [`VisionError::TooLarge`]
/// beyond 2²⁸ pixels.
pub fn resize_bicubic(image: &RgbImage, width: u32, height: u32) -> Result<RgbImage, VisionError> {
    let (from_width, from_height) = image.dimensions();
    let mut resized = blank::blank(width.into(), height.into(), blank::BLACK)?;
    for channel in 0..3 {
        let plane: Vec<u8> = image.pixels().map(|pixel| pixel.0[channel]).collect();
        let from = [from_height as usize, from_width as usize];
        let values = resize_plane_bicubic(&plane, from, [height as usize, width as usize])?;
        for (pixel, value) in resized.pixels_mut().zip(values) {
            pixel.0[channel] = value;
        }
    }
    Ok(resized)
}

/// Resizes one channel of an image, row-major, from [height, width] `from` to `to`; see
/// [`resize_bicubic`].
///
/// # Errors
/// [`VisionError::Length`] unless `plane` fills `from`, otherwise as [`resize_bicubic`].
pub fn resize_plane_bicubic(
    plane: &[u8],
    from: [usize; 2],
    to: [usize; 2],
) -> Result<Vec<u8>, VisionError> {
    let [from_height, from_width] = from;
    let [height, width] = to;
    for (what, sides) in [
        ("a side of the resized image", to),
        ("a side of the image to resize", from),
    ] {
        if sides.contains(&0) {
            return Err(VisionError::Zero { what });
        }
    }
    let expected = from_height.saturating_mul(from_width);
    if plane.len() != expected {
        return Err(VisionError::Length {
            seen: plane.len(),
            expected,
            channels: 1,
            height: from_height,
            width: from_width,
        });
    }
    // Also of the image in between, which is as wide as the one and as high as the other.
    for height in [height, from_height] {
        let pixels = height as u128 * width as u128;
        if pixels > u128::from(blank::MAX_PIXELS) {
            return Err(VisionError::TooLarge {
                width: width as u64,
                height: height as u64,
            });
        }
    }
    let columns = bicubic_taps(from_width, width);
    let mut wide = Vec::with_capacity(from_height * width);
    for row in plane.chunks_exact(from_width) {
        wide.extend(columns.iter().map(|taps| taps.across(row)));
    }
    let mut resized = Vec::with_capacity(height * width);
    let mut sums = vec![0; width];
    for taps in bicubic_taps(from_height, height) {
        sums.fill(HALF);
        let rows = wide[taps.first * width..].chunks_exact(width);
        for (row, weight) in rows.zip(&taps.weights) {
            let products = row.iter().map(|&byte| i32::from(byte) * weight);
            sums.iter_mut()
                .zip(products)
                .for_each(|(sum, product)| *sum += product);
        }
        resized.extend(sums.iter().map(|&sum| to_byte(sum)));
    }
    Ok(resized)
}

/// Bits after the point of a weight, as in Pillow: what 32 leave after 8 of the byte and 2 of overshoot.
const WEIGHT_BITS: u32 = 32 - 8 - 2;

/// Half of the last place that is kept, so that sums which start with it are rounded to the nearest byte.
const HALF: i32 = 1 << (WEIGHT_BITS - 1);

fn to_byte(sum: i32) -> u8 {
    // Clamped to the range of a byte.
    (sum >> WEIGHT_BITS).clamp(0, 255) as u8
}

/// The weights of one pixel of a resized line.
struct Taps {
    /// The first pixel that has a weight.
    first: usize,
    weights: Vec<i32>,
}

impl Taps {
    fn across(&self, line: &[u8]) -> u8 {
        let bytes = &line[self.first..][..self.weights.len()];
        let products = bytes.iter().zip(&self.weights);
        to_byte(
            HALF + products
                .map(|(&byte, weight)| i32::from(byte) * weight)
                .sum::<i32>(),
        )
    }
}

/// The weights of each of `to` pixels over a line of `from` pixels.
fn bicubic_taps(from: usize, to: usize) -> Vec<Taps> {
    const SUPPORT: f64 = 2.0;
    let scale = from as f64 / to as f64;
    let widening = scale.max(1.0);
    let taps = |pixel: usize| {
        let centre = (pixel as f64 + 0.5) * scale;
        let reach = SUPPORT * widening;
        // Both ends lie within the line: casts cut off what is negative, and `min` what is beyond.
        let first = (centre - reach + 0.5) as usize;
        let end = ((centre + reach + 0.5) as usize).min(from);
        let weight = |i: usize| cubic((i as f64 - centre + 0.5) / widening);
        let total: f64 = (first..end).map(weight).sum();
        let fixed = |i| (weight(i) / total * f64::from(1 << WEIGHT_BITS)).round() as i32;
        let weights = (first..end).map(fixed).collect();
        Taps { first, weights }
    };
    (0..to).map(taps).collect()
}

/// Keys' cubic (1981) with a = -0.5.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bicubic_weights_are_those_of_the_cubic() {
        let line = [0, 0, 0, 160, 0, 0, 0, 0];
        let large = resize_plane_bicubic(&line, [1, 8], [1, 16]).unwrap();
        // By hand: 0.867 of it a quarter of a pixel away, 0.227 at three quarters, and the overshoot at five quarters,
        // -0.070, is cut off at 0.
        assert_eq!(large[6..8], [139, 139]);
        assert_eq!((large[5], large[8], large[4]), (36, 36, 0));
    }

    #[test]
    fn a_bicubic_of_one_colour_keeps_it_in_every_size() {
        let uniform = RgbImage::from_pixel(5, 7, Rgb([9, 99, 255]));
        for (width, height) in [(1, 1), (3, 4), (5, 7), (64, 9)] {
            let resized = resize_bicubic(&uniform, width, height).unwrap();
            assert_eq!(resized.dimensions(), (width, height));
            assert!(resized.pixels().all(|pixel| pixel.0 == [9, 99, 255]));
        }
    }

    #[test]
    fn a_bicubic_of_nothing_or_of_a_giant_is_refused() {
        assert!(matches!(
            resize_bicubic(&RgbImage::new(2, 2), 2, 0),
            Err(VisionError::Zero { .. })
        ));
        assert!(matches!(
            resize_bicubic(&RgbImage::new(0, 2), 2, 2),
            Err(VisionError::Zero { .. })
        ));
        assert!(matches!(
            resize_bicubic(&RgbImage::new(2, 2), u32::MAX, u32::MAX),
            Err(VisionError::TooLarge { .. })
        ));
        assert!(matches!(
            resize_plane_bicubic(&[0; 5], [2, 3], [4, 4]),
            Err(VisionError::Length {
                seen: 5,
                expected: 6,
                ..
            })
        ));
        assert!(matches!(
            resize_plane_bicubic(&[0; 2], [2, 1], [1, usize::MAX]),
            Err(VisionError::TooLarge { .. })
        ));
    }

    proptest! {
        #[test]
        fn turning_an_image_over_turns_the_resized_one(
            bytes in proptest::collection::vec(any::<u8>(), 35),
            (height, width) in (1_usize..20, 1_usize..20),
        ) {
            let resized = resize_plane_bicubic(&bytes, [5, 7], [height, width]).unwrap();
            let turned: Vec<u8> = bytes.iter().rev().copied().collect();
            let mut back = resize_plane_bicubic(&turned, [5, 7], [height, width]).unwrap();
            back.reverse();
            // Which of two halves is cut off in the last place depends on the direction.
            prop_assert!(back.iter().zip(&resized).all(|(a, b)| a.abs_diff(*b) <= 1));
        }
    }
}
