//! The image while it is drawn.

use pyrograph_vision::{BoundingBox, RgbImage};

use pyrograph_base::rand::Rng;

use super::colour::Colour;
use super::draws::Draws;

/// The values of a byte.
const BYTES: f32 = 256.0;
/// The largest of them.
const WHITE: f32 = 255.0;
/// Pixels beside a box that a soft edge can touch.
const EDGE: f32 = 1.0;

/// A square of pixels whose values may lie between bytes.
#[derive(Clone, Debug)]
pub(super) struct Canvas {
    side: u32,
    pixels: Vec<Colour>,
}

impl Canvas {
    /// A black one.
    pub(super) fn new(side: u32) -> Self {
        let pixels = vec![[0.0; 3]; side as usize * side as usize];
        Self { side, pixels }
    }

    /// Sets every pixel to the colour at its middle.
    pub(super) fn fill(&mut self, mut colour: impl FnMut([f32; 2]) -> Colour) {
        for (y, row) in self.pixels.chunks_exact_mut(self.side as usize).enumerate() {
            for (x, pixel) in row.iter_mut().enumerate() {
                *pixel = colour([x as f32 + 0.5, y as f32 + 0.5]);
            }
        }
    }

    /// Lays colours over the pixels in and beside `bbox`: `paint` has for the middle of each the
    /// colour and how much of the pixel it covers, 0 to 1.
    pub(super) fn lay(&mut self, bbox: BoundingBox, paint: impl Fn([f32; 2]) -> (Colour, f32)) {
        let side = self.side as usize;
        // Casts cut off what is negative.
        let range =
            |from: f32, to: f32| (from - EDGE) as usize..((to + EDGE) as usize + 1).min(side);
        for y in range(bbox.y1, bbox.y2) {
            for x in range(bbox.x1, bbox.x2) {
                let (colour, share) = paint([x as f32 + 0.5, y as f32 + 0.5]);
                let pixel = &mut self.pixels[y * side + x];
                for (value, new) in pixel.iter_mut().zip(colour) {
                    *value += (new - *value) * share;
                }
            }
        }
    }

    /// Lets every value stray by up to `reach`.
    pub(super) fn add_noise(&mut self, reach: f32, noise: &mut Draws) {
        for pixel in &mut self.pixels {
            let [a, b, c, ..] = noise.next_u64().to_le_bytes();
            for (value, byte) in pixel.iter_mut().zip([a, b, c]) {
                *value += reach * ((2.0 * f32::from(byte) + 1.0) / BYTES - 1.0);
            }
        }
    }

    /// The image, rounded.
    pub(super) fn into_image(self) -> RgbImage {
        let values = self.pixels.as_flattened().iter();
        // A cast cuts off what is beyond a byte.
        let bytes = values.map(|value| (value.clamp(0.0, WHITE) + 0.5) as u8);
        // There are side · side pixels of three values.
        RgbImage::from_raw(self.side, self.side, bytes.collect()).expect("a square of pixels")
    }
}
