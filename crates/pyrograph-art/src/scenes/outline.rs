//! Shapes at their places, and where their edges run.

use std::f32::consts::PI;

use pyrograph_vision::BoundingBox;

use super::classes::{Form, form};
use super::draws::Draws;

/// A place in pixels, or in shares of a shape's size.
pub(super) type Point = [f32; 2];

/// How much longer than wide a shape can be before it is turned.
const LONGEST: f32 = 1.5;

/// A shape of a class at its place.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) class: usize,
    pub(super) outline: Outline,
}

/// The edge of a shape in pixels.
#[derive(Clone, Debug)]
pub(super) enum Outline {
    Ellipse {
        middle: Point,
        /// Half the lengths of its axes.
        radii: [f32; 2],
        /// The direction of the first axis, of length 1.
        axis: Point,
    },
    /// Corners in their order around a shape that does not cross itself.
    Polygon(Vec<Point>),
}

impl Outline {
    /// A stretched and turned shape of `class`, the longer side of whose box is `size`, with that
    /// box's upper left corner at the origin.
    pub(super) fn drawn(class: usize, size: f32, draws: &mut Draws) -> Self {
        let longer = draws.range(1.0, LONGEST);
        let stretch = [[longer, 1.0], [1.0, longer]][draws.below(2)];
        let Form { corners, turn } = form(class);
        let axis = direction(draws.range(-turn, turn));
        let unit = if corners.is_empty() {
            let (middle, radii) = ([0.0; 2], stretch);
            Self::Ellipse {
                middle,
                radii,
                axis,
            }
        } else {
            let turned = corners.iter().map(|&[x, y]| {
                let (x, y) = (x * stretch[0], y * stretch[1]);
                [x * axis[0] - y * axis[1], x * axis[1] + y * axis[0]]
            });
            Self::Polygon(turned.collect())
        };
        let bbox = unit.bbox();
        let scale = size / bbox.width().max(bbox.height());
        unit.mapped(scale, [-bbox.x1 * scale, -bbox.y1 * scale])
    }

    /// Larger by `scale`, then moved by `shift`.
    fn mapped(self, scale: f32, shift: Point) -> Self {
        let map = |[x, y]: Point| [x * scale + shift[0], y * scale + shift[1]];
        match self {
            Self::Ellipse {
                middle,
                radii,
                axis,
            } => Self::Ellipse {
                middle: map(middle),
                radii: radii.map(|radius| radius * scale),
                axis,
            },
            Self::Polygon(corners) => Self::Polygon(corners.into_iter().map(map).collect()),
        }
    }

    /// Moved by `shift`.
    pub(super) fn moved(self, shift: Point) -> Self {
        self.mapped(1.0, shift)
    }

    /// The smallest box around the shape.
    pub(super) fn bbox(&self) -> BoundingBox {
        match self {
            Self::Ellipse {
                middle: [x, y],
                radii: [a, b],
                axis: [cosine, sine],
            } => {
                let reach = |p: f32, q: f32| (p * p + q * q).sqrt();
                let (across, down) = (reach(a * cosine, b * sine), reach(a * sine, b * cosine));
                BoundingBox::new(x - across, y - down, x + across, y + down)
            }
            Self::Polygon(corners) => {
                let least = |axis: usize| corners.iter().map(|c| c[axis]).fold(f32::MAX, f32::min);
                let most = |axis: usize| corners.iter().map(|c| c[axis]).fold(f32::MIN, f32::max);
                BoundingBox::new(least(0), least(1), most(0), most(1))
            }
        }
    }

    /// Its area in pixels.
    pub(super) fn area(&self) -> f32 {
        match self {
            Self::Ellipse { radii: [a, b], .. } => PI * a * b,
            Self::Polygon(corners) => {
                let crossed = edges(corners).map(|([ax, ay], [bx, by])| ax * by - bx * ay);
                crossed.sum::<f32>().abs() / 2.0
            }
        }
    }

    /// How far `point` lies outside the edge, in pixels; negative inside. Near the edge of an
    /// ellipse it is right to the first order.
    pub(super) fn distance(&self, point: Point) -> f32 {
        match self {
            Self::Ellipse {
                middle,
                radii,
                axis: [cosine, sine],
            } => {
                let [x, y] = [point[0] - middle[0], point[1] - middle[1]];
                let own = [x * cosine + y * sine, y * cosine - x * sine];
                // The value of the ellipse's equation, and how fast it grows there.
                let level = length([own[0] / radii[0], own[1] / radii[1]]);
                let slope = length([
                    own[0] / (radii[0] * radii[0]),
                    own[1] / (radii[1] * radii[1]),
                ]);
                if slope > 0.0 {
                    level * (level - 1.0) / slope
                } else {
                    -radii[0].min(radii[1])
                }
            }
            Self::Polygon(corners) => {
                let nearest = edges(corners)
                    .map(|(a, b)| from_line(point, a, b))
                    .fold(f32::MAX, f32::min);
                // A line to the right crosses the edge of what it starts in an odd number of times.
                let crossings = edges(corners).filter(|&([ax, ay], [bx, by])| {
                    (ay > point[1]) != (by > point[1])
                        && point[0] < ax + (point[1] - ay) / (by - ay) * (bx - ax)
                });
                let is_inside = crossings.count() % 2 == 1;
                if is_inside { -nearest } else { nearest }
            }
        }
    }
}

