//! Pictures and masks as the networks take them, and back.

use pyrograph_vision::{
    RgbImage,
    image::imageops::{self, FilterType},
};

use crate::PipelineError;

/// Above this share of white a pixel of a mask is painted anew.
const MASK_THRESHOLD: f32 = 0.5;

/// The values of `image` in [−1, 1] at `width` × `height`, channels first; resized by Lanczos as diffusers does.
pub(super) fn picture_values(image: &RgbImage, width: usize, height: usize) -> Vec<f32> {
    let resized = resized(image, width, height);
    let bytes = resized.as_ref().unwrap_or(image).as_raw();
    let plane = |channel| bytes.iter().skip(channel).step_by(3);
    (0..3)
        .flat_map(plane)
        .map(|byte| 2.0 * (f32::from(*byte) / 255.0) - 1.0)
        .collect()
}

/// A mask at `width` × `height`: 1 where the picture is painted anew, 0 where it stays.
pub(super) fn mask_values(mask: &RgbImage, width: usize, height: usize) -> Vec<f32> {
    let resized = resized(mask, width, height);
    let mask = resized.as_ref().unwrap_or(mask);
    mask.pixels()
        .map(|pixel| match f32::from(luma(pixel.0)) / 255.0 {
            share if share < MASK_THRESHOLD => 0.0,
            _ => 1.0,
        })
        .collect()
}

/// Every `factor`-th value of a plane in both directions: nearest-neighbour interpolation.
pub(super) fn shrink_mask(mask: &[f32], width: usize, factor: usize) -> Vec<f32> {
    mask.chunks(width)
        .step_by(factor)
        .flat_map(|row| row.iter().step_by(factor).copied())
        .collect()
}

/// The picture of `values` in [−1, 1], channels first, clamped.
///
/// # Errors
/// [`PipelineError::Stage`] with the name of `stage` for a value that is not finite.
pub(super) fn picture_of(
    values: &[f32],
    width: usize,
    height: usize,
    stage: &str,
) -> Result<RgbImage, PipelineError> {
    check_finite(values, stage)?;
    let plane = width * height;
    let byte = |value: f32| ((value / 2.0 + 0.5).clamp(0.0, 1.0) * 255.0).round_ties_even() as u8;
    Ok(RgbImage::from_fn(width as u32, height as u32, |x, y| {
        let place = y as usize * width + x as usize;
        pyrograph_vision::Rgb([0, 1, 2].map(|channel| byte(values[channel * plane + place])))
    }))
}

/// Refuses the output of a stage that holds NaN or an infinity.
pub(super) fn check_finite(values: &[f32], stage: &str) -> Result<(), PipelineError> {
    match values.iter().find(|value| !value.is_finite()) {
        Some(value) => Err(PipelineError::Stage {
            stage: stage.into(),
            value: *value,
        }),
        None => Ok(()),
    }
}

/// The image at another size; nothing where it has that size.
pub(super) fn resized(image: &RgbImage, width: usize, height: usize) -> Option<RgbImage> {
    let (from_width, from_height) = image.dimensions();
    let (width, height) = (width as u32, height as u32);
    if (from_width, from_height) == (width, height) {
        return None;
    }
    // In between, the image is as wide as the given one and as high as the wanted one, in floats. A line of
    // millions of pixels would take gigabytes there: where it is smaller turned, it is turned.
    let is_smaller_turned =
        u64::from(from_width) * u64::from(height) > u64::from(from_height) * u64::from(width);
    let lanczos = FilterType::Lanczos3;
    Some(if is_smaller_turned {
        let turned = imageops::resize(&imageops::rotate90(image), height, width, lanczos);
        imageops::rotate270(&turned)
    } else {
        imageops::resize(image, width, height, lanczos)
    })
}

/// The brightness of a pixel by ITU-R 601, in the fixed-point form that Pillow uses.
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let sum = 19_595 * u32::from(red) + 38_470 * u32::from(green) + 7_471 * u32::from(blue);
    ((sum + 0x8000) >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use pyrograph_vision::Rgb;

    #[test]
    fn a_picture_is_the_same_after_going_through_values() {
        let image = RgbImage::from_fn(5, 4, |x, y| Rgb([x as u8 * 51, y as u8 * 60, 255]));
        let values = picture_values(&image, 5, 4);
        assert_eq!(values[0], -1.0);
        assert_eq!(values[2 * 20], 1.0);
        assert_eq!(picture_of(&values, 5, 4, "the VAE").unwrap(), image);
    }

    #[test]
    fn a_line_of_many_pixels_is_resized_in_little_memory() {
        // With the rows first, 16 gigabytes in between.
        let line = RgbImage::from_fn(1 << 20, 1, |x, _| {
            Rgb([if x < 1 << 19 { 0 } else { 255 }; 3])
        });
        let small = resized(&line, 4, 1024).unwrap();
        assert_eq!(small.dimensions(), (4, 1024));
        assert_eq!(small.get_pixel(0, 700), &Rgb([0; 3]));
        assert_eq!(small.get_pixel(3, 0), &Rgb([255; 3]));
    }

    #[test]
    fn a_mask_is_two_valued_and_shrinks_by_the_nearest_pixel() {
        let mask = RgbImage::from_fn(4, 4, |x, _| match x {
            0 => Rgb([127; 3]),
            1 => Rgb([128; 3]),
            _ => Rgb([255; 3]),
        });
        let values = mask_values(&mask, 4, 4);
        assert_eq!(values[..4], [0.0, 1.0, 1.0, 1.0]);
        assert_eq!(shrink_mask(&values, 4, 2), [0.0, 1.0, 0.0, 1.0]);
    }

    #[test]
    fn a_value_that_is_not_finite_names_the_stage() {
        let error = picture_of(&[f32::NAN; 3], 1, 1, "the VAE's decoder").unwrap_err();
        assert!(error.to_string().contains("the VAE's decoder"), "{error}");
    }
}
