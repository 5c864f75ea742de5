//! What lies behind everything.

use super::canvas::Canvas;
use super::colour::{self, Colour};
use super::draws::Draws;
use super::outline::{Point, direction};

/// The shortest and the longest repeat of stripes, as a share of the image's side.
const REPEATS: [f32; 2] = [0.04, 0.4];
/// How steep the edge between two stripes is: 1 is a wave, more is sharper.
const SHARPNESS: [f32; 2] = [1.0, 8.0];
/// Points of a cloud's grid on each side, at least and at most.
const CLOUD: [usize; 2] = [3, 10];
/// How far a rough ground's values stray at most.
const ROUGHNESS: f32 = 36.0;

/// Two colours, how they are mixed, and how rough it is.
#[derive(Clone, Debug)]
pub(super) struct Ground {
    colours: [Colour; 2],
    pattern: Pattern,
    roughness: f32,
    /// The side of the image in pixels.
    side: f32,
}

/// Where the second colour is.
#[derive(Clone, Debug)]
enum Pattern {
    /// Nowhere.
    Flat,
    /// More and more in this direction.
    Gradient(Point),
    /// In stripes along this direction.
    Stripes {
        across: Point,
        repeat: f32,
        sharpness: f32,
    },
    /// As the values at the points of a square grid say, from 0 to 1.
    Clouds { points: usize, shares: Vec<f32> },
}

impl Ground {
    /// Any ground of an image of `side` pixels.
    pub(super) fn drawn(side: f32, draws: &mut Draws) -> Self {
        let colours = [colour::any(draws), colour::any(draws)];
        let heading = direction(draws.range(-1.0, 1.0));
        let pattern = match draws.below(4) {
            0 => Pattern::Flat,
            1 => Pattern::Gradient(heading),
            2 => Pattern::Stripes {
                across: heading,
                repeat: side * draws.range(REPEATS[0], REPEATS[1]),
                sharpness: draws.range(SHARPNESS[0], SHARPNESS[1]),
            },
            _ => {
                let points = CLOUD[0] + draws.below(CLOUD[1] - CLOUD[0] + 1);
                let shares = (0..points * points).map(|_| draws.unit()).collect();
                Pattern::Clouds { points, shares }
            }
        };
        let roughness = if draws.chance(0.5) {
            draws.range(0.0, ROUGHNESS)
        } else {
            0.0
        };
        Self {
            colours,
            pattern,
            roughness,
            side,
        }
    }

    /// The colours that the ground has: its two and one between them.
    pub(super) fn colours(&self) -> [Colour; 3] {
        let [first, second] = self.colours;
        match self.pattern {
            Pattern::Flat => [first; 3],
            _ => [first, colour::between(first, second, 0.5), second],
        }
    }

    /// Paints all of the canvas.
    pub(super) fn paint(&self, canvas: &mut Canvas, noise: &mut Draws) {
        let [first, second] = self.colours;
        canvas.fill(|point| colour::between(first, second, self.share(point)));
        canvas.add_noise(self.roughness, noise);
    }

    /// How much of the second colour there is at a place in pixels, 0 to 1.
    fn share(&self, point: Point) -> f32 {
        let along = |to: Point| point[0] * to[0] + point[1] * to[1];
        match &self.pattern {
            Pattern::Flat => 0.0,
            Pattern::Gradient(heading) => {
                let middle = (heading[0] + heading[1]) * self.side / 2.0;
                (0.5 + (along(*heading) - middle) / self.side).clamp(0.0, 1.0)
            }
            Pattern::Stripes {
                across,
                repeat,
                sharpness,
            } => {
                let turns = along(*across) / repeat;
                // Up from -0.5 to 0.5 and down again once in a repeat.
                let wave = 2.0 * (turns - turns.floor() - 0.5).abs() - 0.5;
                (0.5 + wave * sharpness).clamp(0.0, 1.0)
            }
            Pattern::Clouds { points, shares } => {
                let [x, y] = point.map(|v| v / self.side * (points - 1) as f32);
                // The grid's last points lie at the far edges, so that a cell's first is never one of them.
                let cell = |v: f32| (v as usize).min(points - 2);
                let (column, row) = (cell(x), cell(y));
                let [across, down] = [x - column as f32, y - row as f32].map(smooth);
                let at = |row: usize, column: usize| shares[row * points + column];
                let mix = |row| at(row, column) + (at(row, column + 1) - at(row, column)) * across;
                mix(row) + (mix(row + 1) - mix(row)) * down
            }
        }
    }
}

/// From 0 to 1 as `t`, but level at both ends.
fn smooth(t: f32) -> f32 {
    t * t * (3.0 - 2.0 * t)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenes::draws::draws_of;

    #[test]
    fn every_pattern_mixes_the_two_colours_and_nothing_else() {
        let mut patterns = [0; 4];
        for index in 0..200 {
            let ground = Ground::drawn(50.0, &mut draws_of(0, index));
            let kind = match ground.pattern {
                Pattern::Flat => 0,
                Pattern::Gradient(_) => 1,
                Pattern::Stripes { .. } => 2,
                Pattern::Clouds { .. } => 3,
            };
            patterns[kind] += 1;
            let places = (0..2500).map(|i| [(i % 50) as f32 + 0.5, (i / 50) as f32 + 0.5]);
            let shares: Vec<f32> = places.map(|place| ground.share(place)).collect();
            assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)));
            let spread = shares.iter().fold(0.0_f32, |m, &s| m.max(s))
                - shares.iter().fold(1.0_f32, |m, &s| m.min(s));
            assert_eq!(spread > 0.3, kind > 0, "{ground:?}: {spread}");
        }
        assert!(patterns.iter().all(|&count| count > 30), "{patterns:?}");
    }
}
