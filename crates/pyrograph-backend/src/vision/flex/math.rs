//! Activations as straight-line f32 arithmetic, which compilers vectorise.

use super::super::{
    Activation,
    activation::{QUICK_GELU, RELU6_TOP},
};

const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// ln 2 in two parts, the first exact in few bits, so that `n·ln 2` loses nothing.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// 1.5·2²³: adding it rounds a small number to a whole one, which then stands in the low bits.
const ROUND: f32 = 12_582_912.0;
/// Beyond these, exp would leave the normal numbers.
const EXP_RANGE: (f32, f32) = (-87.0, 88.0);

/// `a·b + c`. Where the machine has one instruction for it, that is what `FUSED` says to take: elsewhere it would be a slow call.
#[inline(always)]
pub(super) fn fused<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// `Σ coefficients[i]·xⁱ`.
#[inline(always)]
fn polynomial<const FUSED: bool, const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let mut value = coefficients[N - 1];
    let mut at = N - 1;
    while at > 0 {
        at -= 1;
        value = fused::<FUSED>(value, x, coefficients[at]);
    }
    value
}

/// eˣ to 2 units in the last place (Cephes' expf) on [−87, 88]; 0 below and infinite above, so that no factor revives a tail.
#[inline(always)]
pub(super) fn exp<const FUSED: bool>(argument: f32) -> f32 {
    let x = argument.clamp(EXP_RANGE.0, EXP_RANGE.1);
    let inside = power::<FUSED>(x);
    let above_zero = if argument < EXP_RANGE.0 { 0.0 } else { inside };
    if argument > EXP_RANGE.1 {
        f32::INFINITY
    } else {
        above_zero
    }
}

/// eˣ for x ≤ 0, with 0 below −87.
#[inline(always)]
pub(super) fn exp_below_zero<const FUSED: bool>(x: f32) -> f32 {
    let is_below = x < EXP_RANGE.0; // Not `max`, which would turn NaN into −87.
    let inside = power::<FUSED>(if is_below { EXP_RANGE.0 } else { x });
    if is_below { 0.0 } else { inside }
}

