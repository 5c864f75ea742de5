use std::collections::HashSet;

use super::palette::{BACKGROUND, INK};
use super::*;

/// Draws of each class that the statements about classes look at.
const DRAWS: u64 = 400;

/// Every draw of every class that the tests below look at.
fn draws() -> impl Iterator<Item = (SpriteClass, [u8; 768])> {
    let of = |class| (0..DRAWS).map(move |index| (class, sprite(class, 7, index)));
    SpriteClass::ALL.into_iter().flat_map(of)
}

fn pixel(sprite: &[u8; 768], x: usize, y: usize) -> [u8; 3] {
    let at = (y * SPRITE_SIDE + x) * 3;
    [sprite[at], sprite[at + 1], sprite[at + 2]]
}

/// Every place on a sprite.
fn places() -> impl Iterator<Item = (usize, usize)> {
    (0..SPRITE_SIDE * SPRITE_SIDE).map(|at| (at % SPRITE_SIDE, at / SPRITE_SIDE))
}

#[test]
fn the_same_arguments_draw_the_same_sprite() {
    for class in SpriteClass::ALL {
        assert_eq!(sprite(class, 3, 11), sprite(class, 3, 11));
    }
    assert_eq!(sprite_set(50, 3), sprite_set(50, 3));
}

#[test]
fn another_seed_draws_another_set() {
    assert_ne!(sprite_set(50, 3), sprite_set(50, 4));
}

#[test]
fn eight_thousand_sprites_are_distinct_and_balanced() {
    let set = sprite_set(8_000, 0);
    assert_eq!(set.len(), 8_000);
    for (index, (class, _)) in set.iter().enumerate() {
        assert_eq!(class.index(), index % 5);
    }
    let distinct: HashSet<_> = set.iter().map(|(_, pixels)| pixels).collect();
    assert_eq!(distinct.len(), set.len());
}

#[test]
fn a_shorter_set_is_a_prefix_of_a_longer_one() {
    assert_eq!(sprite_set(33, 9)[..], sprite_set(100, 9)[..33]);
}

#[test]
fn an_empty_set_is_empty() {
    assert!(sprite_set(0, 1).is_empty());
}

#[test]
fn labels_and_names_follow_the_order_of_the_classes() {
    let names: Vec<_> = SpriteClass::ALL
        .into_iter()
        .map(SpriteClass::name)
        .collect();
    assert_eq!(names, ["hero", "non-hero", "food", "spell", "side-facing"]);
    for (index, class) in SpriteClass::ALL.into_iter().enumerate() {
        assert_eq!(class.index(), index);
    }
}

#[test]
fn colours_come_from_one_palette_of_thirty_two_and_the_background() {
    let mut colours = HashSet::new();
    for (_, sprite) in draws() {
        colours.extend(sprite.chunks_exact(3).map(|p| [p[0], p[1], p[2]]));
    }
    assert!(colours.contains(&BACKGROUND) && colours.contains(&INK));
    assert!(colours.len() <= 33, "{} colours", colours.len());
}

#[test]
fn the_corners_are_background() {
    let far = SPRITE_SIDE - 1;
    for (class, sprite) in draws() {
        for (x, y) in [(0, 0), (far, 0)] {
            assert_eq!(pixel(&sprite, x, y), BACKGROUND, "{class:?} at ({x}, {y})");
        }
    }
}

#[test]
fn a_sprite_fills_a_third_to_nine_tenths_of_its_square() {
    for (class, sprite) in draws() {
        let drawn = sprite.chunks_exact(3).filter(|p| p != &BACKGROUND).count();
        assert!(
            (75..=230).contains(&drawn),
            "{class:?} draws {drawn} of 256 pixels"
        );
    }
}

#[test]
fn no_drawn_pixel_stands_alone() {
    for (class, sprite) in draws() {
        let drawn = |x: usize, y: usize| {
            x < SPRITE_SIDE && y < SPRITE_SIDE && pixel(&sprite, x, y) != BACKGROUND
        };
        for (x, y) in places().filter(|&(x, y)| drawn(x, y)) {
            // The eight neighbours: wings and legs may be drawn as slanting lines.
            let around = (0..9).filter(|&k| k != 4);
            let joined = around
                .map(|k| (k % 3, k / 3))
                .any(|(dx, dy)| drawn((x + dx).wrapping_sub(1), (y + dy).wrapping_sub(1)));
            assert!(joined, "{class:?} at ({x}, {y})");
        }
    }
}

#[test]
fn only_ink_touches_the_edge() {
    for (class, sprite) in draws() {
        let far = SPRITE_SIDE - 1;
        for (x, y) in places().filter(|&(x, y)| x == 0 || y == 0 || x == far || y == far) {
            let colour = pixel(&sprite, x, y);
            assert!(
                colour == BACKGROUND || colour == INK,
                "{class:?} at ({x}, {y})"
            );
        }
    }
}

#[test]
fn sprites_stand_on_the_lower_edge() {
    for (class, sprite) in draws().filter(|(class, _)| *class != SpriteClass::NonHero) {
        let rows = SPRITE_SIDE - 3..SPRITE_SIDE;
        let stands = rows.flat_map(|y| (0..SPRITE_SIDE).map(move |x| (x, y)));
        let touched = stands
            .filter(|&(x, y)| pixel(&sprite, x, y) != BACKGROUND)
            .count();
        assert!(touched > 0, "{class:?} floats");
    }
}

/// The share of drawn pixels whose mirror image is drawn too.
fn symmetry(sprite: &[u8; 768]) -> f64 {
    let filled = |x, y| pixel(sprite, x, y) != BACKGROUND;
    let all = (0..SPRITE_SIDE).flat_map(|y| (0..SPRITE_SIDE).map(move |x| (x, y)));
    let drawn: Vec<_> = all.filter(|&(x, y)| filled(x, y)).collect();
    let mirrored = drawn
        .iter()
        .filter(|&&(x, y)| filled(SPRITE_SIDE - 1 - x, y))
        .count();
    mirrored as f64 / drawn.len() as f64
}

/// The lowest and the mean symmetry of a class.
fn symmetries(class: SpriteClass) -> (f64, f64) {
    let all: Vec<_> = (0..DRAWS)
        .map(|index| symmetry(&sprite(class, 7, index)))
        .collect();
    (
        all.iter().copied().fold(1.0, f64::min),
        all.iter().sum::<f64>() / all.len() as f64,
    )
}

#[test]
fn side_facing_sprites_are_not_mirror_symmetric() {
    for (_, sprite) in draws().filter(|(class, _)| *class == SpriteClass::SideFacing) {
        assert!(symmetry(&sprite) < 0.99);
    }
    let (_, side) = symmetries(SpriteClass::SideFacing);
    assert!(side < 0.9, "mean symmetry {side}");
}

#[test]
fn front_facing_bodies_are_nearly_mirror_symmetric() {
    for class in [SpriteClass::Hero, SpriteClass::NonHero] {
        let (least, mean) = symmetries(class);
        assert!(
            least > 0.7 && mean > 0.85,
            "{class:?}: least {least}, mean {mean}"
        );
    }
}
