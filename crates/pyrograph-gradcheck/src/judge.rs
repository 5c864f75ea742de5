//! What the slopes of one line through the point, at several steps, say of the analytic slope.
//!
//! Rounding of the function's values shrinks as the step grows, and its truncation as the step
//! shrinks. So a disagreement that rounding could explain is judged again at wider steps: a wrong
//! gradient stays where it is, rounding does not. Where no step settles it, agreement to a thousandth
//! of the steepest slope counts if rounding could not hide more than that; else nothing can be told.
//!
//! The gap of the one-sided slopes tells a kink from a curve: shrinking the step by four shrinks
//! the gap of a smooth function by four and leaves that of a kink at the point as it is. A kink
//! beside the point is left behind by a smaller step. So a disagreement that is clear of rounding
//! is judged again at smaller steps, down to where rounding takes over:
//!
//! - the slopes agree at some step that rounding does not decide: the gradient is right;
//! - the gap stays, or the slope moves with the step, clear of rounding, and the analytic slope
//!   lies between the one-sided ones of the smallest step: a kink at the point or close beside it,
//!   reported apart;
//! - the function still bends, and its slope is another at each of the smallest steps: nothing can
//!   be told;
//! - anything else, a wrong gradient of a smooth function first of all: wrong.
//!
//! A slope that should be zero, as a bias's before a norm, is drowned in rounding that wider steps
//! shrink: where it stays as it is at two of them, clear of rounding, it is none.
//!
//! An element that is within the tolerance of the steepest slope, but not of its own, is wrong
//! where rounding and truncation are excluded: its slope is the same at a wider and at a smaller
//! step.

use crate::{
    numbers::Reference,
    settings::Precision,
    slopes::{Base, CLEAR, INSIDE, Sides, Slopes},
};

/// By how much a step shrinks, or grows, from one trial to the next.
const SHRINK: f64 = 0.25;
/// Trials at smaller steps.
const RETRIES: i32 = 5;
/// Trials at wider steps.
const WIDER: i32 = 3;
/// A gap that shrinks to less than this share is curvature, which shrinks to a quarter.
const PERSISTS: f64 = 0.4;
/// A gap that grows to more than this, at a step four times as wide, is curvature, whose gap grows
/// to four.
const CURVES: f64 = 2.5;
/// A numeric slope that moves by this share of the disagreement, as the step shrinks, is that of no
/// smooth function.
const MOVED: f64 = 0.5;
/// How much of the tolerance rounding may take at a smaller step for agreement to count.
const ROUNDING_SHARE: f64 = 0.25;

/// What the slopes of one line say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Judgement {
    /// Analytic and numeric slope agree.
    Right(Slopes),
    /// The function bends at the point, and the analytic slope is one that autodiff may choose
    /// there.
    Kink(Slopes),
    /// The function bends at the point, and the analytic slope lies somewhere between the one-sided
    /// ones.
    InsideKink(Slopes),
    /// They disagree.
    Wrong(Slopes),
    /// Rounding is larger than the tolerance, or than the disagreement.
    Drowned(Slopes),
}

/// Judges the line whose values at a step shrunk by a factor `sides` gives; `None` where it cannot.
/// A factor above 1 widens the step.
pub(crate) fn judge<E>(
    base: Base<'_>,
    precision: &Precision,
    reference: &Reference,
    sides: &mut dyn FnMut(f64) -> Result<Option<Sides>, E>,
) -> Result<Option<Judgement>, E> {
    let judgement = judge_by_scale(base, precision, reference, sides)?;
    Ok(judgement.map(|judgement| match judgement {
        // As a share of the steepest of all tensors, it would seem smaller than the tolerance.
        Judgement::Wrong(slopes) if slopes.is_zero => Judgement::Wrong(slopes.by_its_own()),
        other => other,
    }))
}

fn judge_by_scale<E>(
    base: Base<'_>,
    precision: &Precision,
    reference: &Reference,
    sides: &mut dyn FnMut(f64) -> Result<Option<Sides>, E>,
) -> Result<Option<Judgement>, E> {
    let mut at = |shrink: f64| -> Result<Option<Slopes>, E> {
        let sides = sides(shrink)?;
        Ok(sides.map(|sides| Slopes::of(base, &sides, precision, reference)))
    };
    let Some(first) = at(1.0)? else {
        return Ok(None);
    };
    let settles = first.settles(precision);
    let suspicious = settles && first.is_suspicious(precision);
    if first.is_zero
        && first.difference() > first.rounding
        && let Some(slopes) = no_zero_at_wider_steps(first, precision, &mut at)?
    {
        return Ok(Some(Judgement::Wrong(slopes)));
    }
    if settles && !suspicious && !first.bends() {
        return Ok(Some(Judgement::Right(first)));
    }
    if suspicious && !first.bends() {
        let wide = wider(precision, 1, &mut at)?;
        if wide.is_none_or(|wide| !first.is_steady_beside(&wide)) {
            return Ok(Some(Judgement::Right(first)));
        }
    }
    if !settles && (first.drowns(precision) || first.may_be_rounding()) {
        if let Some(judgement) = judge_wider(first, precision, &mut at)? {
            return Ok(Some(judgement));
        }
        if first.drowns(precision) && !first.bends() {
            return Ok(Some(Judgement::Drowned(first)));
        }
    }
    judge_closer(first, suspicious, precision, &mut at).map(Some)
}

