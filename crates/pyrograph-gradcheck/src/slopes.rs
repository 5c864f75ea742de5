//! Slopes of one line through the point, and what they say of an analytic slope: plain numbers, no tensors.
//!
//! With `L = ⟨c, f⟩`, the central slope is `n = (L⁺ − L⁻) / (up + down)`; the one-sided slopes are `(L⁺ − L⁰) / up` and
//! `(L⁰ − L⁻) / down`. Their gap tells a kink from a curve: shrinking the step by four shrinks the gap of a smooth function
//! by four and leaves that of a kink at the point as it is. A kink beside the point is left behind by a smaller step. So
//! disagreement is judged again at smaller steps, down to where rounding takes over:
//!
//! - the slopes agree at some step that rounding does not decide: the gradient is right;
//! - the gap stays, or the slope moves with the step, clear of rounding, and the analytic slope lies between the one-sided ones
//!   of the smallest step: a kink at the point or close beside it, reported apart;
//! - anything else, a wrong gradient of a smooth function first of all: wrong.
//!
//! Where several outputs bend at once, the range of slopes is the sum of their ranges.

use crate::settings::Precision;

/// By how much a step shrinks from one trial to the next.
const SHRINK: f64 = 0.25;
/// Trials after the first.
const RETRIES: i32 = 5;
/// A gap that shrinks to less than this share is curvature, which shrinks to a quarter.
const PERSISTS: f64 = 0.4;
/// One-sided slopes that differ by less than this share are no kink worth a second look, where the slopes agree.
const JUMP: f64 = 0.05;
/// How far something must stand above rounding to be there: one-sided slopes have twice the rounding of the central one, and sums
/// within the function round more than their result shows.
pub(crate) const CLEAR: f64 = 8.0;
/// A numeric slope that moves by this share of the disagreement, as the step shrinks, is that of no smooth function.
const MOVED: f64 = 0.5;
/// How much of the tolerance rounding may take at a smaller step for agreement to count.
const ROUNDING_SHARE: f64 = 0.25;

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
    scale: f64,
    gap: f64,
    low: f64,
    high: f64,
}

impl Slopes {
    fn of(base: Base<'_>, sides: &Sides, precision: &Precision) -> Self {
        let (mut forward, mut backward, mut low, mut high) = (0.0, 0.0, 0.0, 0.0);
        let (mut moved, mut all) = (0.0, 0.0);
        for (j, weight) in base.cotangent.iter().enumerate() {
            let (plus, at, minus) = (sides.plus[j], base.values[j], sides.minus[j]);
            let up = weight * (plus - at) / sides.up;
            let down = weight * (at - minus) / sides.down;
            forward += up;
            backward += down;
            low += up.min(down);
            high += up.max(down);
            let square = (weight * at.abs().max(plus.abs())).powi(2);
            all += square;
            // An output that the step does not reach is the same number three times, without rounding.
            moved += if plus != at || minus != at {
                square
            } else {
                0.0
            };
        }
        let width = sides.up + sides.down;
        let numeric = (forward * sides.up + backward * sides.down) / width;
        let scale = precision.floor.max(sides.analytic.abs()).max(numeric.abs());
        let square = if moved > 0.0 { moved } else { all };
        Self {
            analytic: sides.analytic,
            numeric,
            relative_error: (sides.analytic - numeric).abs() / scale,
            rounding: precision.epsilon() * square.sqrt() * 2.0 / width,
            scale,
            gap: (forward - backward).abs(),
            low,
            high,
        }
    }

    /// Whether rounding alone could make the difference between right and wrong.
    fn drowns(&self, precision: &Precision) -> bool {
        self.rounding > precision.tolerance * self.scale
    }

    fn agrees(&self, precision: &Precision) -> bool {
        self.relative_error <= precision.tolerance
    }

    fn difference(&self) -> f64 {
        (self.analytic - self.numeric).abs()
    }

    fn bends(&self) -> bool {
        self.gap > JUMP * self.scale && self.gap > CLEAR * self.rounding
    }

    /// Whether the analytic slope lies between the one-sided ones, as far as rounding lets them be known.
    fn within(&self, precision: &Precision) -> bool {
        let slack = precision.tolerance * self.scale + 2.0 * self.rounding;
        (self.low - slack..=self.high + slack).contains(&self.analytic)
    }
}

/// What the slopes of one line say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Judgement {
    /// Analytic and numeric slope agree.
    Right(Slopes),
    /// The function bends at the point, and the analytic slope lies between the one-sided ones.
    Kink(Slopes),
    /// They disagree.
    Wrong(Slopes),
    /// Rounding is larger than the tolerance.
    Drowned(Slopes),
}

