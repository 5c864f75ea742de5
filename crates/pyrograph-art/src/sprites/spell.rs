//! Things of magic: potions, wands, books, scrolls, orbs, flames, lightning, rings, crystals.

use super::canvas::{Canvas, Inks, NOTHING};
use super::palette::{
    BLUE, BROWN, CLOUD, CRUST, GOLD, GREEN, IRON, METAL, PAPER, PINK, PURPLE, RED, STEEL, TEAL,
    VIVID,
};
use super::{element_art, gem_art, spell_art};
use crate::dice::Dice;

/// Draws one thing of magic.
pub(super) fn draw(canvas: &mut Canvas, dice: &mut Dice) {
    match dice.roll(10) {
        0 | 1 => potion(canvas, dice),
        2 => wand(canvas, dice),
        3 => book(canvas, dice),
        4 => scroll(canvas, dice),
        5 => orb(canvas, dice),
        6 => flame(canvas, dice),
        7 => lightning(canvas, dice),
        8 => ring(canvas, dice),
        _ => crystal(canvas, dice),
    }
}

fn potion(canvas: &mut Canvas, dice: &mut Dice) {
    let stopper = dice.pick(&[BROWN, CRUST, RED]);
    let inks = Inks::new([dice.pick(&VIVID), stopper, STEEL, dice.pick(&METAL)]);
    canvas.stamp(
        1,
        dice.pick(&[
            spell_art::ROUND_FLASK,
            spell_art::TALL_FLASK,
            spell_art::CONE_FLASK,
        ]),
        &inks,
    );
    canvas.stamp(
        4,
        dice.pick(&[spell_art::PLAIN_NECK, spell_art::BANDED_NECK]),
        &inks,
    );
    let label = Inks::new([dice.pick(&[PAPER, GOLD]), dice.pick(&VIVID)]);
    canvas.stamp(
        9,
        dice.pick(&[spell_art::LABEL, spell_art::HEART, spell_art::STAR, NOTHING]),
        &label,
    );
}

fn wand(canvas: &mut Canvas, dice: &mut Dice) {
    let inks = Inks::new([
        dice.pick(&VIVID),
        dice.pick(&[BROWN, PURPLE, IRON, CRUST]),
        dice.pick(&METAL),
    ]);
    canvas.stamp(
        7,
        dice.pick(&[spell_art::STICK, spell_art::BANDED_STICK]),
        &inks,
    );
    canvas.stamp(
        1,
        dice.pick(&[
            spell_art::WAND_STAR,
            spell_art::WAND_ORB,
            spell_art::WAND_GEM,
        ]),
        &inks,
    );
    let sparks = Inks::new([dice.pick(&[GOLD, BLUE, PINK, GREEN])]);
    canvas.stamp(
        1,
        dice.pick(&[spell_art::SPARK, spell_art::TWO_SPARKS, NOTHING]),
        &sparks,
    );
}

fn book(canvas: &mut Canvas, dice: &mut Dice) {
    let inks = Inks::new([dice.pick(&VIVID), PAPER, dice.pick(&METAL)]);
    let emblem = Inks::new([
        dice.pick(&[GOLD, STEEL, RED, TEAL, PINK]),
        dice.pick(&VIVID),
    ]);
    if dice.one_in(3) {
        canvas.stamp(3, spell_art::OPEN_BOOK, &inks);
        canvas.stamp(
            5,
            dice.pick(&[spell_art::RUNES, spell_art::PICTURE]),
            &emblem,
        );
    } else {
        canvas.stamp(1, spell_art::BOOK, &inks);
        canvas.stamp(
            1,
            dice.pick(&[spell_art::CORNERS, spell_art::CLASP, NOTHING]),
            &inks,
        );
        canvas.stamp(
            4,
            dice.pick(&[
                spell_art::BOOK_STAR,
                spell_art::BOOK_EYE,
                spell_art::BOOK_GEM,
                spell_art::BOOK_MOON,
            ]),
            &emblem,
        );
    }
}

