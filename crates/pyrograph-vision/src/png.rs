//! Writing of PNG files.

use std::path::Path;

use image::RgbImage;

use crate::{VisionError, write_png_with_text};

/// Writes `image` as PNG, for any extension of `path`, atomically as by
/// [`atomic_write`](pyrograph_base::atomic_write).
///
/// # Errors
/// [`VisionError::Encode`] for an image without pixels, [`VisionError::Write`] as `atomic_write`.
pub fn write_png(path: impl AsRef<Path>, image: &RgbImage) -> Result<(), VisionError> {
    write_png_with_text(path, image, &[])
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn a_png_reads_back_as_it_was() {
        let root = tempfile::tempdir().unwrap();
        let image = RgbImage::from_fn(5, 3, |x, y| Rgb([x as u8 * 50, y as u8 * 80, 17]));
        let path = root.path().join("x.png");
        write_png(&path, &image).unwrap();
        assert_eq!(crate::read_image(&path).unwrap(), image);
        assert!(matches!(
            write_png(&path, &RgbImage::new(0, 0)),
            Err(VisionError::Encode { .. })
        ));
    }
}