/// The edges between corners, the last leading to the first.
fn edges(corners: &[Point]) -> impl Iterator<Item = (Point, Point)> {
    let next = corners.iter().cycle().skip(1);
    corners.iter().copied().zip(next.copied())
}

/// The distance of a point to a straight line between two others.
pub(super) fn from_line(point: Point, from: Point, to: Point) -> f32 {
    let [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    let [px, py] = [point[0] - from[0], point[1] - from[1]];
    let square = dx * dx + dy * dy;
    let along = if square > 0.0 {
        ((px * dx + py * dy) / square).clamp(0.0, 1.0)
    } else {
        0.0
    };
    length([px - along * dx, py - along * dy])
}

fn length([x, y]: Point) -> f32 {
    (x * x + y * y).sqrt()
}

/// The direction at an angle, given by the tangent of its half, which needs no sine: -1 to 1 is -90 to 90 degrees.
pub(super) fn direction(half_tangent: f32) -> Point {
    let square = half_tangent * half_tangent;
    [
        (1.0 - square) / (1.0 + square),
        2.0 * half_tangent / (1.0 + square),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::classes::CLASS_NAMES;
    use super::*;
    use crate::scenes::draws::draws_of;

    fn outlines() -> impl Iterator<Item = (usize, Outline)> {
        (0..100).map(|index| {
            let mut draws = draws_of(1, index);
            let class = index % CLASS_NAMES.len();
            let size = draws.range(15.0, 60.0);
            (
                class,
                Outline::drawn(class, size, &mut draws).moved([3.3, 2.6]),
            )
        })
    }

    #[test]
    fn distance_is_negative_on_as_much_as_the_area_and_that_reaches_to_the_box() {
        for (class, outline) in outlines() {
            let bbox = outline.bbox();
            assert!((bbox.x1 - 3.3).abs() < 1e-3 && (bbox.y1 - 2.6).abs() < 1e-3);
            // A fine grid of points instead of pixels.
            const FINE: usize = 4;
            let mut seen: Option<BoundingBox> = None;
            let mut count = 0;
            for at in 0..(70 * FINE) * (70 * FINE) {
                let step = 1.0 / FINE as f32;
                let (x, y) = (at % (70 * FINE), at / (70 * FINE));
                let point = [(x as f32 + 0.5) * step, (y as f32 + 0.5) * step];
                if outline.distance(point) < 0.0 {
                    count += 1;
                    let s =
                        seen.unwrap_or(BoundingBox::new(point[0], point[1], point[0], point[1]));
                    seen = Some(BoundingBox::new(
                        s.x1.min(point[0]),
                        s.y1.min(point[1]),
                        s.x2.max(point[0]),
                        s.y2.max(point[1]),
                    ));
                }
            }
            let area = count as f32 / (FINE * FINE) as f32;
            assert!(
                (area / outline.area() - 1.0).abs() < 0.03,
                "{class}: {area}"
            );
            let seen = seen.unwrap();
            let gaps = [
                seen.x1 - bbox.x1,
                seen.y1 - bbox.y1,
                bbox.x2 - seen.x2,
                bbox.y2 - seen.y2,
            ];
            // The point of a star is thin.
            assert!(
                gaps.iter().all(|gap| (-1e-3..0.6).contains(gap)),
                "{class}: {gaps:?}"
            );
        }
    }

    #[test]
    fn the_longer_side_of_the_box_is_the_size() {
        let mut draws = draws_of(0, 0);
        for class in (0..CLASS_NAMES.len()).cycle().take(100) {
            let bbox = Outline::drawn(class, 40.0, &mut draws).bbox();
            assert!((bbox.width().max(bbox.height()) - 40.0).abs() < 1e-3);
            assert!(bbox.width().min(bbox.height()) > 18.0, "{bbox:?}");
        }
    }

    #[test]
    fn directions_have_length_one() {
        for half in [-1.0, -0.3, 0.0, 0.7, 1.0] {
            assert!((length(direction(half)) - 1.0).abs() < 1e-6);
        }
        assert_eq!(direction(1.0), [0.0, 1.0]);
    }
}
