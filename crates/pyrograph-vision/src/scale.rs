//! Enlarging pixel art, and resizing images.

use image::RgbImage;
use image::imageops::{self, FilterType};

use crate::{VisionError, blank};

/// Enlarges an image by a whole factor: every pixel becomes a square of `factor` by `factor`
/// pixels, so that pixel art stays sharp.
///
/// # Errors
/// [`VisionError::Zero`] for a factor of 0, [`VisionError::TooLarge`] beyond 2²⁸ pixels.
pub fn enlarge(image: &RgbImage, factor: u32) -> Result<RgbImage, VisionError> {
    if factor == 0 {
        return Err(VisionError::Zero {
            what: "the factor of an enlargement",
        });
    }
    let (width, height) = image.dimensions();
    let factor_wide = u64::from(factor);
    let mut large = blank::blank(
        u64::from(width) * factor_wide,
        u64::from(height) * factor_wide,
        blank::BLACK,
    )?;
    for (x, y, pixel) in large.enumerate_pixels_mut() {
        *pixel = *image.get_pixel(x / factor, y / factor);
    }
    Ok(large)
}

/// The largest whole factor, at least 1, for which `side` times the factor is at most `target`: a
/// side of 16 with a target of 128 gives 8.
pub fn pick_factor(side: u32, target: u32) -> u32 {
    target.checked_div(side).unwrap_or(1).max(1)
}

/// Resizes an image to `width` by `height`.
///
/// Whole factors keep pixel art intact: enlarging repeats pixels, and shrinking takes the mean of
/// each block, which exactly inverts [`enlarge`]. Other sizes are resampled with a triangle filter,
/// widened when shrinking.
///
/// # Errors
/// [`VisionError::Zero`] when a side of the image or of the result is 0, [`VisionError::TooLarge`]
/// beyond 2²⁸ pixels.
pub fn resize(image: &RgbImage, width: u32, height: u32) -> Result<RgbImage, VisionError> {
    let (from_width, from_height) = image.dimensions();
    if width == 0 || height == 0 {
        return Err(VisionError::Zero {
            what: "a side of the resized image",
        });
    }
    if from_width == 0 || from_height == 0 {
        return Err(VisionError::Zero {
            what: "a side of the image to resize",
        });
    }
    if (width, height) == (from_width, from_height) {
        return Ok(image.clone());
    }
    let grows = width.is_multiple_of(from_width) && height.is_multiple_of(from_height);
    if grows && width / from_width == height / from_height {
        return enlarge(image, width / from_width);
    }
    if from_width.is_multiple_of(width) && from_height.is_multiple_of(height) {
        return Ok(block_means(image, from_width / width, from_height / height));
    }
    if u64::from(width) * u64::from(height) > blank::MAX_PIXELS {
        return Err(VisionError::TooLarge {
            width: width.into(),
            height: height.into(),
        });
    }
    Ok(imageops::resize(image, width, height, FilterType::Triangle))
}

/// The mean colour of every block of `across` by `down` pixels, which divide the sides.
fn block_means(image: &RgbImage, across: u32, down: u32) -> RgbImage {
    let count = u64::from(across) * u64::from(down);
    RgbImage::from_fn(image.width() / across, image.height() / down, |x, y| {
        let mut sums = [0_u64; 3];
        for row in y * down..(y + 1) * down {
            for column in x * across..(x + 1) * across {
                let pixel = image.get_pixel(column, row).0;
                sums.iter_mut()
                    .zip(pixel)
                    .for_each(|(sum, value)| *sum += u64::from(value));
            }
        }
        // The mean of bytes is at most 255, also when rounded.
        image::Rgb(sums.map(|sum| ((sum + count / 2) / count) as u8))
    })
}

#[cfg(test)]
mod tests {
    use image::Rgb;
    use proptest::prelude::*;

    use super::*;

    fn checked(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            Rgb([(x * 40) as u8, (y * 40) as u8, 7])
        })
    }

    #[test]
    fn every_pixel_becomes_a_square() {
        let large = enlarge(&checked(2, 3), 4).unwrap();
        assert_eq!(large.dimensions(), (8, 12));
        assert_eq!(large.get_pixel(3, 3), &Rgb([0, 0, 7]));
        assert_eq!(large.get_pixel(4, 3), &Rgb([40, 0, 7]));
        assert_eq!(large.get_pixel(7, 11), &Rgb([40, 80, 7]));
    }

    #[test]
    fn a_factor_of_zero_and_a_giant_factor_are_refused() {
        assert!(matches!(
            enlarge(&checked(2, 2), 0),
            Err(VisionError::Zero { .. })
        ));
        assert!(matches!(
            enlarge(&checked(2, 2), u32::MAX),
            Err(VisionError::TooLarge { .. })
        ));
    }

    #[test]
    fn the_factor_fits_the_target_and_is_never_zero() {
        assert_eq!(pick_factor(16, 128), 8);
        assert_eq!(pick_factor(28, 128), 4);
        assert_eq!(pick_factor(300, 128), 1);
        assert_eq!(pick_factor(0, 128), 1);
    }

    #[test]
    fn shrinking_by_blocks_takes_the_mean() {
        let image = RgbImage::from_raw(2, 1, vec![0, 10, 255, 1, 20, 255]).unwrap();
        assert_eq!(
            resize(&image, 1, 1).unwrap().get_pixel(0, 0),
            &Rgb([1, 15, 255])
        );
    }

    #[test]
    fn a_side_of_zero_is_refused() {
        assert!(matches!(
            resize(&checked(2, 2), 0, 2),
            Err(VisionError::Zero { .. })
        ));
        assert!(matches!(
            resize(&RgbImage::new(0, 2), 2, 2),
            Err(VisionError::Zero { .. })
        ));
    }

    #[test]
    fn odd_factors_are_resampled() {
        let image = resize(&checked(5, 5), 3, 3).unwrap();
        assert_eq!(image.dimensions(), (3, 3));
        let uniform = RgbImage::from_pixel(5, 5, Rgb([9, 99, 199]));
        assert!(
            resize(&uniform, 3, 4)
                .unwrap()
                .pixels()
                .all(|pixel| pixel.0 == [9, 99, 199])
        );
    }

    proptest! {
        #[test]
        fn shrinking_undoes_enlarging(
            bytes in proptest::collection::vec(any::<u8>(), 18),
            factor in 1_u32..9,
        ) {
            let image = RgbImage::from_raw(3, 2, bytes).unwrap();
            let large = enlarge(&image, factor).unwrap();
            prop_assert_eq!(&resize(&image, 3 * factor, 2 * factor).unwrap(), &large);
            prop_assert_eq!(resize(&large, 3, 2).unwrap(), image);
        }
    }
}
