//! Scenes of coloured shapes on varied grounds, with a box around each: images to train a detector with that need no
//! download.
//!
//! A scene is a ground, clutter that is no object, one to six shapes, and a little more clutter in
//! front of them. The same seed and index give the same bytes on every machine, as nothing but
//! sums, products, quotients and square roots is used.

mod canvas;
mod classes;
mod clutter;
mod colour;
mod draws;
mod ground;
mod outline;
mod place;
mod set;

use pyrograph_data::detection::BoxObject;
use pyrograph_vision::RgbImage;

use canvas::Canvas;
use clutter::Mark;
use colour::Look;
use draws::{Draws, draws_of};
use ground::Ground;
use outline::Shape;

use classes::CLASS_NAMES;

pub use set::scenes;

/// The most that one pixel's values stray in all of a scene, as a camera's do.
const GRAIN: f32 = 6.0;

/// All that is drawn in one image.
#[derive(Clone, Debug)]
struct Scene {
    side: u32,
    ground: Ground,
    behind: Vec<Mark>,
    shapes: Vec<(Shape, Look)>,
    before: Vec<Mark>,
    grain: f32,
    /// What the pixels' noise comes from.
    noise: Draws,
}

impl Scene {
    /// The scene at `index` of the set of `seed`, in an image of `side` by `side` pixels.
    fn new(seed: u64, index: usize, side: u32) -> Self {
        let mut draws = draws_of(seed, index);
        let draws = &mut draws;
        let length = side as f32;
        let shapes = place::place(length, draws);
        let ground = Ground::drawn(length, draws);
        let mut taken = Vec::new();
        let looks = shapes.into_iter().map(|shape| {
            let look = Look::drawn(&ground.colours(), &taken, draws);
            taken.push(look.colour);
            (shape, look)
        });
        let shapes = looks.collect();
        Self {
            side,
            ground,
            behind: clutter::behind(length, draws),
            shapes,
            before: clutter::before(length, draws),
            grain: draws.range(0.0, GRAIN),
            noise: draws.clone(),
        }
    }

    /// The shapes and their boxes, in pixels. A box is that of the whole shape, also where something lies before a part
    /// of it, which is at most half.
    fn objects(&self) -> Vec<BoxObject> {
        let shapes = self.shapes.iter();
        shapes
            .map(|(shape, _)| BoxObject::new(shape.outline.bbox(), shape.class))
            .collect()
    }

    /// The image.
    fn draw(&self) -> RgbImage {
        let mut noise = self.noise.clone();
        let mut canvas = Canvas::new(self.side);
        self.ground.paint(&mut canvas, &mut noise);
        self.behind.iter().for_each(|mark| mark.paint(&mut canvas));
        for (shape, look) in &self.shapes {
            look.paint(&shape.outline, &mut canvas);
        }
        self.before.iter().for_each(|mark| mark.paint(&mut canvas));
        canvas.add_noise(self.grain, &mut noise);
        canvas.into_image()
    }
}

#[cfg(test)]
mod tests;
