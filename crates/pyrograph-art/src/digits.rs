//! Handwritten digits, drawn by strokes.
//!
//! Each image takes one way of writing its digit, displaces the points, bends, slants and stretches
//! the whole, and draws the strokes with a pen of its own width, scaled to 20 pixels and set about
//! the middle of its weight as in MNIST. Nothing but sums, products and square roots is used, so
//! that the bytes are the same on every machine.

use crate::dice::Dice;
use crate::digit_shapes::{Point, shapes};

/// Width and height of an image in pixels, as in MNIST.
pub(crate) const DIGIT_SIDE: usize = 28;

/// The side of the square that a digit of full size fills, as in MNIST.
const FULL: f32 = 20.0;
/// Pixels that stay black on every side.
const MARGIN: f32 = 1.5;
/// Straight pieces that a curve between two points is drawn with.
const PIECES: u8 = 8;
/// Tells the streams of digits from those of sprites, whose classes are numbered too.
const STREAM: u64 = 1 << 32;

/// A straight piece of a stroke, with the pen's radius at both ends.
#[derive(Clone, Copy, Debug)]
struct Piece {
    from: [f32; 2],
    to: [f32; 2],
    radii: [f32; 2],
}

/// Draws one digit: row-major grey, 28 · 28 bytes, white on black. `class` is below 10.
pub(crate) fn stroke_digit(class: u8, seed: u64, index: u64) -> [u8; DIGIT_SIDE * DIGIT_SIDE] {
    let mut dice = Dice::new(STREAM + u64::from(class), seed, index);
    let hand = Hand::of(&mut dice);
    let shape = dice.pick(shapes(class));
    let mut pieces = Vec::new();
    for stroke in shape {
        let points: Vec<Point> = stroke
            .iter()
            .map(|&point| hand.place(point, &mut dice))
            .collect();
        add_curve(&points, &hand, &mut pieces);
    }
    fit(&mut pieces, &hand, &mut dice);
    ink(&pieces, &hand)
}

/// What all points of one image have in common.
struct Hand {
    /// How far points stray.
    unrest: f32,
    /// Columns that a row moves by for each row above the middle.
    slant: f32,
    /// Rows that a column moves by for each column right of the middle.
    tilt: f32,
    /// Width for each height.
    aspect: f32,
    /// Bends of the whole: of columns by rows, of columns by both, of rows by columns.
    bends: [f32; 3],
    /// Half the width of the pen in pixels.
    radius: f32,
    /// How much wider a stroke is at its end than at its start, as a share of the radius.
    pressure: f32,
    /// Pixels over which an edge fades.
    edge: f32,
    /// Brightness of the middle of a stroke.
    white: f32,
}

impl Hand {
    fn of(dice: &mut Dice) -> Self {
        // Two throws summed come out near the middle more often than at the ends.
        let mut around = |middle: f32, reach: f32| {
            let throw = (dice.offset() + dice.offset()) / 2.0;
            middle + reach * throw
        };
        Self {
            unrest: around(0.05, 0.03),
            slant: around(0.14, 0.5),
            tilt: around(-0.04, 0.2),
            aspect: around(0.82, 0.34),
            bends: [around(0.0, 0.5), around(0.0, 0.6), around(0.0, 0.35)],
            radius: around(1.3, 0.75),
            pressure: around(0.0, 0.3),
            edge: around(1.4, 0.3),
            white: around(250.0, 12.0).min(255.0),
        }
    }

    /// Where this hand sets a point.
    fn place(&self, point: Point, dice: &mut Dice) -> Point {
        let x = point.x - 0.5 + self.unrest * dice.offset();
        let y = point.y - 0.5 + self.unrest * dice.offset();
        let [across, both, down] = self.bends;
        let bent = [
            x + across * (y * y - 0.125) + both * x * y,
            y + down * (x * x - 0.125),
        ];
        let x = bent[0] * self.aspect - self.slant * bent[1];
        let y = bent[1] + self.tilt * x;
        Point { x, y, ..point }
    }
}

