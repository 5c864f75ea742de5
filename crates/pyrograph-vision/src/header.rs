//! The headers of image files: sizes, orientations, and truncated files.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek};
use std::path::Path;

use image::metadata::Orientation;
use image::{ImageDecoder, ImageReader};
use serde::{Deserialize, Serialize};

use crate::VisionError;
use crate::ends::missing_end;
use crate::jpeg::{Beginning, JpegHeader, beginning};

/// The handling of a photograph's EXIF orientation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exif {
    /// The photograph is rotated upright, as viewers and most labelling tools show it.
    #[default]
    Upright,
    /// The pixels are read as they are stored, as by OpenCV's `IMREAD_IGNORE_ORIENTATION` and by
    /// Pillow.
    Stored,
}

/// The header of an image file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageHeader {
    stored: (u32, u32),
    orientation: Orientation,
}

impl ImageHeader {
    /// Width and height in pixels of the image when it is read with `exif`.
    pub fn size(&self, exif: Exif) -> (u32, u32) {
        let (width, height) = self.stored;
        match self.orientation {
            Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
                if exif == Exif::Upright =>
            {
                (height, width)
            }
            _ => self.stored,
        }
    }

    /// The rotation or mirroring by the EXIF data, in words; `None` without one.
    pub fn turn(&self) -> Option<&'static str> {
        match self.orientation {
            Orientation::NoTransforms => None,
            Orientation::Rotate90 => Some("by 90°"),
            Orientation::Rotate180 => Some("by 180°"),
            Orientation::Rotate270 => Some("by 270°"),
            Orientation::FlipHorizontal => Some("left to right"),
            Orientation::FlipVertical => Some("upside down, mirrored"),
            Orientation::Rotate90FlipH => Some("by 90°, mirrored"),
            Orientation::Rotate270FlipH => Some("by 270°, mirrored"),
        }
    }

    pub(crate) fn orientation(&self, exif: Exif) -> Orientation {
        match exif {
            Exif::Upright => self.orientation,
            Exif::Stored => Orientation::NoTransforms,
        }
    }

    fn of(decoder: &mut impl ImageDecoder) -> Self {
        // Orientation is a courtesy: without readable EXIF data the image stays as it is.
        let orientation = decoder.orientation();
        Self {
            orientation: orientation.unwrap_or(Orientation::NoTransforms),
            stored: decoder.dimensions(),
        }
    }
}

/// Reads the header of an image file, without its pixels.
///
/// # Errors
/// [`VisionError::Read`] when the file cannot be read, [`VisionError::NoImage`] and
/// [`VisionError::Decode`] when it has no header of an image that [`read_image`](crate::read_image)
/// knows, [`VisionError::CutOff`] for a JPEG that ends within it.
pub fn image_header(path: impl AsRef<Path>) -> Result<ImageHeader, VisionError> {
    let path = path.as_ref();
    header(&mut open(path)?, path)
}

/// Width and height of the image that [`read_image`](crate::read_image) returns, read from the
/// header only, without a limit of size.
///
/// # Errors
/// Those of [`image_header`].
pub fn image_size(path: impl AsRef<Path>) -> Result<(u32, u32), VisionError> {
    Ok(image_header(path)?.size(Exif::Upright))
}

/// Like [`image_header`], and checks that the file is complete, by its end marker (JPEG, PNG) or
/// its stated length (WebP). Thousands of files take less than a second. Damage in the middle of a
/// file is found only when the pixels are read.
///
/// # Errors
/// Those of [`image_header`], [`VisionError::CutOff`] for a file that ends too early, and
/// [`VisionError::NoPixels`] for an image without any.
pub fn check_image_file(path: impl AsRef<Path>) -> Result<ImageHeader, VisionError> {
    let path = path.as_ref();
    let mut file = open(path)?;
    let header = header(&mut file, path)?;
    let (width, height) = header.stored;
    if width == 0 || height == 0 {
        let path = path.into();
        return Err(VisionError::NoPixels {
            path,
            width,
            height,
        });
    }
    match missing_end(&mut file).map_err(unreadable(path))? {
        None => Ok(header),
        Some(format) => Err(VisionError::CutOff {
            path: path.into(),
            format,
        }),
    }
}

/// Opens a file that is no folder.
pub(crate) fn open(path: &Path) -> Result<BufReader<File>, VisionError> {
    let file = File::open(path).map_err(unreadable(path))?;
    if file.metadata().map_err(unreadable(path))?.is_dir() {
        return Err(unreadable(path)(io::ErrorKind::IsADirectory.into()));
    }
    Ok(BufReader::new(file))
}

fn header(file: &mut BufReader<File>, path: &Path) -> Result<ImageHeader, VisionError> {
    // The decoder reads a JPEG as a whole before it says anything.
    match beginning(file).map_err(unreadable(path))? {
        Beginning::Scan(JpegHeader {
            size: Some(stored @ (1.., 1..)),
            orientation,
        }) => {
            return Ok(ImageHeader {
                stored,
                orientation,
            });
        }
        Beginning::Cut => {
            return Err(VisionError::CutOff {
                path: path.into(),
                format: "JPEG",
            });
        }
        Beginning::Scan(_) | Beginning::Other => {}
    }
    Ok(decoder(file, path)?.1)
}

