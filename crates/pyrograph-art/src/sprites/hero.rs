//! Heroes seen from the front: seven callings, dressed and armed by choice.

use super::canvas::{Canvas, Inks};
use super::hero_art as art;
use super::palette::{BONE, BROWN, CRUST, GOLD, HAIR, LEATHER, METAL, Ramp, SKIN, STEEL, VIVID};
use crate::dice::Dice;

/// Row of the shoulders in all bodies.
const SHOULDERS: usize = 8;
/// Row of the crown of a bare head.
const CROWN: usize = 2;

/// What a hero is coloured with. The slots of the art are, in order: skin, hair, cloth, metal
/// or trim, boots.
#[derive(Clone, Copy)]
struct Dress {
    skin: Ramp,
    hair: Ramp,
    cloth: Ramp,
    trim: Ramp,
    boots: Ramp,
}

impl Dress {
    fn choose(dice: &mut Dice) -> Self {
        let cloth = dice.pick(&VIVID);
        Self {
            skin: dice.pick(&SKIN),
            hair: dice.pick(&HAIR),
            cloth,
            trim: if cloth == GOLD {
                STEEL
            } else {
                dice.pick(&METAL)
            },
            boots: dice.pick(&LEATHER),
        }
    }

    fn inks(self) -> Inks {
        Inks::new([self.skin, self.hair, self.cloth, self.trim, self.boots])
    }
}

/// Draws one hero.
pub(super) fn draw(canvas: &mut Canvas, dice: &mut Dice) {
    let dress = Dress::choose(dice);
    match dice.roll(7) {
        0 => knight(canvas, dice, dress),
        1 => viking(canvas, dice, dress),
        2 => adventurer(canvas, dice, dress),
        3 => wizard(canvas, dice, dress),
        4 => royal(canvas, dice, dress),
        5 => ranger(canvas, dice, dress),
        _ => ninja(canvas, dice, dress),
    }
}

fn knight(canvas: &mut Canvas, dice: &mut Dice, dress: Dress) {
    let inks = dress.inks();
    canvas.stamp(SHOULDERS, dice.pick(&[art::ARMOUR, art::TABARD]), &inks);
    canvas.stamp(
        1,
        dice.pick(&[art::GREAT_HELM, art::PLUMED_HELM, art::OPEN_HELM]),
        &inks,
    );
    shield(canvas, dice, dress);
    arm(
        canvas,
        dice.pick(&[art::SWORD, art::SPEAR, art::MACE]),
        dress,
    );
}

fn viking(canvas: &mut Canvas, dice: &mut Dice, dress: Dress) {
    let inks = dress.inks();
    canvas.stamp(SHOULDERS, dice.pick(&[art::ARMOUR, art::TUNIC]), &inks);
    canvas.stamp(CROWN, art::FACE, &inks);
    canvas.stamp(6, art::BEARD, &inks);
    let horned = Inks::new([BONE, dress.hair, dress.cloth, dress.trim]);
    canvas.stamp(1, art::HORNED_HELM, &horned);
    if dice.one_in(2) {
        shield(canvas, dice, dress);
    }
    arm(canvas, dice.pick(&[art::AXE, art::MACE, art::SPEAR]), dress);
}

fn adventurer(canvas: &mut Canvas, dice: &mut Dice, dress: Dress) {
    let inks = dress.inks();
    cape(canvas, dice);
    canvas.stamp(SHOULDERS, dice.pick(&[art::TUNIC, art::TABARD]), &inks);
    canvas.stamp(CROWN, art::FACE, &inks);
    canvas.stamp(
        1,
        dice.pick(&[art::SHORT_HAIR, art::LONG_HAIR, art::SPIKY_HAIR, art::BUNS]),
        &inks,
    );
    if dice.one_in(2) {
        shield(canvas, dice, dress);
    }
    arm(
        canvas,
        dice.pick(&[art::SWORD, art::AXE, art::SPEAR]),
        dress,
    );
}