/// Adds the stroke through `points` in straight pieces: a cubic between each two, with the tangents of Catmull and Rom
/// where the stroke is smooth.
fn add_curve(points: &[Point], hand: &Hand, pieces: &mut Vec<Piece>) {
    let at = |i: usize| [points[i].x, points[i].y];
    let spans = points.len() - 1; // A stroke has at least two points.
    // Towards `other` at an end or corner, and along both neighbours otherwise.
    let tangent = |i: usize, from: usize| {
        let straight = i == 0 || i == spans || points[i].is_corner;
        let (before, after, share) = if straight {
            (from, from + 1, 1.0)
        } else {
            (i - 1, i + 1, 0.5)
        };
        [0, 1].map(|axis| share * (at(after)[axis] - at(before)[axis]))
    };
    let radius = |share: f32| hand.radius * (1.0 + hand.pressure * (share - 0.5));
    let mut last = (at(0), radius(0.0));
    for span in 0..spans {
        let (start, end) = (at(span), at(span + 1));
        let (leaving, arriving) = (tangent(span, span), tangent(span + 1, span));
        for piece in 1..=PIECES {
            let t = f32::from(piece) / f32::from(PIECES);
            let (t2, t3) = (t * t, t * t * t);
            // Hermite's basis.
            let place = [0, 1].map(|axis| {
                (2.0 * t3 - 3.0 * t2 + 1.0) * start[axis]
                    + (t3 - 2.0 * t2 + t) * leaving[axis]
                    + (3.0 * t2 - 2.0 * t3) * end[axis]
                    + (t3 - t2) * arriving[axis]
            });
            let next = (place, radius((span as f32 + t) / spans as f32));
            pieces.push(Piece {
                from: last.0,
                to: next.0,
                radii: [last.1, next.1],
            });
            last = next;
        }
    }
}

/// Brings the pieces to pixels: about 20 of them along the longer side, weight in the middle, nothing in the margin.
fn fit(pieces: &mut [Piece], hand: &Hand, dice: &mut Dice) {
    let ends = |axis: usize| pieces.iter().flat_map(move |p| [p.from[axis], p.to[axis]]);
    let least = [0, 1].map(|axis| ends(axis).fold(f32::INFINITY, f32::min));
    let most = [0, 1].map(|axis| ends(axis).fold(f32::NEG_INFINITY, f32::max));
    let longer = (most[0] - least[0]).max(most[1] - least[1]);
    let pen = 2.0 * hand.radius;
    let size = (FULL - pen) / longer * (0.94 + 0.06 * dice.offset());

    let mut weight = 0.0;
    let mut sum = [0.0; 2];
    for piece in pieces.iter() {
        let [dx, dy] = [0, 1].map(|axis| piece.to[axis] - piece.from[axis]);
        let length = (dx * dx + dy * dy).sqrt();
        weight += length;
        for axis in [0, 1] {
            sum[axis] += length * (piece.from[axis] + piece.to[axis]) / 2.0;
        }
    }
    let side = DIGIT_SIDE as f32;
    let inset = MARGIN + hand.radius * 1.2;
    let shift = [0, 1].map(|axis| {
        let centred = side / 2.0 - size * sum[axis] / weight + 0.8 * dice.offset();
        // The digit is narrower than what the margins leave, so the two bounds do not cross.
        centred
            .min(side - inset - size * most[axis])
            .max(inset - size * least[axis])
    });
    for piece in pieces {
        for end in [&mut piece.from, &mut piece.to] {
            *end = [0, 1].map(|axis| size * end[axis] + shift[axis]);
        }
    }
}

/// The image: each pixel as bright as the nearest stroke makes it.
fn ink(pieces: &[Piece], hand: &Hand) -> [u8; DIGIT_SIDE * DIGIT_SIDE] {
    let mut covered = [0.0_f32; DIGIT_SIDE * DIGIT_SIDE];
    for piece in pieces {
        let reach = piece.radii[0].max(piece.radii[1]) + hand.edge / 2.0;
        // Pixels that the piece can touch; casts cut off what is negative.
        let range = |axis: usize| {
            let (a, b) = (piece.from[axis], piece.to[axis]);
            let first = (a.min(b) - reach) as usize;
            first..((a.max(b) + reach) as usize + 1).min(DIGIT_SIDE)
        };
        for y in range(1) {
            for x in range(0) {
                let coverage = piece.coverage(x as f32 + 0.5, y as f32 + 0.5, hand.edge);
                let pixel = &mut covered[y * DIGIT_SIDE + x];
                *pixel = pixel.max(coverage);
            }
        }
    }
    // From 0 to 1, so that products with white are bytes.
    covered.map(|share| (share * hand.white + 0.5) as u8)
}

