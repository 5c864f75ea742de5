//! Conversion between values in [-1, 1], channels first, and images.

use image::RgbImage;

use crate::{VisionError, blank};

/// The channels of [`bytes_to_chw`]'s input.
const BYTE_CHANNELS: &str = "1 (grey), 3 (RGB) and 4 (RGBA, of which the alpha is dropped)";

/// An image from `values` in [-1, 1], channels first (CHW), by `(value · 0.5 + 0.5) · 255`, clamped
/// and rounded to the nearest byte.
///
/// One channel is grey and three are RGB. Two channels show the first one as grey; four or more
/// show the first three as RGB.
///
/// # Errors
/// [`VisionError::Length`] unless there are `channels · height · width` values,
/// [`VisionError::Channels`] when `channels` is 0, [`VisionError::NonFinite`] with the position of the
/// first infinite value or NaN in any channel, [`VisionError::TooLarge`] beyond 2²⁸ pixels.
pub fn from_chw(
    values: &[f32],
    channels: usize,
    height: usize,
    width: usize,
) -> Result<RgbImage, VisionError> {
    let plane = check_length(values.len(), channels, height, width)?;
    if let Some(index) = values.iter().position(|value| !value.is_finite()) {
        // A value exists, so neither the plane nor the width is 0.
        let (channel, row, column) = (index / plane, index % plane / width, index % width);
        return Err(VisionError::NonFinite {
            value: values[index],
            channel,
            row,
            column,
        });
    }
    let mut image = blank::blank(width as u64, height as u64, blank::BLACK)?;
    let sources = if channels < 3 { [0, 0, 0] } else { [0, 1, 2] };
    for (index, pixel) in image.pixels_mut().enumerate() {
        pixel.0 = sources.map(|channel| to_byte(values[channel * plane + index]));
    }
    Ok(image)
}

/// The images of a batch (NCHW), each as by [`from_chw`].
///
/// # Errors
/// As [`from_chw`]; [`VisionError::Length`] if the last image is not complete.
pub fn batch_from_chw(
    values: &[f32],
    channels: usize,
    height: usize,
    width: usize,
) -> Result<Vec<RgbImage>, VisionError> {
    let length = channels.saturating_mul(height).saturating_mul(width);
    if length == 0 {
        // Nothing to divide by: one empty image, or the error that says which number is 0.
        return from_chw(values, channels, height, width).map(|image| vec![image]);
    }
    values
        .chunks(length)
        .map(|image| from_chw(image, channels, height, width))
        .collect()
}

/// The values of an RGB image in [-1, 1], channels first: `(byte / 255 - 0.5) / 0.5`, as the
/// course's `Normalize((0.5,), (0.5,))` after `ToTensor`.
pub fn to_chw(image: &RgbImage) -> Vec<f32> {
    interleaved_to_planes(image.as_raw(), 3, 3)
}

/// The values in [-1, 1] of row-major interleaved bytes (HWC), channels first. An alpha channel is
/// dropped; composite the image before.
///
/// # Errors
/// [`VisionError::Channels`] unless there are 1, 3 or 4 channels, [`VisionError::Length`] unless
/// there are `height · width · channels` bytes.
pub fn bytes_to_chw(
    bytes: &[u8],
    channels: usize,
    height: usize,
    width: usize,
) -> Result<Vec<f32>, VisionError> {
    let kept = match channels {
        1 => 1,
        3 | 4 => 3,
        seen => {
            return Err(VisionError::Channels {
                seen,
                allowed: BYTE_CHANNELS,
            });
        }
    };
    check_length(bytes.len(), channels, height, width)?;
    Ok(interleaved_to_planes(bytes, channels, kept))
}

/// The first `kept` of `channels` interleaved channels, one plane after the other.
fn interleaved_to_planes(bytes: &[u8], channels: usize, kept: usize) -> Vec<f32> {
    let plane = |channel| bytes.iter().skip(channel).step_by(channels);
    (0..kept)
        .flat_map(plane)
        .map(|&byte| from_byte(byte))
        .collect()
}

/// The number of pixels, or the error that says what does not fit.
fn check_length(
    seen: usize,
    channels: usize,
    height: usize,
    width: usize,
) -> Result<usize, VisionError> {
    if channels == 0 {
        return Err(VisionError::Channels {
            seen: 0,
            allowed: "1 and more",
        });
    }
    let plane = height.checked_mul(width);
    match plane.and_then(|plane| plane.checked_mul(channels)) {
        Some(expected) if expected == seen => Ok(expected / channels),
        other => {
            let expected = other.unwrap_or(usize::MAX);
            Err(VisionError::Length {
                seen,
                expected,
                channels,
                height,
                width,
            })
        }
    }
}

