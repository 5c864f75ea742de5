//! Pasting and blending into a picture.

use image::{Rgb, RgbImage};

pub(crate) const WHITE: Rgb<u8> = Rgb([255, 255, 255]);
pub(crate) const BLACK: Rgb<u8> = Rgb([0, 0, 0]);

/// Copies `source` onto `target` with its upper left corner at (x, y); what hangs over is cut.
pub(crate) fn paste(target: &mut RgbImage, source: &RgbImage, x: u64, y: u64) {
    image::imageops::replace(target, source, saturating_i64(x), saturating_i64(y));
}

fn saturating_i64(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Lays `ink` over the pixel at (x, y) with the given coverage in [0, 1]; outside the picture
/// nothing happens.
pub(crate) fn blend(target: &mut RgbImage, x: i64, y: i64, ink: Rgb<u8>, coverage: f32) {
    let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else {
        return;
    };
    let Some(pixel) = target.get_pixel_mut_checked(x, y) else {
        return;
    };
    for (under, over) in pixel.0.iter_mut().zip(ink.0) {
        let mixed = f32::from(*under) + (f32::from(over) - f32::from(*under)) * coverage;
        // Between two bytes, so it fits one.
        *under = mixed.round() as u8;
    }
}

/// Black on light backgrounds, white on dark ones.
pub(crate) fn ink_on(background: Rgb<u8>) -> Rgb<u8> {
    // Rec. 601 luma, in thousandths.
    let [red, green, blue] = background.0.map(u32::from);
    if 299 * red + 587 * green + 114 * blue >= 128 * 1000 {
        BLACK
    } else {
        WHITE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blending_outside_the_picture_does_nothing() {
        let mut picture = RgbImage::from_pixel(2, 2, WHITE);
        for (x, y) in [(-1, 0), (0, -1), (2, 0), (0, 2), (i64::MAX, i64::MIN)] {
            blend(&mut picture, x, y, BLACK, 1.0);
        }
        assert!(picture.pixels().all(|pixel| *pixel == WHITE));
    }

    #[test]
    fn half_coverage_lands_half_way() {
        let mut picture = RgbImage::from_pixel(1, 1, Rgb([0, 100, 200]));
        blend(&mut picture, 0, 0, Rgb([100, 100, 100]), 0.5);
        assert_eq!(picture.get_pixel(0, 0).0, [50, 100, 150]);
    }
}
