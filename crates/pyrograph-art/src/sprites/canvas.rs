//! The 16×16 canvas: stamping of ASCII art, and the automatic outline.

use super::SPRITE_SIDE;
use super::palette::{BACKGROUND, INK, Ramp, Rgb, SNOW};

/// Art that draws nothing: the choice of leaving a part out.
pub(super) const NOTHING: &str = "";

/// The number of materials one piece of art can name.
const SLOTS: usize = 5;

/// The materials of a piece of art. Its characters name them by slot and tone: `A a 1` are
/// light, base and shade of the first slot, `B b 2` of the second, up to `E e 5`. `#` is ink,
/// `w` the white of a highlight, `x` cuts a hole and `.` leaves the canvas as it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inks([Ramp; SLOTS]);

impl Inks {
    /// Fills the slots in order; slots not given repeat the first.
    pub(super) fn new<const N: usize>(ramps: [Ramp; N]) -> Self {
        let mut slots = [ramps[0]; SLOTS];
        slots[..N].copy_from_slice(&ramps);
        Self(slots)
    }

    /// The colour a character stands for; `None` where it cuts a hole.
    fn colour(&self, symbol: char) -> Option<Rgb> {
        let [a, b, c, d, e] = &self.0;
        Some(match symbol {
            'A' => a.light,
            'a' => a.base,
            '1' => a.shade,
            'B' => b.light,
            'b' => b.base,
            '2' => b.shade,
            'C' => c.light,
            'c' => c.base,
            '3' => c.shade,
            'D' => d.light,
            'd' => d.base,
            '4' => d.shade,
            'E' => e.light,
            'e' => e.base,
            '5' => e.shade,
            '#' => INK,
            'w' => SNOW,
            'x' => return None,
            other => unreachable!("no such symbol in sprite art: {other:?}"),
        })
    }
}

/// A sprite being drawn. Empty pixels are background.
#[derive(Clone, Debug)]
pub(super) struct Canvas([[Option<Rgb>; SPRITE_SIDE]; SPRITE_SIDE]);

impl Canvas {
    pub(super) fn new() -> Self {
        Self([[None; SPRITE_SIDE]; SPRITE_SIDE])
    }

    /// Lays `art` with its first row at `top`. Art starts with a line break, one row a line.
    pub(super) fn stamp(&mut self, top: usize, art: &str, inks: &Inks) {
        self.stamp_at(0, top, art, inks);
    }

    /// Lays `art` with its upper left corner at column `left`, row `top`.
    pub(super) fn stamp_at(&mut self, left: usize, top: usize, art: &str, inks: &Inks) {
        for (x, y, symbol) in symbols(left, top, art) {
            self.0[y][x] = inks.colour(symbol);
        }
    }

    /// Lays `art` with a rim of ink around it, so that it stands out from what lies beneath.
    pub(super) fn raise(&mut self, left: usize, top: usize, art: &str, inks: &Inks) {
        for (x, y, _) in symbols(left, top, art) {
            for (x, y) in neighbours(x, y) {
                self.0[y][x] = Some(INK);
            }
        }
        self.stamp_at(left, top, art, inks);
    }

    /// Inks every empty pixel that touches the drawing along an edge.
    pub(super) fn outline(&mut self) {
        let drawn = self.clone();
        for (y, row) in self.0.iter_mut().enumerate() {
            for (x, cell) in row.iter_mut().enumerate() {
                let touches =
                    neighbours(x, y).any(|(x, y)| drawn.0[y][x].is_some_and(|c| c != INK));
                if cell.is_none() && touches {
                    *cell = Some(INK);
                }
            }
        }
    }

    /// Row-major RGB bytes.
    pub(super) fn into_bytes(self) -> [u8; SPRITE_SIDE * SPRITE_SIDE * 3] {
        let mut bytes = [0; SPRITE_SIDE * SPRITE_SIDE * 3];
        let cells = self.0.as_flattened();
        for (pixel, cell) in bytes.chunks_exact_mut(3).zip(cells) {
            pixel.copy_from_slice(&cell.unwrap_or(BACKGROUND));
        }
        bytes
    }
}

/// Every drawn character of `art` with its place on the canvas.
fn symbols(left: usize, top: usize, art: &str) -> impl Iterator<Item = (usize, usize, char)> {
    art.lines()
        .skip(1)
        .enumerate()
        .flat_map(move |(row, line)| {
            let drawn = line
                .chars()
                .enumerate()
                .filter(|&(_, symbol)| symbol != '.');
            drawn.map(move |(column, symbol)| (left + column, top + row, symbol))
        })
}

/// The up to four pixels that share an edge with (x, y).
fn neighbours(x: usize, y: usize) -> impl Iterator<Item = (usize, usize)> {
    [
        (x.wrapping_sub(1), y),
        (x + 1, y),
        (x, y.wrapping_sub(1)),
        (x, y + 1),
    ]
    .into_iter()
    .filter(|&(x, y)| x < SPRITE_SIDE && y < SPRITE_SIDE)
}