fn to_byte(value: f32) -> u8 {
    // Clamped to the range of a byte, so the cast only drops a fraction of zero.
    ((value * 0.5 + 0.5) * 255.0).round().clamp(0.0, 255.0) as u8
}

fn from_byte(byte: u8) -> f32 {
    (f32::from(byte) / 255.0 - 0.5) / 0.5
}

#[cfg(test)]
mod tests {
    use image::Rgb;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ends_and_the_middle_of_the_range_map_to_black_white_and_grey() {
        let image = from_chw(&[-1.0, 0.0, 1.0], 1, 1, 3).unwrap();
        let pixels: Vec<_> = image.pixels().map(|pixel| pixel.0).collect();
        assert_eq!(pixels, [[0; 3], [128; 3], [255; 3]]);
    }

    #[test]
    fn values_beyond_the_range_are_clamped() {
        let image = from_chw(&[-7.5, 1e30], 1, 1, 2).unwrap();
        assert_eq!(image.as_raw(), &[0, 0, 0, 255, 255, 255]);
    }

    #[test]
    fn three_planes_are_red_green_and_blue() {
        let image = from_chw(&[1.0, -1.0, -1.0, 1.0, -1.0, -1.0], 3, 1, 2).unwrap();
        assert_eq!(image.get_pixel(0, 0), &Rgb([255, 0, 0]));
        assert_eq!(image.get_pixel(1, 0), &Rgb([0, 255, 0]));
    }

    #[test]
    fn other_channel_counts_show_the_first_channels() {
        assert_eq!(
            from_chw(&[1.0, -1.0], 2, 1, 1).unwrap().as_raw(),
            &[255, 255, 255]
        );
        assert_eq!(
            from_chw(&[1.0, -1.0, 1.0, -1.0], 4, 1, 1).unwrap().as_raw(),
            &[255, 0, 255]
        );
    }

    #[test]
    fn a_value_that_is_not_finite_is_reported_with_its_position() {
        let mut values = [0.0; 12];
        values[9] = f32::NAN;
        let error = from_chw(&values, 2, 2, 3).unwrap_err();
        assert!(
            matches!(
                error,
                VisionError::NonFinite {
                    channel: 1,
                    row: 1,
                    column: 0,
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn values_that_do_not_fill_the_shape_are_refused() {
        let error = from_chw(&[0.0; 5], 1, 2, 3).unwrap_err();
        assert!(
            matches!(
                error,
                VisionError::Length {
                    seen: 5,
                    expected: 6,
                    ..
                }
            ),
            "{error}"
        );
        assert!(from_chw(&[0.0; 5], 3, usize::MAX, usize::MAX).is_err());
        assert!(matches!(
            from_chw(&[], 0, 2, 3),
            Err(VisionError::Channels { seen: 0, .. })
        ));
        assert!(matches!(
            from_chw(&[], 1, 0, usize::MAX),
            Err(VisionError::TooLarge { .. })
        ));
    }

    #[test]
    fn a_batch_is_cut_into_its_images() {
        let images = batch_from_chw(&[-1.0, 1.0, 1.0, -1.0], 1, 1, 2).unwrap();
        assert_eq!(images.len(), 2);
        assert_eq!(images[1].as_raw(), &[255, 255, 255, 0, 0, 0]);
        assert!(batch_from_chw(&[0.0; 3], 1, 1, 2).is_err());
        assert!(batch_from_chw(&[0.0; 3], 0, 1, 2).is_err());
        assert!(batch_from_chw(&[], 1, 1, 2).unwrap().is_empty());
    }

    #[test]
    fn bytes_become_planes_and_alpha_is_dropped() {
        let values = bytes_to_chw(&[255, 0, 255, 7, 0, 255, 0, 9], 4, 1, 2).unwrap();
        assert_eq!(values, [1.0, -1.0, -1.0, 1.0, 1.0, -1.0]);
        assert!(matches!(
            bytes_to_chw(&[1, 2], 2, 1, 1),
            Err(VisionError::Channels { seen: 2, .. })
        ));
    }

    proptest! {
        #[test]
        fn an_image_survives_the_round_trip(bytes in proptest::collection::vec(any::<u8>(), 12)) {
            let image = RgbImage::from_raw(2, 2, bytes).unwrap();
            prop_assert_eq!(from_chw(&to_chw(&image), 3, 2, 2).unwrap(), image);
        }
    }
}
