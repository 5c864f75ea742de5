//! Reading images of 16 bits a channel without loss, for sets that use only a part of the range.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageBuffer, ImageDecoder, ImageReader, Rgb, RgbImage};

use crate::{MAX_INPUT_PIXELS, VisionError};

/// An image of 16 bits a channel.
pub type DeepImage = ImageBuffer<Rgb<u16>, Vec<u16>>;

/// How a PNG file begins, up to the bit depth in its first chunk.
const PNG: &[u8; 8] = b"\x89PNG\r\n\x1a\n";
/// Where the bit depth of a PNG file stands.
const PNG_DEPTH: usize = 24;
/// How TIFF files begin in both byte orders.
const TIFF: [&[u8; 4]; 2] = [b"II*\0", b"MM\0*"];
/// The most bytes of an image as it is stored, per pixel that is allowed.
const BYTES_PER_PIXEL: u64 = 8;

/// Reads an image file that has 16 bits a channel, upright and on white as by [`read_image`](crate::read_image).
///
/// Returns `None` for any other file; [`read_image`](crate::read_image) reads it.
///
/// # Errors
/// [`VisionError::Read`] when the file cannot be read, [`VisionError::TooManyPixels`] beyond [`MAX_INPUT_PIXELS`] or
/// eight times as many bytes, and [`VisionError::Decode`] when it is damaged.
pub fn read_deep_image(path: impl AsRef<Path>) -> Result<Option<DeepImage>, VisionError> {
    let path = path.as_ref();
    let unreadable = |source| VisionError::Read {
        path: path.into(),
        source,
    };
    if !may_be_deep(path).map_err(unreadable)? {
        return Ok(None);
    }
    let undecodable = |source| VisionError::Decode {
        path: path.into(),
        source,
    };
    let file = BufReader::new(File::open(path).map_err(unreadable)?);
    let reader = ImageReader::new(file)
        .with_guessed_format()
        .map_err(unreadable)?;
    let mut decoder = reader.into_decoder().map_err(undecodable)?;
    let colour = decoder.color_type();
    if u16::from(colour.bytes_per_pixel()) != 2 * u16::from(colour.channel_count()) {
        return Ok(None);
    }
    let (width, height) = decoder.dimensions();
    let bytes = MAX_INPUT_PIXELS * BYTES_PER_PIXEL;
    if u64::from(width) * u64::from(height) > MAX_INPUT_PIXELS || decoder.total_bytes() > bytes {
        return Err(VisionError::TooManyPixels {
            path: path.into(),
            width,
            height,
            allowed: MAX_INPUT_PIXELS,
        });
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(undecodable)?;
    image.apply_orientation(orientation);
    Ok(Some(on_white(image)))
}

/// Converts to 8 bits a channel, rounded to the nearest: 0 stays 0, and `white` and above becomes
/// 255.
pub fn from_deep(image: &DeepImage, white: u16) -> RgbImage {
    let white = u32::from(white.max(1));
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let level = |value: u16| (u32::from(value).min(white) * 255 + white / 2) / white;
        // At most 255.
        Rgb(image.get_pixel(x, y).0.map(|value| level(value) as u8))
    })
}

/// Whether the beginning of a file is that of one that can have 16 bits a channel.
fn may_be_deep(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    let most = PNG_DEPTH as u64 + 1;
    File::open(path)?.take(most).read_to_end(&mut start)?;
    let is_deep_png = start.starts_with(PNG) && start.get(PNG_DEPTH) == Some(&16);
    Ok(is_deep_png || TIFF.iter().any(|magic| start.starts_with(*magic)))
}

fn on_white(image: DynamicImage) -> DeepImage {
    if !image.color().has_alpha() {
        return image.into_rgb16();
    }
    let image = image.into_rgba16();
    ImageBuffer::from_fn(image.width(), image.height(), |x, y| {
        let [red, green, blue, alpha] = image.get_pixel(x, y).0.map(u64::from);
        // A mean of two numbers of 16 bits, so it fits one; rounded to the nearest.
        let over = |c: u64| ((c * alpha + 65_535 * (65_535 - alpha) + 32_767) / 65_535) as u16;
        Rgb([red, green, blue].map(over))
    })
}

#[cfg(test)]
mod tests {
    use image::{Luma, Rgba};

    use super::*;

    #[test]
    fn sixteen_bits_are_kept_and_brought_to_the_white_level_asked_for() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("deep.png");
        let values = [0_u16, 2048, 4095, 5000];
        let grey = ImageBuffer::from_fn(4, 1, |x, _| Luma([values[x as usize]]));
        grey.save(&path).unwrap();
        let image = read_deep_image(&path).unwrap().unwrap();
        assert_eq!(image.get_pixel(1, 0).0, [2048; 3]);
        let levels = |white| -> Vec<u8> {
            let image = from_deep(&image, white);
            image.pixels().map(|pixel| pixel.0[0]).collect()
        };
        // 2048 * 255 / 4095 = 127.53
        assert_eq!(levels(4095), [0, 128, 255, 255]);
        assert_eq!(levels(65_535), [0, 8, 16, 19]);
        let whole = crate::read_image(&path).unwrap();
        assert_eq!(from_deep(&image, 65_535), whole);
    }

    #[test]
    fn transparent_parts_are_laid_on_white_in_all_bits() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("alpha.png");
        let pixels = [[9_u16, 9, 9, 0], [100, 200, 300, 65_535]];
        let image = ImageBuffer::from_fn(2, 1, |x, _| Rgba(pixels[x as usize]));
        image.save(&path).unwrap();
        let image = read_deep_image(&path).unwrap().unwrap();
        assert_eq!(image.as_raw(), &[65_535, 65_535, 65_535, 100, 200, 300]);
    }

    #[test]
    fn files_of_eight_bits_are_left_to_the_usual_way() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("plain.png");
        crate::write_png(&path, &RgbImage::new(2, 2)).unwrap();
        assert!(read_deep_image(&path).unwrap().is_none());
        std::fs::write(&path, "no image").unwrap();
        assert!(read_deep_image(&path).unwrap().is_none());
        assert!(read_deep_image(root.path().join("missing.png")).is_err());
    }
}
