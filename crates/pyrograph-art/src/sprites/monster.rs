//! Monsters and animals seen from the front.

use super::canvas::{Canvas, Inks};
use super::palette::{
    BLUE, BONE, BROWN, CLOUD, COAL, CRUST, GOLD, GREEN, IRON, ORANGE, PAPER, PINK, PURPLE, RED,
    Ramp, STEEL, TEAL, VIVID,
};
use super::{beast_art, monster_art};
use crate::dice::Dice;

/// Coats of animals.
const FUR: [Ramp; 6] = [BROWN, CRUST, COAL, STEEL, PINK, ORANGE];
/// Eye colours that read well on any body.
const GLOW: [Ramp; 3] = [CLOUD, GOLD, RED];

/// Draws one monster or animal.
pub(super) fn draw(canvas: &mut Canvas, dice: &mut Dice) {
    match dice.roll(8) {
        0 => slime(canvas, dice),
        1 => ghost(canvas, dice),
        2 => skeleton(canvas, dice),
        3 => bat(canvas, dice),
        4 => spider(canvas, dice),
        5 => animal(canvas, dice),
        6 => eyeball(canvas, dice),
        _ => goblin(canvas, dice),
    }
}

/// Eyes and mouth, at the given row, on whatever lies beneath.
fn face(canvas: &mut Canvas, dice: &mut Dice, row: usize) {
    let eyes = [
        monster_art::DOT_EYES,
        monster_art::BIG_EYES,
        monster_art::ANGRY_EYES,
        monster_art::ONE_EYE,
    ];
    let mouths = [
        monster_art::SMILE,
        monster_art::FANGS,
        monster_art::GASP,
        monster_art::GRIN,
    ];
    let glow = Inks::new([dice.pick(&GLOW)]);
    canvas.stamp(row, dice.pick(&eyes), &glow);
    canvas.stamp(row + 3, dice.pick(&mouths), &glow);
}

fn slime(canvas: &mut Canvas, dice: &mut Dice) {
    let inks = Inks::new([dice.pick(&VIVID), dice.pick(&VIVID)]);
    let (top, body) = dice.pick(&[
        (6, monster_art::SLIME),
        (4, monster_art::DROP_SLIME),
        (5, monster_art::CUBE_SLIME),
    ]);
    canvas.stamp(top, body, &inks);
    match dice.roll(4) {
        0 => canvas.stamp(top - 3, monster_art::SPROUT, &inks),
        1 => canvas.stamp(top - 3, monster_art::ANTENNAE, &inks),
        2 => canvas.stamp(top - 3, monster_art::STUBS, &inks),
        _ => {}
    }
    face(canvas, dice, 8);
}

fn ghost(canvas: &mut Canvas, dice: &mut Dice) {
    let body = dice.pick(&[CLOUD, CLOUD, STEEL, PAPER, TEAL, PURPLE]);
    let inks = Inks::new([body, dice.pick(&VIVID)]);
    canvas.stamp(
        2,
        dice.pick(&[monster_art::GHOST, monster_art::WISP]),
        &inks,
    );
    match dice.roll(3) {
        0 => canvas.stamp(1, monster_art::GHOST_HAT, &inks),
        1 => canvas.stamp(1, monster_art::GHOST_BOW, &inks),
        _ => {}
    }
    face(canvas, dice, 6);
}

fn skeleton(canvas: &mut Canvas, dice: &mut Dice) {
    let inks = Inks::new([
        dice.pick(&[BONE, CLOUD, STEEL]),
        dice.pick(&VIVID),
        dice.pick(&GLOW),
        IRON,
    ]);
    canvas.stamp(
        1,
        dice.pick(&[monster_art::SKULL, monster_art::HORNED_SKULL]),
        &inks,
    );
    canvas.stamp(
        8,
        dice.pick(&[monster_art::BONES, monster_art::RAGS]),
        &inks,
    );
    if dice.one_in(2) {
        canvas.stamp(1, monster_art::BANDANA, &inks);
    }
    if dice.one_in(2) {
        canvas.raise(
            13,
            6,
            monster_art::CLUB,
            &Inks::new([dice.pick(&[BONE, BROWN, STEEL])]),
        );
    }
}

