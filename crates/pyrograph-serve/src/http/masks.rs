//! OpenAI's masks: transparent pixels are painted anew. pyrograph's masks are white there.

use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Luma};

use crate::{Refusal, RefusalKind, http::errors::bad_request};

/// The mask of an edit as a PNG: from the mask's transparency, or from that of the image where there
/// is no mask. Nothing where neither is transparent: all of the image is drawn anew.
///
/// # Errors
/// When an image does not read or is too large, a mask has no transparency, or the two differ in size.
pub(super) fn mask_of(
    image: &[u8],
    mask: Option<&[u8]>,
    most_pixels: u64,
) -> Result<Option<Vec<u8>>, Refusal> {
    let image = decode("image", image, most_pixels)?;
    let Some(mask) = mask else {
        return match transparency(&image) {
            Some(mask) if mask.pixels().any(|pixel| pixel.0[0] > 0) => png(&mask).map(Some),
            _ => Ok(None),
        };
    };
    let mask = decode("mask", mask, most_pixels)?;
    let (seen, allowed) = (mask_size(&mask), mask_size(&image));
    if seen != allowed {
        return Err(Refusal::invalid(
            "mask",
            seen,
            &format!("{allowed}, as the image is"),
        ));
    }
    match transparency(&mask) {
        Some(mask) => png(&mask).map(Some),
        None => Err(bad_request(
            "`mask` has no transparency: its transparent pixels are those that are painted anew",
        )
        .of_field("mask")),
    }
}

fn mask_size(image: &DynamicImage) -> String {
    format!("{}x{}", image.width(), image.height())
}

/// White where an image is transparent; nothing for one without an alpha channel.
fn transparency(image: &DynamicImage) -> Option<GrayImage> {
    image.color().has_alpha().then(|| {
        let image = image.to_rgba8();
        GrayImage::from_fn(image.width(), image.height(), |x, y| {
            Luma([255 - image.get_pixel(x, y).0[3]])
        })
    })
}

/// Decodes an image whose header allows it.
fn decode(field: &str, bytes: &[u8], most_pixels: u64) -> Result<DynamicImage, Refusal> {
    let unreadable = |error: &dyn std::fmt::Display| {
        bad_request(format!("`{field}` is no image that can be read: {error}")).of_field(field)
    };
    let reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| unreadable(&error))?;
    let mut decoder = reader.into_decoder().map_err(|error| unreadable(&error))?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(unreadable(&"it has no pixels"));
    }
    // Four channels of two bytes at most.
    if pixels > most_pixels || decoder.total_bytes() > most_pixels.saturating_mul(8) {
        let message =
            format!("`{field}` has {width}x{height} pixels, but must have at most {most_pixels}");
        return Err(Refusal::new(RefusalKind::TooLarge, message).of_field(field));
    }
    let orientation = decoder.orientation().map_err(|error| unreadable(&error))?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(|error| unreadable(&error))?;
    image.apply_orientation(orientation);
    Ok(image)
}

fn png(mask: &GrayImage) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Cursor::new(Vec::new());
    mask.write_to(&mut bytes, ImageFormat::Png)
        .map_err(|error| bad_request(format!("`mask`: {error}")).of_field("mask"))?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use image::{RgbImage, Rgba, RgbaImage};

    use super::*;

    fn file(image: &DynamicImage) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    /// Transparent in its left half.
    fn masked(width: u32) -> Vec<u8> {
        let image = RgbaImage::from_fn(width, 2, |x, _| {
            Rgba([9, 9, 9, if x < width / 2 { 0 } else { 255 }])
        });
        file(&image.into())
    }

    fn plain(width: u32) -> Vec<u8> {
        file(&RgbImage::new(width, 2).into())
    }

    #[test]
    fn transparent_pixels_are_white_in_our_mask() {
        for (image, mask) in [(plain(4), Some(masked(4))), (masked(4), None)] {
            let mask = mask_of(&image, mask.as_deref(), 100).unwrap().unwrap();
            let mask = image::load_from_memory(&mask).unwrap().to_luma8();
            assert_eq!(mask.as_raw(), &[255, 255, 0, 0, 255, 255, 0, 0]);
        }
        assert_eq!(mask_of(&plain(4), None, 100), Ok(None));
    }

    #[test]
    fn masks_that_do_not_fit_are_refused() {
        let status =
            |image: &[u8], mask: &[u8]| mask_of(image, Some(mask), 100).unwrap_err().kind.status();
        assert_eq!(status(&plain(4), &masked(6)), 422);
        assert_eq!(status(&plain(4), &plain(4)), 400);
        assert_eq!(status(&plain(4), b"text"), 400);
        assert_eq!(status(&plain(60), &masked(60)), 413);
    }
}
