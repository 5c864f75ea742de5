//! Which method a correlation takes.

use super::{
    super::{super::exact_convolutions, half::Values, words::tiles_are_in_force},
    blocked,
    correlation::{Correlation, Lattice},
    finish::Finish,
    minimal::{Four, Two},
    paired,
    unfolded::Unfolded,
    winograd::Winograd,
};

/// F(4×4, 3×3).
pub(super) type FourOfThree = Winograd<Four, 3, 6, 4>;

/// Fewer channels than these leave the products too thin to pay for the transforms.
const LEAST_CHANNELS: usize = 8;

/// Multiplications that would be done in the time in which a point of a weight is made from so many taps along an axis.
fn a_weight(taps: usize) -> usize {
    if taps == 2 { 20 } else { 60 }
}

/// Images that the weights of a layer are taken to serve, however many there are, so that an image's numbers do not depend on its
/// neighbours but for the order of sums: large networks run on few images at a time.
fn images_of(weights: usize) -> usize {
    ((1 << 21) / weights).clamp(2, 32)
}

/// A correlation in the form that its method takes.
pub(super) struct Plan {
    pub(super) c: Correlation,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Unfolded,
    /// F(4×4, 3×3).
    Four3,
    /// F(2×2, 3×3).
    Two3,
    /// F(4×4, 2×2).
    Four2,
    /// F(2×2, 2×2).
    Two2,
}

impl Plan {
    /// With weights of f32.
    pub(super) fn of(c: Correlation) -> Self {
        Self::new(c, exact_convolutions(), false)
    }

    pub(super) fn with_weights(c: Correlation, weight: &Values<'_>) -> Self {
        let in_pairs = weight.is_paired() && paired::holds(&c);
        Self::new(c, exact_convolutions(), in_pairs)
    }

    /// `in_pairs`: whether the definition is computed in bf16.
    pub(super) fn new(c: Correlation, exact: bool, in_pairs: bool) -> Self {
        if exact {
            return Self {
                c,
                kind: Kind::Unfolded,
            };
        }
        let by_windows = c.clone().by_windows().and_then(|windows| {
            let kind = Kind::of_windows(&windows, in_pairs)?;
            Some(Self { c: windows, kind })
        });
        by_windows.unwrap_or(Self {
            c,
            kind: Kind::Unfolded,
        })
    }

    pub(super) fn forward(
        &self,
        x: &[f32],
        weight: Values<'_>,
        finish: Finish<'_>,
        out: &mut [f32],
    ) {
        use blocked::forward;
        let c = &self.c;
        match self.kind {
            Kind::Unfolded if weight.is_paired() && paired::holds(c) => {
                paired::forward(c, x, weight, finish, out);
            }
            Kind::Unfolded => forward::<Unfolded>(c, x, weight, finish, out),
            Kind::Four3 => forward::<FourOfThree>(c, x, weight, finish, out),
            Kind::Two3 => forward::<Winograd<Two, 3, 4, 2>>(c, x, weight, finish, out),
            Kind::Four2 => forward::<Winograd<Four, 2, 5, 4>>(c, x, weight, finish, out),
            Kind::Two2 => forward::<Winograd<Two, 2, 3, 2>>(c, x, weight, finish, out),
        }
    }

    pub(super) fn weight_gradient(&self, x: &[f32], grad: &[f32], out: &mut [f32]) {
        use blocked::weight_gradient;
        let c = &self.c;
        match self.kind {
            Kind::Unfolded => weight_gradient::<Unfolded>(c, x, grad, out),
            Kind::Four3 => weight_gradient::<FourOfThree>(c, x, grad, out),
            Kind::Two3 => weight_gradient::<Winograd<Two, 3, 4, 2>>(c, x, grad, out),
            Kind::Four2 => weight_gradient::<Winograd<Four, 2, 5, 4>>(c, x, grad, out),
            Kind::Two2 => weight_gradient::<Winograd<Two, 2, 3, 2>>(c, x, grad, out),
        }
    }
}

impl Kind {
    /// The variant of Winograd's method with the least work; none where the definition has less still.
    fn of_windows(c: &Correlation, in_pairs: bool) -> Option<Self> {
        let taps = c.taps[0];
        if c.taps[1] != taps || c.inputs().min(c.target.channels) < LEAST_CHANNELS {
            return None;
        }
        let (four, two) = match taps {
            2 => (Self::Four2, Self::Two2),
            3 => (Self::Four3, Self::Two3),
            _ => return None,
        };
        let batch = images_of(c.inputs() * c.target.channels);
        // For each pair of channels.
        let products = |m: usize| {
            let of = |l: &Lattice| l.size[0].div_ceil(m) * l.size[1].div_ceil(m);
            let tiles = batch * c.lattices.iter().map(of).sum::<usize>();
            (tiles + a_weight(taps)) * (m + taps - 1).pow(2)
        };
        let by_definition = batch * c.outputs() * taps * taps;
        let by_definition = match in_pairs {
            // Products in bf16 take a little more than half the time, and those of tiles a small part of it.
            true if tiles_are_in_force() => by_definition * 3 / 20,
            true => by_definition * 11 / 20,
            false => by_definition,
        };
        let fewest = products(4).min(products(2));
        (fewest < by_definition).then_some(if products(4) <= products(2) {
            four
        } else {
            two
        })
    }
}
