//! Images as files, off the async threads.

use std::time::{Duration, Instant};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use image::{
    ExtendedColorType, ImageEncoder, ImageResult,
    codecs::{jpeg::JpegEncoder, png::PngEncoder, webp::WebPEncoder},
};
use pyrograph_vision::RgbImage;

use crate::Refusal;

use super::{errors::internal, observe::RequestId};

/// The format of an encoded image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ImageFormat {
    #[default]
    Png,
    /// With a quality from 1 to 100.
    Jpeg(u8),
    /// Without loss.
    Webp,
}

impl ImageFormat {
    /// The quality of a JPEG that names none.
    pub(super) const QUALITY: u8 = 95;

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg(_) => "jpeg",
            Self::Webp => "webp",
        }
    }

    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg(_) => "image/jpeg",
            Self::Webp => "image/webp",
        }
    }

    fn encode(self, image: &RgbImage) -> ImageResult<Vec<u8>> {
        let mut bytes = Vec::new();
        let (width, height) = image.dimensions();
        let (pixels, colour) = (image.as_raw(), ExtendedColorType::Rgb8);
        match self {
            Self::Png => {
                PngEncoder::new(&mut bytes).write_image(pixels, width, height, colour)?;
            }
            Self::Jpeg(quality) => {
                JpegEncoder::new_with_quality(&mut bytes, quality)
                    .write_image(pixels, width, height, colour)?;
            }
            Self::Webp => {
                WebPEncoder::new_lossless(&mut bytes).write_image(pixels, width, height, colour)?;
            }
        }
        Ok(bytes)
    }
}

/// Encodes images: their files, and the time taken.
///
/// # Errors
/// When an encoder fails, which is the server's fault.
pub(super) async fn encode_images(
    id: &RequestId,
    images: Vec<RgbImage>,
    format: ImageFormat,
) -> Result<(Vec<Bytes>, Duration), Refusal> {
    let begun = Instant::now();
    let encoding = move || {
        let files = images.iter().map(|image| format.encode(image));
        files.collect::<ImageResult<Vec<_>>>()
    };
    let files = tokio::task::spawn_blocking(encoding)
        .await
        .map_err(|error| internal(&id.0, &error))?
        .map_err(|error| internal(&id.0, &error))?;
    let time = begun.elapsed();
    Ok((files.into_iter().map(Bytes::from).collect(), time))
}

/// The text of a file in JSON.
pub(super) fn base64(file: &[u8]) -> String {
    BASE64_STANDARD.encode(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_reads_back_at_its_size() {
        let image = RgbImage::from_fn(5, 3, |x, y| [x as u8 * 40, y as u8 * 60, 9].into());
        for format in [ImageFormat::Png, ImageFormat::Jpeg(90), ImageFormat::Webp] {
            let file = format.encode(&image).unwrap();
            let back = image::load_from_memory(&file).unwrap().to_rgb8();
            assert_eq!(back.dimensions(), (5, 3), "{format:?}");
            assert!(back == image || matches!(format, ImageFormat::Jpeg(_)));
        }
    }
}
