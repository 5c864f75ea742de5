//! Bilinear resizing for detectors.

use image::RgbImage;

use crate::{ColourNormalisation, VisionError, blank};

/// Resizes an image to `width` by `height` bilinearly, rounded to the nearest byte.
///
/// This equals `torch.nn.functional.interpolate(…, mode="bilinear", align_corners=False)` and
/// OpenCV's `INTER_LINEAR`: there is no anti-aliasing, as in the training of published detectors.
/// An image that shrinks a lot looks rough; [`resize_bicubic`](crate::resize_bicubic) looks better.
///
/// # Errors
/// [`VisionError::Zero`] when a side of the image or of the result is 0, [`VisionError::TooLarge`]
/// beyond 2²⁸ pixels.
pub fn resize_bilinear(image: &RgbImage, width: u32, height: u32) -> Result<RgbImage, VisionError> {
    check(image, width, height)?;
    let mut resized = blank::blank(width.into(), height.into(), blank::BLACK)?;
    let mut rows = resized.chunks_exact_mut(3 * width as usize);
    each_row(image, width as usize, height as usize, |values| {
        for (byte, value) in rows.next().into_iter().flatten().zip(values) {
            // A mean of bytes, so it fits one; the cast drops the fraction, which rounds what a half was added to.
            *byte = (value + 0.5) as u8;
        }
    });
    Ok(resized)
}

/// Fills `out` with the values of the image resized to `width` by `height`, channels first (CHW):
/// resized as by [`resize_bilinear`] but without rounding, then normalised.
///
/// # Errors
/// [`VisionError::Length`] unless `out` has 3 · height · width values, otherwise those of [`resize_bilinear`] and of
/// [`ColourNormalisation::check`].
pub fn resize_bilinear_chw(
    image: &RgbImage,
    width: u32,
    height: u32,
    normalisation: &ColourNormalisation,
    out: &mut [f32],
) -> Result<(), VisionError> {
    normalisation.check()?;
    fill_chw(
        image,
        width,
        height,
        out,
        &[0, 1, 2].map(|channel| normalisation.line(channel)),
    )
}

/// Fills `out` with the pixels of the image resized to `width` by `height`, channels first (CHW),
/// from 0 to 255: resized as by [`resize_bilinear`] but without rounding. After
/// [`ColourNormalisation::normalise_chw`] they equal the values of [`resize_bilinear_chw`] to the
/// bit.
///
/// # Errors
/// Those of [`resize_bilinear_chw`].
pub fn resize_bilinear_bytes_chw(
    image: &RgbImage,
    width: u32,
    height: u32,
    out: &mut [f32],
) -> Result<(), VisionError> {
    fill_chw(image, width, height, out, &[(1.0, 0.0); 3])
}

/// Fills `out` with bytes times a factor and plus a summand for each channel.
fn fill_chw(
    image: &RgbImage,
    width: u32,
    height: u32,
    out: &mut [f32],
    lines: &[(f32, f32); 3],
) -> Result<(), VisionError> {
    check(image, width, height)?;
    let (width, height) = (width as usize, height as usize);
    // At most 2^28 pixels, as checked.
    let plane = height * width;
    if out.len() != 3 * plane {
        return Err(VisionError::Length {
            seen: out.len(),
            expected: 3 * plane,
            channels: 3,
            height,
            width,
        });
    }
    let mut start = 0;
    each_row(image, width, height, |values| {
        for (channel, (factor, summand)) in lines.iter().enumerate() {
            let row = &mut out[channel * plane + start..][..width];
            for (value, pixel) in row.iter_mut().zip(values.chunks_exact(3)) {
                *value = pixel[channel] * factor + summand;
            }
        }
        start += width;
    });
    Ok(())
}

fn check(image: &RgbImage, width: u32, height: u32) -> Result<(), VisionError> {
    let (from_width, from_height) = image.dimensions();
    for (what, sides) in [
        ("a side of the resized image", [width, height]),
        ("a side of the image to resize", [from_width, from_height]),
    ] {
        if sides.contains(&0) {
            return Err(VisionError::Zero { what });
        }
    }
    let (width, height) = (u64::from(width), u64::from(height));
    if width * height > blank::MAX_PIXELS {
        return Err(VisionError::TooLarge { width, height });
    }
    Ok(())
}

/// Hands over the rows of the resized image, from above: bytes before rounding, pixel by pixel. No side is 0.
fn each_row(image: &RgbImage, width: usize, height: usize, mut hand_over: impl FnMut(&[f32])) {
    let (from_width, from_height) = (image.width() as usize, image.height() as usize);
    let bytes = image.as_raw();
    let row_of = |row: usize| &bytes[row * 3 * from_width..][..3 * from_width];
    let columns = taps(from_width, width);
    let mut blended = vec![0.0; 3 * from_width];
    let mut resized = vec![0.0; 3 * width];
    for row in taps(from_height, height) {
        // Whole rows first, which run through memory in order; then only floats are left to pick columns from.
        let pairs = row_of(row.first).iter().zip(row_of(row.second));
        for (value, (&above, &below)) in blended.iter_mut().zip(pairs) {
            *value = row.between(above.into(), below.into());
        }
        for (pixel, column) in resized.chunks_exact_mut(3).zip(&columns) {
            let left = &blended[3 * column.first..][..3];
            let right = &blended[3 * column.second..][..3];
            for channel in 0..3 {
                pixel[channel] = column.between(left[channel], right[channel]);
            }
        }
        hand_over(&resized);
    }
}

/// The two pixels of a line between which a pixel of the resized line lies.
struct Taps {
    first: usize,
    second: usize,
    /// The weight of the second; that of the first is what is left to 1.
    weight: f32,
}

impl Taps {
    fn between(&self, first: f32, second: f32) -> f32 {
        first + (second - first) * self.weight
    }
}

/// The taps of each of `to` pixels over a line of `from` pixels, both at least 1. Centres lie at
/// halves, so that the edges of both lines coincide; beyond the outermost centres there is only the
/// outermost pixel.
fn taps(from: usize, to: usize) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    let last = from - 1;
    let tap = |pixel: usize| {
        let at = ((pixel as f64 + 0.5) * scale - 0.5).clamp(0.0, last as f64);
        // Not negative, so the cast only drops the fraction.
        let first = at as usize;
        Taps {
            first,
            second: (first + 1).min(last),
            weight: (at - first as f64) as f32,
        }
    };
    (0..to).map(tap).collect()
}

#[cfg(test)]
mod tests;