/// The decoder of a file, with its header read.
pub(crate) fn decoder<'a>(
    mut file: impl BufRead + Seek + 'a,
    path: &Path,
) -> Result<(impl ImageDecoder + 'a, ImageHeader), VisionError> {
    file.rewind().map_err(unreadable(path))?;
    let seen = file.fill_buf().map_err(unreadable(path))?;
    if let Some(seen) = other_content(seen) {
        let path = path.into();
        return Err(VisionError::NoImage { path, seen });
    }
    let reader = ImageReader::new(file)
        .with_guessed_format()
        .map_err(unreadable(path))?;
    let mut decoder = reader.into_decoder().map_err(undecodable(path))?;
    let header = ImageHeader::of(&mut decoder);
    Ok((decoder, header))
}

/// A file that is handed in for an image now and then, by its first bytes.
fn other_content(bytes: &[u8]) -> Option<&'static str> {
    let begins = |with: &[u8]| bytes.starts_with(with);
    let brand = bytes.get(4..12).unwrap_or_default();
    let text = bytes.trim_ascii_start();
    let tag = |name: &str| {
        let start = text.get(..name.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
    };
    match brand {
        b"ftypheic" | b"ftypheix" | b"ftypmif1" | b"ftypmsf1" | b"ftyphevc" => {
            return Some("a HEIC photograph: save it as JPEG");
        }
        b"ftypavif" | b"ftypavis" => return Some("an AVIF image: save it as PNG or JPEG"),
        _ => {}
    }
    Some(match () {
        () if bytes.is_empty() => "an empty file",
        () if begins(b"version https://git-lfs") => {
            "a pointer of git-lfs instead of the file: run `git lfs pull`"
        }
        () if tag("<!doctype html") || tag("<html") => "a web page, as a failed download leaves it",
        () if tag("<svg") => "an SVG drawing: save it as PNG",
        () if begins(b"%PDF") => "a PDF document: save its pages as PNG",
        () if begins(b"8BPS") => "a Photoshop document: save it as PNG",
        () if begins(b"PK\x03\x04") => "a zip archive: unpack it",
        () => return None,
    })
}

pub(crate) fn unreadable(path: &Path) -> impl Fn(io::Error) -> VisionError {
    move |source| VisionError::Read {
        path: path.into(),
        source,
    }
}

pub(crate) fn undecodable(path: &Path) -> impl FnOnce(image::ImageError) -> VisionError {
    |source| VisionError::Decode {
        path: path.into(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use image::{ImageFormat, Rgb, RgbImage};

    use super::*;

    fn noise() -> RgbImage {
        RgbImage::from_fn(40, 30, |x, y| {
            Rgb([(x * 37) as u8, (y * 91) as u8, (x * y) as u8])
        })
    }

    #[test]
    fn a_file_that_was_cut_off_is_found_without_its_pixels() {
        let root = tempfile::tempdir().unwrap();
        for (name, format) in [
            ("a.jpg", ImageFormat::Jpeg),
            ("a.png", ImageFormat::Png),
            ("a.webp", ImageFormat::WebP),
        ] {
            let path = root.path().join(name);
            noise().save_with_format(&path, format).unwrap();
            let header = check_image_file(&path).unwrap();
            assert_eq!(header.size(Exif::Upright), (40, 30), "{name}");
            assert_eq!(header.turn(), None);
            let whole = std::fs::read(&path).unwrap();
            std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();
            let error = check_image_file(&path).unwrap_err();
            assert!(matches!(error, VisionError::CutOff { .. }), "{error:?}");
            assert!(error.to_string().contains(name), "{error}");
            // The size is that of the header, which is whole.
            assert_eq!(image_size(&path).unwrap(), (40, 30));
            if format == ImageFormat::Jpeg {
                std::fs::write(&path, &whole[..100]).unwrap();
                let error = check_image_file(&path).unwrap_err();
                assert!(matches!(error, VisionError::CutOff { .. }), "{error:?}");
            }
        }
        for (name, format) in [("a.bmp", ImageFormat::Bmp), ("a.tif", ImageFormat::Tiff)] {
            let path = root.path().join(name);
            noise().save_with_format(&path, format).unwrap();
            let header = check_image_file(&path).unwrap();
            assert_eq!(header.size(Exif::Stored), (40, 30), "{name}");
        }
    }

    #[test]
    fn bytes_after_the_end_of_a_png_do_not_matter() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a.png");
        noise().save(&path).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend([0; 5000]);
        std::fs::write(&path, bytes).unwrap();
        assert!(check_image_file(&path).is_ok());
    }

    #[test]
    fn files_that_are_no_images_are_called_by_their_kind() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a.jpg");
        for (bytes, said) in [
            (&b""[..], "an empty file"),
            (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC photograph"),
            (b"\n<!DOCTYPE html><html>404</html>", "a web page"),
            (
                b"version https://git-lfs.github.com/spec/v1\n",
                "git lfs pull",
            ),
            (b"%PDF-1.7", "a PDF document"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let text = check_image_file(&path).unwrap_err().to_string();
            assert!(text.contains("a.jpg") && text.contains(said), "{text}");
        }
    }
}
