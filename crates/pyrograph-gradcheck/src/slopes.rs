//! The slopes of one pair of values, beside the analytic one: plain numbers, no tensors.
//!
//! With `L = ⟨c, f⟩`, the central slope is `n = (L⁺ − L⁻) / (up + down)`; the one-sided slopes are `(L⁺ − L⁰) / up` and
//! `(L⁰ − L⁻) / down`. An error is a share of the steepest slope of the tensor. Where several
//! outputs bend at once, the range of slopes is the sum of their ranges.

use crate::{
    choices::{Bends, settles_on_a_choice},
    numbers::Reference,
    settings::Precision,
};

/// One-sided slopes that differ by less than this share are no kink worth a second look, where the slopes agree.
const JUMP: f64 = 0.05;
/// How far something must stand above rounding to be there: one-sided slopes have twice the rounding of the central one, and sums
/// within the function round more than their result shows.
pub(crate) const CLEAR: f64 = 8.0;
/// A numeric slope that differs by less than this share of the disagreement, from one step to the
/// next, is steady.
const STEADY: f64 = 0.25;
/// How far an error must stand above the rounding of the output to be one: networks round inside by
/// that much more than their output shows.
pub(crate) const INSIDE: f64 = 64.0;

/// The function's values at the point, and the weights that reduce them to a number.
#[derive(Clone, Copy)]
pub(crate) struct Base<'a> {
    pub(crate) values: &'a [f64],
    pub(crate) cotangent: &'a [f64],
}

/// The function's values on both sides of the point, and the distances there.
pub(crate) struct Sides {
    pub(crate) plus: Vec<f64>,
    pub(crate) minus: Vec<f64>,
    pub(crate) up: f64,
    pub(crate) down: f64,
    pub(crate) analytic: f64,
}

/// What one pair of values says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Slopes {
    pub(crate) analytic: f64,
    pub(crate) numeric: f64,
    pub(crate) relative_error: f64,
    /// What rounding of the function's values does to the numeric slope.
    pub(crate) rounding: f64,
    /// The error that is a relative error of 1.
    pub(crate) scale: f64,
    /// The least and the greatest slope that the outputs' one-sided slopes allow.
    pub(crate) range: [f64; 2],
    /// The size of the line's own slope.
    own: f64,
    pub(crate) gap: f64,
    /// Whether no output moved.
    pub(crate) unmoved: bool,
    /// Whether the tensor's gradient is zero beside those of others.
    pub(crate) is_zero: bool,
    /// Whether the analytic slope is one that autodiff may choose where the function bends.
    pub(crate) is_a_choice: bool,
}

impl Slopes {
    pub(crate) fn of(
        base: Base<'_>,
        sides: &Sides,
        precision: &Precision,
        reference: &Reference,
    ) -> Self {
        let mut sums = Sums::default();
        for (j, weight) in base.cotangent.iter().enumerate() {
            sums.add(
                *weight,
                sides.plus[j],
                base.values[j],
                sides.minus[j],
                sides,
            );
        }
        let width = sides.up + sides.down;
        let numeric = (sums.forward * sides.up + sums.backward * sides.down) / width;
        let gap = (sums.forward - sums.backward).abs();
        let own = sides.analytic.abs().max(numeric.abs());
        let scale = own.max(reference.least_scale(precision));
        let difference = (sides.analytic - numeric).abs();
        let square = if sums.moved > 0.0 {
            sums.moved
        } else {
            sums.all
        };
        let rounding = reference.epsilon * square.sqrt() * 2.0 / width;
        let mut slopes = Self {
            analytic: sides.analytic,
            numeric,
            relative_error: share(difference, scale),
            rounding,
            scale,
            range: [sums.low, sums.high],
            own,
            gap,
            unmoved: sums.moved == 0.0,
            is_zero: reference.is_zero(),
            is_a_choice: true,
        };
        if slopes.gap > CLEAR * rounding && slopes.bends() {
            let slack = precision.tolerance * scale + 2.0 * rounding;
            let bends = Bends::of(base, sides, JUMP * gap);
            slopes.is_a_choice = settles_on_a_choice(
                sides.analytic,
                [sums.forward, sums.backward, numeric],
                &bends,
                slack,
            );
        }
        slopes
    }

    /// Whether rounding alone could make the difference between right and wrong.
    pub(crate) fn drowns(&self, precision: &Precision) -> bool {
        self.rounding > precision.tolerance * self.scale
    }

    pub(crate) fn agrees(&self, precision: &Precision) -> bool {
        match self.is_zero {
            // A share of the largest gradient would let any small slope pass for none.
            true => self.difference() <= INSIDE * self.rounding,
            false => self.relative_error <= precision.tolerance,
        }
    }

    /// Whether the slopes agree, and rounding does not decide it.
    pub(crate) fn settles(&self, precision: &Precision) -> bool {
        self.agrees(precision) && !self.drowns(precision)
    }

    pub(crate) fn difference(&self) -> f64 {
        (self.analytic - self.numeric).abs()
    }

    pub(crate) fn may_be_rounding(&self) -> bool {
        self.difference() <= INSIDE * self.rounding
    }

    /// Whether the slopes agree but for rounding, which could not hide an error that is coarse.
    pub(crate) fn is_right_as_far_as_rounding_shows(&self, precision: &Precision) -> bool {
        self.may_be_rounding() && INSIDE * self.rounding <= precision.coarse() * self.scale
    }

    /// Whether the slopes are beside each other for their own size, though not for that of the
    /// steepest.
    pub(crate) fn is_suspicious(&self, precision: &Precision) -> bool {
        self.difference() > precision.tolerance * self.own && !self.may_be_rounding()
    }

    pub(crate) fn bends(&self) -> bool {
        self.gap > JUMP * self.scale && self.gap > CLEAR * self.rounding
    }

    /// Whether the other slopes give the same numeric slope, as measured by the disagreement.
    pub(crate) fn is_steady_beside(&self, other: &Self) -> bool {
        (self.numeric - other.numeric).abs() <= STEADY * self.difference()
    }

    /// Whether the analytic slope lies between the one-sided ones, as far as rounding lets them be
    /// known.
    pub(crate) fn within(&self, precision: &Precision) -> bool {
        let slack = precision.tolerance * self.scale + 2.0 * self.rounding;
        let [low, high] = self.range;
        (low - slack..=high + slack).contains(&self.analytic)
    }

    /// The same with errors measured by the line's own slope.
    pub(crate) fn by_its_own(self) -> Self {
        Self {
            relative_error: share(self.difference(), self.own),
            scale: self.own,
            ..self
        }
    }
}

/// No difference is no share of anything.
fn share(difference: f64, scale: f64) -> f64 {
    if difference == 0.0 {
        0.0
    } else {
        difference / scale
    }
}

/// One-sided slopes, summed over the outputs.
#[derive(Default)]
struct Sums {
    forward: f64,
    backward: f64,
    low: f64,
    high: f64,
    /// Squares of the weighted outputs that the step reaches, and of all.
    moved: f64,
    all: f64,
}

impl Sums {
    fn add(&mut self, weight: f64, plus: f64, at: f64, minus: f64, sides: &Sides) {
        let up = weight * (plus - at) / sides.up;
        let down = weight * (at - minus) / sides.down;
        self.forward += up;
        self.backward += down;
        self.low += up.min(down);
        self.high += up.max(down);
        let square = (weight * at.abs().max(plus.abs())).powi(2);
        self.all += square;
        // An output that the step does not reach is the same number three times, without rounding.
        if plus != at || minus != at {
            self.moved += square;
        }
    }
}