impl Piece {
    /// How much of the pixel with the middle (x, y) is covered, from 0 to 1.
    fn coverage(&self, x: f32, y: f32, edge: f32) -> f32 {
        let [dx, dy] = [0, 1].map(|axis| self.to[axis] - self.from[axis]);
        let [px, py] = [x - self.from[0], y - self.from[1]];
        let length = dx * dx + dy * dy;
        let along = if length > 0.0 {
            ((px * dx + py * dy) / length).clamp(0.0, 1.0)
        } else {
            0.0
        };
        let [ex, ey] = [px - along * dx, py - along * dy];
        let radius = self.radii[0] + along * (self.radii[1] - self.radii[0]);
        let inside = (0.5 + (radius - (ex * ex + ey * ey).sqrt()) / edge).clamp(0.0, 1.0);
        // Soft at both ends.
        inside * inside * (3.0 - 2.0 * inside)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_digit_fills_about_twenty_pixels_and_keeps_the_margin_black() {
        for class in 0..10 {
            for index in 0..200 {
                let image = stroke_digit(class, 5, index);
                let lit = |i: usize| image[i] > 0;
                let places = || (0..image.len()).filter(|&i| lit(i));
                let across = places().map(|i| i % DIGIT_SIDE);
                let down = places().map(|i| i / DIGIT_SIDE);
                let spread = |values: Vec<usize>| (values[0], values[values.len() - 1]);
                let mut across: Vec<usize> = across.collect();
                across.sort_unstable();
                let (left, right) = spread(across);
                let (top, bottom) = spread(down.collect());
                assert!(
                    left >= 1 && top >= 1 && right <= 26 && bottom <= 26,
                    "{class} {index}"
                );
                let longer = (right - left).max(bottom - top) + 1;
                assert!((15..=23).contains(&longer), "{class} {index}: {longer}");
            }
        }
    }

    #[test]
    fn images_are_as_bright_as_those_of_mnist() {
        // Its mean is 33 of 255, and its strokes are almost white.
        let images: Vec<_> = (0..1000)
            .map(|i| stroke_digit((i % 10) as u8, 1, i))
            .collect();
        let sum: usize = images
            .as_flattened()
            .iter()
            .map(|&byte| usize::from(byte))
            .sum();
        let mean = sum / images.as_flattened().len();
        assert!((25..=42).contains(&mean), "{mean}");
        assert!(images.iter().all(|image| image.iter().max() >= Some(&200)));
    }

    #[test]
    fn no_two_images_are_equal() {
        let mut seen = HashSet::new();
        for index in 0..3000 {
            let class = (index % 10) as u8;
            assert!(seen.insert(stroke_digit(class, 0, index)), "{index}");
            assert!(seen.insert(stroke_digit(class, 1, index)), "{index}");
        }
    }

    #[test]
    fn digits_are_the_same_in_every_release_and_on_every_machine() {
        // Recipes that name a seed rely on it.
        let images: Vec<_> = (0..100)
            .map(|i| stroke_digit((i % 10) as u8, 7, i))
            .collect();
        assert_eq!(crc32fast::hash(images.as_flattened()), 2_114_319_519);
    }

    #[test]
    fn classes_are_told_apart_by_their_mean_images() {
        // Not by a margin that a classifier would need, but enough to see that labels mean something.
        let mean = |class: u8| {
            let mut sums = vec![0.0_f32; DIGIT_SIDE * DIGIT_SIDE];
            for index in 0..200 {
                for (sum, byte) in sums.iter_mut().zip(stroke_digit(class, 2, index)) {
                    *sum += f32::from(byte) / 200.0;
                }
            }
            sums
        };
        let means: Vec<_> = (0..10).map(mean).collect();
        let nearest = |image: &[u8]| {
            let distance = |mean: &Vec<f32>| -> f32 {
                mean.iter()
                    .zip(image)
                    .map(|(&m, &b)| (m - f32::from(b)).powi(2))
                    .sum()
            };
            (0..10_u8)
                .min_by(|&a, &b| {
                    distance(&means[usize::from(a)]).total_cmp(&distance(&means[usize::from(b)]))
                })
                .unwrap()
        };
        let right =
            (0..500).filter(|&i| nearest(&stroke_digit((i % 10) as u8, 3, i)) == (i % 10) as u8);
        let right = right.count();
        assert!((300..500).contains(&right), "{right}");
    }
}
