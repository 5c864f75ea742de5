//! The master palette: 32 colours, grouped into three-tone ramps, that every sprite shares.

/// One 8-bit RGB colour.
pub(super) type Rgb = [u8; 3];

/// The paper the sprites are drawn on, and the colour of every pixel left empty.
pub(super) const BACKGROUND: Rgb = [255, 255, 255];
/// The outline, eyes and inner lines.
pub(super) const INK: Rgb = [28, 24, 38];
/// The lightest fill, used for highlights and eye whites.
pub(super) const SNOW: Rgb = [241, 244, 250];

const SILVER: Rgb = [184, 195, 212];
const SLATE: Rgb = [116, 131, 156];
const GRAPHITE: Rgb = [67, 77, 100];
const CREAM: Rgb = [255, 235, 200];
const PEACH: Rgb = [244, 189, 140];
const OCHRE: Rgb = [200, 135, 66];
const CHESTNUT: Rgb = [143, 80, 46];
const UMBER: Rgb = [88, 48, 31];
const CORAL: Rgb = [240, 100, 90];
const SCARLET: Rgb = [201, 47, 63];
const CRIMSON: Rgb = [126, 29, 54];
const YELLOW: Rgb = [255, 226, 106];
const AMBER: Rgb = [246, 176, 53];
const TANGERINE: Rgb = [232, 117, 42];
const RUST: Rgb = [168, 68, 32];
const LIME: Rgb = [147, 217, 79];
const LEAF: Rgb = [58, 159, 72];
const FOREST: Rgb = [30, 91, 60];
const AQUA: Rgb = [127, 229, 210];
const LAGOON: Rgb = [35, 163, 162];
const ABYSS: Rgb = [20, 96, 108];
const SKY: Rgb = [118, 185, 247];
const AZURE: Rgb = [59, 112, 220];
const NAVY: Rgb = [36, 57, 127];
const LILAC: Rgb = [197, 141, 240];
const VIOLET: Rgb = [137, 69, 193];
const GRAPE: Rgb = [74, 36, 114];
const ROSE: Rgb = [249, 169, 198];
const MAGENTA: Rgb = [231, 95, 161];
const PLUM: Rgb = [164, 50, 120];

/// A material: its colour in light, in plain view and in shade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ramp {
    pub(super) light: Rgb,
    pub(super) base: Rgb,
    pub(super) shade: Rgb,
}

const fn ramp(light: Rgb, base: Rgb, shade: Rgb) -> Ramp {
    Ramp { light, base, shade }
}

pub(super) const RED: Ramp = ramp(CORAL, SCARLET, CRIMSON);
pub(super) const ORANGE: Ramp = ramp(AMBER, TANGERINE, RUST);
pub(super) const GOLD: Ramp = ramp(YELLOW, AMBER, OCHRE);
pub(super) const GREEN: Ramp = ramp(LIME, LEAF, FOREST);
pub(super) const TEAL: Ramp = ramp(AQUA, LAGOON, ABYSS);
pub(super) const BLUE: Ramp = ramp(SKY, AZURE, NAVY);
pub(super) const PURPLE: Ramp = ramp(LILAC, VIOLET, GRAPE);
pub(super) const PINK: Ramp = ramp(ROSE, MAGENTA, PLUM);
pub(super) const STEEL: Ramp = ramp(SNOW, SILVER, SLATE);
pub(super) const IRON: Ramp = ramp(SILVER, SLATE, GRAPHITE);
pub(super) const COAL: Ramp = ramp(SLATE, GRAPHITE, INK);
pub(super) const BROWN: Ramp = ramp(OCHRE, CHESTNUT, UMBER);
pub(super) const CRUST: Ramp = ramp(PEACH, OCHRE, CHESTNUT);
pub(super) const PAPER: Ramp = ramp(SNOW, CREAM, PEACH);
pub(super) const BONE: Ramp = ramp(SNOW, CREAM, OCHRE);
pub(super) const CLOUD: Ramp = ramp(SNOW, SNOW, SILVER);

/// The vivid ramps, for cloth, slimes, liquids, gems and whatever may have any colour.
pub(super) const VIVID: [Ramp; 8] = [RED, ORANGE, GOLD, GREEN, TEAL, BLUE, PURPLE, PINK];
/// Skin tones.
pub(super) const SKIN: [Ramp; 3] = [
    ramp(CREAM, PEACH, OCHRE),
    ramp(PEACH, OCHRE, CHESTNUT),
    BROWN,
];
/// Hair colours.
pub(super) const HAIR: [Ramp; 6] = [BROWN, GOLD, ORANGE, COAL, STEEL, RED];
/// Metals of blades, armour and rings.
pub(super) const METAL: [Ramp; 3] = [STEEL, GOLD, IRON];
/// Leather and wood, for boots, hilts and shafts.
pub(super) const LEATHER: [Ramp; 2] = [BROWN, COAL];
