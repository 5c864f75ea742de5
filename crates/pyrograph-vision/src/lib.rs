//! Images without a model: reading, writing, resizing and converting them, and boxes of detectors.
//!
//! The one image type is [`RgbImage`] of the [`image`] crate, which is re-exported. Everything here
//! is plain host code: no tensors, no devices. `pyrograph-figures` draws grids, charts and boxes.
//!
//! | to | use |
//! | --- | --- |
//! | turn values in [-1, 1] into an image and back | [`from_chw`], [`batch_from_chw`], [`to_chw`], [`bytes_to_chw`] |
//! | normalise bytes for a model | [`Normalisation`], [`ColourNormalisation`] |
//! | show pixel art large | [`enlarge`], [`pick_factor`] |
//! | bring images to one size | [`resize`], [`resize_bicubic`], [`resize_plane_bicubic`], [`resize_bilinear`], [`resize_bilinear_chw`] |
//! | compare boxes and encode them for a detector | [`BoundingBox`], [`PriorConfig`], [`BoxCoder`] |
//! | decode the outputs of a detector | [`postprocess`], [`DetectOptions`], [`nms`], [`nms_per_class`] |
//! | begin a picture of your own | [`blank()`] |
//! | read and write files | [`read_image`], [`read_image_within`], [`read_image_turned`], [`decode_image_within`], [`image_size`], [`read_deep_image`], [`from_deep`], [`image_header`], [`check_image_file`], [`write_png`], [`write_png_with_text`], [`read_png_text`] |
//!
//! All files are written atomically, by [`pyrograph_base::atomic_write`]: under a temporary name in
//! the target folder, and renamed when complete.
//!
//! # Example
//!
//! ```
//! # mod pyrograph { pub use pyrograph_vision as vision; }
//! use pyrograph::vision::{batch_from_chw, enlarge, write_png};
//!
//! # fn main() -> Result<(), pyrograph::vision::VisionError> {
//! // Four grey 2×2 images, as a sampler hands them out: one after the other, values in [-1, 1].
//! let values = [
//!     -1.0, -0.9, -0.8, -0.7, //
//!     -0.4, -0.3, -0.2, -0.1, //
//!     0.1, 0.2, 0.3, 0.4, //
//!     0.7, 0.8, 0.9, 1.0,
//! ];
//! let images = batch_from_chw(&values, 1, 2, 2)?;
//! let large = enlarge(&images[0], 8)?;
//! assert_eq!(large.dimensions(), (16, 16));
//!
//! # let folder = tempfile::tempdir().expect("a temporary folder");
//! # let path = folder.path().join("samples/first.png");
//! write_png(&path, &large)?;
//! # Ok(())
//! # }
//! ```

mod bicubic;
mod bilinear;
mod blank;
mod boxes;
mod colour;
mod convert;
mod deep;
mod ends;
mod error;
mod header;
mod jpeg;
mod normalise;
mod png;
mod png_text;
mod read;
mod scale;
#[cfg(test)]
mod splitmix;

pub use image;
pub use image::{Rgb, RgbImage};

pub use bicubic::{resize_bicubic, resize_plane_bicubic};
pub use bilinear::{resize_bilinear, resize_bilinear_bytes_chw, resize_bilinear_chw};
pub use blank::blank;
pub use boxes::{
    BoundingBox, BoxCoder, CenterBox, DetectOptions, Detection, PriorClip, PriorConfig, PriorMap,
    nms, nms_per_class, postprocess,
};
pub use colour::ColourNormalisation;
pub use convert::{batch_from_chw, bytes_to_chw, from_chw, to_chw};
pub use deep::{DeepImage, from_deep, read_deep_image};
pub use error::VisionError;
pub use header::{Exif, ImageHeader, check_image_file, image_header, image_size};
pub use normalise::Normalisation;
pub use png::write_png;
pub use png_text::{read_png_text, write_png_with_text};
pub use read::{
    MAX_INPUT_PIXELS, decode_image_within, read_image, read_image_turned, read_image_within,
};
pub use scale::{enlarge, pick_factor, resize};
