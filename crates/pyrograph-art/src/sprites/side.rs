//! Heroes and creatures seen from the side. All of them face right.

use super::canvas::{Canvas, Inks, NOTHING};
use super::palette::{
    BLUE, BONE, BROWN, CLOUD, COAL, CRUST, GOLD, GREEN, HAIR, IRON, LEATHER, METAL, ORANGE, PINK,
    PURPLE, RED, Ramp, SKIN, STEEL, TEAL, VIVID,
};
use super::{side_art, side_beast_art};
use crate::dice::Dice;

/// Coats of four-legged animals.
const FUR: [Ramp; 6] = [BROWN, CRUST, COAL, STEEL, ORANGE, PINK];

/// Draws one hero or creature in profile; heroes are half of them.
pub(super) fn draw(canvas: &mut Canvas, dice: &mut Dice) {
    match dice.roll(10) {
        0..5 => hero(canvas, dice),
        5 => beast(canvas, dice),
        6 => bird(canvas, dice),
        7 => steed(canvas, dice),
        8 => dragon(canvas, dice),
        _ => snail(canvas, dice),
    }
}

fn hero(canvas: &mut Canvas, dice: &mut Dice) {
    let metal = dice.pick(&METAL);
    let inks = Inks::new([
        dice.pick(&SKIN),
        dice.pick(&HAIR),
        dice.pick(&VIVID),
        metal,
        dice.pick(&LEATHER),
    ]);
    let cape = Inks::new([dice.pick(&VIVID)]);
    canvas.stamp(
        8,
        dice.pick(&[side_art::CAPE, NOTHING, side_art::QUIVER]),
        &cape,
    );
    canvas.stamp(
        8,
        dice.pick(&[side_art::TUNIC, side_art::ARMOUR, side_art::ROBE]),
        &inks,
    );
    canvas.stamp(2, side_art::FACE, &inks);
    let heads = [
        side_art::SHORT_HAIR,
        side_art::PONYTAIL,
        side_art::SPIKY_HAIR,
        side_art::HELM,
        side_art::PLUMED_HELM,
        side_art::POINTED_HAT,
        side_art::HOOD,
        side_art::CROWN,
    ];
    canvas.stamp(1, dice.pick(&heads), &inks);
    let weapons = [
        side_art::SWORD,
        side_art::BUCKLER,
        side_art::STAFF,
        side_art::SPEAR,
    ];
    let weapon = Inks::new([STEEL, metal, BROWN, dice.pick(&VIVID)]);
    canvas.raise(12, 2, dice.pick(&weapons), &weapon);
    canvas.stamp(9, side_art::ARM, &inks);
}

fn beast(canvas: &mut Canvas, dice: &mut Dice) {
    let inks = Inks::new([
        dice.pick(&FUR),
        dice.pick(&[CLOUD, BONE, CRUST, COAL]),
        dice.pick(&VIVID),
    ]);
    canvas.stamp(
        7,
        dice.pick(&[side_beast_art::BEAST, side_beast_art::STOUT_BEAST]),
        &inks,
    );
    canvas.stamp(
        2,
        dice.pick(&[
            side_beast_art::WOLF_HEAD,
            side_beast_art::CAT_HEAD,
            side_beast_art::PIG_HEAD,
        ]),
        &inks,
    );
    canvas.stamp(
        3,
        dice.pick(&[side_beast_art::BUSHY_TAIL, side_beast_art::CURLY_TAIL]),
        &inks,
    );
    canvas.stamp(
        7,
        dice.pick(&[
            side_beast_art::PATCHES,
            side_beast_art::SADDLE,
            side_beast_art::STRIPES,
            NOTHING,
        ]),
        &inks,
    );
}

fn bird(canvas: &mut Canvas, dice: &mut Dice) {
    let plumage = dice.pick(&[CLOUD, GOLD, BROWN, BLUE, RED, GREEN, PINK]);
    let wing = dice.pick(&[plumage, BLUE, RED, GREEN, BROWN]);
    let inks = Inks::new([plumage, wing, ORANGE, dice.pick(&[RED, GOLD, PURPLE])]);
    canvas.stamp(13, side_beast_art::BIRD_LEGS, &inks);
    canvas.stamp(
        3,
        dice.pick(&[side_beast_art::HEN, side_beast_art::DUCK]),
        &inks,
    );
    canvas.stamp(
        8,
        dice.pick(&[side_beast_art::FOLDED_WING, side_beast_art::RAISED_WING]),
        &inks,
    );
    canvas.stamp(
        1,
        dice.pick(&[side_beast_art::COMB, side_beast_art::CREST, NOTHING]),
        &inks,
    );
}

fn steed(canvas: &mut Canvas, dice: &mut Dice) {
    let coats = [BROWN, CRUST, COAL, STEEL, CLOUD, PINK];
    let inks = Inks::new([
        dice.pick(&coats),
        dice.pick(&VIVID),
        dice.pick(&VIVID),
        dice.pick(&[GOLD, IRON]),
    ]);
    canvas.stamp(
        1,
        dice.pick(&[side_beast_art::HORSE, side_beast_art::PONY]),
        &inks,
    );
    canvas.stamp(
        1,
        dice.pick(&[side_beast_art::HORN, side_beast_art::PLUME, NOTHING]),
        &inks,
    );
    canvas.stamp(
        8,
        dice.pick(&[side_beast_art::RUG, side_beast_art::DAPPLES, NOTHING]),
        &inks,
    );
}

fn dragon(canvas: &mut Canvas, dice: &mut Dice) {
    let hide = dice.pick(&[GREEN, RED, PURPLE, BLUE, TEAL, IRON]);
    let inks = Inks::new([hide, dice.pick(&[BONE, GOLD]), dice.pick(&VIVID)]);
    canvas.stamp(4, dice.pick(&[side_beast_art::SPINES, NOTHING]), &inks);
    canvas.stamp(2, side_beast_art::DRAGON, &inks);
    canvas.raise(
        0,
        4,
        dice.pick(&[side_beast_art::DRAGON_WING, side_beast_art::SMALL_WING]),
        &inks,
    );
    canvas.stamp(
        1,
        dice.pick(&[side_beast_art::DRAGON_HORNS, side_beast_art::DRAGON_CREST]),
        &inks,
    );
}

fn snail(canvas: &mut Canvas, dice: &mut Dice) {
    let skin = dice.pick(&[CRUST, GREEN, PINK, GOLD, TEAL]);
    let inks = Inks::new([skin, dice.pick(&VIVID), dice.pick(&VIVID)]);
    if dice.one_in(2) {
        canvas.stamp(6, side_beast_art::SNAIL, &inks);
        canvas.raise(
            0,
            4,
            dice.pick(&[side_beast_art::SPIRAL_SHELL, side_beast_art::BANDED_SHELL]),
            &inks,
        );
    } else {
        canvas.stamp(5, side_beast_art::TURTLE, &inks);
        canvas.raise(
            0,
            4,
            dice.pick(&[side_beast_art::DOME_SHELL, side_beast_art::SPIKED_SHELL]),
            &inks,
        );
    }
}
