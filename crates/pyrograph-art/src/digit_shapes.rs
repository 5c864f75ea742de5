//! How digits are written: the ways in use for each of the ten, as strokes through points.
//!
//! Points lie in a box of side 1, x to the right and y down. Several entries of one digit are several habits; the same
//! habit with other proportions is left to the drawing.

/// A point that a stroke passes through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) x: f32,
    pub(super) y: f32,
    /// Whether the stroke breaks here instead of passing in a curve.
    pub(super) is_corner: bool,
}

/// The points of a stroke from where the pen goes down to where it is lifted.
pub(super) type Stroke = &'static [Point];

/// A way of writing a digit.
pub(super) type Shape = &'static [Stroke];

/// A point that a curve passes through.
const fn c(x: f32, y: f32) -> Point {
    let is_corner = false;
    Point { x, y, is_corner }
}

/// A corner. Between two of them a stroke is straight.
const fn k(x: f32, y: f32) -> Point {
    let is_corner = true;
    Point { x, y, is_corner }
}

/// The ways of writing `digit`, which is below 10.
pub(super) fn shapes(digit: u8) -> &'static [Shape] {
    [ZERO, ONE, TWO, THREE, FOUR, FIVE, SIX, SEVEN, EIGHT, NINE][usize::from(digit)]
}

/// An oval, one that stays open at the top, and one whose end curls in.
const ZERO: &[Shape] = &[
    &[&[
        c(0.55, 0.0),
        c(0.2, 0.15),
        c(0.05, 0.55),
        c(0.3, 0.96),
        c(0.68, 0.93),
        c(0.93, 0.5),
        c(0.8, 0.1),
        c(0.52, 0.01),
    ]],
    &[&[
        c(0.45, 0.02),
        c(0.14, 0.25),
        c(0.06, 0.65),
        c(0.35, 0.98),
        c(0.75, 0.88),
        c(0.94, 0.45),
        c(0.78, 0.08),
        c(0.5, 0.06),
    ]],
    &[&[
        c(0.72, 0.08),
        c(0.4, 0.03),
        c(0.1, 0.35),
        c(0.12, 0.8),
        c(0.45, 1.0),
        c(0.85, 0.78),
        c(0.92, 0.35),
        c(0.68, 0.06),
        c(0.42, 0.12),
    ]],
];

/// A line, far the most common; a bent line; with an upstroke; with an upstroke and a foot.
const ONE: &[Shape] = &[
    &[&[k(0.5, 0.0), k(0.5, 1.0)]],
    &[&[k(0.5, 0.0), c(0.49, 0.5), k(0.5, 1.0)]],
    &[&[k(0.47, 0.0), c(0.52, 0.5), k(0.5, 1.0)]],
    &[&[k(0.3, 0.2), k(0.52, 0.0), k(0.52, 1.0)]],
    &[
        &[k(0.26, 0.24), k(0.52, 0.0), k(0.52, 1.0)],
        &[k(0.22, 0.99), k(0.8, 0.98)],
    ],
];

/// With a sharp foot, with a foot that swings, with a loop, with a large loop.
const TWO: &[Shape] = &[
    &[&[
        c(0.1, 0.22),
        c(0.4, 0.0),
        c(0.78, 0.18),
        c(0.66, 0.52),
        k(0.05, 0.98),
        k(0.95, 0.94),
    ]],
    &[&[
        c(0.12, 0.16),
        c(0.48, 0.0),
        c(0.82, 0.22),
        c(0.55, 0.62),
        k(0.06, 0.95),
        c(0.4, 0.9),
        c(0.98, 0.98),
    ]],
    &[&[
        c(0.12, 0.2),
        c(0.42, 0.0),
        c(0.8, 0.18),
        c(0.7, 0.52),
        c(0.36, 0.88),
        c(0.1, 0.97),
        c(0.08, 0.82),
        c(0.3, 0.78),
        c(0.58, 0.93),
        c(0.98, 0.9),
    ]],
    &[&[
        c(0.05, 0.12),
        c(0.4, 0.02),
        c(0.7, 0.2),
        c(0.58, 0.55),
        c(0.26, 0.92),
        c(0.03, 0.93),
        c(0.05, 0.72),
        c(0.32, 0.72),
        c(0.62, 0.9),
        c(1.0, 0.82),
    ]],
];

/// Two bows that meet in a corner, two that meet in a small loop, and one with a flat top.
const THREE: &[Shape] = &[
    &[&[
        c(0.12, 0.12),
        c(0.48, 0.0),
        c(0.82, 0.2),
        c(0.66, 0.4),
        k(0.34, 0.47),
        c(0.76, 0.55),
        c(0.88, 0.78),
        c(0.5, 1.0),
        c(0.06, 0.9),
    ]],
    &[&[
        c(0.15, 0.08),
        c(0.55, 0.0),
        c(0.84, 0.18),
        c(0.62, 0.42),
        c(0.38, 0.5),
        c(0.42, 0.44),
        c(0.76, 0.54),
        c(0.86, 0.8),
        c(0.46, 1.0),
        c(0.08, 0.86),
    ]],
    &[&[
        k(0.1, 0.04),
        k(0.84, 0.02),
        k(0.42, 0.4),
        c(0.76, 0.48),
        c(0.9, 0.74),
        c(0.58, 0.98),
        c(0.06, 0.92),
    ]],
];

