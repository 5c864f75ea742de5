//! Writing of PNG files.

use std::io::Cursor;
use std::path::Path;

use image::{ImageFormat, RgbImage};
use pyrograph_base::atomic_write;

use crate::VisionError;

/// Writes `image` as PNG, for any extension of `path`, atomically as by [`atomic_write`].
///
/// # Errors
/// [`VisionError::Encode`] for an image without pixels, [`VisionError::Write`] as [`atomic_write`].
pub fn write_png(path: impl AsRef<Path>, image: &RgbImage) -> Result<(), VisionError> {
    let path = path.as_ref();
    let mut bytes = Cursor::new(Vec::new());
    image
        .write_to(&mut bytes, ImageFormat::Png)
        .map_err(|source| VisionError::Encode {
            path: path.into(),
            source,
        })?;
    Ok(atomic_write(path, bytes.get_ref())?)
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
