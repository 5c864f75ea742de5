//! Food: fruit, vegetables, bakery and meat.

use super::canvas::{Canvas, Inks, NOTHING};
use super::palette::{
    BLUE, BONE, BROWN, CLOUD, CRUST, GOLD, GREEN, ORANGE, PAPER, PINK, PURPLE, RED, Ramp, STEEL,
    TEAL, VIVID,
};
use super::{fruit_art, garden_art, kitchen_art, sweets_art};
use crate::dice::Dice;

/// Colours a ripe fruit can have.
const RIPE: [Ramp; 5] = [RED, GREEN, GOLD, ORANGE, PINK];
/// Colours of leaves.
const LEAF: [Ramp; 2] = [GREEN, TEAL];
/// Colours of berries.
const BERRY: [Ramp; 4] = [RED, PURPLE, BLUE, PINK];

/// Draws one thing to eat.
pub(super) fn draw(canvas: &mut Canvas, dice: &mut Dice) {
    match dice.roll(12) {
        0 | 1 => fruit(canvas, dice),
        2 => berries(canvas, dice),
        3 => root(canvas, dice),
        4 => bread(canvas, dice),
        5 => fish(canvas, dice),
        6 => drumstick(canvas, dice),
        7 => cheese(canvas, dice),
        8 => mushroom(canvas, dice),
        9 => cake(canvas, dice),
        10 => sweet_fruit(canvas, dice),
        _ => ice_cream(canvas, dice),
    }
}

fn fruit(canvas: &mut Canvas, dice: &mut Dice) {
    let inks = Inks::new([dice.pick(&RIPE), BROWN, dice.pick(&LEAF), PAPER]);
    canvas.stamp(
        1,
        dice.pick(&[fruit_art::STEM, fruit_art::BENT_STEM]),
        &inks,
    );
    let (top, body) = dice.pick(&[
        (4, fruit_art::APPLE),
        (4, fruit_art::ORANGE),
        (1, fruit_art::PEAR),
    ]);
    canvas.stamp(top, body, &inks);
    let leaves = [
        fruit_art::LEAF_RIGHT,
        fruit_art::LEAF_LEFT,
        fruit_art::TWO_LEAVES,
        fruit_art::LONG_LEAF,
    ];
    canvas.stamp(1, dice.pick(&leaves), &inks);
    match dice.roll(4) {
        0 => canvas.stamp(6, fruit_art::BITE, &inks),
        1 => canvas.stamp(8, fruit_art::CHEEK_SPOTS, &inks),
        2 => canvas.stamp(7, fruit_art::STICKER, &Inks::new([dice.pick(&VIVID)])),
        _ => {}
    }
}

fn berries(canvas: &mut Canvas, dice: &mut Dice) {
    let inks = Inks::new([
        dice.pick(&BERRY),
        dice.pick(&[BROWN, GREEN]),
        dice.pick(&LEAF),
    ]);
    match dice.roll(3) {
        0 => canvas.stamp(2, fruit_art::CHERRIES, &inks),
        1 => canvas.stamp(2, fruit_art::GRAPES, &inks),
        _ => canvas.stamp(2, fruit_art::THREE_CHERRIES, &inks),
    }
    canvas.stamp(
        2,
        dice.pick(&[
            fruit_art::BERRY_LEAF,
            fruit_art::BERRY_LEAVES,
            fruit_art::BERRY_LEAF_LEFT,
        ]),
        &inks,
    );
}

fn root(canvas: &mut Canvas, dice: &mut Dice) {
    let root = dice.pick(&[ORANGE, ORANGE, PURPLE, RED, GOLD, BONE]);
    let inks = Inks::new([root, dice.pick(&LEAF)]);
    canvas.stamp(
        5,
        dice.pick(&[garden_art::CARROT, garden_art::RADISH]),
        &inks,
    );
    canvas.stamp(
        5,
        dice.pick(&[garden_art::RINGS, garden_art::FEW_RINGS, NOTHING]),
        &inks,
    );
    canvas.stamp(
        1,
        dice.pick(&[
            garden_art::TUFT,
            garden_art::WIDE_TUFT,
            garden_art::TWIN_TUFT,
        ]),
        &inks,
    );
}