/// eˣ on [−87, 88].
#[inline(always)]
fn power<const FUSED: bool>(x: f32) -> f32 {
    const P: [f32; 6] = [
        0.5,
        0.166_666_66,
        4.166_579_6e-2,
        8.333_452e-3,
        1.398_199_9e-3,
        1.987_569_2e-4,
    ];
    let shifted = fused::<FUSED>(x, LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = fused::<FUSED>(n, -LN_2_LOW, fused::<FUSED>(n, -LN_2_HIGH, x));
    let value = fused::<FUSED>(polynomial::<FUSED, 6>(r, P) * r, r, r) + 1.0;
    // 2ⁿ: n stands in the low bits of `shifted`, and goes into the exponent's place.
    let power = f32::from_bits(
        shifted
            .to_bits()
            .wrapping_sub(ROUND.to_bits())
            .wrapping_add(127)
            << 23,
    );
    value * power
}

/// Φ(x) and φ(x), the normal distribution's function and density, to 4e-6 of their own values for |x| up to 13, and 0 or 1 beyond.
///
/// Φ(−|x|) = ½·erfcx(|x|/√2)·e^(−x²/2), so that nothing cancels and the exponential serves both. erfcx(z) = t·Q(t) with
/// t = 1/(1 + 0.38·z) after Abramowitz and Stegun 7.1.26, and Q of degree 8 fitted to erfcx for 2e-8 of its value on z ≤ 11.
#[inline(always)]
fn normal<const FUSED: bool>(x: f32) -> (f32, f32) {
    const INVERSE_SQRT_TAU: f32 = 0.398_942_3;
    // Half of Q.
    const Q: [f32; 9] = [
        0.107_205_9,
        0.106_953_1,
        0.101_997_13,
        0.069_163_896,
        0.115_370_36,
        -0.081_222_18,
        0.182_342_18,
        -0.131_331_55,
        0.029_521_26,
    ];
    let power = exp_below_zero::<FUSED>(-0.5 * x * x);
    let t = 1.0 / fused::<FUSED>(0.38 * std::f32::consts::FRAC_1_SQRT_2, x.abs(), 1.0);
    let tail = t * polynomial::<FUSED, 9>(t, Q) * power;
    let cdf = if x < 0.0 { tail } else { 1.0 - tail };
    (cdf, INVERSE_SQRT_TAU * power)
}

#[inline(always)]
fn sigmoid<const FUSED: bool>(x: f32) -> f32 {
    let power = exp_below_zero::<FUSED>(-x.abs());
    (if x < 0.0 { power } else { 1.0 }) / (1.0 + power)
}

/// tanh(x) to 3e-7 of its own value: 1 − 2/(e²ˣ + 1), and near zero, where that cancels, the polynomial of Cephes' `tanhf`.
#[inline(always)]
fn tanh<const FUSED: bool>(x: f32) -> f32 {
    const NEAR: [f32; 5] = [
        -0.333_332_8,
        0.133_314_42,
        -0.053_739_715,
        0.020_639_09,
        -0.005_704_988_7,
    ];
    let z = x * x;
    let near = fused::<FUSED>(polynomial::<FUSED, 5>(z, NEAR) * z, x, x);
    let far = 1.0 - 2.0 / (exp::<FUSED>(2.0 * x.abs()) + 1.0);
    (if x.abs() < 0.625 { near } else { far }).copysign(x)
}

/// `act(x)`.
#[inline(always)]
pub(super) fn value<const FUSED: bool>(x: f32, act: Activation) -> f32 {
    match act {
        Activation::Identity => x,
        // Not `max`, which would turn NaN into 0.
        Activation::Relu => {
            if x <= 0.0 {
                0.0
            } else {
                x
            }
        }
        Activation::LeakyRelu(slope) => {
            if x <= 0.0 {
                x * slope
            } else {
                x
            }
        }
        // Comparisons that a NaN fails.
        Activation::Relu6 => {
            let above = if x <= 0.0 { 0.0 } else { x };
            if above >= RELU6_TOP { RELU6_TOP } else { above }
        }
        Activation::Gelu => x * normal::<FUSED>(x).0,
        Activation::QuickGelu => x * sigmoid::<FUSED>(x * QUICK_GELU),
        Activation::Silu => x * sigmoid::<FUSED>(x),
        Activation::Tanh => tanh::<FUSED>(x),
    }
}

/// `act′(x)`.
#[inline(always)]
pub(super) fn slope<const FUSED: bool>(x: f32, act: Activation) -> f32 {
    match act {
        Activation::Identity => 1.0,
        Activation::Relu => {
            if x <= 0.0 {
                0.0
            } else {
                1.0
            }
        }
        Activation::LeakyRelu(slope) => {
            if x <= 0.0 {
                slope
            } else {
                1.0
            }
        }
        Activation::Relu6 => {
            if x <= 0.0 || x >= RELU6_TOP {
                0.0
            } else {
                1.0
            }
        }
        Activation::Gelu => {
            let (cdf, density) = normal::<FUSED>(x);
            cdf + x * density
        }
        Activation::QuickGelu => {
            let x = x * QUICK_GELU;
            let s = sigmoid::<FUSED>(x);
            s * (1.0 + x * (1.0 - s))
        }
        Activation::Silu => {
            let s = sigmoid::<FUSED>(x);
            s * (1.0 + x * (1.0 - s))
        }
        Activation::Tanh => {
            // 1 − tanh²(x) without the difference.
            let power = exp_below_zero::<FUSED>(-2.0 * x.abs());
            let sum = 1.0 + power;
            4.0 * power / (sum * sum)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_good_to_two_parts_in_ten_million() {
        fn check<const F: bool>() {
            for i in -8600..8700 {
                let x = i as f32 / 100.0;
                let exact = f64::from(x).exp();
                assert!((f64::from(exp::<F>(x)) / exact - 1.0).abs() < 2e-7, "{x}");
            }
            assert_eq!((exp::<F>(-1e9), exp::<F>(1e9)), (0.0, f32::INFINITY));
        }
        check::<false>();
        check::<true>();
    }

    /// Φ(−x) for x > 0 in f64: its series near zero, the continued fraction of its tail far out.
    fn tail(x: f64) -> f64 {
        let density = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
        if x > 3.0 {
            let below = (1..=80).rev().fold(x, |below, n| x + f64::from(n) / below);
            return density / below;
        }
        let (mut term, mut sum) = (x, x);
        for k in 1..200 {
            term *= x * x / f64::from(2 * k + 1);
            sum += term;
        }
        0.5 - density * sum
    }

    #[test]
    fn the_normal_distribution_and_gelu_are_good_to_a_few_parts_in_a_million_of_their_own_values() {
        fn check<const F: bool>() {
            for i in 1..1300 {
                let x = f64::from(i as f32 / 100.0);
                let (below, above) = (normal::<F>(-x as f32), normal::<F>(x as f32));
                let density = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
                let off = |ours: f32, exact: f64| (f64::from(ours) / exact - 1.0).abs();
                assert!(off(below.0, tail(x)) < 4e-6, "Φ(−{x}) = {}", below.0);
                assert!(off(above.0, 1.0 - tail(x)) < 5e-7, "Φ({x}) = {}", above.0);
                assert!(off(below.1, density) < 4e-6, "φ({x}) = {}", below.1);

                let slope = slope::<F>(-x as f32, Activation::Gelu);
                let exact = tail(x) - x * density;
                // Beside the zero of the slope at −0.7518 its own value is nothing to measure by.
                let allowed = if (x - 0.75).abs() < 0.1 { 1e-4 } else { 6e-6 };
                assert!(
                    off(slope, exact) < allowed,
                    "GELU′(−{x}) = {slope}, {exact}"
                );
            }
        }
        check::<false>();
        check::<true>();
    }

    #[test]
    fn the_hyperbolic_tangent_is_good_to_three_parts_in_ten_million() {
        fn check<const F: bool>() {
            for i in -1200..1200 {
                let x = i as f32 / 100.0 + 0.003;
                let exact = f64::from(x).tanh();
                assert!((f64::from(tanh::<F>(x)) / exact - 1.0).abs() < 3e-7, "{x}");
            }
            assert_eq!(
                [tanh::<F>(1e9), tanh::<F>(-1e9), tanh::<F>(0.0)],
                [1.0, -1.0, 0.0]
            );
            assert!(tanh::<F>(1e-30) == 1e-30 && tanh::<F>(-0.0).is_sign_negative());
        }
        check::<false>();
        check::<true>();
    }

    #[test]
    fn the_largest_numbers_meet_their_limits() {
        fn check<const F: bool>() {
            for x in [100.0, 1e10, 1e30, f32::MAX] {
                for act in [Activation::Gelu, Activation::Silu] {
                    assert_eq!(
                        (value::<F>(x, act), value::<F>(-x, act)),
                        (x, -0.0),
                        "{act:?}({x})"
                    );
                    assert_eq!(
                        (slope::<F>(x, act), slope::<F>(-x, act)),
                        (1.0, 0.0),
                        "{act:?}′({x})"
                    );
                }
            }
        }
        check::<false>();
        check::<true>();
    }

    #[test]
    fn what_is_not_a_number_stays_none() {
        fn check<const F: bool>() {
            for act in Activation::ALL {
                assert!(value::<F>(f32::NAN, act).is_nan(), "{act:?}");
            }
        }
        check::<false>();
        check::<true>();
    }
}
