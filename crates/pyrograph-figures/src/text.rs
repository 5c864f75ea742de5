//! Text in any script.
//!
//! Latin, Greek and Cyrillic are drawn in Hack (MIT and Bitstream Vera licences), which is embedded,
//! so that such text looks the same on every machine. Other characters come from the fonts of the
//! system, which are searched when they are needed for the first time.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use cosmic_text::{
    Attrs, Buffer, Color, Family, FontSystem, LayoutGlyph, Metrics, Shaping, SwashCache, Wrap,
    fontdb::{Database, Source},
};
use image::{Rgb, RgbImage};

use crate::canvas;

/// The sizes of text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TextSize {
    /// Labels: lines of 16 pixels.
    #[default]
    Label,
    /// Titles: lines of 20 pixels.
    Title,
}

impl TextSize {
    fn line_height(self) -> u32 {
        match self {
            TextSize::Label => 16,
            TextSize::Title => 20,
        }
    }

    fn metrics(self) -> Metrics {
        // Whole pixels, so that equal letters look the same.
        let advance = match self {
            TextSize::Label => 7.0,
            TextSize::Title => 9.0,
        };
        Metrics::new(advance / ADVANCE, self.line_height() as f32)
    }
}

/// The width of a character of the embedded font, as a share of the font size.
const ADVANCE: f32 = 1233.0 / 2048.0;

/// The longest text that is drawn; the search for fonts takes the square of the number of
/// characters that the embedded font lacks.
const MOST_CHARACTERS: usize = 4096;

/// Width and height in pixels of one line of text, of which the first 4096 characters count. Latin,
/// Greek and Cyrillic are monospaced.
pub fn text_size(text: &str, size: TextSize) -> (u32, u32) {
    let width = with_line(text, size, |line, _| line_width(line));
    (width, size.line_height())
}

/// Writes one line of text with its upper left corner at (x, y). Parts outside the picture are cut
/// off, and so is what follows the first 4096 characters. A control character is drawn as a space,
/// and a character that no font contains as `?`.
pub fn draw_text(image: &mut RgbImage, x: i64, y: i64, text: &str, size: TextSize, ink: Rgb<u8>) {
    if x >= i64::from(image.width()) || y >= i64::from(image.height()) {
        return;
    }
    with_line(text, size, |line, typesetter| {
        let room = (line_width(line), size.line_height());
        typesetter.draw(line, ink, |(column, row), colour, coverage| {
            let inside = |at: i32, end: u32| u32::try_from(at).is_ok_and(|at| at < end);
            if inside(column, room.0) && inside(row, room.1) {
                let (x, y) = (
                    x.saturating_add(column.into()),
                    y.saturating_add(row.into()),
                );
                canvas::blend(image, x, y, colour, coverage);
            }
        });
    });
}

/// The embedded font alone.
static EMBEDDED: LazyLock<Mutex<Typesetter>> = LazyLock::new(|| Typesetter::new(embedded()));

/// The embedded font, and those of the system.
static SYSTEM: LazyLock<Mutex<Typesetter>> = LazyLock::new(|| {
    let mut fonts = embedded();
    fonts.load_system_fonts();
    Typesetter::new(fonts)
});

fn embedded() -> Database {
    let mut fonts = Database::new();
    fonts.load_font_source(Source::Binary(Arc::new(epaint_default_fonts::HACK_REGULAR)));
    fonts
}

/// Lays out `text`, with fonts of the system only if the embedded one lacks a character, and calls
/// `act` with the line.
fn with_line<R>(text: &str, size: TextSize, act: impl FnOnce(&Buffer, &mut Typesetter) -> R) -> R {
    let ends_line = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let drawn = text.chars().take(MOST_CHARACTERS);
    let text: String = drawn.map(|c| if ends_line(c) { ' ' } else { c }).collect();
    let mut typesetter = EMBEDDED.lock().unwrap_or_else(PoisonError::into_inner);
    let mut line = typesetter.lay_out(&text, size);
    if has_missing(&line) {
        typesetter = SYSTEM.lock().unwrap_or_else(PoisonError::into_inner);
        line = typesetter.lay_out(&text, size);
        if has_missing(&line) {
            line = typesetter.lay_out(&without_missing(&text, &line), size);
        }
    }
    act(&line, &mut typesetter)
}

/// Whether a font lacks a glyph: glyph 0 stands for it.
fn is_missing(glyph: &&LayoutGlyph) -> bool {
    glyph.glyph_id == 0
}

fn glyphs(line: &Buffer) -> impl Iterator<Item = &LayoutGlyph> {
    line.layout_runs().flat_map(|run| run.glyphs)
}

fn has_missing(line: &Buffer) -> bool {
    glyphs(line).any(|glyph| is_missing(&glyph))
}

/// `text` with `?` in place of each character of `line` without a glyph.
fn without_missing(text: &str, line: &Buffer) -> String {
    let mut missing = vec![false; text.len()];
    for glyph in glyphs(line).filter(is_missing) {
        missing[glyph.start..glyph.end].fill(true);
    }
    text.char_indices()
        .map(|(at, character)| if missing[at] { '?' } else { character })
        .collect()
}