fn bread(canvas: &mut Canvas, dice: &mut Dice) {
    let crust = dice.pick(&[CRUST, GOLD, BROWN]);
    let inks = Inks::new([
        crust,
        PAPER,
        dice.pick(&VIVID),
        dice.pick(&[GREEN, RED, GOLD]),
    ]);
    match dice.roll(4) {
        0 => canvas.stamp(5, kitchen_art::LOAF, &inks),
        1 => {
            canvas.stamp(3, kitchen_art::TOAST, &inks);
            let spread = Inks::new([crust, PAPER, dice.pick(&BERRY), GOLD]);
            canvas.stamp(
                6,
                dice.pick(&[
                    kitchen_art::JAM,
                    kitchen_art::BUTTER,
                    kitchen_art::FRIED_EGG,
                ]),
                &spread,
            );
        }
        2 => {
            canvas.stamp(
                4,
                kitchen_art::BURGER,
                &Inks::new([crust, BROWN, dice.pick(&LEAF), dice.pick(&[GOLD, RED])]),
            );
            canvas.stamp(
                4,
                dice.pick(&[kitchen_art::SEEDS, kitchen_art::FEW_SEEDS, NOTHING]),
                &inks,
            );
        }
        _ => {
            canvas.stamp(3, kitchen_art::DOUGHNUT, &inks);
            let sprinkles = Inks::new([dice.pick(&VIVID), dice.pick(&VIVID)]);
            canvas.stamp(
                3,
                dice.pick(&[kitchen_art::SPRINKLES, kitchen_art::DRIZZLE, NOTHING]),
                &sprinkles,
            );
        }
    }
}

fn fish(canvas: &mut Canvas, dice: &mut Dice) {
    let scales = dice.pick(&[BLUE, TEAL, ORANGE, RED, PINK, STEEL]);
    let inks = Inks::new([
        scales,
        dice.pick(&VIVID),
        dice.pick(&[CLOUD, BONE]),
        dice.pick(&VIVID),
    ]);
    canvas.stamp(10, kitchen_art::PLATE, &inks);
    canvas.raise(
        0,
        3,
        dice.pick(&[kitchen_art::FISH, kitchen_art::STRIPED_FISH]),
        &inks,
    );
    let lemon = Inks::new([dice.pick(&[GOLD, GREEN])]);
    canvas.stamp(10, dice.pick(&[kitchen_art::LEMON, NOTHING]), &lemon);
}

fn drumstick(canvas: &mut Canvas, dice: &mut Dice) {
    let meat = dice.pick(&[BROWN, CRUST, RED, ORANGE]);
    let inks = Inks::new([
        meat,
        dice.pick(&[BONE, CLOUD]),
        dice.pick(&LEAF),
        dice.pick(&[RED, GOLD, BROWN]),
    ]);
    canvas.stamp(
        10,
        dice.pick(&[kitchen_art::PARSLEY, kitchen_art::TOMATO, NOTHING]),
        &inks,
    );
    canvas.raise(
        0,
        1,
        dice.pick(&[kitchen_art::DRUMSTICK, kitchen_art::HAM]),
        &inks,
    );
    canvas.stamp(
        4,
        dice.pick(&[kitchen_art::GRILL_MARKS, kitchen_art::SAUCE, NOTHING]),
        &inks,
    );
}

fn cheese(canvas: &mut Canvas, dice: &mut Dice) {
    let rind = dice.pick(&[RED, ORANGE, BROWN, PAPER]);
    let inks = Inks::new([dice.pick(&[GOLD, ORANGE]), rind, dice.pick(&VIVID)]);
    canvas.stamp(4, kitchen_art::CHEESE, &inks);
    canvas.stamp(
        8,
        dice.pick(&[
            kitchen_art::HOLES,
            kitchen_art::MANY_HOLES,
            kitchen_art::BIG_HOLES,
        ]),
        &inks,
    );
    canvas.stamp(
        1,
        dice.pick(&[kitchen_art::CHEESE_FLAG, kitchen_art::CHEESE_PICK, NOTHING]),
        &inks,
    );
}

