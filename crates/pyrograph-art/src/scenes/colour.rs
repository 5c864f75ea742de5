//! The colours of a scene, and how a shape is painted with them.

use super::canvas::Canvas;
use super::draws::Draws;
use super::outline::{Outline, direction};

/// Red, green and blue, 0 to 255.
pub(super) type Colour = [f32; 3];

/// Values of colours: never quite black or white, so that light and noise can be seen.
const VALUES: [f32; 2] = [15.0, 240.0];
/// How far at least a shape's colour is from those of the ground, as the sum over its values.
const FROM_GROUND: f32 = 170.0;
/// How far at least it is from other colours that it may touch.
const FROM_OTHERS: f32 = 90.0;
/// Colours tried, after which the best so far will do.
const TRIALS: usize = 24;
/// How much lighter and darker a shape is at most at its ends than in its middle.
const MOST_SHADE: f32 = 0.3;
/// The width of a rim as a share of the shape's shorter side.
const RIM: [f32; 2] = [0.04, 0.1];

/// Any colour.
pub(super) fn any(draws: &mut Draws) -> Colour {
    [(); 3].map(|()| draws.range(VALUES[0], VALUES[1]))
}

/// A colour between two: the first at 0, the second at 1.
pub(super) fn between(first: Colour, second: Colour, share: f32) -> Colour {
    [0, 1, 2].map(|i| first[i] + (second[i] - first[i]) * share)
}

/// A colour that can be told from those of the `ground` and from `others`.
fn distinct(ground: &[Colour], others: &[Colour], draws: &mut Draws) -> Colour {
    let mut best = ([0.0; 3], f32::MIN);
    for _ in 0..TRIALS {
        let colour = any(draws);
        let beyond = |colours: &[Colour], least: f32| {
            let apart = colours.iter().map(|&other| distance(colour, other));
            apart.fold(f32::MAX, f32::min) - least
        };
        let margin = beyond(ground, FROM_GROUND).min(beyond(others, FROM_OTHERS));
        if margin > best.1 {
            best = (colour, margin);
        }
        if margin >= 0.0 {
            break;
        }
    }
    best.0
}

/// The sum of what the values differ by.
fn distance(a: Colour, b: Colour) -> f32 {
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).sum()
}

/// How a shape is painted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) colour: Colour,
    /// Where the light comes from, and how strong it is.
    shade: [f32; 2],
    /// The colour of the rim, and its width as a share of the shape's shorter side.
    rim: Option<(Colour, f32)>,
}

impl Look {
    /// One whose colour can be told from those of the ground and from those `taken` by others.
    pub(super) fn drawn(ground: &[Colour], taken: &[Colour], draws: &mut Draws) -> Self {
        let colour = distinct(ground, taken, draws);
        let strength = draws.range(-MOST_SHADE, MOST_SHADE);
        let shade = direction(draws.range(-1.0, 1.0)).map(|part| part * strength);
        let rim = draws.chance(0.5).then(|| {
            let width = draws.range(RIM[0], RIM[1]);
            (distinct(ground, &[colour], draws), width)
        });
        Self { colour, shade, rim }
    }

    /// Paints the shape.
    pub(super) fn paint(&self, outline: &Outline, canvas: &mut Canvas) {
        let bbox = outline.bbox();
        let middle = bbox.to_center();
        let shorter = middle.w.min(middle.h);
        let half = middle.w.max(middle.h) / 2.0;
        canvas.lay(bbox, |point| {
            let distance = outline.distance(point);
            let [x, y] = [point[0] - middle.cx, point[1] - middle.cy];
            let light = 1.0 + (x * self.shade[0] + y * self.shade[1]) / half;
            let mut colour = self.colour.map(|value| value * light);
            if let Some((rim, width)) = self.rim {
                colour = between(rim, colour, covered(distance + width * shorter));
            }
            (colour, covered(distance))
        });
    }
}

/// How much of a pixel lies inside an edge that its middle is so far outside of.
pub(super) fn covered(distance: f32) -> f32 {
    (0.5 - distance).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenes::draws::draws_of;

    #[test]
    fn colours_of_shapes_are_told_from_the_ground() {
        let mut draws = draws_of(0, 0);
        for _ in 0..500 {
            let ground = [any(&mut draws), any(&mut draws)];
            let look = Look::drawn(&ground, &[], &mut draws);
            for colour in [Some(look.colour), look.rim.map(|(rim, _)| rim)]
                .into_iter()
                .flatten()
            {
                let apart = ground.map(|other| distance(colour, other));
                assert!(apart.iter().all(|&d| d > 100.0), "{ground:?} {look:?}");
            }
        }
    }

    #[test]
    fn an_edge_is_half_covered_and_fades_over_a_pixel() {
        assert_eq!(
            [-2.0, -0.5, 0.0, 0.5, 2.0].map(covered),
            [1.0, 1.0, 0.5, 0.0, 0.0]
        );
    }
}
