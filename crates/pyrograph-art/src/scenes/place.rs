//! Which shapes a scene has, and where.

use super::classes::CLASS_NAMES;
use super::draws::Draws;
use super::outline::{Outline, Shape};

/// The most shapes of a scene.
const MOST: usize = 6;
/// The smallest and the largest of them: the longer side of the box as a share of the image's.
const SIZES: [f32; 2] = [0.12, 0.45];
/// Pixels between a shape and the edge of the image.
const MARGIN: f32 = 1.0;
/// The most that two boxes overlap, as intersection over union.
const MOST_IOU: f32 = 0.3;
/// The most of a shape that later ones hide, as a share of its area.
const MOST_HIDDEN: f32 = 0.5;
/// Places tried for a shape, after which it is left out.
const TRIALS: usize = 40;

/// One to six shapes in an image of `side` pixels, each painted over those before it. None hides
/// more than half of another.
pub(super) fn place(side: f32, draws: &mut Draws) -> Vec<Shape> {
    let mut placed: Vec<Shape> = Vec::new();
    // What can still be hidden of each, in pixels.
    let mut spare: Vec<f32> = Vec::new();
    for _ in 0..=draws.below(MOST) {
        let class = draws.below(CLASS_NAMES.len());
        for _ in 0..TRIALS {
            let outline = drawn(class, side, draws);
            let bbox = outline.bbox();
            // Boxes share at least as much as the shapes do.
            let hides = |other: &Shape| bbox.intersection(other.outline.bbox());
            let mut others = placed.iter().zip(&spare);
            let fits = others.all(|(other, &spare)| {
                hides(other) <= spare && bbox.iou(other.outline.bbox()) <= MOST_IOU
            });
            if fits {
                for (other, spare) in placed.iter().zip(&mut spare) {
                    *spare -= hides(other);
                }
                spare.push(outline.area() * MOST_HIDDEN);
                placed.push(Shape { class, outline });
                break;
            }
        }
    }
    placed
}

/// A shape of `class` of any size, anywhere in the image.
fn drawn(class: usize, side: f32, draws: &mut Draws) -> Outline {
    let size = side * draws.range(SIZES[0], SIZES[1]);
    let outline = Outline::drawn(class, size, draws);
    let bbox = outline.bbox();
    let mut start = |length: f32| draws.range(MARGIN, side - MARGIN - length);
    let shift = [start(bbox.width()), start(bbox.height())];
    outline.moved(shift)
}