fn mushroom(canvas: &mut Canvas, dice: &mut Dice) {
    let cap = dice.pick(&VIVID);
    let spots = dice.pick(&[CLOUD, PAPER, GOLD]);
    let inks = Inks::new([
        cap,
        spots,
        dice.pick(&[PAPER, BONE, CLOUD]),
        dice.pick(&LEAF),
    ]);
    canvas.stamp(
        9,
        dice.pick(&[garden_art::STALK, garden_art::THICK_STALK]),
        &inks,
    );
    canvas.stamp(
        2,
        dice.pick(&[garden_art::CAP, garden_art::BELL_CAP]),
        &inks,
    );
    canvas.stamp(
        3,
        dice.pick(&[garden_art::SPOTS, garden_art::BIG_SPOT, NOTHING]),
        &inks,
    );
    canvas.stamp(12, dice.pick(&[garden_art::GRASS, NOTHING]), &inks);
}

fn cake(canvas: &mut Canvas, dice: &mut Dice) {
    let sponge = dice.pick(&[CRUST, BROWN, GOLD]);
    let icing = dice.pick(&[PINK, CLOUD, BROWN, TEAL, PURPLE, RED]);
    let inks = Inks::new([sponge, icing, dice.pick(&VIVID), dice.pick(&[CLOUD, STEEL])]);
    canvas.stamp(
        6,
        dice.pick(&[
            sweets_art::CAKE,
            sweets_art::CUPCAKE,
            sweets_art::CAKE_SLICE,
        ]),
        &inks,
    );
    canvas.stamp(
        2,
        dice.pick(&[
            sweets_art::CANDLE,
            sweets_art::CAKE_CHERRY,
            sweets_art::CAKE_BERRIES,
        ]),
        &inks,
    );
}

fn sweet_fruit(canvas: &mut Canvas, dice: &mut Dice) {
    let skin = dice.pick(&[RED, PINK, RED, GOLD]);
    let inks = Inks::new([skin, dice.pick(&[PAPER, GOLD]), dice.pick(&LEAF), PAPER]);
    match dice.roll(3) {
        0 => {
            canvas.stamp(4, fruit_art::STRAWBERRY, &inks);
            canvas.stamp(
                1,
                dice.pick(&[fruit_art::CALYX, fruit_art::SPIKY_CALYX]),
                &inks,
            );
        }
        1 => {
            let rind = Inks::new([skin, dice.pick(&LEAF)]);
            canvas.stamp(5, fruit_art::MELON, &rind);
            canvas.stamp(
                5,
                dice.pick(&[fruit_art::PIPS, fruit_art::MANY_PIPS]),
                &rind,
            );
        }
        _ => {
            let rind = dice.pick(&[GOLD, ORANGE, BROWN]);
            canvas.stamp(5, fruit_art::PINEAPPLE, &Inks::new([rind]));
            canvas.stamp(
                1,
                dice.pick(&[fruit_art::CROWN_LEAVES, fruit_art::TALL_CROWN]),
                &inks,
            );
        }
    }
}

fn ice_cream(canvas: &mut Canvas, dice: &mut Dice) {
    let flavours = [PINK, BROWN, PAPER, TEAL, PURPLE, GREEN, GOLD];
    let inks = Inks::new([
        dice.pick(&flavours),
        dice.pick(&flavours),
        dice.pick(&VIVID),
        CRUST,
    ]);
    canvas.stamp(8, sweets_art::CONE, &inks);
    canvas.stamp(4, dice.pick(&[sweets_art::SCOOP, sweets_art::SWIRL]), &inks);
    canvas.stamp(
        1,
        dice.pick(&[
            sweets_art::TOP_CHERRY,
            sweets_art::WAFER,
            sweets_art::TOP_STAR,
        ]),
        &inks,
    );
}
