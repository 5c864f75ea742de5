//! A blank picture of checked size.

use image::{Rgb, RgbImage};

use crate::VisionError;

/// The most pixels a picture made here may have: 16384 × 16384, 805 MB.
pub(crate) const MAX_PIXELS: u64 = 1 << 28;

pub(crate) const BLACK: Rgb<u8> = Rgb([0, 0, 0]);

/// A picture of one colour; refuses a size beyond 2²⁸ pixels before it allocates.
///
/// # Errors
/// [`VisionError::TooLarge`] beyond 2²⁸ pixels.
pub fn blank(width: u64, height: u64, colour: Rgb<u8>) -> Result<RgbImage, VisionError> {
    let too_large = || VisionError::TooLarge { width, height };
    let pixels = width.checked_mul(height).ok_or_else(too_large)?;
    if pixels > MAX_PIXELS {
        return Err(too_large());
    }
    // A picture of no pixels can still have one side beyond u32.
    let width = u32::try_from(width).map_err(|_| too_large())?;
    let height = u32::try_from(height).map_err(|_| too_large())?;
    Ok(RgbImage::from_pixel(width, height, colour))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_beyond_the_limit_is_refused_with_its_size() {
        let error = blank(1 << 20, 1 << 20, BLACK).unwrap_err();
        assert!(matches!(
            error,
            VisionError::TooLarge {
                width: 0x10_0000,
                height: 0x10_0000
            }
        ));
        assert!(blank(u64::MAX, 2, BLACK).is_err());
        assert!(blank(u64::MAX, 0, BLACK).is_err());
    }
}
