//! Judgements of plain functions, in f64 and f32 arithmetic.

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
    let reference = Reference {
        steepest: slope.abs(),
        steepest_of_all: slope.abs(),
        epsilon: precision.epsilon(),
    };
    judge(base, &precision, &reference, &mut { sides })
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
    // Rounding of 40 is 2.4e-6·40 of the slope at the first step, and too much of the tolerance at
    // the next.
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
    let reference = Reference {
        steepest: 0.0,
        steepest_of_all: 1.0,
        epsilon: f64::EPSILON,
    };
    let judgement = judge(base, &Precision::F64, &reference, &mut { sides }).expect("never fails");
    assert!(
        matches!(judgement, Some(Judgement::Kink(_))),
        "{judgement:?}"
    );
}

#[test]
fn a_slope_that_is_no_choice_of_a_kink_is_inside_it() {
    for precision in [Precision::F64, Precision::F32] {
        for slope in [0.1, 0.3, 0.8] {
            let judgement = judged(|x| x.max(0.0), slope, precision);
            assert!(
                matches!(judgement, Judgement::InsideKink(_)),
                "{judgement:?}"
            );
        }
    }
}

#[test]
fn small_slopes_are_judged_by_their_own_size() {
    for precision in [Precision::F64, Precision::F32] {
        for size in [1e-2, 1e-5, 1e-9] {
            let f = |x: f64| size * (x + 0.3).sin();
            let slope = size * 0.3_f64.cos();
            let judgement = judged(f, slope, precision);
            assert!(matches!(judgement, Judgement::Right(_)), "{judgement:?}");
            for wrong in [1.02, 2.0, -1.0] {
                let judgement = judged(f, wrong * slope, precision);
                assert!(matches!(judgement, Judgement::Wrong(_)), "{judgement:?}");
            }
        }
    }
}

#[test]
fn a_slope_too_small_for_the_tolerance_is_right_to_a_thousandth_or_drowns() {
    // Rounding of 1 in f64 is 6e-13 of a slope at the widest step: more than 1e-6 of 1e-7.
    let small = |size: f64| move |x: f64| 1.0 + size * (x + 0.3).sin();
    let slope = |size: f64| size * 0.3_f64.cos();
    let right = judged(small(1e-7), slope(1e-7), Precision::F64);
    assert!(matches!(right, Judgement::Right(_)), "{right:?}");
    let wrong = judged(small(1e-7), 1.01 * slope(1e-7), Precision::F64);
    assert!(matches!(wrong, Judgement::Wrong(_)), "{wrong:?}");
    for share in [1.0, 1.01] {
        let drowned = judged(small(1e-9), share * slope(1e-9), Precision::F64);
        assert!(matches!(drowned, Judgement::Drowned(_)), "{drowned:?}");
    }
}

#[test]
fn rounding_at_the_first_step_is_left_behind_by_wider_ones() {
    // One rounding of 1 is more of the slope 1e-3 than f32's tolerance at the first step.
    let f = |x: f64| 1.0 + 1e-3 * x;
    let right = judged(f, 1e-3, Precision::F32);
    assert!(matches!(right, Judgement::Right(_)), "{right:?}");
    let wrong = judged(f, 2e-3, Precision::F32);
    assert!(matches!(wrong, Judgement::Wrong(_)), "{wrong:?}");
}

#[test]
fn kinks_closer_than_f32_resolves_leave_the_slope_untold() {
    // Steep within 1.5e-6 below and 3e-6 above the point alone.
    let f = |x: f64| 4.0 + 3.0 * x.clamp(-1.5e-6, 3e-6);
    let judgement = judged(f, 3.0, Precision::F32);
    assert!(matches!(judgement, Judgement::Drowned(_)), "{judgement:?}");
}