/// Open with a straight arm, open with a round one, closed, and open in one stroke.
const FOUR: &[Shape] = &[
    &[
        &[k(0.14, 0.04), k(0.1, 0.54), k(0.92, 0.5)],
        &[k(0.76, 0.0), k(0.7, 1.0)],
    ],
    &[
        &[
            k(0.12, 0.0),
            c(0.1, 0.36),
            c(0.3, 0.53),
            c(0.62, 0.46),
            k(0.84, 0.28),
        ],
        &[k(0.86, 0.0), c(0.8, 0.5), k(0.74, 1.0)],
    ],
    &[
        &[k(0.66, 0.0), k(0.04, 0.62), k(0.97, 0.6)],
        &[k(0.66, 0.02), k(0.64, 1.0)],
    ],
    &[&[
        k(0.08, 0.1),
        c(0.08, 0.5),
        c(0.4, 0.54),
        k(0.84, 0.46),
        k(0.88, 0.02),
        c(0.8, 0.5),
        k(0.66, 1.0),
    ]],
];

/// With the roof on its own, in one stroke, and in one soft stroke.
const FIVE: &[Shape] = &[
    &[
        &[
            k(0.24, 0.05),
            k(0.16, 0.44),
            c(0.5, 0.36),
            c(0.86, 0.58),
            c(0.74, 0.9),
            c(0.38, 1.0),
            c(0.06, 0.9),
        ],
        &[k(0.24, 0.05), k(0.9, 0.0)],
    ],
    &[&[
        k(0.88, 0.03),
        k(0.28, 0.05),
        k(0.2, 0.46),
        c(0.54, 0.4),
        c(0.84, 0.62),
        c(0.68, 0.94),
        c(0.34, 1.0),
        c(0.05, 0.86),
    ]],
    &[&[
        c(0.92, 0.0),
        c(0.5, 0.05),
        c(0.24, 0.26),
        c(0.5, 0.44),
        c(0.78, 0.66),
        c(0.6, 0.94),
        c(0.28, 1.0),
        c(0.06, 0.88),
    ]],
];

/// With a bent stem, with a straight one, and with a small bowl.
const SIX: &[Shape] = &[
    &[&[
        c(0.72, 0.0),
        c(0.34, 0.24),
        c(0.1, 0.66),
        c(0.3, 0.97),
        c(0.72, 0.93),
        c(0.84, 0.68),
        c(0.58, 0.52),
        c(0.28, 0.64),
        c(0.16, 0.84),
    ]],
    &[&[
        k(0.5, 0.0),
        c(0.2, 0.4),
        c(0.1, 0.74),
        c(0.38, 1.0),
        c(0.8, 0.86),
        c(0.8, 0.62),
        c(0.5, 0.55),
        c(0.18, 0.76),
    ]],
    &[&[
        c(0.86, 0.04),
        c(0.46, 0.12),
        c(0.14, 0.5),
        c(0.18, 0.9),
        c(0.52, 1.0),
        c(0.78, 0.82),
        c(0.64, 0.62),
        c(0.34, 0.68),
        c(0.22, 0.88),
    ]],
];

/// Plain, with a round shoulder, with a bar, and with a serif.
const SEVEN: &[Shape] = &[
    &[&[k(0.06, 0.06), k(0.92, 0.03), c(0.64, 0.48), k(0.42, 1.0)]],
    &[&[
        c(0.05, 0.14),
        c(0.4, 0.05),
        c(0.84, 0.06),
        c(0.72, 0.44),
        k(0.5, 1.0),
    ]],
    &[
        &[k(0.06, 0.05), k(0.9, 0.03), c(0.62, 0.48), k(0.38, 1.0)],
        &[k(0.3, 0.52), k(0.86, 0.48)],
    ],
    &[&[
        k(0.08, 0.24),
        k(0.1, 0.05),
        k(0.92, 0.05),
        c(0.7, 0.46),
        k(0.54, 1.0),
    ]],
];

/// One stroke from the top, one that stays open there, and two rings.
const EIGHT: &[Shape] = &[
    &[&[
        c(0.74, 0.12),
        c(0.44, 0.0),
        c(0.18, 0.2),
        c(0.46, 0.46),
        c(0.82, 0.74),
        c(0.48, 1.0),
        c(0.14, 0.78),
        c(0.46, 0.5),
        c(0.8, 0.24),
        c(0.66, 0.05),
    ]],
    &[&[
        c(0.86, 0.1),
        c(0.5, 0.02),
        c(0.2, 0.2),
        c(0.42, 0.44),
        c(0.74, 0.72),
        c(0.46, 1.0),
        c(0.14, 0.82),
        c(0.4, 0.54),
        c(0.86, 0.16),
    ]],
    &[
        &[
            c(0.52, 0.0),
            c(0.24, 0.12),
            c(0.3, 0.4),
            c(0.6, 0.45),
            c(0.8, 0.24),
            c(0.66, 0.03),
            c(0.5, 0.0),
        ],
        &[
            c(0.52, 0.45),
            c(0.18, 0.62),
            c(0.2, 0.9),
            c(0.54, 1.0),
            c(0.84, 0.82),
            c(0.78, 0.54),
            c(0.5, 0.45),
        ],
    ],
];

/// With a straight stem, with a bent one, and with a tail that swings back.
const NINE: &[Shape] = &[
    &[&[
        c(0.8, 0.14),
        c(0.5, 0.0),
        c(0.16, 0.22),
        c(0.3, 0.46),
        c(0.66, 0.38),
        k(0.82, 0.12),
        k(0.72, 1.0),
    ]],
    &[&[
        k(0.84, 0.08),
        c(0.5, 0.02),
        c(0.14, 0.26),
        c(0.32, 0.5),
        c(0.7, 0.34),
        k(0.84, 0.06),
        c(0.8, 0.5),
        k(0.56, 1.0),
    ]],
    &[&[
        c(0.78, 0.16),
        c(0.46, 0.0),
        c(0.14, 0.2),
        c(0.3, 0.44),
        c(0.68, 0.34),
        k(0.8, 0.12),
        c(0.84, 0.56),
        c(0.62, 0.94),
        c(0.16, 0.94),
    ]],
];