/// Judges the line whose values at a step shrunk by a factor `sides` gives; `None` where it cannot.
pub(crate) fn judge<E>(
    base: Base<'_>,
    precision: &Precision,
    mut sides: impl FnMut(f64) -> Result<Option<Sides>, E>,
) -> Result<Option<Judgement>, E> {
    let mut at = |shrink| -> Result<Option<Slopes>, E> {
        Ok(sides(shrink)?.map(|sides| Slopes::of(base, &sides, precision)))
    };
    let Some(first) = at(1.0)? else {
        return Ok(None);
    };
    if first.drowns(precision) {
        return Ok(Some(Judgement::Drowned(first)));
    }
    let mut right = first.agrees(precision).then_some(first);
    if right.is_some() && !first.bends() {
        return Ok(Some(Judgement::Right(first)));
    }

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
        if trusted && right.is_none() && slopes.agrees(precision) {
            right = Some(slopes);
        }
        if right.is_some() && !slopes.bends() {
            break;
        }
    }
    let stays = previous.is_some_and(|previous| last.gap >= PERSISTS * previous.gap)
        && last.gap > CLEAR * last.rounding;
    // Rounding may forbid the steps that would settle a kink beside the point, but the slope has left its first value there.
    let moved = (last.numeric - first.numeric).abs() >= MOVED * first.difference()
        && CLEAR * last.rounding < first.difference();
    Ok(Some(match right {
        Some(slopes) if !(stays && last.bends()) => Judgement::Right(slopes),
        Some(_) => Judgement::Kink(last),
        None if (stays || moved) && last.within(precision) => Judgement::Kink(last),
        None => Judgement::Wrong(first),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POINT: f64 = 0.0;

    /// Judges `slope` as the derivative of `f` at 0, in f64 or f32 arithmetic.
    fn judged(f: impl Fn(f64) -> f64, slope: f64, precision: Precision) -> Judgement {
        let f = |x: f64| precision.round(f(precision.round(x)));
        let values = [f(POINT)];
        let base = Base {
            values: &values,
            cotangent: &[1.0],
        };
        let sides = |shrink: f64| {
            let h = precision.round(precision.step * shrink);
            Ok::<_, ()>(Some(Sides {
                plus: vec![f(h)],
                minus: vec![f(-h)],
                up: h,
                down: h,
                analytic: slope,
            }))
        };
        judge(base, &precision, sides)
            .expect("never fails")
            .expect("always judged")
    }

    #[test]
    fn a_smooth_function_with_the_right_slope_passes_however_curved() {
        for precision in [Precision::F64, Precision::F32] {
            for curvature in [0.0, 1.0, 30.0] {
                let judgement = judged(|x| 2.0 * x + curvature * x * x, 2.0, precision);
                assert!(matches!(judgement, Judgement::Right(_)), "{judgement:?}");
            }
        }
    }

    #[test]
    fn a_wrong_slope_of_a_smooth_function_is_never_a_kink() {
        for precision in [Precision::F64, Precision::F32] {
            for curvature in [0.0, 1.0, 30.0, 1000.0] {
                // Within the gap of the first step, where a test of the gap alone would let it pass.
                for slope in [2.02, 1.98, -2.0, 0.0] {
                    let judgement = judged(|x| 2.0 * x + curvature * x * x, slope, precision);
                    assert!(matches!(judgement, Judgement::Wrong(_)), "{judgement:?}");
                }
            }
        }
    }

    #[test]
    fn a_slope_between_those_of_a_kink_is_reported_apart() {
        for precision in [Precision::F64, Precision::F32] {
            for slope in [0.0, 0.5, 1.0] {
                let judgement = judged(|x| x.max(0.0), slope, precision);
                assert!(matches!(judgement, Judgement::Kink(_)), "{judgement:?}");
            }
            // The central slope of |x| is 0, as is the one that burn gives; still a kink.
            assert!(matches!(
                judged(f64::abs, 0.0, precision),
                Judgement::Kink(_)
            ));
        }
    }

    #[test]
    fn a_slope_outside_those_of_a_kink_is_wrong() {
        for precision in [Precision::F64, Precision::F32] {
            for slope in [-1.0, -0.1, 1.1, 2.0] {
                let judgement = judged(|x| x.max(0.0), slope, precision);
                assert!(matches!(judgement, Judgement::Wrong(_)), "{judgement:?}");
            }
        }
    }

    #[test]
    fn a_kink_beside_the_point_is_left_behind() {
        for share in [0.1, 0.3, 0.9] {
            let bend = share * Precision::F64.step;
            let f = |x: f64| (x - bend).max(0.0) + 3.0 * x;
            assert!(matches!(
                judged(f, 3.0, Precision::F64),
                Judgement::Right(_)
            ));
            assert!(matches!(
                judged(f, 3.4, Precision::F64),
                Judgement::Wrong(_)
            ));
        }
    }

    #[test]
    fn a_kink_that_f32_cannot_leave_behind_is_reported_apart() {
        // Rounding of 40 is 2.4e-6·40 of the slope at the first step, and too much of the tolerance at the next.
        let bend = 0.4 * Precision::F32.step;
        let f = |x: f64| 40.0 + 3.0 * x + (x - bend).max(0.0);
        assert!(matches!(judged(f, 3.0, Precision::F32), Judgement::Kink(_)));
        let f = |x: f64| 40.0 + 3.0 * x;
        assert!(matches!(
            judged(f, 3.2, Precision::F32),
            Judgement::Wrong(_)
        ));
    }

    #[test]
    fn a_difference_below_the_rounding_of_a_large_value_drowns() {
        for precision in [Precision::F64, Precision::F32] {
            let offset = precision.step / precision.epsilon();
            let judgement = judged(|x| x + offset, 1.0, precision);
            assert!(matches!(judgement, Judgement::Drowned(_)), "{judgement:?}");
        }
    }

    #[test]
    fn outputs_that_bend_together_add_their_ranges() {
        // max(0, x) − max(0, −x)·2 at 0, as two outputs: slopes 1 and 2, while burn's masks give 0.
        let base = Base {
            values: &[0.0, 0.0],
            cotangent: &[1.0, -2.0],
        };
        let sides = |shrink: f64| {
            let h = Precision::F64.step * shrink;
            Ok::<_, ()>(Some(Sides {
                plus: vec![h, 0.0],
                minus: vec![0.0, h],
                up: h,
                down: h,
                analytic: 0.0,
            }))
        };
        let judgement = judge(base, &Precision::F64, sides).expect("never fails");
        assert!(
            matches!(judgement, Some(Judgement::Kink(_))),
            "{judgement:?}"
        );
    }
}