fn bat(canvas: &mut Canvas, dice: &mut Dice) {
    let body = dice.pick(&[COAL, BROWN, PURPLE, RED, BLUE]);
    let inks = Inks::new([body, dice.pick(&VIVID), dice.pick(&GLOW)]);
    canvas.stamp(
        3,
        dice.pick(&[beast_art::WINGS_UP, beast_art::WINGS_DOWN]),
        &inks,
    );
    canvas.stamp(
        3,
        dice.pick(&[beast_art::BAT_BODY, beast_art::IMP_BODY]),
        &inks,
    );
}

fn spider(canvas: &mut Canvas, dice: &mut Dice) {
    let body = dice.pick(&[COAL, BROWN, RED, PURPLE, GREEN]);
    let inks = Inks::new([body, dice.pick(&VIVID), dice.pick(&GLOW)]);
    canvas.stamp(
        4,
        dice.pick(&[beast_art::SPIDER_LEGS, beast_art::CRAB_LEGS]),
        &inks,
    );
    canvas.stamp(
        3,
        dice.pick(&[beast_art::SPIDER_BODY, beast_art::CROSS_SPIDER_BODY]),
        &inks,
    );
}

fn animal(canvas: &mut Canvas, dice: &mut Dice) {
    let inks = Inks::new([
        dice.pick(&FUR),
        dice.pick(&[CLOUD, BONE, CRUST]),
        dice.pick(&VIVID),
    ]);
    canvas.stamp(10, beast_art::PAWS, &inks);
    canvas.stamp(4, beast_art::ANIMAL_HEAD, &inks);
    let ears = [
        beast_art::CAT_EARS,
        beast_art::BEAR_EARS,
        beast_art::RABBIT_EARS,
        beast_art::HORNS,
    ];
    canvas.stamp(1, dice.pick(&ears), &inks);
    canvas.stamp(
        7,
        dice.pick(&[beast_art::SNOUT, beast_art::MUZZLE, beast_art::WHISKERS]),
        &inks,
    );
    if dice.one_in(2) {
        canvas.stamp(11, beast_art::COLLAR, &inks);
    }
}

fn eyeball(canvas: &mut Canvas, dice: &mut Dice) {
    let inks = Inks::new([dice.pick(&VIVID), dice.pick(&VIVID), CLOUD]);
    canvas.stamp(1, dice.pick(&[beast_art::STALKS, beast_art::SPIKES]), &inks);
    canvas.stamp(3, beast_art::EYEBALL, &inks);
    canvas.stamp(
        11,
        dice.pick(&[beast_art::TENTACLES, beast_art::TOOTHY_JAW]),
        &inks,
    );
}

fn goblin(canvas: &mut Canvas, dice: &mut Dice) {
    let skin = dice.pick(&[GREEN, TEAL, RED, PURPLE]);
    let inks = Inks::new([skin, dice.pick(&VIVID), dice.pick(&GLOW), BONE]);
    canvas.stamp(
        9,
        dice.pick(&[beast_art::LOINCLOTH, beast_art::VEST]),
        &inks,
    );
    canvas.stamp(
        2,
        dice.pick(&[beast_art::GOBLIN_HEAD, beast_art::OGRE_HEAD]),
        &inks,
    );
    if dice.one_in(2) {
        canvas.stamp(1, beast_art::IMP_HORNS, &inks);
    }
    if dice.one_in(2) {
        canvas.raise(
            13,
            6,
            monster_art::CLUB,
            &Inks::new([dice.pick(&[BROWN, STEEL, BONE])]),
        );
    }
}
