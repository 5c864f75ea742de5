//! Reading image files as RGB.

use std::io::{BufRead, Cursor, Seek};
use std::path::Path;

use image::{DynamicImage, ImageDecoder, Rgb, RgbImage};

use crate::VisionError;
use crate::header::{Exif, decoder, open, undecodable, unreadable};
use crate::jpeg::is_whole_jpeg;

/// The most pixels of an image that [`read_image`] decodes: most cameras' photographs, and no more than 300 MB in RGB.
pub const MAX_INPUT_PIXELS: u64 = 100_000_000;
/// The most bytes of an image as it is stored, per pixel that is allowed: four channels of a byte, or two of 16 bits.
const BYTES_PER_PIXEL: u64 = 4;

/// Reads a PNG, JPEG, GIF (first frame), BMP, WebP or TIFF (first page) file. The format is
/// recognised by the contents, not by the name. Transparent parts are composited on white, grey
/// becomes RGB, 16-bit channels become 8-bit, and a photograph is rotated upright by its EXIF data.
///
/// # Errors
/// [`VisionError::Read`] when the file cannot be read, [`VisionError::TooManyPixels`] beyond
/// [`MAX_INPUT_PIXELS`], [`VisionError::TooManyBytes`] beyond four times as many bytes,
/// [`VisionError::NoPixels`] for an image without pixels, [`VisionError::CutOff`] for a truncated
/// JPEG, [`VisionError::NoImage`] and [`VisionError::Decode`] when it is not an image of these
/// formats, or is damaged.
pub fn read_image(path: impl AsRef<Path>) -> Result<RgbImage, VisionError> {
    read_image_within(path, MAX_INPUT_PIXELS)
}

/// [`read_image`] with another limit: an image of more than `max_pixels` is refused by its header, before anything is
/// decoded.
///
/// # Errors
/// Those of [`read_image`].
pub fn read_image_within(path: impl AsRef<Path>, max_pixels: u64) -> Result<RgbImage, VisionError> {
    read_image_turned(path, max_pixels, Exif::Upright)
}

/// [`read_image_within`] with a choice of the EXIF handling.
///
/// # Errors
/// Those of [`read_image`].
pub fn read_image_turned(
    path: impl AsRef<Path>,
    max_pixels: u64,
    exif: Exif,
) -> Result<RgbImage, VisionError> {
    let path = path.as_ref();
    decoded(open(path)?, path, (max_pixels, exif))
}

/// [`read_image_within`] for an encoded image in memory; `name` is used as its path in errors.
///
/// # Errors
/// Those of [`read_image`].
pub fn decode_image_within(
    bytes: &[u8],
    name: impl AsRef<Path>,
    max_pixels: u64,
) -> Result<RgbImage, VisionError> {
    decoded(
        Cursor::new(bytes),
        name.as_ref(),
        (max_pixels, Exif::Upright),
    )
}

/// The image of an encoded file.
fn decoded(
    mut file: impl BufRead + Seek,
    path: &Path,
    (max_pixels, exif): (u64, Exif),
) -> Result<RgbImage, VisionError> {
    // Before the decoder, which has other words for a file that ends within its header.
    let is_whole = is_whole_jpeg(&mut file).map_err(unreadable(path))?;
    if !is_whole {
        return Err(VisionError::CutOff {
            path: path.into(),
            format: "JPEG",
        });
    }
    let (decoder, header) = decoder(file, path)?;
    let (width, height) = header.size(exif);
    if u64::from(width) * u64::from(height) > max_pixels {
        return Err(VisionError::TooManyPixels {
            path: path.into(),
            width,
            height,
            allowed: max_pixels,
        });
    }
    let (seen, allowed) = (
        decoder.total_bytes(),
        max_pixels.saturating_mul(BYTES_PER_PIXEL),
    );
    if seen > allowed {
        return Err(VisionError::TooManyBytes {
            path: path.into(),
            seen,
            allowed,
        });
    }
    let mut image = DynamicImage::from_decoder(decoder).map_err(undecodable(path))?;
    if image.width() == 0 || image.height() == 0 {
        return Err(VisionError::NoPixels {
            path: path.into(),
            width,
            height,
        });
    }
    image.apply_orientation(header.orientation(exif));
    Ok(on_white(image))
}

