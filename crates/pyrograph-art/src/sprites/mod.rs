//! Built-in pixel-art sprites, drawn by code, so that a diffusion model can be trained without a
//! download.
//!
//! Every sprite is 16×16 RGB on white, in one of [five classes](SpriteClass), with the dark
//! outline, the three-tone ramps and the light from the top left of a role-playing game. Parts
//! (bodies, hair, blades, bottles, …) are small pieces of ASCII art, put together by seeded choices
//! and coloured from one palette of 32 colours. All sprites are centred and stand on the lower
//! edge, except flying and hanging things.

mod beast_art;
mod canvas;
mod element_art;
mod food;
mod fruit_art;
mod garden_art;
mod gem_art;
mod hero;
mod hero_art;
mod kitchen_art;
mod monster;
mod monster_art;
mod palette;
mod set;
mod side;
mod side_art;
mod side_beast_art;
mod spell;
mod spell_art;
mod sweets_art;

use std::collections::HashSet;

use pyrograph_data::COURSE_CLASSES;

use crate::dice::Dice;
use canvas::Canvas;

pub use set::sprites;

/// Width and height of a sprite in pixels.
pub const SPRITE_SIDE: usize = 16;

/// Repeats in a row after which a class counts as drawn out.
const PATIENCE: u32 = 10_000;

/// The five classes of the sprite set, in the order of their labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpriteClass {
    /// Knights, wizards, rangers, kings and other adventurers, seen from the front.
    Hero,
    /// Slimes, ghosts, skeletons, bats and other creatures, seen from the front.
    NonHero,
    /// Fruit, cake, cheese, meat and other things to eat.
    Food,
    /// Potions, wands, books, scrolls and other things of magic.
    Spell,
    /// Heroes and creatures seen from the side, all facing right.
    SideFacing,
}

impl SpriteClass {
    /// Every class, in the order of [`SpriteClass::index`].
    pub const ALL: [SpriteClass; 5] = [
        SpriteClass::Hero,
        SpriteClass::NonHero,
        SpriteClass::Food,
        SpriteClass::Spell,
        SpriteClass::SideFacing,
    ];

    /// The name shown to people.
    pub fn name(self) -> &'static str {
        COURSE_CLASSES[self.index()]
    }

    /// The label, from 0 to 4.
    pub fn index(self) -> usize {
        self as usize
    }
}

/// Draws one sprite: row-major RGB, 16 · 16 · 3 bytes. The same arguments give the same bytes on
/// every machine; different arguments may give the same sprite, see [`sprite_set`].
pub fn sprite(class: SpriteClass, seed: u64, index: u64) -> [u8; 768] {
    let mut dice = Dice::new(class.index() as u64, seed, index);
    let mut canvas = Canvas::new();
    match class {
        SpriteClass::Hero => hero::draw(&mut canvas, &mut dice),
        SpriteClass::NonHero => monster::draw(&mut canvas, &mut dice),
        SpriteClass::Food => food::draw(&mut canvas, &mut dice),
        SpriteClass::Spell => spell::draw(&mut canvas, &mut dice),
        SpriteClass::SideFacing => side::draw(&mut canvas, &mut dice),
    }
    canvas.outline();
    canvas.into_bytes()
}

/// Draws `count` sprites, no two of them equal. Sprite `i` has the class of index `i % 5`.
///
/// A shorter set is a prefix of a longer one of the same seed. The number of different sprites is
/// limited: beyond 50 000 the set may end before `count`.
pub fn sprite_set(count: usize, seed: u64) -> Vec<(SpriteClass, [u8; 768])> {
    let mut seen = HashSet::new();
    let mut next = [0_u64; SpriteClass::ALL.len()];
    let mut set = Vec::new();
    for class in SpriteClass::ALL.into_iter().cycle().take(count) {
        let Some(pixels) = draw_unseen(class, seed, &mut next[class.index()], &mut seen) else {
            break;
        };
        set.push((class, pixels));
    }
    set
}

/// The first sprite of `class` from `*next` on that is not in `seen`, which then holds it.
fn draw_unseen(
    class: SpriteClass,
    seed: u64,
    next: &mut u64,
    seen: &mut HashSet<[u8; 768]>,
) -> Option<[u8; 768]> {
    for _ in 0..PATIENCE {
        let pixels = sprite(class, seed, *next);
        *next += 1;
        if seen.insert(pixels) {
            return Some(pixels);
        }
    }
    None
}

#[cfg(test)]
mod tests;