/// The width of a line in pixels, rounded up; of whole pixels, a sum may be slightly more.
fn line_width(line: &Buffer) -> u32 {
    let widths = line.layout_runs().map(|run| run.line_w);
    // A conversion of a float to an integer saturates.
    (widths.fold(0.0, f32::max) - 0.05).ceil() as u32
}

/// Fonts, and the glyphs that were drawn with them.
struct Typesetter {
    fonts: FontSystem,
    glyphs: SwashCache,
}

impl Typesetter {
    fn new(fonts: Database) -> Mutex<Self> {
        Mutex::new(Self {
            fonts: FontSystem::new_with_locale_and_db("en-US".into(), fonts),
            glyphs: SwashCache::new(),
        })
    }

    fn lay_out(&mut self, text: &str, size: TextSize) -> Buffer {
        let mut line = Buffer::new(&mut self.fonts, size.metrics());
        line.set_wrap(Wrap::None);
        line.set_size(None, None);
        let hack = Attrs::new().family(Family::Name("Hack"));
        line.set_text(text, &hack, Shaping::Advanced, None);
        line.shape_until_scroll(&mut self.fonts, false);
        line
    }

    /// Calls `pixel` with the position from the upper left corner, the colour and the coverage, 0
    /// to 1, of each pixel.
    fn draw(
        &mut self,
        line: &Buffer,
        ink: Rgb<u8>,
        mut pixel: impl FnMut((i32, i32), Rgb<u8>, f32),
    ) {
        let [red, green, blue] = ink.0;
        let ink = Color::rgb(red, green, blue);
        for run in line.layout_runs() {
            for glyph in run.glyphs {
                let glyph = glyph.physical((0.0, run.line_y), 1.0);
                let draw = |x: i32, y: i32, colour: Color| {
                    let at = (glyph.x.saturating_add(x), glyph.y.saturating_add(y));
                    let own = Rgb([colour.r(), colour.g(), colour.b()]);
                    pixel(at, own, f32::from(colour.a()) / 255.0);
                };
                self.glyphs
                    .with_pixels(&mut self.fonts, glyph.cache_key, ink, draw);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canvas::{BLACK, WHITE};

    fn drawn(text: &str) -> RgbImage {
        let (width, height) = text_size(text, TextSize::Label);
        let mut image = RgbImage::from_pixel(width.max(1), height, WHITE);
        draw_text(&mut image, 0, 0, text, TextSize::Label, BLACK);
        image
    }

    #[test]
    fn text_stays_within_its_size_and_leaves_ink() {
        for size in [TextSize::Label, TextSize::Title] {
            for text in ["Ägyp|", "кошка", "Ωμέγα", "猫", "قط"] {
                let (width, height) = text_size(text, size);
                let mut image = RgbImage::from_pixel(width + 20, height + 20, WHITE);
                draw_text(&mut image, 10, 10, text, size, BLACK);
                let inked = |x, y| (10..10 + width).contains(&x) && (10..10 + height).contains(&y);
                assert!(image.pixels().any(|pixel| pixel.0[0] < 128), "{text}");
                for (x, y, pixel) in image.enumerate_pixels() {
                    assert!(inked(x, y) || *pixel == WHITE, "{text}: ink at {x}, {y}");
                }
            }
        }
    }

    #[test]
    fn the_embedded_font_has_latin_greek_and_cyrillic_of_one_width() {
        let mut typesetter = EMBEDDED.lock().unwrap();
        for text in ["Straße", "größer", "ąęłőřţ", "Ωμέγας", "кошка!", "Київ—≥"]
        {
            let line = typesetter.lay_out(text, TextSize::Label);
            assert!(!has_missing(&line), "{text}");
            assert_eq!(line_width(&line), 6 * 7, "{text}");
        }
        assert!(has_missing(&typesetter.lay_out("猫", TextSize::Label)));
    }

    #[test]
    fn characters_of_no_font_are_question_marks() {
        // No character has this number.
        assert_eq!(drawn("a\u{378}b"), drawn("a?b"));
        assert_ne!(drawn("a"), drawn("?"));
    }

    #[test]
    fn a_line_stays_a_line() {
        assert_eq!(drawn("a\nb\u{2029}c\td"), drawn("a b c d"));
        assert_eq!(text_size("", TextSize::Title), (0, 20));
    }

    #[test]
    fn a_text_beyond_the_longest_is_cut() {
        let width = |characters| text_size(&"a".repeat(characters), TextSize::Label).0;
        assert_eq!(width(MOST_CHARACTERS - 1), 7 * 4095);
        assert_eq!(width(MOST_CHARACTERS + 1), 7 * 4096);
    }

    #[test]
    fn text_beyond_every_edge_is_cut() {
        let mut image = RgbImage::from_pixel(8, 8, WHITE);
        let long = "long ".repeat(1000);
        draw_text(&mut image, -1000, -5, &long, TextSize::Label, BLACK);
        draw_text(&mut image, i64::MIN, i64::MIN, "x", TextSize::Label, BLACK);
        draw_text(&mut image, i64::MAX, i64::MAX, "x", TextSize::Label, BLACK);
    }
}