/// The image composited on white.
fn on_white(image: DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.into_rgb8();
    }
    let image = image.into_rgba8();
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let [red, green, blue, alpha] = image.get_pixel(x, y).0.map(u32::from);
        // A mean of two bytes, so it fits one; rounded to the nearest.
        Rgb([red, green, blue].map(|c| ((c * alpha + 255 * (255 - alpha) + 127) / 255) as u8))
    })
}

#[cfg(test)]
mod tests {
    use image::codecs::jpeg::JpegEncoder;
    use image::{GrayImage, Luma, Rgba, RgbaImage};

    use super::*;
    use crate::image_size;

    #[test]
    fn transparency_is_laid_on_white() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("alpha.png");
        let pixels = [[9, 9, 9, 0], [0, 100, 200, 255], [0, 0, 0, 51]];
        RgbaImage::from_fn(3, 1, |x, _| Rgba(pixels[x as usize]))
            .save(&path)
            .unwrap();
        let image = read_image(&path).unwrap();
        assert_eq!(image.as_raw(), &[255, 255, 255, 0, 100, 200, 204, 204, 204]);
    }

    #[test]
    fn grey_becomes_rgb_whatever_the_extension() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("grey.jpg");
        let grey = GrayImage::from_pixel(2, 1, Luma([77]));
        grey.save_with_format(&path, image::ImageFormat::Png)
            .unwrap();
        assert_eq!(read_image(&path).unwrap().as_raw(), &[77; 6]);
    }

    #[test]
    fn files_that_are_missing_or_no_images_are_named() {
        let root = tempfile::tempdir().unwrap();
        let missing = read_image(root.path().join("missing.png")).unwrap_err();
        assert!(
            matches!(missing, VisionError::Read { .. }) && missing.to_string().contains("missing")
        );
        assert!(matches!(
            read_image(root.path()),
            Err(VisionError::Read { .. })
        ));

        let path = root.path().join("cut.png");
        crate::write_png(&path, &RgbImage::new(40, 40)).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for length in [0, 5, 20, whole.len() / 2] {
            std::fs::write(&path, &whole[..length]).unwrap();
            let error = read_image(&path).unwrap_err();
            assert!(
                matches!(
                    error,
                    VisionError::Decode { .. } | VisionError::NoImage { .. }
                ),
                "{length}: {error}"
            );
        }
    }

    /// A BMP of 24 bits whose header claims this size, with hardly a pixel in it.
    fn claiming_bmp(width: u32, height: u32) -> Vec<u8> {
        let mut bmp = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
        bmp.extend(width.to_le_bytes());
        bmp.extend(height.to_le_bytes());
        bmp.extend(b"\x01\0\x18\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        bmp
    }

    /// The same as a PNG of 20000 by 20000, with the checksums right.
    const CLAIMING_PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x4e\x20\0\0\x4e\x20\x08\x02\0\0\0\x6c\x12\xd1\x6e\0\0\0\x0bIDAT\x78\x9c\x63\x60\x80\x01\0\0\x0a\0\x01\x7f\x80\x74\x5e\0\0\0\0IEND\xae\x42\x60\x82";

    #[test]
    fn a_header_that_claims_a_giant_image_is_refused_by_its_size() {
        let root = tempfile::tempdir().unwrap();
        for (name, bytes) in [
            ("giant.bmp", claiming_bmp(20_000, 20_000)),
            ("giant.png", CLAIMING_PNG.to_vec()),
        ] {
            let path = root.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(image_size(&path).unwrap(), (20_000, 20_000));
            let error = read_image(&path).unwrap_err();
            assert!(
                matches!(error, VisionError::TooManyPixels { .. }),
                "{error:?}"
            );
            let text = error.to_string();
            assert!(
                text.contains(name)
                    && text.contains("20000 by 20000")
                    && text.contains("100000000"),
                "{text}"
            );
        }
        // Beyond what the format's decoder takes at all.
        let path = root.path().join("endless.bmp");
        std::fs::write(&path, claiming_bmp(0x00FF_FFFF, 0x00FF_FFFF)).unwrap();
        assert!(read_image(&path).is_err());
    }

    #[test]
    fn an_image_in_memory_is_read_as_from_its_file_and_refused_by_its_name() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("small.jpg");
        RgbImage::from_fn(7, 5, |x, y| Rgb([x as u8 * 30, y as u8 * 40, 9]))
            .save(&path)
            .unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let read = |bytes: &[u8]| decode_image_within(bytes, "mask", 35);
        assert_eq!(read(&bytes).unwrap(), read_image(&path).unwrap());
        for (bytes, word) in [
            (CLAIMING_PNG, "20000 by 20000"),
            (&bytes[..bytes.len() - 5], "cut off"),
            (b"no image", "not an image"),
        ] {
            let text = read(bytes).unwrap_err().to_string();
            assert!(text.contains("mask") && text.contains(word), "{text}");
        }
    }

    #[test]
    fn a_jpeg_that_was_cut_off_is_refused_by_name() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("cut.jpg");
        RgbImage::from_pixel(64, 64, Rgb([9, 200, 30]))
            .save(&path)
            .unwrap();
        assert!(read_image(&path).is_ok());
        let whole = std::fs::read(&path).unwrap();
        // Within the pixels, and within the header.
        for length in [whole.len() - 20, 100] {
            std::fs::write(&path, &whole[..length]).unwrap();
            let error = read_image(&path).unwrap_err();
            assert!(matches!(error, VisionError::CutOff { .. }), "{error:?}");
            assert!(error.to_string().contains("cut.jpg"));
        }
    }

    #[test]
    fn few_pixels_of_many_bytes_and_no_pixels_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("deep.png");
        image::ImageBuffer::from_pixel(4, 4, image::Rgba([0_u16; 4]))
            .save(&path)
            .unwrap();
        assert!(read_image_within(&path, 32).is_ok());
        let error = read_image_within(&path, 31).unwrap_err();
        assert!(
            matches!(
                error,
                VisionError::TooManyBytes {
                    seen: 128,
                    allowed: 124,
                    ..
                }
            ),
            "{error:?}"
        );

        // A screen of 0 by 0, and on it a frame of one pixel.
        let path = root.path().join("empty.gif");
        let gif =
            b"GIF89a\0\0\0\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
        std::fs::write(&path, gif).unwrap();
        let error = read_image(&path).unwrap_err();
        assert!(matches!(error, VisionError::NoPixels { .. }), "{error:?}");
        assert!(error.to_string().contains("empty.gif"));
    }

    #[test]
    fn a_limit_of_ones_own_is_in_pixels() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("small.png");
        crate::write_png(&path, &RgbImage::new(7, 5)).unwrap();
        assert_eq!(image_size(&path).unwrap(), (7, 5));
        assert_eq!(read_image_within(&path, 35).unwrap().dimensions(), (7, 5));
        assert!(matches!(
            read_image_within(&path, 34),
            Err(VisionError::TooManyPixels {
                width: 7,
                height: 5,
                allowed: 34,
                ..
            })
        ));
        // 12,000 by 8,000 is a photograph, 20,000 by 20,000 none.
        assert!((12_000 * 8_000..20_000 * 20_000).contains(&MAX_INPUT_PIXELS));
    }

    #[test]
    fn a_photograph_that_lies_on_its_side_has_the_size_that_it_is_read_in() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("turned.jpg");
        let mut jpeg = Vec::new();
        JpegEncoder::new(&mut jpeg)
            .encode_image(&RgbImage::new(8, 3))
            .unwrap();
        // An EXIF block that holds one entry, the orientation (0x0112), after the marker that opens the file.
        for (orientation, size) in [
            (1, (8, 3)),
            (3, (8, 3)),
            (5, (3, 8)),
            (6, (3, 8)),
            (8, (3, 8)),
        ] {
            let mut exif =
                b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
            exif.push(orientation);
            exif.extend([0; 6]);
            let turned = [&jpeg[..2], &exif, &jpeg[2..]].concat();
            std::fs::write(&path, turned).unwrap();
            assert_eq!(image_size(&path).unwrap(), size, "{orientation}");
            assert_eq!(
                read_image(&path).unwrap().dimensions(),
                size,
                "{orientation}"
            );
            let header = crate::image_header(&path).unwrap();
            assert_eq!(header.turn().is_some(), orientation != 1);
            assert_eq!(header.size(Exif::Stored), (8, 3));
            let stored = read_image_turned(&path, 24, Exif::Stored).unwrap();
            assert_eq!(stored.dimensions(), (8, 3));
        }
    }

    #[test]
    fn the_size_of_what_is_no_image_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("text.png");
        std::fs::write(&path, "no image").unwrap();
        assert!(matches!(image_size(&path), Err(VisionError::Decode { .. })));
        assert!(matches!(
            image_size(root.path()),
            Err(VisionError::Read { .. })
        ));
    }
}
