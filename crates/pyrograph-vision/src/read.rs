//! Image files as RGB.

use std::io::BufReader;
use std::path::Path;
use std::{fs::File, io};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, Rgb, RgbImage};

use crate::VisionError;

/// Reads a PNG, JPEG, GIF (first frame), BMP or WebP file, told apart by its contents rather than
/// its name. Transparent parts are laid on white, grey becomes RGB, 16-bit channels become 8-bit,
/// and a photograph is turned upright as its EXIF data say.
///
/// # Errors
/// [`VisionError::Read`] when the file cannot be read, [`VisionError::Decode`] when it holds no
/// image of these formats, a damaged one, or one beyond the memory limits of the [`image`] crate.
pub fn read_image(path: impl AsRef<Path>) -> Result<RgbImage, VisionError> {
    let path = path.as_ref();
    let unreadable = |source| VisionError::Read {
        path: path.into(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(unreadable(io::ErrorKind::IsADirectory.into()));
    }
    let reader = ImageReader::new(BufReader::new(file))
        .with_guessed_format()
        .map_err(unreadable)?;
    decode(reader)
        .map(on_white)
        .map_err(|source| VisionError::Decode {
            path: path.into(),
            source,
        })
}

fn decode(reader: ImageReader<BufReader<File>>) -> image::ImageResult<DynamicImage> {
    let mut decoder = reader.into_decoder()?;
    // Orientation is a courtesy: without readable EXIF data the image stays as it is.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(image)
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
    use image::{GrayImage, Luma, Rgba, RgbaImage};

    use super::*;

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
                matches!(error, VisionError::Decode { .. }),
                "{length}: {error}"
            );
        }
    }

    #[test]
    fn a_header_that_claims_a_giant_image_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("giant.bmp");
        let mut bmp = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
        bmp.extend(0x00FF_FFFF_u32.to_le_bytes());
        bmp.extend(0x00FF_FFFF_u32.to_le_bytes());
        bmp.extend(b"\x01\0\x18\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        std::fs::write(&path, bmp).unwrap();
        assert!(matches!(read_image(&path), Err(VisionError::Decode { .. })));
    }
}