fn scroll(canvas: &mut Canvas, dice: &mut Dice) {
    let rods = dice.pick(&[BROWN, GOLD, RED, PURPLE, BLUE]);
    let inks = Inks::new([dice.pick(&[PAPER, CRUST]), rods, dice.pick(&VIVID)]);
    canvas.stamp(2, spell_art::SCROLL, &inks);
    let writing = [
        spell_art::LINES,
        spell_art::SEAL,
        spell_art::BIG_RUNE,
        spell_art::SUN_RUNE,
    ];
    canvas.stamp(
        5,
        dice.pick(&writing),
        &Inks::new([dice.pick(&VIVID), dice.pick(&[IRON, BROWN])]),
    );
    if dice.one_in(2) {
        canvas.stamp(8, spell_art::RIBBON, &inks);
    }
}

fn orb(canvas: &mut Canvas, dice: &mut Dice) {
    let inks = Inks::new([
        dice.pick(&VIVID),
        dice.pick(&VIVID),
        dice.pick(&[GOLD, STEEL, IRON, BROWN]),
    ]);
    canvas.stamp(
        11,
        dice.pick(&[element_art::STAND, element_art::CLAW_STAND]),
        &inks,
    );
    canvas.raise(0, 1, element_art::ORB, &inks);
    canvas.stamp(
        4,
        dice.pick(&[
            element_art::SWIRL,
            element_art::ORB_STAR,
            element_art::ORB_EYE,
            NOTHING,
        ]),
        &inks,
    );
}

fn flame(canvas: &mut Canvas, dice: &mut Dice) {
    let inks = Inks::new([dice.pick(&VIVID), dice.pick(&VIVID)]);
    canvas.stamp(
        1,
        dice.pick(&[
            element_art::FLAME,
            element_art::TWIN_FLAME,
            element_art::FIREBALL,
        ]),
        &inks,
    );
    canvas.stamp(
        8,
        dice.pick(&[element_art::CORE, element_art::FORKED_CORE]),
        &inks,
    );
    canvas.stamp(2, dice.pick(&[element_art::EMBERS, NOTHING]), &inks);
}

fn lightning(canvas: &mut Canvas, dice: &mut Dice) {
    let inks = Inks::new([
        dice.pick(&VIVID),
        dice.pick(&[STEEL, IRON, CLOUD, BLUE, PURPLE]),
    ]);
    canvas.stamp(
        5,
        dice.pick(&[element_art::BOLT, element_art::FORKED_BOLT]),
        &inks,
    );
    canvas.stamp(
        1,
        dice.pick(&[element_art::STORM_CLOUD, element_art::WIDE_CLOUD]),
        &inks,
    );
}

fn ring(canvas: &mut Canvas, dice: &mut Dice) {
    let inks = Inks::new([dice.pick(&METAL), dice.pick(&VIVID), dice.pick(&VIVID)]);
    if dice.one_in(2) {
        canvas.stamp(6, dice.pick(&[gem_art::BAND, gem_art::STUDDED_BAND]), &inks);
        canvas.stamp(
            1,
            dice.pick(&[
                gem_art::ROUND_STONE,
                gem_art::DIAMOND,
                gem_art::SQUARE_STONE,
            ]),
            &inks,
        );
    } else {
        canvas.stamp(1, dice.pick(&[gem_art::CHAIN, gem_art::BEADS]), &inks);
        canvas.stamp(
            8,
            dice.pick(&[gem_art::ROUND_STONE, gem_art::DIAMOND, gem_art::HEART_STONE]),
            &inks,
        );
    }
}

fn crystal(canvas: &mut Canvas, dice: &mut Dice) {
    let inks = Inks::new([dice.pick(&VIVID), dice.pick(&VIVID)]);
    canvas.stamp(
        3,
        dice.pick(&[
            gem_art::SIDE_SHARDS,
            gem_art::LOW_SHARDS,
            gem_art::ONE_SHARD,
        ]),
        &inks,
    );
    canvas.raise(
        0,
        1,
        dice.pick(&[gem_art::SHARD, gem_art::BROAD_SHARD]),
        &inks,
    );
}
