//! Things that are no objects: thin lines and specks.

use pyrograph_vision::BoundingBox;

use super::canvas::Canvas;
use super::colour::{self, Colour, covered};
use super::draws::Draws;
use super::outline::{Point, from_line};

/// The most lines behind the shapes.
const LINES: usize = 4;
/// The most lines in front of them.
const LINES_BEFORE: usize = 2;
/// The most specks, all of them behind.
const SPECKS: usize = 14;
/// The width of lines as a share of the image's side: far thinner than the smallest shape.
const WIDTHS: [f32; 2] = [0.004, 0.012];
/// The size of specks, of which the largest is a fifth as wide as the smallest shape.
const SIZES: [f32; 2] = [0.008, 0.024];

/// A straight line of a pen; a speck is one that ends where it starts.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    from: Point,
    to: Point,
    /// Half the width in pixels.
    radius: f32,
    colour: Colour,
}

/// What lies behind the shapes of an image of `side` pixels.
pub(super) fn behind(side: f32, draws: &mut Draws) -> Vec<Mark> {
    let (lines, specks) = (draws.below(LINES + 1), draws.below(SPECKS + 1));
    let mut marks: Vec<Mark> = (0..lines).map(|_| line(side, draws)).collect();
    marks.extend((0..specks).map(|_| {
        let place = anywhere(side, draws);
        mark(place, place, SIZES, side, draws)
    }));
    marks
}

/// What lies in front of them.
pub(super) fn before(side: f32, draws: &mut Draws) -> Vec<Mark> {
    let lines = draws.below(LINES_BEFORE + 1);
    (0..lines).map(|_| line(side, draws)).collect()
}

fn line(side: f32, draws: &mut Draws) -> Mark {
    let (from, to) = (anywhere(side, draws), anywhere(side, draws));
    mark(from, to, WIDTHS, side, draws)
}

fn mark(from: Point, to: Point, widths: [f32; 2], side: f32, draws: &mut Draws) -> Mark {
    Mark {
        from,
        to,
        radius: side * draws.range(widths[0], widths[1]) / 2.0,
        colour: colour::any(draws),
    }
}

fn anywhere(side: f32, draws: &mut Draws) -> Point {
    [draws.range(0.0, side), draws.range(0.0, side)]
}

impl Mark {
    /// Paints it.
    pub(super) fn paint(&self, canvas: &mut Canvas) {
        let (from, to, radius) = (self.from, self.to, self.radius);
        let bbox = BoundingBox::new(
            from[0].min(to[0]) - radius,
            from[1].min(to[1]) - radius,
            from[0].max(to[0]) + radius,
            from[1].max(to[1]) + radius,
        );
        // A line thinner than a pixel covers no pixel fully.
        let most = (2.0 * radius).min(1.0);
        canvas.lay(bbox, |point| {
            let share = covered(from_line(point, from, to) - radius);
            (self.colour, share.min(most))
        });
    }
}