fn wizard(canvas: &mut Canvas, dice: &mut Dice, dress: Dress) {
    let dress = Dress {
        trim: dice.pick(&[GOLD, STEEL, dress.cloth]),
        ..dress
    };
    let inks = dress.inks();
    canvas.stamp(SHOULDERS, art::ROBE, &inks);
    canvas.stamp(CROWN, art::FACE, &inks);
    if dice.one_in(2) {
        canvas.stamp(7, art::LONG_BEARD, &inks);
    } else {
        canvas.stamp(4, art::SIDE_LOCKS, &inks);
    }
    canvas.stamp(1, dice.pick(&[art::POINTED_HAT, art::BENT_HAT]), &inks);
    staff(canvas, dice, dress);
}

fn royal(canvas: &mut Canvas, dice: &mut Dice, dress: Dress) {
    let gem = dice.pick(&VIVID);
    let dress = Dress {
        trim: GOLD,
        ..dress
    };
    let inks = dress.inks();
    if dice.one_in(2) {
        canvas.stamp(SHOULDERS, art::GOWN, &inks);
        canvas.stamp(CROWN, art::FACE, &inks);
        canvas.stamp(1, art::LONG_HAIR, &inks);
    } else {
        cape(canvas, dice);
        canvas.stamp(SHOULDERS, art::ROBE, &inks);
        canvas.stamp(CROWN, art::FACE, &inks);
        canvas.stamp(1, art::SHORT_HAIR, &inks);
        canvas.stamp(6, art::BEARD, &inks);
    }
    canvas.stamp(1, art::CROWN, &Inks::new([gem, gem, gem, GOLD]));
    staff(canvas, dice, dress);
}

fn ranger(canvas: &mut Canvas, dice: &mut Dice, dress: Dress) {
    let inks = dress.inks();
    cape_of(canvas, dress.cloth);
    canvas.stamp(SHOULDERS, art::TUNIC, &inks);
    canvas.stamp(1, art::HOOD, &inks);
    let wood = Inks::new([STEEL, dice.pick(&[BROWN, CRUST])]);
    match dice.roll(3) {
        0 => arm(canvas, art::SWORD, dress),
        1 => arm(canvas, art::SPEAR, dress),
        _ => canvas.raise(12, 3, art::BOW, &wood),
    }
    canvas.stamp_at(12, 10, art::HAND, &inks);
}

fn ninja(canvas: &mut Canvas, dice: &mut Dice, dress: Dress) {
    let sash = dice.pick(&VIVID);
    let dress = Dress {
        trim: sash,
        ..dress
    };
    let inks = dress.inks();
    canvas.stamp(SHOULDERS, art::TUNIC, &inks);
    canvas.stamp(1, art::MASK, &inks);
    canvas.raise(
        12,
        2,
        dice.pick(&[art::SWORD, art::KATANA]),
        &Inks::new([STEEL, dress.boots, GOLD]),
    );
    canvas.stamp_at(12, 10, art::HAND, &inks);
}

/// A cape behind the body, or none.
fn cape(canvas: &mut Canvas, dice: &mut Dice) {
    if dice.one_in(2) {
        cape_of(canvas, dice.pick(&VIVID));
    }
}

fn cape_of(canvas: &mut Canvas, cloth: Ramp) {
    canvas.stamp(SHOULDERS, art::CAPE, &Inks::new([cloth]));
}

/// A shield on the arm to the viewer's left.
fn shield(canvas: &mut Canvas, dice: &mut Dice, dress: Dress) {
    let field = dice.pick(&VIVID);
    let inks = Inks::new([dress.trim, field, dress.cloth]);
    canvas.raise(
        1,
        SHOULDERS,
        dice.pick(&[art::KITE_SHIELD, art::ROUND_SHIELD]),
        &inks,
    );
}

/// A weapon in the hand to the viewer's right.
fn arm(canvas: &mut Canvas, weapon: &str, dress: Dress) {
    canvas.raise(12, 2, weapon, &Inks::new([STEEL, dress.trim, dress.boots]));
    canvas.stamp_at(12, 10, art::HAND, &dress.inks());
}

/// A staff or sceptre with a coloured head, in the hand to the viewer's right.
fn staff(canvas: &mut Canvas, dice: &mut Dice, dress: Dress) {
    let orb = dice.pick(&VIVID);
    let shaft = dice.pick(&[BROWN, CRUST]);
    let head = dice.pick(&[art::ORB_STAFF, art::CROOK_STAFF]);
    canvas.raise(12, 3, head, &Inks::new([orb, shaft]));
    canvas.stamp_at(12, 10, art::HAND, &dress.inks());
}
