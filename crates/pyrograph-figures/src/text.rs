//! Text from a built-in font.
//!
//! The glyphs are Noto Sans Mono (SIL Open Font License), rasterised by the `noto-sans-mono-bitmap`
//! crate (MIT), so that pictures look the same everywhere and no system font is needed.

use image::{Rgb, RgbImage};
use noto_sans_mono_bitmap::{
    FontWeight, RasterHeight, RasterizedChar, get_raster, get_raster_width,
};

use crate::canvas;

/// The sizes of the built-in font.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TextSize {
    /// Labels: lines of 16 pixels.
    #[default]
    Label,
    /// Titles: lines of 20 pixels.
    Title,
}

impl TextSize {
    fn raster(self) -> RasterHeight {
        match self {
            TextSize::Label => RasterHeight::Size16,
            TextSize::Title => RasterHeight::Size20,
        }
    }
}

/// Width and height in pixels of one line of text. The font is monospaced.
pub fn text_size(text: &str, size: TextSize) -> (u32, u32) {
    let raster = size.raster();
    // Glyphs are at most 32 pixels on a side, and a line that is too long saturates.
    let glyph = get_raster_width(FontWeight::Regular, raster) as u32;
    let characters = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    (characters.saturating_mul(glyph), raster.val() as u32)
}

/// Writes one line of text with its upper left corner at (x, y). Parts outside the picture are cut
/// off; characters beyond Latin-1 are shown as `?`.
pub fn draw_text(image: &mut RgbImage, x: i64, y: i64, text: &str, size: TextSize, ink: Rgb<u8>) {
    if y >= i64::from(image.height()) {
        return;
    }
    let mut left = x;
    for character in text.chars() {
        if left >= i64::from(image.width()) {
            return;
        }
        let Some(glyph) = glyph(character, size) else {
            continue;
        };
        for (row, line) in (y..).zip(glyph.rows()) {
            for (column, &coverage) in (left..).zip(line) {
                canvas::blend(image, column, row, ink, f32::from(coverage) / 255.0);
            }
        }
        left += glyph.width() as i64;
    }
}

fn glyph(character: char, size: TextSize) -> Option<RasterizedChar> {
    let find = |character| get_raster(character, FontWeight::Regular, size.raster());
    find(character).or_else(|| find('?'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canvas::{BLACK, WHITE};

    #[test]
    fn text_stays_within_its_size_and_leaves_ink() {
        for size in [TextSize::Label, TextSize::Title] {
            let (width, height) = text_size("Ägyp|", size);
            let mut image = RgbImage::from_pixel(width + 20, height + 20, WHITE);
            draw_text(&mut image, 10, 10, "Ägyp|", size, BLACK);
            let inked = |x, y| (10..10 + width).contains(&x) && (10..10 + height).contains(&y);
            assert!(image.pixels().any(|pixel| pixel.0[0] < 64));
            for (x, y, pixel) in image.enumerate_pixels() {
                assert!(inked(x, y) || *pixel == WHITE, "ink at {x}, {y}");
            }
        }
    }

    #[test]
    fn unknown_characters_are_question_marks() {
        let draw = |text: &str| {
            let mut image = RgbImage::from_pixel(20, 20, WHITE);
            draw_text(&mut image, 0, 0, text, TextSize::Label, BLACK);
            image
        };
        assert_eq!(draw("界"), draw("?"));
        assert_ne!(draw("a"), draw("?"));
    }

    #[test]
    fn text_beyond_every_edge_is_cut() {
        let mut image = RgbImage::from_pixel(8, 8, WHITE);
        draw_text(
            &mut image,
            -1000,
            -5,
            &"long ".repeat(1000),
            TextSize::Label,
            BLACK,
        );
        draw_text(&mut image, i64::MIN, i64::MIN, "x", TextSize::Label, BLACK);
        draw_text(&mut image, i64::MAX, i64::MAX, "x", TextSize::Label, BLACK);
    }
}