fn wider<E>(
    precision: &Precision,
    trial: i32,
    at: &mut dyn FnMut(f64) -> Result<Option<Slopes>, E>,
) -> Result<Option<Slopes>, E> {
    if !precision.may_widen() {
        return Ok(None);
    }
    at(SHRINK.powi(-trial))
}

/// The slopes of a wider step where what should be zero stays as it is, clear of rounding.
fn no_zero_at_wider_steps<E>(
    first: Slopes,
    precision: &Precision,
    at: &mut dyn FnMut(f64) -> Result<Option<Slopes>, E>,
) -> Result<Option<Slopes>, E> {
    let (mut previous, mut was_clear) = (first, false);
    for trial in 1..=WIDER {
        let Some(wide) = wider(precision, trial, at)? else {
            return Ok(None);
        };
        let is_clear = !wide.may_be_rounding() && !wide.bends();
        if is_clear && was_clear && wide.is_steady_beside(&previous) {
            return Ok(Some(wide));
        }
        (previous, was_clear) = (wide, is_clear);
    }
    Ok(None)
}

/// Judges at wider steps what rounding could explain; `None` where they do not settle it either.
fn judge_wider<E>(
    first: Slopes,
    precision: &Precision,
    at: &mut dyn FnMut(f64) -> Result<Option<Slopes>, E>,
) -> Result<Option<Judgement>, E> {
    let mut previous = first;
    for trial in 1..=WIDER {
        let Some(wide) = wider(precision, trial, at)? else {
            return Ok(None);
        };
        // The gap of a kink does not grow with the step, as that of a curve does.
        if wide.bends() && wide.gap < CURVES * previous.gap {
            return Ok(None);
        }
        if wide.settles(precision) {
            return Ok(Some(Judgement::Right(wide)));
        }
        if !wide.agrees(precision) && !wide.may_be_rounding() && wide.is_steady_beside(&previous) {
            return Ok(Some(Judgement::Wrong(wide)));
        }
        previous = wide;
    }
    // A function that does not depend on the tensor has no slope that rounding could hide.
    let is_unused = previous.unmoved && previous.analytic == 0.0;
    let is_right = is_unused || previous.is_right_as_far_as_rounding_shows(precision);
    Ok(is_right.then_some(Judgement::Right(previous)))
}

/// Judges at smaller steps a disagreement that is clear of rounding, and what bends.
fn judge_closer<E>(
    first: Slopes,
    suspicious: bool,
    precision: &Precision,
    at: &mut dyn FnMut(f64) -> Result<Option<Slopes>, E>,
) -> Result<Judgement, E> {
    let is_right = |slopes: &Slopes| match suspicious {
        true => slopes.by_its_own().relative_error <= precision.tolerance,
        // The rounding of a smaller step is larger, and would hide what the first has shown.
        false if first.is_zero => slopes.difference() <= INSIDE * first.rounding,
        false => slopes.agrees(precision),
    };
    let mut right = (first.settles(precision) && !suspicious).then_some(first);
    let (mut previous, mut last) = (None, first);
    for retry in 1..=RETRIES {
        let Some(slopes) = at(SHRINK.powi(retry))? else {
            break;
        };
        let trusted = slopes.rounding <= ROUNDING_SHARE * precision.tolerance * slopes.scale;
        let telling = CLEAR * slopes.rounding < slopes.gap.max(first.difference());
        if !trusted && !telling {
            break;
        }
        (previous, last) = (Some(last), slopes);
        if trusted && right.is_none() && is_right(&slopes) {
            right = Some(slopes);
        }
        if right.is_some() && !slopes.bends() {
            break;
        }
    }
    let stays = previous.is_some_and(|previous| last.gap >= PERSISTS * previous.gap)
        && last.gap > CLEAR * last.rounding;
    // Rounding may forbid the steps that would settle a kink beside the point, but the slope has
    // left its first value there.
    let moved = (last.numeric - first.numeric).abs() >= MOVED * first.difference()
        && CLEAR * last.rounding < first.difference();
    let kink = match last.is_a_choice {
        true => Judgement::Kink(last),
        false => Judgement::InsideKink(last),
    };
    Ok(match right {
        Some(slopes) if !(stays && last.bends()) => Judgement::Right(slopes),
        Some(_) => kink,
        None if stays && last.within(precision) => kink,
        None if suspicious => match moved || previous.is_none() {
            true => Judgement::Right(first),
            false => Judgement::Wrong(first.by_its_own()),
        },
        // Rounding within the function, which moves what should be zero.
        None if moved && first.is_zero => Judgement::Drowned(first),
        None if moved && last.within(precision) => kink,
        None if first.may_be_rounding() => Judgement::Drowned(first),
        // So many kinks that the slope is another at each of the smallest steps.
        None if last.bends() && previous.is_some_and(|before| !last.is_steady_beside(&before)) => {
            Judgement::Drowned(last)
        }
        None => Judgement::Wrong(first),
    })
}

#[cfg(test)]
mod tests;
