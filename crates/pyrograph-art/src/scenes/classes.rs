//! The classes of shapes.

use super::outline::Point;

/// The classes by name, in the order of their numbers.
pub(super) const CLASS_NAMES: [&str; 5] = ["ellipse", "rectangle", "triangle", "star", "cross"];

/// cos 36°.
const C36: f32 = 0.809_017;
/// sin 36°.
const S36: f32 = 0.587_785_25;
/// cos 72°.
const C72: f32 = 0.309_017;
/// sin 72°.
const S72: f32 = 0.951_056_5;
/// sin 60°.
const S60: f32 = 0.866_025_4;
/// How far the inner corners of a star lie from its middle, where the outer ones lie at 1.
const INNER: f32 = 0.45;
/// Half the width of a cross's arms, whose half length is 1.
const ARM: f32 = 0.32;
/// A rectangle's corners.
const RECTANGLE: &[Point] = &[[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]];
/// An equilateral triangle's.
const TRIANGLE: &[Point] = &[[0.0, -1.0], [S60, 0.5], [-S60, 0.5]];
/// Those of a star with five points.
const STAR: &[Point] = &[
    [0.0, -1.0],
    [INNER * S36, -INNER * C36],
    [S72, -C72],
    [INNER * S72, INNER * C72],
    [S36, C36],
    [0.0, INNER],
    [-S36, C36],
    [-INNER * S72, INNER * C72],
    [-S72, -C72],
    [-INNER * S36, -INNER * C36],
];
/// Those of an upright cross with four equal arms.
const CROSS: &[Point] = &[
    [-ARM, -1.0],
    [ARM, -1.0],
    [ARM, -ARM],
    [1.0, -ARM],
    [1.0, ARM],
    [ARM, ARM],
    [ARM, 1.0],
    [-ARM, 1.0],
    [-ARM, ARM],
    [-1.0, ARM],
    [-1.0, -ARM],
    [-ARM, -ARM],
];

/// What all shapes of a class have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// The corners about the middle, at a distance of about 1; none for an ellipse.
    pub(super) corners: &'static [Point],
    /// How far a shape is turned at most either way, as the tangent of half the angle.
    pub(super) turn: f32,
}

/// The form of the class of this number. A rectangle is turned by 25 degrees, the others until they would look the same
/// again.
pub(super) fn form(class: usize) -> Form {
    let (corners, turn) = match CLASS_NAMES[class] {
        "rectangle" => (RECTANGLE, 0.222),
        "triangle" => (TRIANGLE, 0.577),
        "star" => (STAR, 0.325),
        "cross" => (CROSS, 0.414),
        _ => (&[][..], 1.0),
    };
    Form { corners, turn }
}
